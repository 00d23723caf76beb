//! What handlers are told of operations: plain data, the same whether anybody counts it or not.

use std::fmt;

use crate::outcome::{Completion, Outcome, TIERS_MAX};

/// A request as every text names it: `INSTANCE-NUMBER`, and the number alone for the instance 0. Work in the background
/// is `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// Which instance the request came to.
    pub instance: u32,
    /// Its number there; 0 is work in the background.
    pub number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.instance != 0 && self.number != 0 {
            write!(formatter, "{}-", self.instance)?;
        }
        write!(formatter, "{}", self.number)
    }
}

/// What the parts of an event are called, wherever they are written with names.
pub mod fields {
    /// The request whose work triggered this one.
    pub const CAUSE: &str = "cause";
    /// Whether another request's work answered this one.
    pub const COALESCED: &str = "coalesced";
    /// How long it took, in nanoseconds.
    pub const DURATION: &str = "duration";
    /// Whether a tier stood in for another one.
    pub const FALLBACK: &str = "fallback";
    /// Which instance the request came to.
    pub const INSTANCE: &str = "instance";
    /// The request whose work answered this one.
    pub const LEADER: &str = "leader";
    /// A sentence for people.
    pub const MESSAGE: &str = "message";
    /// What a tier is called.
    pub const NAME: &str = "name";
    /// What an operation is called.
    pub const OPERATION: &str = "operation";
    /// How it ended.
    pub const OUTCOME: &str = "outcome";
    /// The process that asked.
    pub const PROCESS: &str = "process";
    /// The request.
    pub const REQUEST_ID: &str = "request_id";
    /// What the operation was about.
    pub const SUBJECT: &str = "subject";
    /// How many events like this one were left out.
    pub const SUPPRESSED: &str = "suppressed";
    /// How many tiers an operation went through.
    pub const TIERS: &str = "tiers";
}

/// One tier that an operation went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierRecord {
    /// Its name.
    pub name: &'static str,
    /// How it answered.
    pub outcome: Outcome,
    /// How long after the operation it began, where it was timed.
    pub began_ns: Option<u64>,
    /// How long it took, where that is known.
    pub duration_ns: Option<u64>,
    /// Whether it stood in for another one.
    pub fallback: bool,
}

impl TierRecord {
    pub(crate) const NONE: Self = Self {
        name: "",
        outcome: Outcome::Cancelled,
        began_ns: None,
        duration_ns: None,
        fallback: false,
    };
}

/// The tiers of an operation, in the order of their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiers {
    records: [TierRecord; TIERS_MAX],
    pub(crate) count: usize,
}

impl Tiers {
    pub(crate) const EMPTY: Self = Self {
        records: [TierRecord::NONE; TIERS_MAX],
        count: 0,
    };

    pub(crate) fn push(&mut self, record: TierRecord) {
        if let Some(place) = self.records.get_mut(self.count) {
            *place = record;
        }
        self.count += 1;
    }

    pub(crate) fn kept(&self) -> &[TierRecord] {
        &self.records[..self.count.min(TIERS_MAX)]
    }
}

/// A tier of an operation that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierEvent<'a> {
    /// The request; 0 is work in the background.
    pub request_id: u64,
    /// Which instance the request came to.
    pub instance: u32,
    /// The request that triggered background work; 0 when none did.
    pub cause: u64,
    /// The request whose work answers this one, too; 0 when it does its own.
    pub leader: u64,
    /// What the operation is called.
    pub operation: &'a str,
    /// Which tier of the operation it is, from 0.
    pub index: usize,
    /// What the tier is called.
    pub name: &'a str,
    /// How it answered.
    pub outcome: Outcome,
    /// How long it took, where that is known.
    pub duration_ns: Option<u64>,
    /// Whether it stood in for another one.
    pub fallback: bool,
}

impl<'a> TierEvent<'a> {
    /// The tier at `index` of `operation`; `None` when it keeps no such tier.
    pub fn of(operation: &OperationEvent<'a>, index: usize) -> Option<Self> {
        let tier = operation.tiers.get(index)?;
        Some(Self {
            request_id: operation.request_id,
            instance: operation.instance,
            cause: operation.cause,
            leader: operation.leader,
            operation: operation.operation,
            index,
            name: tier.name,
            outcome: tier.outcome,
            duration_ns: tier.duration_ns,
            fallback: tier.fallback,
        })
    }

