#!/bin/sh
# Explores every order of events in the models of the telemetry engine's slabs, up to a number of preemptions. Takes a few
# seconds once it is built, which takes a minute; with --full there are more preemptions, and it takes minutes.
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
    '') preemptions=3 ;;
    --full) preemptions=6 ;;
    *)
        echo "Usage: scripts/check-models.sh [--full]" >&2
        exit 64
        ;;
esac

# Without symbols it builds faster, and a model that fails tells its path itself.
RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-$preemptions}" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo test --locked -p musefs-telemetry --no-default-features --lib --target-dir "${CARGO_TARGET_DIR:-target}/models" model
