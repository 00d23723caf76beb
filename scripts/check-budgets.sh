#!/bin/sh
# Measures what telemetry costs beside its budgets, prints a table and fails when a budget is missed. Takes a few seconds once
# it is built. On a busy machine it measures again what seems missed.
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --locked --release -p musefs-telemetry-benches --bin budgets
