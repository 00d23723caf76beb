#!/bin/sh
# Explores every order of events in the models of the telemetry engine's slabs. Takes a few seconds once it is built.
set -eu
cd "$(dirname "$0")/.."
RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" \
    cargo test --release -p musefs-telemetry --no-default-features --lib --target-dir "${CARGO_TARGET_DIR:-target}/models" model
