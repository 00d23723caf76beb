#!/usr/bin/env bash
# Measures musefs with a large library: makes one, scans it, scans it again, mounts it and walks through it, and prints what
# each took. The files have tags, a cover of 70 KB and some sound, half of them FLAC, half MP3; covers are holes on the disk,
# so 50,000 files take about half a gigabyte, which is removed at the end. Times are this machine's at this moment.
#
# Usage: scripts/scale.sh [COUNT]     COUNT files [default: 50000], under TMPDIR [default: /tmp]
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"

count=${1:-50000}
if (($# > 1)) || [[ ! $count =~ ^[1-9][0-9]{0,6}$ ]]; then
    echo "Usage: scripts/scale.sh [COUNT]     up to 9,999,999 files" >&2
    exit 64
fi

cd "$project"
need_cargo
mapfile -t packages < <(missing_packages cc=build-essential make=build-essential fusermount3=fuse3 python3=python3)
install_packages "${packages[@]}"

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
python3 - "$work/music" "$count" "$project/tests/data/library" <<'PYTHON'
"""Makes COUNT files in DIR, ten to an album and fifty to an artist, with the sound of two files of the small library."""

import os
import struct
import sys

directory, count, library = sys.argv[1], int(sys.argv[2]), sys.argv[3]
COVER_BYTES = 70_000
FRAMES_BYTES_MAX = 4096


def flac_parts(path):
    """STREAMINFO with its header, and the first frames."""
    data = open(path, "rb").read()
    offset = 4
    while True:
        kind, size = data[offset], int.from_bytes(data[offset + 1 : offset + 4], "big")
        offset += 4 + size
        if kind & 0x80:
            return bytes([0]) + data[5:42], data[offset : offset + FRAMES_BYTES_MAX]


STREAMINFO, FLAC_FRAMES = flac_parts(f"{library}/The Tidewater Four/Slow Tides (2011)/01 Ebb.flac")
MP3_FRAMES = open(f"{library}/loose/untagged.mp3", "rb").read()


def flac(tags):
    """All in front of the cover's bytes, and all behind them."""
    fields = [f"{key}={value}".encode() for key, value in tags.items()]
    vendor = b"scale.sh"
    comments = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(fields))
    comments += b"".join(struct.pack("<I", len(field)) + field for field in fields)
    mime = b"image/jpeg"
    picture = struct.pack(">II", 3, len(mime)) + mime + struct.pack(">IIIIII", 0, 500, 500, 24, 0, COVER_BYTES)
    head = b"fLaC" + STREAMINFO + b"\x04" + len(comments).to_bytes(3, "big") + comments
    return head + b"\x86" + (len(picture) + COVER_BYTES).to_bytes(3, "big") + picture, FLAC_FRAMES


FRAME_IDS = {
    "TITLE": "TIT2", "ARTIST": "TPE1", "ALBUMARTIST": "TPE2", "ALBUM": "TALB", "DATE": "TDRC", "GENRE": "TCON",
    "TRACKNUMBER": "TRCK",
}  # fmt: skip


def syncsafe(number):
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def mp3(tags):
    frames = b""
    for key, value in tags.items():
        body = b"\x03" + value.encode()
        frames += FRAME_IDS[key].encode() + syncsafe(len(body)) + b"\0\0" + body
    picture = b"\0image/jpeg\0\x03\0"
    frames += b"APIC" + syncsafe(len(picture) + COVER_BYTES) + b"\0\0" + picture
    return b"ID3\x04\0\0" + syncsafe(len(frames) + COVER_BYTES) + frames, MP3_FRAMES


GENRES = ["Jazz", "Rock", "Folk", "Electronic", "Classical"]
album_directory = ""
for number in range(count):
    track, album, artist = number % 10 + 1, number // 10, number // 50
    if track == 1:
        album_directory = f"{directory}/Artist {artist:05}/Album {album:06}"
        os.makedirs(album_directory)
    tags = {
        "TITLE": f"Title {number:07} of all",
        "ARTIST": f"Artist {artist:05}",
        "ALBUMARTIST": f"Artist {artist:05}",
        "ALBUM": f"Album {album:06}",
        "DATE": str(1960 + album % 65),
        "GENRE": GENRES[album % len(GENRES)],
        "TRACKNUMBER": str(track),
    }
    make, extension = ((flac, "flac"), (mp3, "mp3"))[album % 2]
    head, frames = make(tags)
    with open(f"{album_directory}/{track:02}.{extension}", "wb", buffering=0) as file:
        file.write(head)
        # The cover is a hole: zeros that take no room.
        file.seek(COVER_BYTES, os.SEEK_CUR)
        file.write(frames)
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
