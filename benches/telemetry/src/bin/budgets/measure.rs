//! Times in turn, and the row of the table that comes of it.

use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// What was measured beside what it is compared with.
#[derive(Debug)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// The engine's.
    pub ours: f64,
    /// What it is compared with.
    pub reference: f64,
    /// Of both.
    pub unit: &'static str,
    /// Ours by the reference.
    pub ratio: f64,
    /// The largest ratio that keeps the budget.
    pub budget: f64,
}

impl Row {
    /// The names of the columns.
    pub fn head() -> String {
        let (name, ours, reference) = ("what / beside what", "ours", "reference");
        format!("{name:<54} {ours:>12} {reference:>15}  ratio   budget")
    }

    /// A row of amounts that are not measured in turn.
    pub fn of(name: &str, unit: &'static str, (ours, reference): (f64, f64), budget: f64) -> Self {
        Self {
            name: name.to_owned(),
            ours,
            reference,
            unit,
            ratio: ours / reference,
            budget,
        }
    }

    /// Whether the ratio is within the budget. What could not be measured is not.
    pub fn is_kept(&self) -> bool {
        self.ratio <= self.budget
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |value: f64| {
            let decimals = if value < 100.0 { 2 } else { 0 };
            format!("{value:.decimals$} {}", self.unit)
        };
        write!(
            formatter,
            "{:<54} {:>12} {:>15} {:>6.2} {:>8.2}  {}",
            self.name,
            amount(self.ours),
            amount(self.reference),
            self.ratio,
            self.budget,
            if self.is_kept() { "ok" } else { "MISSED" }
        )
    }
}

/// How much time of the processor the calling thread takes for `work`, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "times of a few milliseconds")]
pub fn nanoseconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    };
    let start = now();
    work();
    (now() - start) as f64
}

/// A row of the medians of `rounds` pairs of ours and the reference, and the median of their ratios. Not kept when there are
/// no rounds.
pub fn medians(name: String, rounds: &[(f64, f64)], budget: f64) -> Row {
    Row {
        name,
        ours: median(rounds.iter().map(|(ours, _)| *ours)),
        reference: median(rounds.iter().map(|(_, reference)| *reference)),
        unit: "ns",
        ratio: median(rounds.iter().map(|(ours, reference)| ours / reference)),
        budget,
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
