//! What stands between an operation and what a handler does.

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use super::{Entry, Faults};
use crate::event::{OperationEvent, TierEvent};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A thread whose operations raise no events, because a handler does them.
#[derive(Debug)]
pub(crate) struct Quiet(PhantomData<*const ()>);

impl Quiet {
    /// `None` when the thread is quiet already.
    pub(crate) fn begin() -> Option<Self> {
        (!QUIET.replace(true)).then_some(Self(PhantomData))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(false);
    }
}

impl Entry {
    /// Tells the handler of `event` and of its tiers before, as long as it listens.
    pub(super) fn tell(&self, event: &OperationEvent<'_>, faults: &Faults) {
        for index in 0..event.tiers.len() {
            if let (true, Some(tier)) = (self.is_active(), TierEvent::of(event, index)) {
                fenced(faults, || self.handler.on_tier_event(&tier));
            }
        }
        if self.is_active() {
            fenced(faults, || self.handler.on_operation_complete(event));
        }
    }
}

/// What happens inside stays inside, also when the operation ends because its thread panics.
fn fenced(faults: &Faults, work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        faults.panics.fetch_add(1, Relaxed);
        // What a panic carries may panic once more when it is dropped, and then carries something else.
        if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(another);
        }
    }
}
