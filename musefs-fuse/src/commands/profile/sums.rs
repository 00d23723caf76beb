//! Operations summed up: by name, directory and process, and by what their time was spent on. All of it is bounded, however
//! many directories and processes there are.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::control::trace::Operation;

/// Groups of one kind that are told apart; what comes later is [`OTHER`].
const GROUPS_MAX: usize = 1_000;
/// Combinations of operation, directory and process that are told apart.
const COMBINATIONS_MAX: usize = 20_000;
/// What is not told apart.
pub(super) const OTHER: &str = "other";
/// Directories of a path that tell where its file belongs.
const LEVELS: usize = 2;

/// What an operation's time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Queue,
    Store,
    Layout,
    Backing,
    Reply,
    /// None of these: what an event loop answers from memory is not split.
    Memory,
}

impl Part {
    pub(super) const ALL: [Self; 6] = [
        Self::Queue,
        Self::Store,
        Self::Layout,
        Self::Backing,
        Self::Reply,
        Self::Memory,
    ];

    /// By the name of a phase.
    fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|part| part.name() == name);
        found.unwrap_or(Self::Memory)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Store => "store",
            Self::Layout => "layout",
            Self::Backing => "backing",
            Self::Reply => "reply",
            Self::Memory => "memory",
        }
    }
}

/// Nanoseconds of each [`Part`].
pub(super) type Parts = [u64; Part::ALL.len()];

/// Where the time of one operation went; the parts add up to the whole.
fn parts(operation: &Operation) -> Parts {
    let mut parts = Parts::default();
    let mut left = operation.duration_ns;
    for phase in operation.phases.iter().flatten() {
        let spent = phase.duration_ns.min(left);
        parts[Part::named(&phase.name) as usize] += spent;
        left -= spent;
    }
    parts[Part::Memory as usize] += left;
    parts
}

/// Operations that have something in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub operations: u64,
    pub failed: u64,
    pub ns: u64,
}

impl Group {
    fn add(&mut self, operation: &Operation) {
        self.operations += 1;
        self.failed += u64::from(is_failed(operation));
        self.ns += operation.duration_ns;
    }
}

/// Groups by what they have in common.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<String, Group>);

impl Groups {
    /// Adds an operation to the group `name`; the name under which it counts.
    fn add(&mut self, name: String, operation: &Operation) -> String {
        let is_new = !self.0.contains_key(&name);
        let name = if is_new && self.0.len() >= GROUPS_MAX {
            OTHER.to_owned()
        } else {
            name
        };
        self.0.entry(name.clone()).or_default().add(operation);
        name
    }

    /// The groups that took longest first.
    pub(super) fn by_time(&self) -> Vec<(&str, &Group)> {
        let mut groups: Vec<_> = self
            .0
            .iter()
            .map(|(name, group)| (&**name, group))
            .collect();
        groups.sort_by_key(|(name, group)| (std::cmp::Reverse(group.ns), *name));
        groups
    }

    fn to_json(&self) -> Value {
        let group = |(name, group): (&str, &Group)| {
            json!({
                "name": name,
                "operations": group.operations,
                "failed": group.failed,
                "nanoseconds": group.ns,
            })
        };
        self.by_time().into_iter().map(group).collect()
    }
}

/// An operation, where, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Combination {
    pub operation: String,
    pub directory: String,
    pub process: String,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub all: Group,
    pub parts: Parts,
    pub by_operation: Groups,
    pub by_directory: Groups,
    pub by_process: Groups,
    pub combined: HashMap<Combination, Parts>,
    pub errors: BTreeMap<String, u64>,
    pub slowest: Option<Operation>,
    /// Operations that were not told.
    pub missed: u64,
}

impl Sums {
    pub(super) fn add(&mut self, operation: Operation) {
        self.all.add(&operation);
        let parts = parts(&operation);
        add_parts(&mut self.parts, &parts);
        if is_failed(&operation) {
            *self.errors.entry(operation.outcome.clone()).or_default() += 1;
        }
        let name = operation.operation.clone();
        let combination = Combination {
            operation: self.by_operation.add(name, &operation),
            directory: self
                .by_directory
                .add(directory_of(&operation.path), &operation),
            process: self.by_process.add(process_of(&operation), &operation),
        };
        let is_new = !self.combined.contains_key(&combination);
        // What is not told apart is nobody's, so that no share is too large.
        if !is_new || self.combined.len() < COMBINATIONS_MAX {
            add_parts(self.combined.entry(combination).or_default(), &parts);
        }
        let slowest_ns = self
            .slowest
            .as_ref()
            .map_or(0, |slowest| slowest.duration_ns);
        if operation.duration_ns > slowest_ns {
            self.slowest = Some(operation);
        }
    }

