#!/usr/bin/env bash
# Makes the small library that the tests and scripts/try.sh use: a few seconds of tones in every common format, tagged by
# ffmpeg, with titles in several scripts, a compilation, an album on two discs, and two covers. Everything in it is made here
# from formulas, so it belongs to nobody else.
#
# Usage: scripts/make-library.sh [DIR]     DIR is made anew [default: tests/data/library]
#
# The outcome is checked in, because two versions of ffmpeg seldom encode alike; run this only to change it.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
library=${1:-$project/tests/data/library}

if ! command -v ffmpeg >/dev/null; then
    echo "make-library.sh: ffmpeg is missing: apt-get install ffmpeg" >&2
    exit 1
fi
if [[ -e $library && ! -e $library/LIBRARY.txt ]]; then
    echo "make-library.sh: $library was not made by this script; remove it or name another directory" >&2
    exit 1
fi
rm -rf "$library"
mkdir -p "$library"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ffmpeg without talk, dates, random numbers and the encoder's name.
quiet_ffmpeg() {
    ffmpeg -nostdin -hide_banner -loglevel error -y "$@"
}

# picture FILE COLOUR COLOUR: a square with a gradient.
picture() {
    quiet_ffmpeg -f lavfi -i "gradients=size=96x96:c0=$2:c1=$3:n=2:seed=7:speed=0.00001" -frames:v 1 \
        -fflags +bitexact -flags:v bitexact "$1"
}

# track PATH HERTZ SECONDS [OPTION…]: a chord that fades, under PATH in the library. The options are ffmpeg's for the output.
# COVER, when it is set, is embedded.
track() {
    local path=$library/$1 hertz=$2 seconds=$3
    shift 3
    mkdir -p "${path%/*}"
    local wave="0.30*sin(2*PI*$hertz*t)*exp(-0.8*t)+0.15*sin(3*PI*$hertz*t)*exp(-1.6*t)"
    local inputs=(-f lavfi -i "aevalsrc=$wave:s=44100:d=$seconds") maps=(-map 0:a)
    if [[ -n ${COVER:-} ]]; then
        inputs+=(-i "$COVER")
        maps+=(-map 1:v -c:v copy -disposition:v attached_pic -metadata:s:v "title=Album cover"
            -metadata:s:v "comment=Cover (front)")
    fi
    quiet_ffmpeg "${inputs[@]}" "${maps[@]}" -ac 1 -map_metadata -1 -fflags +bitexact -flags:a bitexact "$@" "$path"
}

# tags KEY=VALUE…: sets the array `tagged` to the options that give an output these tags.
tags() {
    tagged=()
    local pair
    for pair in "$@"; do
        tagged+=(-metadata "$pair")
    done
}

picture "$work/slow-tides.png" 0x0b3954 0xbfd7ea
picture "$work/vesna.jpg" 0x7b2d26 0xf0f3bd

# An album in FLAC with a cover, as a ripper would leave it.
album=(artist="The Tidewater Four" album_artist="The Tidewater Four" album="Slow Tides" date=2011-04-09 genre=Jazz
    TRACKTOTAL=3 disc=1 DISCTOTAL=1)
number=0
for title in Ebb Neap "Slack Water"; do
    number=$((number + 1))
    tags "${album[@]}" title="$title" track=$number
    COVER=$work/slow-tides.png track "The Tidewater Four/Slow Tides (2011)/0$number $title.flac" $((196 + 28 * number)) 2 \
        "${tagged[@]}" -c:a flac -compression_level 8
done

# An album on two discs in MP3, with ID3v2.3 and 2.4, and a cover on one of them; names beyond Latin.
number=0
for title in Здравствуй "Été sans fin"; do
    number=$((number + 1))
    tags title="$title" artist="Ансамбль Весна" album_artist="Ансамбль Весна" album="Весна – Été" track=$number/2 disc=1/2 \
        date=2003 genre=Folk
    COVER=$work/vesna.jpg track "Ансамбль Весна/Весна – Été/CD 1/0$number.mp3" $((220 + 33 * number)) 2 \
        "${tagged[@]}" -c:a libmp3lame -b:a 64k -id3v2_version 3
done
tags title="夜の海" artist="Ансамбль Весна" album_artist="Ансамбль Весна" album="Весна – Été" track=1/1 disc=2/2 \
    date=2003 genre=Folk
track "Ансамбль Весна/Весна – Été/CD 2/01.mp3" 330 2 "${tagged[@]}" -c:a libmp3lame -q:a 7 -id3v2_version 4

# A compilation: each track by another artist and in another format.
compilation=(album="Harbour Lights" album_artist="Various Artists" date=1999 genre=Electronic)
tags "${compilation[@]}" title="Quay" artist="Ada Lindqvist" track=1/4 disc=1/1 compilation=1
track "Various/Harbour Lights/01 Quay.m4a" 262 2 "${tagged[@]}" -c:a aac -b:a 48k
tags "${compilation[@]}" title="Breakwater" artist="Pão de Ló" track=2 TRACKTOTAL=4 disc=1 COMPILATION=1
track "Various/Harbour Lights/02 Breakwater.ogg" 294 2 "${tagged[@]}" -c:a libvorbis -q:a 1
tags "${compilation[@]}" title="Lighthouse / Fog" artist="Sigur & Þór" track=3 TRACKTOTAL=4 disc=1 COMPILATION=1
track "Various/Harbour Lights/03 Lighthouse.opus" 349 2 "${tagged[@]}" -c:a libopus -b:a 32k
# ffmpeg writes APEv2 keys as they are given: these are the names that taggers write.
tags "${compilation[@]/#album_artist=/Album Artist=}" title="Buoy" artist="Ada Lindqvist" track=4/4 disc=1/1 Compilation=1
track "Various/Harbour Lights/04 Buoy.wv" 392 1 "${tagged[@]}" -c:a wavpack -compression_level 2

# Loose files of the formats that carry few tags or seldom any.
loose=(artist="Field Notes" album="Test Tones" date=2020 genre=Noise)
tags "${loose[@]}" title="Concert Pitch" track=1
track "loose/Concert Pitch.wav" 440 1 "${tagged[@]}" -c:a pcm_s16le -ar 22050
tags "${loose[@]}" title="Middle C" track=2
track "loose/Middle C.aiff" 262 1 "${tagged[@]}" -c:a pcm_s16be -ar 22050 -write_id3v2 1
tags "${loose[@]}" title="Upper A" track=4
track "loose/Upper A.mp3" 880 1 "${tagged[@]}" -c:a libmp3lame -b:a 32k -id3v2_version 3 -write_id3v1 1
tags "${loose[@]}" title="Broadcast" track=3
track "loose/Broadcast.aac" 523 1 "${tagged[@]}" -c:a aac -b:a 48k -write_id3v2 1
track "loose/untagged.mp3" 131 1 -c:a libmp3lame -b:a 32k -id3v2_version 0 -write_xing 0

# What lies beside music and is none.
cp "$work/slow-tides.png" "$library/The Tidewater Four/Slow Tides (2011)/cover.png"
printf '%s\n' "01 Ebb.flac" "02 Neap.flac" "03 Slack Water.flac" \
    >"$library/The Tidewater Four/Slow Tides (2011)/Slow Tides.m3u"
cat >"$library/LIBRARY.txt" <<'TEXT'
A small music library for the tests of musefs, made by scripts/make-library.sh.
Every sound and picture in it was computed by that script; it is under the licence of musefs.
TEXT

find "$library" -type f -printf '%8s %P\n' | LC_ALL=C sort -k 2
echo "$(du -sb --apparent-size "$library" | cut -f 1) bytes in $library"
