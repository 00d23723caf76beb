//! Operations as lines of `tracing`.

use super::{EventHandler, OperationEvent, TierEvent};

/// Writes an event of `tracing` for each tier and each operation: operations that failed as warnings, others and tiers for
/// debugging. Each has the request's id, and the fields are called as in [`fields`](super::fields). The target is
/// `musefs_telemetry::operations`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogHandler;

/// The fields of one line; `tracing` needs names and levels as literals.
macro_rules! operation {
    ($level:ident, $event:ident) => {
        tracing::$level!(
            target: "musefs_telemetry::operations",
            request_id = %$event.id(),
            instance = $event.instance,
            operation = $event.operation,
            outcome = %$event.outcome,
            duration = $event.duration_ns,
            coalesced = $event.coalesced(),
            fallback = $event.fallback(),
            leader = $event.leader_id().map(tracing::field::display),
            cause = $event.cause_id().map(tracing::field::display),
            tiers = $event.tier_count,
            "operation complete"
        )
    };
}

impl EventHandler for LogHandler {
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        tracing::debug!(
            target: "musefs_telemetry::operations",
            request_id = %event.id(),
            instance = event.instance,
            operation = event.operation,
            name = event.name,
            outcome = %event.outcome,
            duration = event.duration_ns,
            coalesced = event.coalesced(),
            fallback = event.fallback,
            "tier"
        );
    }

    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        if event.failed {
            operation!(warn, event);
        } else {
            operation!(debug, event);
        }
    }
}
