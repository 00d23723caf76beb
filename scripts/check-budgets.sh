#!/bin/sh
# Measures what a telemetry call costs and fails when a ratio is above its budget.
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --release -p musefs-telemetry-benches --bin budgets
