#!/usr/bin/env bash
# Measures musefs with a large library: makes one, scans it, scans it again, mounts it and walks through it, and prints what
# each took. The files have tags, a cover of 70 KB and some sound, and are of several formats, album by album; covers are
# holes on the disk, so 50,000 files of FLAC and MP3 take about half a gigabyte, which is removed at the end. Times are this
# machine's at this moment.
#
# Usage: scripts/scale.sh [--formats LIST] [--cover BYTES] [COUNT]
#   COUNT           files [default: 50000], under TMPDIR [default: /tmp]
#   --formats LIST  of flac mp3 m4a ogg opus wv aac wav aiff, with commas between, or all [default: flac,mp3]
#   --cover BYTES   of each cover; 0 for none [default: 70000]
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"

usage() {
    sed -n '/^# Usage/,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit "$1"
}

count=50000
formats=flac,mp3
cover_bytes=70000
while (($# > 0)); do
    case $1 in
        --formats)
            formats=${2:-}
            shift
            ;;
        --cover)
            cover_bytes=${2:-}
            shift
            ;;
        -h | --help) usage 0 ;;
        *) count=$1 ;;
    esac
    shift || usage 64 >&2
done
if [[ $formats == all ]]; then
    formats=flac,mp3,m4a,ogg,opus,wv,aac,wav,aiff
fi
if [[ ! $count =~ ^[1-9][0-9]{0,6}$ || ! $cover_bytes =~ ^[0-9]{1,7}$ || ! $formats =~ ^[a-z0-9]+(,[a-z0-9]+)*$ ]]; then
    usage 64 >&2
fi

cd "$project"
need_cargo
mapfile -t packages < <(missing_packages cc=build-essential make=build-essential fusermount3=fuse3 python3=python3)
install_packages "${packages[@]}"
python_environment

work=$(mktemp -d "${TMPDIR:-/tmp}/musefs-scale.XXXXXX")
musefs_pid=

stop_mount() {
    [[ -n $musefs_pid ]] || return 0
    kill -TERM "$musefs_pid" 2>/dev/null || true
    wait "$musefs_pid" || true
    musefs_pid=
}

clean_up() {
    stop_mount
    if mountpoint -q "$work/mount"; then
        echo "scale.sh: $work/mount is still mounted" >&2
    else
        rm -rf --one-file-system "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

build_release "$work/build.log"
musefs=$(target_directory)/release/musefs

# microseconds: since the epoch.
microseconds() {
    echo "${EPOCHREALTIME/[.,]/}"
}

# row WHAT MICROSECONDS [MORE]
row() {
    awk -v what="$1" -v us="$2" -v more="${3:-}" 'BEGIN { printf "%-44s %9.3f s  %s\n", what, us / 1e6, more }'
}

# timed WHAT COMMAND…: prints how long it took; what it says goes to a log, which is shown when it fails.
timed() {
    local what=$1 start
    shift
    start=$(microseconds)
    "$@" >"$work/said.log" 2>&1 || {
        cat "$work/said.log" >&2
        fail "$what failed"
    }
    row "$what" $(($(microseconds) - start)) "$(last_scan)"
}

# last_scan: what the store says of its last scan.
last_scan() {
    python3 - "$work/music.db" <<'PYTHON'
import sqlite3
import sys

files, opened, read, ns = sqlite3.connect(sys.argv[1]).execute(
    "SELECT files_seen, added + updated, bytes_read, finished_ns - started_ns FROM scan_runs ORDER BY id DESC LIMIT 1"
).fetchone()
of_each = f"{read / opened:,.0f} bytes read of each" if opened else f"{read:,} bytes read"
print(f"{files / (ns / 1e9):,.0f} files/s, {of_each}")
PYTHON
}

# drop_caches: succeeds when the kernel has forgotten all files.
drop_caches() {
    [[ -w /proc/sys/vm/drop_caches ]] && sync && echo 3 2>/dev/null >/proc/sys/vm/drop_caches
}

# walk DIR: all files with their sizes; how many there were.
walk() {
    find "$1" -type f -printf '%s %p\n' | wc -l
}

# timed_walk WHAT DIR
timed_walk() {
    local start found
    start=$(microseconds)
    found=$(walk "$2")
    row "$1" $(($(microseconds) - start)) "$found files"
}

# resident_memory: of the mount.
resident_memory() {
    awk '/^VmRSS/ { printf "%d MB", $2 / 1024 }' "/proc/$musefs_pid/status"
}

start=$(microseconds)
PYTHONPATH=$project/tests/system/judge "$MUSEFS_PYTHON" -B - "$work/music" "$count" "$formats" "$cover_bytes" \
    "$project/tests/data/library" <<'PYTHON'
"""Makes COUNT files in DIR, ten to an album and fifty to an artist: copies of a tagged file of each format with other names in
its tags, which are as long as those they replace. (A checksum over them, which Ogg has, is left wrong: neither a scan nor a walk
looks at one.)"""

import os
import pathlib
import shutil
import sys
import tempfile

import items
import tagging
import vocabulary

directory, count, formats, cover_bytes, library = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
SOUNDS = {
    "flac": ("The Tidewater Four/Slow Tides (2011)/01 Ebb.flac", "flac"),
    "mp3": ("loose/untagged.mp3", "id3"),
    "m4a": ("Various/Harbour Lights/01 Quay.m4a", "mp4"),
    "ogg": ("Various/Harbour Lights/02 Breakwater.ogg", "ogg"),
    "opus": ("Various/Harbour Lights/03 Lighthouse.opus", "ogg"),
    "wv": ("Various/Harbour Lights/04 Buoy.wv", "ape"),
    "aac": ("loose/Broadcast.aac", "id3"),
    "wav": ("loose/Concert Pitch.wav", "wave"),
    "aiff": ("loose/Middle C.aiff", "aiff"),
}
# Each as long as what takes its place; all are in the tags of a template as they are here.
TITLE, ARTIST, ALBUM, YEAR, GENRE = "Title NNNNNNN of all", "Artist NNNNN", "Album NNNNNN", "1234", "Jazzing"
GENRES = ["Hip-Hop", "Country", "Ambient", "Baroque", "Chanson"]


def template(extension):
    """The bytes of a tagged file, split where the longest run of zeros, which is the cover, begins and ends."""
    name, family = SOUNDS[extension]
    tags = {"title": TITLE, "artist": ARTIST, "albumartist": ARTIST, "album": ALBUM, "date": YEAR, "genre": GENRE, "track": "7"}
    vocabulary.values = lambda case: {key: [value] for key, value in tags.items()}
    cover = items.Picture(3, "image/jpeg", "", 500, 500, bytes(cover_bytes))
    items.pictures = lambda case: [cover] if cover_bytes else []
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, f"file.{extension}")
        shutil.copyfile(f"{library}/{name}", path)
        tagging.write(family, path, "few")
        data = path.read_bytes()
    start = data.find(bytes(cover_bytes)) if cover_bytes else -1
    # In text of base64 there is no hole.
    return (data, b"", 0) if start < 0 else (data[:start], data[start + cover_bytes :], cover_bytes)


