#!/usr/bin/env bash
# Checks that ARCHITECTURE.md is a true map: every path that it names exists, and it names every top-level entry and every
# module. Tests may stay unnamed. A path is what stands first on a line of the map (the block fenced as `map`); a line
# indented deeper is inside the last line that ended in `/`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
map=ARCHITECTURE.md

# Paths that the map names, one per line. Several on one line are separated by ` · `.
named() {
    awk '
        /^```map$/ { within = 1; next }
        /^```$/ { within = 0 }
        !within || !NF { next }
        {
            match($0, /^ */)
            depth = RLENGTH
            line = substr($0, depth + 1)
            # Two spaces or more end the names and begin what is said of them.
            sub(/  .*/, "", line)
            while (levels > 0 && depths[levels] >= depth) levels--
            prefix = levels > 0 ? prefixes[levels] : ""
            count = split(line, names, " · ")
            for (i = 1; i <= count; i++) print prefix names[i]
            if (count == 1 && line ~ /\/$/) {
                levels++
                depths[levels] = depth
                prefixes[levels] = prefix line
            }
        }
    ' "$map"
}

# What git would commit: what is there, and is neither ignored nor deleted.
present() {
    git -c core.quotepath=off ls-files --cached --others --exclude-standard | while IFS= read -r path; do
        [[ ! -e $path ]] || printf '%s\n' "$path"
    done
}

# What the map must name: the top level, and each module that is more than tests.
demanded() {
    present | sed 's|/.*|/|' | grep -v -x -E '\.gitignore|\.gitattributes|Cargo\.lock'
    present | grep -E '^musefs-[a-z]+/src/.*\.rs$' | grep -v -E '/tests(\.rs|/)'
    present | grep -E '^scripts/[^/]+\.sh$|^benches/[^/]+$|^docs/[^/]+\.md$'
}

wrong=0
complain() {
    echo "$map: $*" >&2
    wrong=1
}

names=$(named | LC_ALL=C sort -u)
if [[ -z $names ]]; then
    echo "$map: no block fenced as map was found" >&2
    exit 1
fi
while IFS= read -r path; do
    [[ -e $path ]] || complain "names $path, which does not exist"
done <<<"$names"
while IFS= read -r path; do
    grep -q -x -F -- "$path" <<<"$names" || complain "does not name $path"
done < <(demanded | LC_ALL=C sort -u)

# Paths in the text around the map: anything in backquotes that looks like one.
# shellcheck disable=SC2016 # these backquotes are Markdown's
mentioned() {
    sed '/^```map$/,/^```$/d' "$map" | grep -o -E '`[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+/?`' | tr -d '`' | LC_ALL=C sort -u
}
while IFS= read -r path; do
    [[ -e $path ]] || complain "mentions $path, which does not exist"
done < <(mentioned)

((wrong == 0)) || exit 1
echo "$(wc -l <<<"$names") paths, all there and all named"
