#!/usr/bin/env bash
# Fuzzes the formats and the template: scripts/fuzz.sh [SECONDS [TARGET ...]], 60 seconds each of all targets by default.
# Starts from the files of the test data; what is found is kept in fuzz/artifacts, and ends the script with an error.
# Needs a nightly compiler and cargo-fuzz (cargo install --locked cargo-fuzz). Everything is safe Rust, so no sanitizer is used.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
shift || true

# The extensions of the test data that a target starts from.
declare -A seeds=(
    [flac]=flac [mp3]=mp3 [mp4]=m4a [ogg]="ogg opus" [wav]=wav [aiff]=aiff [ape]=ape [wavpack]=wv [musepack]=mpc
    [trueaudio]=tta [adts]=aac [template]=case
)
targets=("$@")
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(printf '%s\n' "${!seeds[@]}" | LC_ALL=C sort)
fi

# No input is longer: what a parser does to the rest of a file is to leave it alone.
bytes_max=16384

failed=0
for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus"
    for extension in ${seeds[$target]}; do
        while IFS= read -r -d '' file; do
            head -c "$bytes_max" "$file" >"$corpus/$(sha256sum <"$file" | head -c 16).$extension"
        done < <(find tests/data -name "*.$extension" -print0)
    done
    echo "== $target"
    cargo +nightly fuzz run --release --debug-assertions --sanitizer none "$target" "$corpus" -- \
        -max_total_time="$seconds" -max_len="$bytes_max" -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=10 \
        -print_final_stats=1 2>&1 | { grep -E 'panicked|ERROR|SUMMARY|stat::|Test unit' || true; } || failed=1
    if compgen -G "fuzz/artifacts/$target/*" >/dev/null; then
        failed=1
    fi
done
exit "$failed"
