//! The rows of the table, in groups that share their mounts.

mod edits;
mod names;
mod reads;
mod scans;
mod telemetry;

use crate::bench::Bench;

/// Measures all that was asked for.
pub fn all(bench: &mut Bench) {
    scans::measure(bench);
    names::measure(bench);
    reads::measure(bench);
    edits::measure(bench);
    telemetry::measure(bench);
}
