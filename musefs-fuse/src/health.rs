//! How a mount is: one line that scripts and people can act on. The verdict is a pure function of plain facts; the facts are
//! gathered from memory, without waiting for anything.

use std::fmt;
use std::sync::Arc;

use musefs_core::serve::Musefs;
use musefs_telemetry::AttributeEnum;

use crate::dispatch::Dispatch;
use crate::refreshing::Refreshing;
use crate::roots::Roots;

/// How a mount is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "state")]
pub enum State {
    /// Everything is served as it should be.
    Ok,
    /// Something is not served, or late.
    Degraded,
    /// Nothing is served, or edits show no more.
    Failing,
}

/// What a verdict is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The last look at the store failed.
    pub store_unreadable: bool,
    /// The thread that refreshes the tree ended without being asked to.
    pub refresh_died: bool,
    /// Whether each root can be reached; `None` is unknown as yet.
    pub roots: Vec<Option<bool>>,
    /// Tracks whose backing file could not be served when it was last tried.
    pub tracks_dark: u64,
    /// The tree is known to be behind the store.
    pub needs_rebuild: bool,
    /// Requests that wait beyond the bound of the pool's queue.
    pub requests_parked: u64,
}

/// How a mount is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In a word.
    pub state: State,
    /// What is wrong, the worst first; nothing when all is well.
    pub reasons: Vec<String>,
}

impl fmt::Display for Verdict {
    /// `ok`, or the state and all reasons: `degraded: root 0 unreachable; 2 dark tracks`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.state.name())?;
        if !self.reasons.is_empty() {
            write!(formatter, ": {}", self.reasons.join("; "))?;
        }
        Ok(())
    }
}

impl Facts {
    /// What these facts mean.
    pub fn verdict(&self) -> Verdict {
        let unreachable: Vec<usize> = self
            .roots
            .iter()
            .enumerate()
            .filter_map(|(root, &reachable)| (reachable == Some(false)).then_some(root))
            .collect();
        let all_unreachable = !unreachable.is_empty() && unreachable.len() == self.roots.len();
        let mut reasons: Vec<String> = [
            (self.store_unreadable, "store unreadable"),
            (all_unreachable, "all roots unreachable"),
            (self.refresh_died, "refresh thread dead"),
        ]
        .into_iter()
        .filter(|(is_so, _)| *is_so)
        .map(|(_, why)| why.to_owned())
        .collect();
        let is_failing = !reasons.is_empty();
        if !all_unreachable {
            let roots = unreachable
                .iter()
                .map(|root| format!("root {root} unreachable"));
            reasons.extend(roots);
        }
        let count = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            more => Some(format!("{more} {many}")),
        };
        reasons.extend(count(self.tracks_dark, "dark track", "dark tracks"));
        // A tree cannot be in step with a store that cannot be read.
        if self.needs_rebuild && !self.store_unreadable {
            reasons.push("tree behind the store".to_owned());
        }
        reasons.extend(count(
            self.requests_parked,
            "parked request",
            "parked requests",
        ));
        let state = match (is_failing, reasons.is_empty()) {
            (true, _) => State::Failing,
            (false, false) => State::Degraded,
            (false, true) => State::Ok,
        };
        Verdict { state, reasons }
    }
}

/// Where the facts of a mount come from.
#[derive(Debug)]
pub struct Health {
    /// The library.
    pub musefs: Arc<Musefs>,
    /// Who answers requests.
    pub dispatch: Arc<Dispatch>,
    /// The directories that the library's files lie in.
    pub roots: Arc<Roots>,
    /// What is known of the refresh thread.
    pub refreshing: Arc<Refreshing>,
}

impl Health {
    /// The facts of this moment. Waits for nothing and does no I/O.
    pub fn facts(&self) -> Facts {
        Facts {
            store_unreadable: self.musefs.is_store_unreadable(),
            refresh_died: self.refreshing.died(),
            roots: self.roots.seen().reachable.clone(),
            tracks_dark: self.musefs.dark_tracks(),
            needs_rebuild: self.musefs.needs_rebuild(),
            requests_parked: self.dispatch.pool().waiting().1,
        }
    }

    /// How the mount is at this moment.
    pub fn verdict(&self) -> Verdict {
        self.facts().verdict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(facts: &Facts, line: &str) {
        assert_eq!(facts.verdict().to_string(), line, "{facts:?}");
    }

    #[test]
    fn a_mount_without_trouble_is_ok() {
        is(&Facts::default(), "ok");
        let roots = vec![Some(true), None];
        is(
            &Facts {
                roots,
                ..Facts::default()
            },
            "ok",
        );
    }

    #[test]
    fn each_condition_alone() {
        let of = |change: fn(&mut Facts)| {
            let mut facts = Facts {
                roots: vec![Some(true), Some(true)],
                ..Facts::default()
            };
            change(&mut facts);
            facts
        };
        is(
            &of(|facts| facts.roots[1] = Some(false)),
            "degraded: root 1 unreachable",
        );
        is(&of(|facts| facts.tracks_dark = 1), "degraded: 1 dark track");
        is(
            &of(|facts| facts.needs_rebuild = true),
            "degraded: tree behind the store",
        );
        is(
            &of(|facts| facts.requests_parked = 7),
            "degraded: 7 parked requests",
        );
        is(
            &of(|facts| facts.store_unreadable = true),
            "failing: store unreadable",
        );
        is(
            &of(|facts| facts.roots.fill(Some(false))),
            "failing: all roots unreachable",
        );
        is(
            &of(|facts| facts.refresh_died = true),
            "failing: refresh thread dead",
        );
    }

    #[test]
    fn all_reasons_are_told_the_worst_first() {
        let facts = Facts {
            store_unreadable: true,
            refresh_died: true,
            roots: vec![Some(false), Some(true), Some(false)],
            tracks_dark: 2,
            needs_rebuild: true,
            requests_parked: 1,
        };
        is(
            &facts,
            "failing: store unreadable; refresh thread dead; root 0 unreachable; root 2 unreachable; 2 dark tracks; 1 parked request",
        );
    }

    #[test]
    fn one_unknown_root_is_hope_for_all() {
        let roots = vec![Some(false), None];
        is(
            &Facts {
                roots,
                ..Facts::default()
            },
            "degraded: root 0 unreachable",
        );
        let roots = vec![Some(false)];
        is(
            &Facts {
                roots,
                ..Facts::default()
            },
            "failing: all roots unreachable",
        );
    }
}