    /// The request, as texts name it.
    pub fn id(&self) -> RequestId {
        RequestId {
            instance: self.instance,
            number: self.request_id,
        }
    }

    /// Whether another request's work answered this one.
    pub fn coalesced(&self) -> bool {
        self.leader != 0
    }
}

/// An operation that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationEvent<'a> {
    /// The request; 0 is work in the background.
    pub request_id: u64,
    /// Which instance the request came to.
    pub instance: u32,
    /// The request that triggered background work; 0 when none did.
    pub cause: u64,
    /// The request whose work answers this one, too; 0 when it does its own.
    pub leader: u64,
    /// What it is called.
    pub operation: &'static str,
    /// How it ended.
    pub outcome: Completion,
    /// Whether that end is a failure of such an operation.
    pub failed: bool,
    /// When it began, in nanoseconds of the engine's clock.
    pub started_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What it was about, such as the number of a file; 0 when nobody said.
    pub subject: u64,
    /// The process or thread that asked; 0 when nobody said.
    pub process: u32,
    /// How many bytes it brought, where somebody said.
    pub bytes: Option<u64>,
    /// How many tiers it went through.
    pub tier_count: usize,
    /// The first [`TIERS_MAX`] of them, in the order of their end. None in a log of all operations.
    pub tiers: &'a [TierRecord],
}

impl OperationEvent<'_> {
    /// The request, as texts name it.
    pub fn id(&self) -> RequestId {
        self.other(self.request_id)
    }

    /// The request `number` to the same instance.
    fn other(&self, number: u64) -> RequestId {
        RequestId {
            instance: self.instance,
            number,
        }
    }

    /// The request whose work answered this one, if another's did.
    pub fn leader_id(&self) -> Option<RequestId> {
        (self.leader != 0).then(|| self.other(self.leader))
    }

    /// The request that triggered this work, if one did.
    pub fn cause_id(&self) -> Option<RequestId> {
        (self.cause != 0).then(|| self.other(self.cause))
    }

    /// Whether another request's work answered this one.
    pub fn coalesced(&self) -> bool {
        self.leader != 0
    }

    /// Whether one of its tiers stood in for another one.
    pub fn fallback(&self) -> bool {
        self.tiers.iter().any(|tier| tier.fallback)
    }

    /// The same, without tiers.
    pub fn without_tiers(&self) -> OperationEvent<'static> {
        OperationEvent {
            tiers: &[],
            ..*self
        }
    }
}

/// An operation that ended, with its tiers, as something to keep. Its size is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationRecord {
    event: OperationEvent<'static>,
    tiers: Tiers,
}

impl From<&OperationEvent<'_>> for OperationRecord {
    fn from(event: &OperationEvent<'_>) -> Self {
        let mut tiers = Tiers::EMPTY;
        for tier in event.tiers {
            tiers.push(*tier);
        }
        Self {
            event: event.without_tiers(),
            tiers,
        }
    }
}

impl OperationRecord {
    /// What is kept.
    pub fn event(&self) -> OperationEvent<'_> {
        OperationEvent {
            tiers: self.tiers.kept(),
            ..self.event
        }
    }
}

/// Somebody who is told of operations.
///
/// A handler that is told in line must not wait, and must not ask of a mount what this process serves: the operation that it
/// is told of has not answered yet. What it does itself raises no events. A panic of its stays its own.
pub trait EventHandler: Send + Sync {
    /// A tier ended. Told 0 to n times, before its operation's completion, by the same thread.
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        let _ = event;
    }

    /// An operation ended. Told once for each operation, however it ended.
    fn on_operation_complete(&self, event: &OperationEvent<'_>);
}

impl<H: EventHandler + ?Sized> EventHandler for std::sync::Arc<H> {
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        (**self).on_tier_event(event);
    }

    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        (**self).on_operation_complete(event);
    }
}
