//! An operation from its beginning to its one end.
//!
//! A scope reads the clock when it begins and when it ends; that pair feeds the operation's count, its errors and its
//! histogram. It ends exactly once: when it is finished, or when it is dropped, as cancelled or as panicked. What happened on
//! the way is kept as up to eight tiers on the scope itself, so that whoever wants to know gets it without an allocation.

mod context;
mod ops;

use std::ops::Deref;

pub use context::{Ctx, Entered, WithRequestId};
pub use ops::Ops;

pub use crate::outcome::{Completion, Failure, Failures, OpsSeries, Outcome, TIERS_MAX};

use crate::describe::AttributeEnum;

/// One tier that an operation went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierRecord {
    /// Its name.
    pub name: &'static str,
    /// How it answered.
    pub outcome: Outcome,
    /// How long it took, where it was timed.
    pub duration_ns: Option<u64>,
    /// Whether it stood in for another one.
    pub fallback: bool,
}

/// The tiers of an operation, in the order of their end.
#[derive(Clone, Copy, Debug)]
struct Tiers {
    records: [TierRecord; TIERS_MAX],
    count: usize,
}

impl Tiers {
    const NONE: TierRecord = TierRecord {
        name: "",
        outcome: Outcome::Cancelled,
        duration_ns: None,
        fallback: false,
    };

    fn push(&mut self, record: TierRecord) {
        if let Some(place) = self.records.get_mut(self.count) {
            *place = record;
        }
        self.count += 1;
    }
}

/// What is known of an operation that ended.
#[derive(Clone, Copy, Debug)]
pub struct Finished<O> {
    /// The operation.
    pub operation: O,
    /// Who asked for it.
    pub ctx: Ctx,
    /// How it ended.
    pub completion: Completion,
    /// How long it took.
    pub duration_ns: u64,
    tiers: Tiers,
}

impl<O> Finished<O> {
    /// The first [`TIERS_MAX`] tiers that it went through.
    pub fn tiers(&self) -> &[TierRecord] {
        &self.tiers.records[..self.tiers.count.min(TIERS_MAX)]
    }

    /// How many tiers it went through.
    pub fn tier_count(&self) -> usize {
        self.tiers.count
    }
}

/// An operation under way. `P` is a reference to its [`Ops`], or an `Arc` when the scope goes to another thread.
#[derive(Debug)]
#[must_use = "an operation that is dropped was cancelled"]
pub struct Scope<O: AttributeEnum, E: Failures, P: Deref<Target = Ops<O, E>>> {
    ops: P,
    operation: O,
    ctx: Ctx,
    started_ns: u64,
    /// A scope may begin in a destructor that runs while its thread is panicking already.
    began_panicking: bool,
    ended: bool,
    tiers: Tiers,
}

impl<O: AttributeEnum, E: Failures, P: Deref<Target = Ops<O, E>>> Scope<O, E, P> {
    /// Begins `operation` for `ctx`, counting with `ops`.
    pub fn begin(ops: P, operation: O, ctx: Ctx) -> Self {
        let started_ns = ops.clock().now_ns();
        Self {
            ops,
            operation,
            ctx,
            started_ns,
            began_panicking: std::thread::panicking(),
            ended: false,
            tiers: Tiers {
                records: [Tiers::NONE; TIERS_MAX],
                count: 0,
            },
        }
    }

    /// Who asked for it.
    pub fn ctx(&self) -> Ctx {
        self.ctx
    }

    /// Begins a tier called `name`.
    pub fn tier(&mut self, name: &'static str) -> Tier<'_> {
        Tier {
            clock: &**self.ops.clock(),
            tiers: &mut self.tiers,
            started_ns: None,
            record: TierRecord {
                name,
                ..Tiers::NONE
            },
        }
    }

    /// Ends the operation.
    pub fn finish(mut self, completion: Completion) -> Finished<O> {
        self.end(completion)
    }

    fn end(&mut self, completion: Completion) -> Finished<O> {
        self.ended = true;
        let ended_ns = self.ops.clock().now_ns();
        let finished = Finished {
            operation: self.operation,
            ctx: self.ctx,
            completion,
            duration_ns: ended_ns.saturating_sub(self.started_ns),
            tiers: self.tiers,
        };
        self.ops.count(&finished);
        finished
    }
}

impl<O: AttributeEnum, E: Failures, P: Deref<Target = Ops<O, E>>> Drop for Scope<O, E, P> {
    fn drop(&mut self) {
        if !self.ended {
            let unwinding = std::thread::panicking() && !self.began_panicking;
            self.end(if unwinding {
                Completion::Panicked
            } else {
                Completion::Cancelled
            });
        }
    }
}

/// A part of an operation. Dropping it leaves a record without an answer.
#[derive(Debug)]
#[must_use = "a tier that is dropped did not answer"]
pub struct Tier<'a> {
    clock: &'a dyn crate::clock::Clock,
    tiers: &'a mut Tiers,
    started_ns: Option<u64>,
    record: TierRecord,
}

impl Tier<'_> {
    /// Times the tier, which costs a pair of clock reads of its own.
    pub fn timed(mut self) -> Self {
        self.started_ns = Some(self.clock.now_ns());
        self
    }

    /// The tier stands in for another one.
    pub fn fallback(mut self) -> Self {
        self.record.fallback = true;
        self
    }

    /// Ends the tier.
    pub fn finish(mut self, outcome: Outcome) {
        self.record.outcome = outcome;
    }
}

impl Drop for Tier<'_> {
    fn drop(&mut self) {
        if let Some(started_ns) = self.started_ns {
            let ended_ns = self.clock.now_ns();
            self.record.duration_ns = Some(ended_ns.saturating_sub(started_ns));
        }
        self.tiers.push(self.record);
    }
}

#[cfg(test)]
mod tests;
