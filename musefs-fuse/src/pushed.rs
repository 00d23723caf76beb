//! What a mount tells a server of its owner's choice: a few counts and versions, never a name or a path.
//!
//! Every fact is made here, of the numbers that the metrics have. Nothing else knows of the server, and docs/telemetry-privacy.md
//! lists the same names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use musefs_telemetry::Snapshot;
use musefs_telemetry::emitter::{
    self, DO_NOT_TRACK, Emitter, Home, Outcome, Report, Settings, StartError,
};
use musefs_telemetry::facts::{FactError, Facts};
use musefs_telemetry::{event_debug, event_info, event_warn, logging};

use crate::cli::{Given, Origin, PushArgs};
use crate::files;
use crate::metrics::push::{PushCounters, PushOutcome};
use crate::metrics_files::MetricsFiles;

/// What the facts are called.
pub const KEYS: [&str; 8] = [
    "directories",
    "errors",
    "formats",
    "kernel",
    "musefs",
    "options",
    "requests",
    "tracks",
];

/// How long a server may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take at the end, when somebody waits for the mount to be gone.
const LAST_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long the end of a mount waits for the last sending.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Where this user's programs keep their state (XDG Base Directory Specification 0.8); `None` where that is unknown.
fn state_directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .map(|state| state.join("musefs"))
}

/// Sending that was asked for and can be had.
#[derive(Debug)]
pub struct Wanted {
    endpoint: String,
    home: Home,
    facts: Facts,
    noting: Noting,
}

impl Wanted {
    /// What the flags of a mount at `mountpoint` ask for; `None` when they do not, or the environment forbids it.
    ///
    /// # Errors
    /// When there is no place for the id of this installation.
    pub fn of(args: &PushArgs, given: &[Given], mountpoint: &Path) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = args.telemetry_endpoint.clone() else {
            return Ok(None);
        };
        if emitter::do_not_track() {
            event_warn!(logging::engine(), "push.consent.refused", message = %format_args!("{DO_NOT_TRACK} is set: nothing is sent to the telemetry endpoint"));
            return Ok(None);
        }
        let directory = state_directory().context(
            "telemetry needs a place for the id of this installation: set XDG_STATE_HOME or HOME",
        )?;
        files::refuse_inside_musefs(&directory, "the place of the telemetry id")?;
        if directory.starts_with(mountpoint) {
            bail!(
                "the place of the telemetry id {} lies at the mountpoint {}: set XDG_STATE_HOME to a directory outside of it",
                directory.display(),
                mountpoint.display()
            );
        }
        let home = Home::new(directory);
        let facts = Facts::default();
        facts.init(&home.id()?, args.telemetry_disable.iter().cloned())?;
        Ok(Some(Self {
            endpoint,
            home,
            facts,
            noting: Noting::new(given),
        }))
    }

    /// Starts to send what `files` know. A mount goes on without where that cannot be.
    pub fn start(self, files: &Arc<MetricsFiles>) -> Option<Pushing> {
        let Self {
            endpoint,
            home,
            facts,
            mut noting,
        } = self;
        let place = home.directory().to_path_buf();
        let files = Arc::clone(files);
        let mut telling = Telling {
            counters: files.push_counters(),
            facts: facts.clone(),
            before: None,
        };
        let settings = Settings {
            endpoint,
            user_agent: concat!("musefs/", env!("CARGO_PKG_VERSION")).into(),
            home: Some(home),
            timeout: TIMEOUT,
            last_timeout: LAST_TIMEOUT,
            note: Box::new(move |facts| {
                // There are none when the mount is ending; then what was noted before is all.
                if let Some(values) = files.moment().map(|moment| moment.values().clone()) {
                    noting.note(facts, &values);
                }
            }),
            observe: Box::new(move |report| telling.tell(report)),
        };
        match emitter::start_emitting(&facts, settings) {
            Ok(emitter) => Some(Pushing { emitter }),
            Err(error @ StartError::Gone { .. }) => {
                event_info!(logging::internal(), "push.server.gone", message = %format_args!("no telemetry: {error}; to ask it again, remove the files in {}", place.display()));
                None
            }
            Err(error) => {
                event_warn!(logging::internal(), "push.start.failed", message = %format_args!("no telemetry: {error}"));
                None
            }
        }
    }
}

/// Sending that is under way.
#[derive(Debug)]
pub struct Pushing {
    emitter: Emitter,
}

impl Pushing {
    /// Has it send once more and end, without waiting.
    pub fn ask_to_stop(&self) {
        self.emitter.ask_to_stop();
    }

