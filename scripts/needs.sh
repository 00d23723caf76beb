# shellcheck shell=bash
# What the other scripts share: finding out which programs are missing, installing their Debian packages, a Python with
# what judges, and where cargo puts what it builds. To be sourced; does nothing by itself.

# fail MESSAGE: ends the calling script.
fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# missing_packages COMMAND=PACKAGE…: prints the packages whose command is not there, each once.
missing_packages() {
    local need
    for need in "$@"; do
        command -v "${need%%=*}" >/dev/null || echo "${need#*=}"
    done | LC_ALL=C sort -u
}

# as_root COMMAND…: runs it as root. sudo may ask for a password where there is a terminal to ask on.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif [[ -t 0 ]]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# install_packages PACKAGE…: installs them, or says what to type and ends the calling script.
install_packages() {
    (($# > 0)) || return 0
    local line="apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        fail "this is no Debian; install what is called there: $*"
    fi
    if ((EUID != 0)) && ! { [[ -t 0 ]] && command -v sudo >/dev/null; } && ! sudo -n true 2>/dev/null; then
        fail "some packages are missing and this user may not install them; run: sudo $line"
    fi
    echo "Installing $*"
    {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    } || fail "could not install the packages; run: sudo $line"
}

# need_cargo: ends the calling script when there is no cargo.
need_cargo() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust 1.88 or later from https://rustup.rs"
}

# target_directory: where cargo builds; to be called in the project.
target_directory() {
    cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# build_release LOG: builds the musefs program; says little while it does, and all of what cargo said, which is in LOG, when
# it fails.
build_release() {
    cargo build --release --locked --package musefs-fuse 2>&1 | tee "$1" | tell_progress || {
        cat "$1" >&2
        fail "the build failed"
    }
}

# tell_progress: one line that changes on a terminal, else one line in forty.
tell_progress() {
    local line count=0
    while IFS= read -r line; do
        [[ $line == *Compiling* || $line == *Download* ]] || continue
        count=$((count + 1))
        if [[ -t 1 ]]; then
            printf '\r\033[K  %d %.60s' "$count" "${line#"${line%%[![:space:]]*}"}"
        elif ((count % 40 == 0)); then
            echo "  $count crates so far"
        fi
    done
    if [[ -t 1 ]]; then
        printf '\r\033[K'
    fi
}

# python_environment: a virtual environment with the pinned requirements; sets MUSEFS_PYTHON. To be called in the project.
python_environment() {
    local venv=$PWD/.cache/venv
    if ! cmp -s scripts/requirements.txt "$venv/requirements.txt"; then
        echo "Making $venv"
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement scripts/requirements.txt
        cp scripts/requirements.txt "$venv/requirements.txt"
    fi
    export MUSEFS_PYTHON=$venv/bin/python
}
