#!/usr/bin/env bash
# Measures how fast a mount is, beside the files themselves (native), the least that a FUSE filesystem can do (floor), and
# another program, and prints one table of medians with what they vary. The table, all numbers as JSON and a plot are
# written beside each other. Makes its own library, which is removed at the end. Run as root for all rows: others cannot drop
# the kernel's caches. docs/performance.md tells what each row means.
#
# Usage: scripts/bench.sh [--vs PATH] [--quick] [--rows GLOB]… [--tracks N] [--runs N] [--dir DIR] [--out PATH]
#   --vs PATH     another program with the verbs `scan DIR --db F` and `mount MNT --db F --template T`
#   --quick       little of everything, with the debug build: shows that all works, and says nothing of speed
#   --rows GLOB   only the rows whose names (in the JSON: "id") fit, such as 'read-*'
#   --tracks N    tracks in the library [default: 50000; 300 with --quick]
#   --runs N      how often each thing is done [default: 5; 3 with --quick]
#   --dir DIR     where the library is made and mounted [default: TMPDIR or /tmp]; about 3 GB, and half a gigabyte of memory
#   --out PATH    the table is written to PATH.txt, PATH.json, PATH.svg [default: in target/bench]
#
# Exit codes: 0 all rows have a number or a reason, 1 something failed, 64 wrong usage, 130 interrupted.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"

usage() {
    sed -n '/^# Usage/,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit "$1"
}

# absolute PATH: as it is to be called from any directory.
absolute() {
    realpath -m -- "$1"
}

vs=
quick=
tracks=
runs=
dir=${TMPDIR:-/tmp}
out=
rows=()
while (($# > 0)); do
    case $1 in
        --quick)
            quick=1
            shift
            continue
            ;;
        -h | --help) usage 0 ;;
    esac
    (($# > 1)) || usage 64 >&2
    case $1 in
        --vs) vs=$(absolute "$2") ;;
        --rows) rows+=(--rows "$2") ;;
        --tracks) tracks=$2 ;;
        --runs) runs=$2 ;;
        --dir) dir=$2 ;;
        --out) out=$(absolute "$2") ;;
        *) usage 64 >&2 ;;
    esac
    shift 2
done
tracks=${tracks:-${quick:+300}}
tracks=${tracks:-50000}
runs=${runs:-${quick:+3}}
runs=${runs:-5}
if [[ ! $tracks =~ ^[1-9][0-9]{1,6}$ || ! $runs =~ ^[1-9][0-9]{0,2}$ || ! -d $dir ]]; then
    usage 64 >&2
fi
if [[ -n $vs && ! -x $vs ]]; then
    fail "$vs is no program"
fi
[[ -e /dev/fuse ]] || fail "there is no /dev/fuse, so nothing can be mounted"

cd "$project"
need_cargo
mapfile -t packages < <(missing_packages cc=build-essential make=build-essential fusermount3=fuse3 findmnt=util-linux)
install_packages "${packages[@]}"

target=$(target_directory)
out=${out:-$target/bench/${quick:+quick-}bench}
mkdir -p "${out%/*}" "$target/bench"
work=$(mktemp -d "$dir/musefs-bench.XXXXXX")
work=$(realpath "$work")
# Somebody without rights reads in there, too.
chmod 755 "$work"
measuring=

clean_up() {
    local line mounted left=
    if [[ -n $measuring ]]; then
        kill -KILL "$measuring" 2>/dev/null || true
        wait "$measuring" 2>/dev/null || true
    fi
    # Unmounted, the programs behind the mounts end.
    while read -r _ mounted line; do
        if [[ $mounted == "$work"/* ]]; then
            fusermount3 -u -z -q "$mounted" || left=1
        fi
    done </proc/self/mounts
    if [[ -n $left ]]; then
        echo "bench.sh: something in $work is still mounted" >&2
    else
        rm -rf --one-file-system "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# build NAME OPTION…: builds programs, quietly unless that fails.
build() {
    echo "building $1" >&2
    shift
    cargo build --locked "${profile[@]}" "$@" >"$work/build.log" 2>&1 || {
        cat "$work/build.log" >&2
        fail "the build failed"
    }
}

profile=(--release)
built=$target/release
if [[ -n $quick ]]; then
    profile=()
    built=$target/debug
fi
silent=()
if [[ -z $quick ]]; then
    # First, because the other build takes its name.
    build "musefs without telemetry" --package musefs-fuse --no-default-features --features jemalloc
    cp "$built/musefs" "$work/musefs-silent"
    silent=(--silent "$work/musefs-silent")
fi
build musefs --package musefs-fuse
build "what measures" --package musefs-mount-benches --package musefs-floor

# In the background, so that a signal is heard at once.
"$built/musefs-bench" measure --ours "$built/musefs" --floor "$built/musefs-floor" "${silent[@]}" ${vs:+--vs "$vs"} \
    --work "$work" --out "$out" --tracks "$tracks" --runs "$runs" ${quick:+--quick} "${rows[@]}" &
measuring=$!
wait "$measuring" || {
    status=$?
    measuring=
    exit "$status"
}
measuring=
echo "also in $out.txt, $out.json and $out.svg" >&2
