//! An operation from its beginning to its one end.
//!
//! A scope reads the clock when it begins and when it ends; that pair feeds the operation's count, its errors and its
//! histogram. It ends exactly once: when it is finished, or when it is dropped, as cancelled or as panicked. What happened on
//! the way is kept as up to eight tiers on the scope itself, so that whoever wants to know gets it without an allocation:
//! the handlers of [`Events`](crate::events::Events), when there are any.

mod context;
mod ops;
mod spans;
mod threshold;

use std::ops::Deref;

pub use context::{Ctx, Entered, WithRequestId};
pub use ops::Ops;

pub use crate::outcome::{Completion, Failure, Failures, OpsSeries, Outcome, TIERS_MAX};

use crate::describe::AttributeEnum;
pub use crate::event::TierRecord;
use crate::event::Tiers;
use spans::Span;

/// What is known of an operation that ended.
#[derive(Clone, Copy, Debug)]
pub struct Finished<O> {
    /// The operation.
    pub operation: O,
    /// Who asked for it.
    pub ctx: Ctx,
    /// How it ended.
    pub completion: Completion,
    /// When it began, in nanoseconds of the engine's clock.
    pub started_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What it was about; 0 when nobody said.
    pub subject: u64,
    /// The process or thread that asked; 0 when nobody said.
    pub process: u32,
    /// How many bytes it brought, where somebody said.
    pub bytes: Option<u64>,
    tiers: Tiers,
}

impl<O> Finished<O> {
    /// The first [`TIERS_MAX`] tiers that it went through.
    pub fn tiers(&self) -> &[TierRecord] {
        self.tiers.kept()
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
    subject: u64,
    process: u32,
    bytes: Option<u64>,
    tiers: Tiers,
    span: Span,
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
            subject: 0,
            process: 0,
            bytes: None,
            tiers: Tiers::EMPTY,
            span: Span::operation(O::VALUES[operation.position()], ctx),
        }
    }

    /// Who asked for it.
    pub fn ctx(&self) -> Ctx {
        self.ctx
    }

    /// What the operation is about, such as the number of a file.
    pub fn set_subject(&mut self, subject: u64) {
        self.subject = subject;
    }

    /// The process or thread that asks. What the thread of the queued handlers asks raises no events.
    pub fn set_process(&mut self, process: u32) {
        self.process = process;
    }

    /// How many bytes the operation brings.
    pub fn set_bytes(&mut self, bytes: u64) {
        self.bytes = Some(bytes);
    }

    /// The work of `leader` answers this operation, too.
    pub fn coalesce(&mut self, leader: Ctx) {
        self.ctx = self.ctx.follows(leader);
    }

    /// Does `work` for the operation's request, and within its span where there are spans.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.ctx.enter();
        self.span.within(work)
    }

    /// Begins a tier called `name`.
    pub fn tier(&mut self, name: &'static str) -> Tier<'_> {
        Tier {
            clock: &**self.ops.clock(),
            tiers: &mut self.tiers,
            origin_ns: self.started_ns,
            started_ns: None,
            record: TierRecord {
                name,
                ..TierRecord::NONE
            },
            span: self.span.tier(name, self.ctx),
        }
    }

    /// A phase called `name` that was timed elsewhere: a tier that did its part.
    pub fn phase(&mut self, name: &'static str, duration_ns: u64) {
        self.tiers.push(TierRecord {
            name,
            outcome: Outcome::Ok,
            duration_ns: Some(duration_ns),
            ..TierRecord::NONE
        });
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
            started_ns: self.started_ns,
            duration_ns: ended_ns.saturating_sub(self.started_ns),
            subject: self.subject,
            process: self.process,
            bytes: self.bytes,
            tiers: self.tiers,
        };
        self.ops.settle(&finished);
        self.span.end(self.ctx, completion, finished.duration_ns);
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
    /// When the operation began.
    origin_ns: u64,
    started_ns: Option<u64>,
    record: TierRecord,
    span: Span,
}

impl Tier<'_> {
    /// Times the tier, which costs a pair of clock reads of its own.
    pub fn timed(mut self) -> Self {
        let now_ns = self.clock.now_ns();
        self.started_ns = Some(now_ns);
        self.record.began_ns = Some(now_ns.saturating_sub(self.origin_ns));
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
        let record = self.record;
        self.span
            .end_tier(record.outcome, record.fallback, record.duration_ns);
        self.tiers.push(record);
    }
}

#[cfg(test)]
mod tests;