    /// Waits for that a little. A server that does not answer holds up nobody: the thread is left to itself.
    pub fn stop(&self, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + STOP_PATIENCE);
        if !self.emitter.stop_emitting(deadline) {
            event_warn!(
                logging::engine(),
                "push.end.unanswered",
                message = "the telemetry endpoint does not answer; the last facts are lost"
            );
        }
    }
}

/// What would be sent of a mount whose metrics are `values`, as JSON, and a sentence on whether it is.
///
/// # Errors
/// When the system has no random numbers.
pub fn preview(
    args: &PushArgs,
    given: &[Given],
    values: &Snapshot,
) -> anyhow::Result<(String, String)> {
    let home = state_directory().map(Home::new);
    let known = home.as_ref().and_then(Home::known_id);
    let is_known = known.is_some();
    let id = known.map_or_else(emitter::new_id, Ok)?;
    let gone = home
        .zip(args.telemetry_endpoint.as_ref())
        .and_then(|(home, endpoint)| home.gone(endpoint));
    let facts = Facts::default();
    facts.init(&id, args.telemetry_disable.iter().cloned())?;
    Noting::new(given).note(&facts, values);
    let told = if emitter::do_not_track() {
        format!("{DO_NOT_TRACK} is set: a mount sends nothing")
    } else if args.telemetry_endpoint.is_none() {
        "without --telemetry-endpoint a mount sends nothing".into()
    } else if let Some(status) = gone {
        format!("the server takes nothing any more (HTTP status {status}): a mount sends nothing")
    } else if is_known {
        "a mount sends this when it begins, about once a day, and when it ends".into()
    } else {
        "a mount sends this when it begins, about once a day, and when it ends, with an id that it makes then".into()
    };
    Ok((emitter::preview(&facts), told))
}

/// Makes facts of metrics.
#[derive(Debug)]
struct Noting {
    options: Vec<String>,
    kernel: Option<String>,
    /// What was noted of each counter already, by fact and label.
    before: BTreeMap<(&'static str, &'static str), u64>,
}

impl Noting {
    /// For a mount that was given these flags, of which only the names are told.
    fn new(given: &[Given]) -> Self {
        // These are there always, or make no difference to the mount.
        let is_told = |given: &&Given| {
            given.origin != Origin::Default
                && !matches!(&*given.name, "mountpoint" | "db")
                && !given.name.starts_with("telemetry-")
                && !given.values.is_empty()
        };
        Self {
            options: given
                .iter()
                .filter(is_told)
                .map(|given| given.name.clone())
                .collect(),
            kernel: kernel(),
            before: BTreeMap::new(),
        }
    }

    fn note(&mut self, facts: &Facts, values: &Snapshot) {
        if let Err(error) = self.try_note(facts, values) {
            // The bag counts what it has no room for.
            event_debug!(logging::internal(), "push.fact.refused", message = %format_args!("a fact is not told: {error}"));
        }
    }

    fn try_note(&mut self, facts: &Facts, values: &Snapshot) -> Result<(), FactError> {
        facts.set("musefs", env!("CARGO_PKG_VERSION"))?;
        if let Some(kernel) = &self.kernel {
            facts.set("kernel", kernel.as_str())?;
        }
        // What is true now takes the place of what was.
        facts.reset("options");
        for option in &self.options {
            facts.append("options", option.as_str())?;
        }
        let formats = sums(values, "musefs_library_tracks", "format");
        facts.reset("formats");
        for (format, &tracks) in formats.iter().filter(|(_, tracks)| **tracks > 0) {
            facts.set_nested("formats", format, tracks)?;
        }
        facts.set("tracks", formats.values().sum::<u64>())?;
        let directories = values.find("musefs_library_directories");
        let directories = directories.map(|metric| metric.family());
        if let Some(directories) = directories.and_then(|family| values.value(family, 0)) {
            facts.set("directories", directories)?;
        }
        self.count(facts, "requests", sums(values, "musefs_ops_total", "op"))?;
        let errors = sums(values, "musefs_op_errors_total", "errno");
        self.count(facts, "errors", errors)
    }

    /// Adds what came since the last time to the counting set `key`.
    fn count(
        &mut self,
        facts: &Facts,
        key: &'static str,
        totals: BTreeMap<&'static str, u64>,
    ) -> Result<(), FactError> {
        for (label, total) in totals {
            let before = self.before.insert((key, label), total).unwrap_or(0);
            facts.append_counted(key, label, total.saturating_sub(before))?;
        }
        Ok(())
    }
}

