//! Operations and tiers as nested spans of `tracing`, with the feature of that name; nothing without it.
//!
//! A span is there while its operation is under way, under whatever span its beginning was in. Whoever writes an event within
//! [`Scope::within`](super::Scope::within) has it in the span, with the request's id.

pub(super) use imp::Span;

#[cfg(feature = "tracing")]
mod imp {
    use crate::outcome::{Completion, Outcome};
    use crate::scope::Ctx;
    use tracing::field::{Empty, display};

    /// A span of an operation or of a tier.
    #[derive(Debug)]
    pub(in super::super) struct Span(tracing::Span);

    impl Span {
        pub(in super::super) fn operation(operation: &str, ctx: Ctx) -> Self {
            Self(tracing::debug_span!(
                target: "musefs_telemetry::spans",
                "operation",
                request_id = %ctx.id(),
                instance = ctx.instance,
                operation,
                outcome = Empty,
                duration = Empty,
            ))
        }

        pub(in super::super) fn tier(&self, name: &str, ctx: Ctx) -> Self {
            Self(tracing::debug_span!(
                target: "musefs_telemetry::spans",
                parent: &self.0,
                "tier",
                request_id = %ctx.id(),
                name,
                outcome = Empty,
                fallback = Empty,
                duration = Empty,
            ))
        }

        pub(in super::super) fn end_tier(
            &self,
            outcome: Outcome,
            fallback: bool,
            duration_ns: Option<u64>,
        ) {
            self.0.record("outcome", display(outcome));
            self.0.record("fallback", fallback);
            if let Some(duration_ns) = duration_ns {
                self.0.record("duration", duration_ns);
            }
        }

        pub(in super::super) fn end(&self, ctx: Ctx, outcome: Completion, duration_ns: u64) {
            if self.0.is_disabled() {
                return;
            }
            self.0.record("outcome", display(outcome));
            self.0.record("duration", duration_ns);
            tracing::debug!(
                target: "musefs_telemetry::spans",
                parent: &self.0,
                request_id = %ctx.id(),
                %outcome,
                duration = duration_ns,
                "complete"
            );
        }

        pub(in super::super) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
            self.0.in_scope(work)
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod imp {
    use crate::outcome::{Completion, Outcome};
    use crate::scope::Ctx;

    /// No span.
    #[derive(Debug)]
    pub(in super::super) struct Span;

    #[expect(clippy::unused_self, reason = "the same calls as with spans")]
    impl Span {
        #[inline]
        pub(in super::super) fn operation(_: &str, _: Ctx) -> Self {
            Self
        }

        #[inline]
        pub(in super::super) fn tier(&self, _: &str, _: Ctx) -> Self {
            Self
        }

        #[inline]
        pub(in super::super) fn end_tier(&self, _: Outcome, _: bool, _: Option<u64>) {}

        #[inline]
        pub(in super::super) fn end(&self, _: Ctx, _: Completion, _: u64) {}

        #[inline]
        pub(in super::super) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
            work()
        }
    }
}
