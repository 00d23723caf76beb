//! Single operations as plain data, for whoever asks for them by another way than the files.

use std::collections::BTreeMap;

use musefs_telemetry::Completion;
use musefs_telemetry::events::{OperationEvent, OperationRecord};
use musefs_telemetry::scope::Failures as _;

use super::MetricsFiles;
use super::operations::Words;
use crate::control::trace::{Operation, Phase, Tier, Wanted};
use crate::metrics::ErrorNumber;

impl MetricsFiles {
    /// `records` in words, in their order. Looks paths up in memory and names of processes in `/proc`; not to be called on an
    /// event loop.
    pub fn told(&self, records: &[OperationRecord]) -> Vec<Operation> {
        let tree = self.musefs.tree();
        let mut words = Words::of(self, &tree);
        records
            .iter()
            .map(|record| self.tell(&record.event(), true, &mut words))
            .collect()
    }

    /// The operations that were kept and are wanted, the oldest one first, each once.
    pub fn kept(&self, wanted: &Wanted) -> Vec<Operation> {
        let events = self.musefs.engine().events();
        let with_tiers = [events.failed(), events.slow()].concat();
        let recent = events.recent();
        // What was kept with its tiers is told with them.
        let mut kept = BTreeMap::new();
        for (event, has_tiers) in recent
            .iter()
            .map(|event| (*event, event.tier_count == 0))
            .chain(with_tiers.iter().map(|record| (record.event(), true)))
        {
            if wanted.takes(event.operation, event.duration_ns) {
                let ended_ns = event.started_ns.saturating_add(event.duration_ns);
                kept.insert(
                    (ended_ns, event.request_id, event.started_ns),
                    (event, has_tiers),
                );
            }
        }
        let tree = self.musefs.tree();
        let mut words = Words::of(self, &tree);
        kept.values()
            .map(|(event, has_tiers)| self.tell(event, *has_tiers, &mut words))
            .collect()
    }

    fn tell(
        &self,
        event: &OperationEvent<'_>,
        has_tiers: bool,
        words: &mut Words<'_>,
    ) -> Operation {
        let ended_ns = event.started_ns.saturating_add(event.duration_ns);
        let pid = (event.process != 0).then_some(event.process);
        // What has a duration is a part of the operation's time, anything else a place where it looked.
        let phases = event.tiers.iter().filter_map(|tier| {
            Some(Phase {
                name: tier.name.into(),
                duration_ns: tier.duration_ns?,
            })
        });
        let tiers = event
            .tiers
            .iter()
            .filter(|tier| tier.duration_ns.is_none())
            .map(|tier| Tier {
                name: tier.name.into(),
                outcome: tier.outcome.name().into(),
                fallback: tier.fallback,
            });
        let outcome = ErrorNumber::of(event.outcome);
        Operation {
            ended_unix_ms: self.musefs.engine().wall_ms(ended_ns),
            request: event.id().to_string(),
            cause: event.cause_id().map(|id| id.to_string()),
            leader: event.leader_id().map(|id| id.to_string()),
            operation: event.operation.into(),
            outcome: outcome
                .map_or(Completion::Ok.name(), ErrorNumber::name)
                .into(),
            duration_ns: event.duration_ns,
            path: words.path(event.subject),
            pid,
            command: pid.and_then(|pid| words.command(pid).map(str::to_owned)),
            phases: has_tiers.then(|| phases.collect()),
            tiers: has_tiers.then(|| tiers.collect()),
            bytes: event.bytes,
        }
    }
}