/// The values of `family`, added up by its label `label`.
fn sums(values: &Snapshot, family: &str, label: &str) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    let Some(metric) = values.find(family) else {
        return sums;
    };
    let family = metric.family();
    for index in 0..family.series_count() {
        let named = family.series_labels(index).find(|(name, _)| *name == label);
        if let (Some((_, name)), Some(number)) = (named, values.value(family, index)) {
            *sums.entry(name).or_insert(0_u64) += number;
        }
    }
    sums
}

/// The kernel's version without what whoever built it put behind, which may be a name.
fn kernel() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    version_of(&release)
}

fn version_of(release: &str) -> Option<String> {
    let end = release
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(release.len());
    let version = release[..end].trim_end_matches('.');
    (!version.is_empty()).then(|| version.to_owned())
}

/// Counts what became of each sending, and logs what is new.
#[derive(Debug)]
struct Telling {
    counters: PushCounters,
    facts: Facts,
    before: Option<Outcome>,
}

impl Telling {
    fn tell(&mut self, report: &Report) {
        self.counters.pushes.increment(match report.outcome {
            Outcome::Sent => PushOutcome::Sent,
            Outcome::Failed => PushOutcome::Failed,
            Outcome::Throttled => PushOutcome::Throttled,
            Outcome::Gone => PushOutcome::Gone,
            Outcome::Oversized => PushOutcome::Oversized,
        });
        let refused = &self.counters.push_facts_refused;
        refused.add(self.facts.refused().saturating_sub(refused.value()));
        let is_new = self.before.replace(report.outcome) != Some(report.outcome);
        let message = &report.message;
        match report.outcome {
            Outcome::Sent if message.is_empty() => {
                event_debug!(
                    logging::internal(),
                    "push.facts.sent",
                    message = "facts were sent"
                );
            }
            Outcome::Sent => {
                event_info!(logging::internal(), "push.server.said", message = %format_args!("facts were sent; the server says: {message}"));
            }
            Outcome::Failed if is_new => {
                event_warn!(logging::internal(), "push.send.failed", message = %format_args!("facts could not be sent, and are sent later: {message}"));
            }
            Outcome::Throttled if is_new => {
                event_info!(logging::internal(), "push.send.postponed", message = %format_args!("facts are sent later: {message}"));
            }
            Outcome::Gone => {
                event_warn!(logging::internal(), "push.server.ended", message = %format_args!("the server wants no facts any more: {message}"));
            }
            Outcome::Oversized => {
                event_warn!(logging::internal(), "push.facts.dropped", message = %format_args!("facts were dropped: {message}"));
            }
            Outcome::Failed | Outcome::Throttled => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_told_by_its_number_alone() {
        assert_eq!(version_of("6.1.0-18-of-anna\n").as_deref(), Some("6.1.0"));
        assert_eq!(version_of("6.12.-x").as_deref(), Some("6.12"));
        assert_eq!(version_of("5.15\n").as_deref(), Some("5.15"));
        assert_eq!(version_of("anna\n"), None);
    }

    #[test]
    fn of_flags_only_names_that_somebody_gave_are_told() {
        let given = |name: &str, origin| Given {
            name: name.into(),
            values: vec!["/home/anna".into()],
            origin,
        };
        let told = [
            given("mountpoint", Origin::CommandLine),
            given("db", Origin::Environment),
            given("template", Origin::CommandLine),
            given("mode", Origin::Default),
            given("owner", Origin::Environment),
            given("telemetry-endpoint", Origin::CommandLine),
        ];
        assert_eq!(Noting::new(&told).options, ["template", "owner"]);
    }

    #[test]
    fn counters_are_told_by_what_they_grew_since_the_last_time() {
        let engine = musefs_telemetry::Engine::new();
        let edge = crate::metrics::EdgeMetrics::declare(&engine).unwrap();
        let facts = Facts::default();
        facts.init("one", []).unwrap();
        let mut noting = Noting::new(&[]);
        let read = || {
            let done = musefs_telemetry::Completion::Ok;
            edge.ops.record_op(crate::metrics::Operation::Read, 1, done);
        };
        let told = |facts: &Facts| {
            let text = emitter::preview(facts);
            let payload: serde_json::Value = serde_json::from_str(&text).unwrap();
            let requests = payload["data"]["requests"].as_array().unwrap().clone();
            let reads = requests.iter().find(|entry| entry["value"] == "read");
            reads.unwrap()["count"].as_u64().unwrap()
        };
        read();
        noting.note(&facts, &engine.snapshot());
        assert_eq!(told(&facts), 1);
        noting.note(&facts, &engine.snapshot());
        assert_eq!(told(&facts), 1, "noted twice, counted once");
        facts.reset("requests");
        read();
        read();
        noting.note(&facts, &engine.snapshot());
        assert_eq!(told(&facts), 2);
    }
}
