#!/usr/bin/env bash
# Runs every check of the project, in the order in which they are cheap, and stops at the first that fails: formatting, lints,
# documentation, the rules of the architecture, the scripts, all tests, those with a real mount included, and what telemetry
# costs. Installs what is missing first; runs unattended.
#
# With --full, every kind of metadata in every format is judged, in a file of its own, which takes some minutes more.
#
# The tests find a Python with mutagen, prometheus_client and jsonschema through MUSEFS_PYTHON, and mutagen's own test files
# through MUSEFS_CORPUS; both are set here.
set -euo pipefail

case ${1:-} in
    '') ;;
    --full) export MUSEFS_FULL=1 ;;
    -h | --help)
        echo "Usage: scripts/test.sh [--full]"
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *)
        echo "Usage: scripts/test.sh [--full]" >&2
        exit 64
        ;;
esac

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/needs.sh
source "$project/scripts/needs.sh"
cd "$project"

heading() {
    printf '\n== %s (%d s)\n' "$*" "$SECONDS"
}

# download PACKAGE DIR
download() {
    (cd "$2" && apt-get download -qq "$1") 2>/dev/null && return
    as_root apt-get update -qq && (cd "$2" && apt-get download -qq "$1")
}

# unpack PROGRAM PACKAGE: puts a Debian package's programs on the path without installing it. Its installation would start a
# server on a fixed port; the tests start their own.
unpack() {
    local tools=$project/.cache/tools
    PATH=$tools/usr/bin:$PATH
    command -v "$1" >/dev/null && return
    echo "Unpacking $2"
    mkdir -p "$tools"
    if ! { download "$2" "$tools" && dpkg-deb -x "$tools/$2"_*.deb "$tools" && command -v "$1" >/dev/null; }; then
        fail "$1 is missing and could not be unpacked; run: sudo apt-get install -y $2"
    fi
    rm -f "$tools/$2"_*.deb
}

# corpus: the test files of mutagen, which are in its source distribution alone; sets MUSEFS_CORPUS. Broken, odd and rare files
# of all formats, collected by others over years.
corpus() {
    local version corpus=$project/.cache/corpus
    version=$(sed -n 's/^mutagen==//p' scripts/requirements.txt)
    export MUSEFS_CORPUS=$corpus/mutagen-$version/tests/data
    [[ -d $MUSEFS_CORPUS ]] && return
    echo "Fetching the test files of mutagen $version"
    rm -rf "$corpus"
    mkdir -p "$corpus/unfinished"
    "$MUSEFS_PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$corpus" \
        "mutagen==$version"
    tar -xzf "$corpus/mutagen-$version.tar.gz" -C "$corpus/unfinished"
    mv "$corpus/unfinished/mutagen-$version" "$corpus"
}

# core_knows_no_kernel: succeeds when fuser is not among what musefs-core is built from.
core_knows_no_kernel() {
    local said
    if said=$(cargo tree --locked --package musefs-core --edges all --invert fuser 2>&1); then
        # With nothing found, cargo says so and succeeds.
        if [[ $said != *"nothing to print"* ]]; then
            echo "$said"
            fail "musefs-core must not depend on fuser"
        fi
    elif [[ $said != *"did not match any packages"* ]]; then
        fail "cargo tree: $said"
    fi
}

heading "What the checks need"
need_cargo
mapfile -t packages < <(missing_packages cc=build-essential make=build-essential fusermount3=fuse3 ffmpeg=ffmpeg flac=flac \
    metaflac=flac busybox=busybox-static rsync=rsync shellcheck=shellcheck python3=python3 curl=curl chromium=chromium)
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    packages+=(python3-venv)
fi
install_packages "${packages[@]}"
unpack promtool prometheus
unpack prometheus prometheus
unpack prometheus-node-exporter prometheus-node-exporter
python_environment
corpus
# fusermount3 looks there for what a normal user may unmount; an environment that was never booted may lack it.
[[ -e /etc/mtab ]] || as_root ln -s /proc/self/mounts /etc/mtab
for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
        rustup component add "$component"
    fi
done

heading "Formatting"
cargo fmt --all --check

heading "Scripts"
shellcheck --external-sources scripts/*.sh .ci/run

heading "The map in ARCHITECTURE.md"
scripts/check-architecture.sh

heading "The core knows no kernel"
core_knows_no_kernel

heading "Lints"
cargo clippy --locked --all-targets -- -D warnings

heading "Without jemalloc and telemetry"
cargo check --locked --package musefs-fuse --no-default-features

heading "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

heading "Models of the telemetry engine"
scripts/check-models.sh

heading "Tests"
cargo test --locked

heading "Features of the telemetry engine"
cargo test --locked --package musefs-telemetry --features http,logs,tracing --test bridges --test http --example telemetry_subscriber
cargo test --locked --package musefs-telemetry --no-default-features --lib

heading "The benchmark of a mount, in small"
scripts/bench.sh --quick >/dev/null

heading "Budgets of the telemetry engine"
scripts/check-budgets.sh

heading "All checks passed"
