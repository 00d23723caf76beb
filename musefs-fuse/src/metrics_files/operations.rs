//! The texts that tell of single operations: those under way, those that took long, and the last ones.
//!
//! Nothing here is looked up when an operation happens: paths come from the tree and names of processes from `/proc` when a
//! text is rendered. Neither the store nor a backing file is touched, and all lists have bounds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Instant;

use musefs_core::tree::{Inode, Tree};
use musefs_telemetry::events::{OperationEvent, RECENT_MAX, TierRecord};
use musefs_telemetry::scope::Failures as _;
use musefs_telemetry::{Completion, Engine};

use super::{LINK_NAME, MetricsFiles, Target};
use crate::dispatch::Waits;
use crate::metrics::ErrorNumber;

/// Processes whose names are looked up for one moment; further ones are told by number alone.
const NAMES_MAX: usize = 64;
/// What stands for something that is not known.
const UNKNOWN: &str = "-";

/// The texts of a moment.
#[derive(Debug)]
pub(super) struct Operations {
    pub inflight: String,
    pub slow: String,
    pub oplog: String,
}

impl Operations {
    /// What can be said of `files`' mount now. To be called on the lane.
    pub(super) fn of(files: &MetricsFiles) -> Self {
        let engine = files.musefs.engine();
        let tree = files.musefs.tree();
        let mut words = Words::of(files, &tree);
        let (waits, more) = files.dispatch.inflight(Instant::now());
        Self {
            inflight: inflight(&waits, more, &mut words),
            slow: slow(engine, files.dispatch.metrics().ops.slow_ns(), &mut words),
            oplog: oplog(engine, &mut words),
        }
    }
}

/// What numbers stand for.
pub(super) struct Words<'a> {
    files: &'a MetricsFiles,
    tree: &'a Tree,
    /// Names of processes that were looked up already.
    commands: HashMap<u32, String>,
}

impl<'a> Words<'a> {
    pub(super) fn of(files: &'a MetricsFiles, tree: &'a Tree) -> Self {
        Self {
            files,
            tree,
            commands: HashMap::new(),
        }
    }

    /// The path below the mount that `inode` has now, `inode N` when it has none.
    pub(super) fn path(&self, inode: u64) -> String {
        let path = match self.files.decode(inode) {
            Target::Link => LINK_NAME.to_owned(),
            Target::Metrics(node) => {
                let below = self.files.nodes.path_of(node);
                format!("{}{below}", self.files.link_target())
            }
            Target::Tree(Inode::ROOT) => ".".to_owned(),
            Target::Tree(inode) => match self.tree.find(inode) {
                Some(index) => self.tree.path_of(index),
                None => format!("inode {}", inode.0),
            },
        };
        let mut line = String::with_capacity(path.len());
        push_escaped(&mut line, &path, char::is_control);
        line
    }

    /// The process and what it is called, if it is there still.
    fn process(&mut self, process: u32) -> String {
        if process == 0 {
            return format!("{UNKNOWN} {UNKNOWN}");
        }
        let command = self.command(process).unwrap_or(UNKNOWN);
        format!("{process} {command}")
    }

    /// What the process is called, as one word, if it is there still.
    pub(super) fn command(&mut self, process: u32) -> Option<&str> {
        if !self.commands.contains_key(&process) && self.commands.len() < NAMES_MAX {
            self.commands.insert(process, command(process));
        }
        let name = self.commands.get(&process)?;
        (name != UNKNOWN).then_some(name)
    }
}

/// What the process is called, as one word.
fn command(process: u32) -> String {
    let mut word = String::new();
    if let Ok(name) = std::fs::read(format!("/proc/{process}/comm")) {
        let name = String::from_utf8_lossy(&name);
        let name = name.strip_suffix('\n').unwrap_or(&name);
        push_escaped(&mut word, name, |c| c.is_control() || c.is_whitespace());
    }
    if word.is_empty() {
        word.push_str(UNKNOWN);
    }
    word
}

/// Writes `text` such that a line stays a line, and what is escaped can be told from what is not.
fn push_escaped(line: &mut String, text: &str, is_odd: impl Fn(char) -> bool) {
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\u{2028}' | '\u{2029}' => line.extend(c.escape_unicode()),
            // What the other escape would leave as it is.
            ' ' if is_odd(c) => line.extend(c.escape_unicode()),
            _ if is_odd(c) => line.extend(c.escape_default()),
            _ => line.push(c),
        }
    }
}

fn write(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line)
        .expect("a String takes whatever is written to it");
}

