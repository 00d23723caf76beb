#!/usr/bin/env bash
# Makes docs/page-light.png and docs/page-dark.png: the page of a mount that a few players read from, as a browser shows it.
# Takes some minutes, most of them so that there is something to see. Installs chromium, ffmpeg and the like where they are missing.
#
# MUSEFS names a program that is built already; else one is built.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"
cd "$project"
mapfile -t packages < <(missing_packages fusermount3=fuse3 ffmpeg=ffmpeg python3=python3 curl=curl chromium=chromium)
install_packages "${packages[@]}"
python_environment

home=$(mktemp -d "${TMPDIR:-/tmp}/musefs-screenshots.XXXXXX")
musefs_pid='' reader_pid=''
clean_up() {
    local pid
    for pid in $reader_pid $musefs_pid; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || true
    done
    rm -rf --one-file-system "$home"
}
trap clean_up EXIT

if [[ -z ${MUSEFS:-} ]]; then
    need_cargo
    build_release "$home/build.log"
    MUSEFS=$(target_directory)/release/musefs
fi

mkdir "$home/mnt" "$home/music"
cp -r tests/data/library "$home/music/small"
for album in "Slow Tides" "North Window" "Paper Lanterns" "Long Wave"; do
    mkdir "$home/music/$album"
    for number in 1 2 3 4; do
        # Noise is as large as music.
        ffmpeg -nostdin -loglevel error -f lavfi -i "anoisesrc=d=60:c=pink:r=44100" -metadata "title=Part $number" -metadata "track=$number" \
            -metadata "artist=The Makers" -metadata "album_artist=The Makers" -metadata "album=$album" "$home/music/$album/$number.flac"
    done
done
"$MUSEFS" scan "$home/music" --db "$home/db" --quiet
echo token >"$home/token"
"$MUSEFS" mount "$home/mnt" --db "$home/db" --metrics-label mount=/srv/music --metrics-listen 0 --metrics-token-file "$home/token" \
    --readahead-mib 64 --slow-ms 2 >"$home/said" &
musefs_pid=$!
until grep -q unmounts "$home/said"; do
    kill -0 "$musefs_pid" || fail "the mount failed"
    sleep 0.1
done
origin=$(sed -n 's|^musefs: metrics at \(http://.*\)/$|\1|p' "$home/said")
"$MUSEFS_PYTHON" tests/system/http_page/reader.py "$home/mnt" &
reader_pid=$!

# picture FILE SCHEME
picture() {
    MUSEFS_TOKEN=token "$MUSEFS_PYTHON" tests/system/http_page/browser.py picture "$origin" "$home/whole.png" "$2" 1160
    # The colours of a page are few.
    ffmpeg -nostdin -loglevel error -y -i "$home/whole.png" \
        -vf "split[a][b];[a]palettegen=max_colors=128:stats_mode=single[p];[b][p]paletteuse=dither=none" "$1"
    (($(stat --format=%s "$1") <= 200 * 1024)) || fail "$1 is larger than 200 KiB"
}
picture docs/page-light.png light
# Two files are gone, and players stumble over them.
rm "$home/music/Long Wave"/[12].flac
picture docs/page-dark.png dark
ls -l docs/page-light.png docs/page-dark.png