    /// All of it, beside what it comes to in `words`.
    pub(super) fn to_json(&self, watched_ns: u64, words: &[String]) -> Value {
        let parts: serde_json::Map<String, Value> = Part::ALL
            .into_iter()
            .map(|part| (part.name().to_owned(), self.parts[part as usize].into()))
            .collect();
        json!({
            "watched_nanoseconds": watched_ns,
            "operations": self.all.operations,
            "failed": self.all.failed,
            "nanoseconds": self.all.ns,
            "missed": self.missed,
            "by_operation": self.by_operation.to_json(),
            "by_directory": self.by_directory.to_json(),
            "by_process": self.by_process.to_json(),
            "by_phase_nanoseconds": parts,
            "errors": self.errors,
            "slowest": self.slowest,
            "words": words,
        })
    }
}

pub(super) fn add_parts(sums: &mut Parts, parts: &Parts) {
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum += part;
    }
}

fn is_failed(operation: &Operation) -> bool {
    operation.outcome != "ok"
}

/// The first directories of `path`, with a `/` behind them; `.` of what lies at the top.
fn directory_of(path: &str) -> String {
    // Of an inode that has no path any more only its number is told.
    let number = path.strip_prefix("inode ");
    if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
        return "gone".into();
    }
    let mut ends = path.match_indices('/').map(|(index, _)| index + 1);
    let last = ends.by_ref().take(LEVELS).last();
    last.map_or(".", |end| &path[..end]).to_owned()
}

/// What asked: its name, so that a script's many short-lived processes are one.
fn process_of(operation: &Operation) -> String {
    match (&operation.command, operation.pid) {
        (Some(command), _) => command.clone(),
        (None, Some(_)) => "a process that has ended".into(),
        (None, None) => "the kernel".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up;
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole_whatever_the_phases_say() {
        let operation = made_up("read", "a/b/c", "mpd", &[("queue", 3), ("backing", 5)], 10);
        let mut expected = Parts::default();
        expected[Part::Queue as usize] = 3;
        expected[Part::Backing as usize] = 5;
        expected[Part::Memory as usize] = 2;
        assert_eq!(parts(&operation), expected);
        let operation = made_up("read", "a", "mpd", &[("store", 30), ("unheard of", 5)], 10);
        let spent = parts(&operation);
        assert_eq!(spent[Part::Store as usize], 10);
        assert_eq!(spent.iter().sum::<u64>(), 10);
    }

    #[test]
    fn a_file_belongs_to_its_first_two_directories() {
        for (path, expected) in [
            ("Abba/Arrival/1.flac", "Abba/Arrival/"),
            ("Abba/Arrival/Disc 1/1.flac", "Abba/Arrival/"),
            ("Abba/Arrival", "Abba/"),
            ("Abba", "."),
            (".", "."),
            ("inode 77", "gone"),
            ("inode x", "."),
        ] {
            assert_eq!(directory_of(path), expected, "{path}");
        }
    }

    #[test]
    fn groups_are_bounded_and_nothing_is_lost() {
        let mut sums = Sums::default();
        let count = GROUPS_MAX as u64 + 50;
        for index in 0..count {
            let path = format!("d{index}/e/f");
            sums.add(made_up("open", &path, &format!("p{index}"), &[], 2));
        }
        assert_eq!(sums.by_directory.0.len(), GROUPS_MAX + 1);
        assert_eq!(sums.by_directory.0[OTHER].operations, 50);
        let total: u64 = sums.by_process.0.values().map(|group| group.ns).sum();
        assert_eq!(
            (total, sums.all.ns, sums.all.operations),
            (2 * count, 2 * count, count)
        );
        assert_eq!(sums.by_operation.by_time()[0].1.operations, count);
    }

    #[test]
    fn failures_and_the_slowest_are_kept() {
        let mut sums = Sums::default();
        sums.add(made_up("open", "a", "mpd", &[], 5));
        let failed = Operation {
            outcome: "ENOENT".into(),
            ..made_up("lookup", "b", "mpd", &[], 4)
        };
        sums.add(failed);
        assert_eq!((sums.all.failed, sums.errors["ENOENT"]), (1, 1));
        assert_eq!(
            sums.slowest.as_ref().map(|slowest| &*slowest.path),
            Some("a")
        );
        let json = sums.to_json(9, &["words".into()]);
        assert_eq!(json["by_operation"][0]["name"], "open");
        assert_eq!(json["by_phase_nanoseconds"]["memory"], 9);
        assert_eq!(json["words"][0], "words");
    }
}