fn inflight(waits: &[Waits], more: u64, words: &mut Words<'_>) -> String {
    let mut text = String::from("# age_seconds request operation phase pid command path\n");
    for request in waits {
        let (age, operation, phase) = (request.age, request.operation, request.phase);
        let line = format_args!(
            "{:.3} {} {} {} {} {}\n",
            age.as_secs_f64(),
            request.id,
            operation.name(),
            phase.name(),
            words.process(request.process),
            words.path(request.inode)
        );
        write(&mut text, line);
    }
    if more > 0 {
        write(&mut text, format_args!("# and {more} more\n"));
    }
    text
}

fn slow(engine: &Engine, slow_ns: u64, words: &mut Words<'_>) -> String {
    let mut text = format!(
        "# from {} seconds on\n# time seconds request because operation outcome pid command phases tiers path\n",
        seconds(slow_ns)
    );
    for record in engine.events().slow().iter().rev() {
        let event = record.event();
        push_event(&mut text, engine, &event, words);
        push_parts(&mut text, &event, |tier| {
            let took = tier.duration_ns?;
            Some(format!("{}={}", tier.name, seconds(took)))
        });
        push_parts(&mut text, &event, |tier| match tier.duration_ns {
            Some(_) => None,
            None if tier.fallback => Some(format!("{}={}(fallback)", tier.name, tier.outcome)),
            None => Some(format!("{}={}", tier.name, tier.outcome)),
        });
        write(&mut text, format_args!(" {}\n", words.path(event.subject)));
    }
    text
}

fn oplog(engine: &Engine, words: &mut Words<'_>) -> String {
    let mut text =
        String::from("# time seconds request because operation outcome pid command path\n");
    for event in engine.events().recent().iter().rev().take(RECENT_MAX) {
        push_event(&mut text, engine, event, words);
        write(&mut text, format_args!(" {}\n", words.path(event.subject)));
    }
    text
}

/// When it ended, how long it took, what it is called, by or for which other request it was done, what it was, how it ended,
/// and who asked.
fn push_event(
    text: &mut String,
    engine: &Engine,
    event: &OperationEvent<'_>,
    words: &mut Words<'_>,
) {
    let ended_ms = engine.wall_ms(event.started_ns.saturating_add(event.duration_ns));
    let outcome = ErrorNumber::of(event.outcome).map_or(Completion::Ok.name(), ErrorNumber::name);
    let line = format_args!(
        "{}.{:03} {} {} {} {} {outcome} {}",
        ended_ms / 1_000,
        ended_ms % 1_000,
        seconds(event.duration_ns),
        event.id(),
        because(event),
        event.operation,
        words.process(event.process)
    );
    write(text, line);
}

/// The other request that an operation has to do with, as one word.
fn because(event: &OperationEvent<'_>) -> String {
    match (event.leader_id(), event.cause_id()) {
        (Some(leader), _) => format!("leader={leader}"),
        (None, Some(cause)) => format!("cause={cause}"),
        (None, None) => UNKNOWN.to_owned(),
    }
}

/// What `part` says of the tiers, as one word.
fn push_parts(
    text: &mut String,
    event: &OperationEvent<'_>,
    part: impl Fn(&TierRecord) -> Option<String>,
) {
    let parts: Vec<String> = event.tiers.iter().filter_map(part).collect();
    text.push(' ');
    if parts.is_empty() {
        text.push_str(UNKNOWN);
    }
    text.push_str(&parts.join(","));
}

/// Nanoseconds as seconds with microseconds.
pub fn seconds(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1_000;
    format!(
        "{}.{:06}",
        microseconds / 1_000_000,
        microseconds % 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_a_line_stays_a_line() {
        let escaped = |text| {
            let mut line = String::new();
            push_escaped(&mut line, text, char::is_control);
            line
        };
        assert_eq!(escaped("Abba/Gold 1.flac"), "Abba/Gold 1.flac");
        assert_eq!(escaped("a\nb\\n\u{7f}é"), "a\\nb\\\\n\\u{7f}é");
        assert_eq!(escaped("a\u{2028}b\u{85}"), "a\\u{2028}b\\u{85}");
        let mut word = String::new();
        push_escaped(&mut word, "Web Content", char::is_whitespace);
        assert_eq!(word, "Web\\u{20}Content");
        let own = command(std::process::id());
        assert!(own != UNKNOWN && !own.contains(char::is_whitespace));
    }

    #[test]
    fn durations_are_told_to_the_microsecond() {
        assert_eq!(seconds(1_234_567_890), "1.234567");
        assert_eq!(seconds(999), "0.000000");
    }
}
