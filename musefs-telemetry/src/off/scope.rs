//! Operations that nobody counts, for requests that nobody remembers.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, RangeInclusive};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::buckets::Buckets;
use crate::describe::{AttributeEnum, DescribeError, SeriesKey};
use crate::registry::Engine;

use crate::event::RequestId;
pub use crate::event::TierRecord;
pub use crate::outcome::{Completion, Failure, Failures, OpsSeries, Outcome, TIERS_MAX};

empty! {
    /// No counts of operations.
    Ops<O, E = Failure>
}
empty! {
    /// Nothing is known of it.
    Finished<O>
}

/// An operation under way.
#[derive(Debug)]
pub struct Scope<O, E, P>(PhantomData<fn(O, E, P)>);

/// A part of an operation.
#[derive(Debug)]
pub struct Tier<'a>(PhantomData<&'a mut ()>);

impl<O: AttributeEnum + SeriesKey, E: Failures> Ops<O, E> {
    /// Declares nothing.
    ///
    /// # Errors
    /// Never.
    pub fn declare(_: &Engine, _: &str, _: Buckets) -> Result<Self, DescribeError> {
        Ok(Self(PhantomData))
    }

    /// Declares nothing.
    ///
    /// # Errors
    /// Never.
    pub fn declare_with(_: &Engine, _: &str, _: OpsSeries<O, E>) -> Result<Self, DescribeError> {
        Ok(Self(PhantomData))
    }

    calls! {
        /// 0.
        fn total(&self, operation: O) -> u64 = 0;
        /// 0.
        fn errors(&self, operation: O) -> u64 = 0;
        /// None.
        fn buckets(&self, operation: O) -> Vec<(Option<u64>, u64)> = Vec::new();
        /// Nothing.
        fn quantile_ns(&self, operation: O, q: f64) -> Option<u64> = None;
    }
}

impl<O: AttributeEnum, E: Failures> Ops<O, E> {
    calls! {
        /// Nothing.
        fn scope(&self, operation: O) -> Scope<O, E, &Self> = Scope(PhantomData);
        /// Does nothing.
        fn record_op(&self, operation: O, duration_ns: u64, completion: Completion);
        /// Does nothing.
        fn set_slow_ns(&self, slow_ns: u64);
        /// Does nothing.
        fn follow_quantile(&self, q: f64);
        /// Does nothing.
        fn follow_quantile_within(&self, q: f64, bounds_ns: RangeInclusive<u64>);
        /// None is.
        fn slow_ns(&self) -> u64 = u64::MAX;
    }

    /// Nothing.
    #[inline]
    pub fn scope_owned(self: &Arc<Self>, _: O) -> Scope<O, E, Arc<Self>> {
        Scope(PhantomData)
    }
}

impl<O: AttributeEnum, E: Failures, P: Deref<Target = Ops<O, E>>> Scope<O, E, P> {
    /// Nothing.
    #[inline]
    pub fn begin(_: P, _: O, _: Ctx) -> Self {
        Self(PhantomData)
    }

    /// Nobody.
    pub fn ctx(&self) -> Ctx {
        Ctx
    }

    /// Does nothing.
    #[inline]
    pub fn set_subject(&mut self, _: u64) {}

    /// Does nothing.
    #[inline]
    pub fn set_process(&mut self, _: u32) {}

    /// Does nothing.
    #[inline]
    pub fn set_bytes(&mut self, _: u64) {}

    /// Does nothing.
    #[inline]
    pub fn coalesce(&mut self, _: Ctx) {}

    /// Does `work`.
    #[inline]
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }

    /// Does nothing.
    #[inline]
    pub fn phase(&mut self, _: &'static str, _: u64) {}

    /// Nothing.
    #[inline]
    pub fn tier(&mut self, _: &'static str) -> Tier<'_> {
        Tier(PhantomData)
    }

    /// Nothing.
    #[inline]
    pub fn finish(self, _: Completion) -> Finished<O> {
        Finished::empty()
    }
}

impl Tier<'_> {
    /// The same.
    #[inline]
    pub fn timed(self) -> Self {
        self
    }

    /// The same.
    #[inline]
    pub fn fallback(self) -> Self {
        self
    }

    /// Does nothing.
    #[inline]
    pub fn finish(self, _: Outcome) {}
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ctx;

/// A thread at work for nobody.
#[derive(Debug)]
pub struct Entered(PhantomData<*const ()>);

impl Ctx {
    /// Nobody.
    pub const BACKGROUND: Self = Self;

    /// Nobody.
    pub fn request(_: u32, _: u64) -> Self {
        Self
    }

    /// Nobody.
    pub fn next(_: u32) -> Self {
        Self
    }

    /// No request.
    pub fn id(self) -> RequestId {
        RequestId::default()
    }

    /// None.
    pub fn cause_id(self) -> Option<RequestId> {
        None
    }

    /// The same.
    pub fn triggers(self) -> Self {
        self
    }

    /// The same.
    pub fn follows(self, _: Self) -> Self {
        self
    }

    /// Nobody.
    pub fn current() -> Self {
        Self
    }

    /// Nothing.
    #[inline]
    pub fn stay(self) {}

    /// Nothing.
    #[inline]
    pub fn enter(self) -> Entered {
        Entered(PhantomData)
    }
}

pin_project_lite::pin_project! {
    /// A future as it is.
    #[derive(Debug)]
    pub struct WithRequestId<F> {
        #[pin]
        future: F,
    }
}

impl<F> WithRequestId<F> {
    /// `future`.
    pub fn new(_: Ctx, future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for WithRequestId<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(context)
    }
}
