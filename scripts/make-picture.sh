#!/usr/bin/env bash
# Makes docs/terminal.svg, the picture in the README: runs a real session with the small library and draws what it printed.
# Needs sqlite3 and metaflac (apt-get install sqlite3 flac).
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"
cd "$project"
need_cargo
mapfile -t packages < <(missing_packages cc=build-essential make=build-essential fusermount3=fuse3 metaflac=flac \
    python3=python3 sqlite3=sqlite3)
install_packages "${packages[@]}"

home=$(mktemp -d "${TMPDIR:-/tmp}/musefs-picture.XXXXXX")
musefs_pid=
clean_up() {
    if [[ -n $musefs_pid ]]; then
        kill -TERM "$musefs_pid" 2>/dev/null || true
        wait "$musefs_pid" || true
    fi
    rm -rf --one-file-system "$home"
}
trap clean_up EXIT

build_release "$home/build.log"
PATH=$(target_directory)/release:$PATH
cp -r tests/data/library "$home/Music"
mkdir "$home/mnt"
session=$home/session
cd "$home"

# show COMMAND: runs it as somebody would who lives in this directory, and keeps what it was and what it said. On a terminal,
# progress leaves nothing behind; here it would, so standard error is left out.
show() {
    printf '$ %s\n' "$1" >>"$session"
    HOME=$home bash -c "$1" 2>/dev/null | sed "s|$home|~|g" >>"$session"
}

show 'musefs scan --db music.db ~/Music'
printf '$ musefs mount --db music.db ~/mnt &\n' >>"$session"
musefs mount --db music.db "$home/mnt" >mounted &
musefs_pid=$!
until grep -q unmounts mounted; do
    kill -0 "$musefs_pid" || fail "the mount failed"
    sleep 0.1
done
sed "s|$home|~|g" mounted >>"$session"
show 'ls ~/mnt'
show "sqlite3 music.db \"UPDATE tags SET value = 'Slow Tides, Live' WHERE value = 'Slow Tides'\""
# The mount looks for edits once a second.
sleep 2
show 'ls ~/mnt/The*/*'
show 'metaflac --show-tag=ALBUM ~/mnt/The*/*/Ebb.flac ~/Music/The*/*/*Ebb.flac'
cat mnt/*/*/*.* >/dev/null
show "grep -E '^musefs_(read_bytes|backing_pread|tracks_dark)' ~/mnt/.musefs-metrics/metrics"

python3 - "$session" "$project/docs/terminal.svg" <<'PYTHON'
import html
import sys

COLUMNS_MAX = 100
COLUMN_PX, LINE_PX, MARGIN_PX, BAR_PX = 8.43, 20, 18, 34

lines = []
for line in open(sys.argv[1]).read().splitlines():
    lines += [line[at : at + COLUMNS_MAX] for at in range(0, max(len(line), 1), COLUMNS_MAX)]
width = round(COLUMNS_MAX * COLUMN_PX + 2 * MARGIN_PX)
height = BAR_PX + len(lines) * LINE_PX + 2 * MARGIN_PX - 6
svg = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14">',
    "<title>A terminal: a library is scanned, mounted, edited in the store, and measured</title>",
    f'<rect width="{width}" height="{height}" rx="9" fill="#14181f"/>',
]
for index, colour in enumerate(("#e5675f", "#e6b74b", "#58b368")):
    svg.append(f'<circle cx="{MARGIN_PX + 4 + index * 20}" cy="18" r="6" fill="{colour}"/>')
for index, line in enumerate(lines):
    y = BAR_PX + MARGIN_PX + index * LINE_PX
    if line.startswith("$ "):
        text = f'<tspan fill="#58b368">$</tspan><tspan fill="#f2f5f9"> {html.escape(line[2:])}</tspan>'
    else:
        text = html.escape(line)
    svg.append(f'<text x="{MARGIN_PX}" y="{y}" fill="#a9b4c2" xml:space="preserve">{text}</text>')
svg.append("</svg>")
open(sys.argv[2], "w").write("\n".join(svg) + "\n")
PYTHON
cat "$session"
