#!/usr/bin/env bash
# Builds musefs and shows a music library through it: scans, mounts, lists the tree, reads a file's tags through the mount,
# edits one, and prints the metrics. Needs a Debian machine with cargo; what else is missing it installs. Your files are only
# read; the store is thrown away at the end.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: scripts/try.sh [--once] [MUSIC_DIR [MOUNTPOINT]]

  MUSIC_DIR    a directory with music [default: the small library in tests/data/library]
  MOUNTPOINT   an empty directory, made if there is none [default: a temporary one]
  --once       show it, unmount and end, instead of serving until Ctrl-C

Exit codes: 0 done, 1 could not, 64 wrong usage, 130 interrupted before the mount was up.
TEXT
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"

TREE_LINES_MAX=40
METRICS_LINES_MAX=24

once=no
arguments=()
while (($# > 0)); do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --once) once=yes ;;
        --)
            shift
            arguments+=("$@")
            break
            ;;
        -*)
            echo "try.sh: there is no option $1" >&2
            usage >&2
            exit 64
            ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
if ((${#arguments[@]} > 2)); then
    echo "try.sh: too many arguments" >&2
    usage >&2
    exit 64
fi
music=${arguments[0]:-$project/tests/data/library}
mountpoint=${arguments[1]:-}
if [[ ! -d $music ]]; then
    echo "try.sh: there is no directory $music" >&2
    exit 64
fi
music=$(cd "$music" && pwd)
if [[ -n $mountpoint && $mountpoint != /* ]]; then
    mountpoint=$PWD/$mountpoint
fi

work=
made_mountpoint=no
musefs_pid=
serving=no

# Ends the mount; its exit code. Musefs unmounts at the first signal and leaves nothing behind.
stop_mount() {
    local pid=$musefs_pid code=0
    musefs_pid=
    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || code=$?
    return "$code"
}

clean_up() {
    trap - EXIT
    trap '' INT TERM HUP
    stop_mount || true
    if [[ -n $mountpoint ]] && mountpoint -q "$mountpoint"; then
        echo "try.sh: $mountpoint is still mounted; once nothing uses it: umount '$mountpoint'" >&2
        return
    fi
    if [[ $made_mountpoint == yes ]]; then
        rmdir "$mountpoint" || true
    fi
    if [[ -n $work ]]; then
        rm -rf --one-file-system "$work"
    fi
}

# Ctrl-C is how serving ends; before that it is an interruption.
interrupted() {
    if [[ $serving == yes ]]; then
        local code=0
        stop_mount || code=$?
        exit "$code"
    fi
    exit "$1"
}

trap clean_up EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP

heading() {
    printf '\n== %s\n' "$*"
}

# first_lines MAX: as many lines of what comes in, and how many there were beyond.
first_lines() {
    awk -v max="$1" 'NR <= max { print } END { if (NR > max) print "… and " NR - max " more" }'
}

# show_tags FILE: by the best tool that is here.
show_tags() {
    if command -v ffprobe >/dev/null; then
        echo "\$ ffprobe '${1##*/}'"
        ffprobe -v error -show_entries format=duration:format_tags:stream_tags:stream=codec_name \
            -of default=noprint_wrappers=1 "$1"
    elif command -v metaflac >/dev/null && [[ $1 == *.flac ]]; then
        echo "\$ metaflac --export-tags-to=- '${1##*/}'"
        metaflac --no-utf8-convert --export-tags-to=- "$1"
    elif python3 -c 'import mutagen' 2>/dev/null; then
        echo "\$ mutagen '${1##*/}'"
        python3 -c 'import mutagen, sys; print(mutagen.File(sys.argv[1], easy=True).pprint())' "$1"
    else
        echo "The readable text in its first bytes (install ffmpeg to see tags):"
        # The first bytes are enough, and there may be nothing to read in them.
        head -c 4096 "$1" | tr '\0' '\n' | grep -a -o '[[:alnum:]][[:print:]]\{3,\}' | first_lines 20 || true
    fi
}

# edit_a_title: gives one track another title, straight in the store, and shows that the mount follows.
edit_a_title() {
    python3 - "$work/music.db" "Edited by try.sh" <<'PYTHON'
import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as store:
    first = "SELECT min(track_id) FROM tags WHERE key = 'title'"
    store.execute(f"UPDATE tags SET value = ? WHERE key = 'title' AND ordinal = 0 AND track_id = ({first})", sys.argv[2:])
PYTHON
    local attempt found
    for attempt in {1..50}; do
        sleep 0.1
        found=$(find "$mountpoint" -name '*Edited by try.sh*' -print -quit)
        if [[ -n $found ]]; then
            echo "UPDATE tags SET value = 'Edited by try.sh' WHERE key = 'title' …"
            echo "In the mount after $((attempt * 100)) ms: ${found#"$mountpoint"/}"
            return
        fi
    done
    echo "No file shows the edit; the template may not use the title, or no track has one"
}

cd "$project"
need_cargo
mapfile -t packages < <(missing_packages cc=build-essential make=build-essential fusermount3=fuse3)
install_packages "${packages[@]}"
work=$(mktemp -d "${TMPDIR:-/tmp}/musefs-try.XXXXXX")

heading "Building (the first time takes minutes)"
build_release "$work/build.log"
musefs=$(target_directory)/release/musefs
"$musefs" --version

if [[ -z $mountpoint ]]; then
    mountpoint=$work/mount
fi
if [[ ! -e $mountpoint ]]; then
    mkdir "$mountpoint"
    made_mountpoint=yes
fi
mountpoint=$(cd "$mountpoint" && pwd)

heading "Scanning $music"
scanned=0
"$musefs" scan "$music" --db "$work/music.db" || scanned=$?
# 2 says that some files could not be read, which the summary has named.
((scanned == 0 || scanned == 2)) || fail "the scan failed"

heading "Mounting at $mountpoint"
: >"$work/mount.log"
# In a session of its own, so that Ctrl-C reaches this script alone, which then unmounts in order.
setsid "$musefs" mount "$mountpoint" --db "$work/music.db" >>"$work/mount.log" &
musefs_pid=$!
for ((waited = 0; ; waited++)); do
    grep -q 'Ctrl-C unmounts' "$work/mount.log" && break
    if ! kill -0 "$musefs_pid" 2>/dev/null; then
        wait "$musefs_pid" || true
        musefs_pid=
        fail "the mount failed"
    fi
    ((waited < 600)) || fail "the mount was not ready within a minute"
    sleep 0.1
done
cat "$work/mount.log"

heading "The tree"
(cd "$mountpoint" && find . -mindepth 1 -printf '%y %10s  %P\n' | LC_ALL=C sort -k 3 | sed 's/^d  *[0-9]* /d            /' |
    first_lines "$TREE_LINES_MAX")

file=$(find "$mountpoint" -type f -name '*.flac' -print -quit)
if [[ -z $file ]]; then
    file=$(find "$mountpoint" -type f -name '*.mp3' -print -quit)
fi
if [[ -n $file ]]; then
    heading "Tags of one file, read through the mount: ${file#"$mountpoint"/}"
    show_tags "$file"
fi

if [[ -n $file ]] && python3 -c 'import sqlite3, sys; sys.exit(sqlite3.sqlite_version_info < (3, 37))' 2>/dev/null; then
    heading "A tag edited in the store (your files are not touched)"
    edit_a_title
fi

metrics=$mountpoint/.musefs-metrics/metrics
# A text answers for a second; after that, what was just done is in it.
sleep 1.1
heading "Metrics: $(grep -c '^# TYPE' "$metrics") families in .musefs-metrics/metrics; of their samples, those that are not 0"
awk 'NF && !/^#/ && $NF != 0' "$metrics" | first_lines "$METRICS_LINES_MAX"

heading "Your music is at $mountpoint"
if [[ $once == yes ]]; then
    stop_mount || fail "musefs ended with an error"
    echo "Unmounted"
else
    echo "Ctrl-C unmounts"
    serving=yes
    wait "$musefs_pid" || fail "musefs ended with an error"
    musefs_pid=
    echo "Somebody unmounted it"
fi