templates = [(extension, *template(extension)) for extension in formats.split(",")]
album_directory = ""
for number in range(count):
    track, album, artist = number % 10 + 1, number // 10, number // 50
    if track == 1:
        album_directory = f"{directory}/Artist {artist:05}/Album {album:06}"
        os.makedirs(album_directory)
    extension, head, tail, hole_bytes = templates[album % len(templates)]
    replaced = [
        (TITLE, f"Title {number:07} of all"),
        (ARTIST, f"Artist {artist:05}"),
        (ALBUM, f"Album {album:06}"),
        (YEAR, str(1960 + album % 65)),
        (GENRE, GENRES[album % len(GENRES)]),
    ]
    for old, new in replaced:
        head, tail = head.replace(old.encode(), new.encode()), tail.replace(old.encode(), new.encode())
    with open(f"{album_directory}/{track:02}.{extension}", "wb", buffering=0) as file:
        file.write(head)
        # Zeros that take no room.
        file.seek(hole_bytes, os.SEEK_CUR)
        file.write(tail)
PYTHON
row "make $count files" $(($(microseconds) - start)) "$(du -sh "$work/music" | cut -f 1) on the disk"

timed "scan, files in the page cache" "$musefs" scan --quiet "$work/music" --db "$work/music.db"
timed "scan again, nothing changed" "$musefs" scan --quiet "$work/music" --db "$work/music.db"
if drop_caches; then
    rm "$work"/music.db*
    timed "scan, page cache dropped" "$musefs" scan --quiet "$work/music" --db "$work/music.db"
fi

mkfifo "$work/ready"
mkdir "$work/mount"
start=$(microseconds)
"$musefs" mount "$work/mount" --db "$work/music.db" >"$work/ready" &
musefs_pid=$!
IFS= read -r said <"$work/ready" || fail "the mount failed"
row "mount, until it is ready" $(($(microseconds) - start)) "${said%% at *}"
echo "resident memory, mounted: $(resident_memory)"
timed_walk "walk with sizes, the first" "$work/mount"
timed_walk "walk with sizes, again" "$work/mount"
if drop_caches; then
    timed_walk "walk with sizes, kernel's names dropped" "$work/mount"
    walk "$work/music" >/dev/null
fi
timed_walk "walk of the files themselves, cached" "$work/music"
echo "resident memory, after the walks: $(resident_memory)"
stop_mount
