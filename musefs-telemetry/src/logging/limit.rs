//! How often an event of one name is told: what goes on happening is told at intervals, with a count of what was left out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::logged::Value;

/// Events that are told apart. Where there are more at once, those of one name are one.
const KEYS_MAX: usize = 4_096;

/// How many intervals what was left out is kept for its own next line; then it counts among all of its name.
const KEPT_INTERVALS: u64 = 60;

/// The last time that something was told.
#[derive(Debug)]
struct Told {
    at_ns: u64,
    suppressed: u64,
    /// The key of all events of its name.
    of_name: u64,
}

#[derive(Debug, Default)]
struct State {
    told: HashMap<u64, Told>,
    /// When it was last looked for what can go.
    looked_ns: Option<u64>,
}

/// Decides which events are told.
#[derive(Debug)]
pub(super) struct Limit {
    interval_ns: u64,
    subjects: &'static [&'static str],
    state: Mutex<State>,
}

impl Limit {
    pub(super) fn new(interval: Duration, subjects: &'static [&'static str]) -> Self {
        Self {
            interval_ns: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            subjects,
            state: Mutex::default(),
        }
    }

    /// How many events like this one were left out before it; `None` when it is to be left out itself.
    pub(super) fn admit(
        &self,
        now_ns: u64,
        name: &str,
        fields: &[(&'static str, Value<'_>)],
    ) -> Option<u64> {
        let is_subject = |(key, _): &&(&'static str, Value<'_>)| self.subjects.contains(key);
        let subjects = fields.iter().filter(is_subject);
        let subjects: Vec<String> = subjects.map(|(_, value)| value.to_string()).collect();
        let key = |subjects: &[String]| {
            let mut hasher = DefaultHasher::new();
            (name, subjects).hash(&mut hasher);
            hasher.finish()
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut exact, of_name) = (key(&subjects), key(&[]));
        if state.told.len() >= KEYS_MAX && !state.told.contains_key(&exact) {
            self.make_room(&mut state, now_ns);
            if state.told.len() >= KEYS_MAX {
                exact = of_name;
            }
        }
        let told = &mut state.told;
        if !told.contains_key(&exact) && told.len() >= 2 * KEYS_MAX {
            return Some(0);
        }
        let first = Told {
            at_ns: now_ns,
            suppressed: 0,
            of_name,
        };
        match told.insert(exact, first) {
            None => Some(0),
            Some(before) if now_ns.saturating_sub(before.at_ns) >= self.interval_ns => {
                Some(before.suppressed)
            }
            Some(before) => {
                let suppressed = before.suppressed + 1;
                told.insert(
                    exact,
                    Told {
                        suppressed,
                        ..before
                    },
                );
                None
            }
        }
    }

    /// Forgets what was told long enough ago, at most once an interval: looking takes as long as there is much to look at.
    fn make_room(&self, state: &mut State, now_ns: u64) {
        let is_due = |at: u64| now_ns.saturating_sub(at) >= self.interval_ns;
        if !state.looked_ns.is_none_or(is_due) {
            return;
        }
        state.looked_ns = Some(now_ns);
        let kept_ns = self.interval_ns.saturating_mul(KEPT_INTERVALS);
        let mut left_out: HashMap<u64, u64> = HashMap::new();
        state.told.retain(|key, told| {
            let age = now_ns.saturating_sub(told.at_ns);
            if age < self.interval_ns || told.suppressed == 0 {
                return age < self.interval_ns;
            }
            if age < kept_ns || told.of_name == *key {
                return true;
            }
            *left_out.entry(told.of_name).or_default() += told.suppressed;
            false
        });
        for (of_name, suppressed) in left_out {
            let all = state.told.entry(of_name).or_insert(Told {
                at_ns: 0,
                suppressed: 0,
                of_name,
            });
            all.suppressed += suppressed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_repeats_is_told_at_intervals_with_a_count_of_what_was_left_out() {
        let limit = Limit::new(Duration::from_secs(1), &[]);
        assert_eq!(limit.admit(0, "store.read.failed", &[]), Some(0));
        for now in [1, 2, SECOND - 1] {
            assert_eq!(limit.admit(now, "store.read.failed", &[]), None);
        }
        assert_eq!(limit.admit(5, "store.read.recovered", &[]), Some(0));
        assert_eq!(limit.admit(SECOND, "store.read.failed", &[]), Some(3));
        assert_eq!(limit.admit(SECOND + 1, "store.read.failed", &[]), None);
        assert_eq!(limit.admit(9 * SECOND, "store.read.failed", &[]), Some(1));
        assert_eq!(limit.admit(10 * SECOND, "store.read.failed", &[]), Some(0));
    }

    #[test]
    fn each_subject_is_told_of_until_there_are_too_many() {
        let limit = Limit::new(Duration::from_secs(1), &["track"]);
        let admit = |now, track| limit.admit(now, "track.dark", &[("track", Value::from(track))]);
        for track in 0..KEYS_MAX as u64 {
            assert_eq!(admit(0, track), Some(0));
        }
        assert_eq!(admit(1, 7_u64), None);
        // One more takes the place that all further ones share.
        assert_eq!(admit(2, u64::MAX), Some(0));
        assert_eq!(admit(3, u64::MAX - 1), None);
        assert_eq!(limit.state.lock().unwrap().told.len(), KEYS_MAX + 1);
        // Later there is room again, and what was left out is still known.
        assert_eq!(admit(2 * SECOND, u64::MAX - 1), Some(0));
        assert!(limit.state.lock().unwrap().told.len() < 8);
        assert_eq!(admit(2 * SECOND, 7), Some(1));
    }

    #[test]
    fn what_was_left_out_long_ago_makes_room_and_is_told_with_its_name() {
        let limit = Limit::new(Duration::from_secs(1), &["track"]);
        let admit = |now, track| limit.admit(now, "track.dark", &[("track", Value::from(track))]);
        for track in 0..KEYS_MAX as u64 {
            assert_eq!(admit(0, track), Some(0));
            assert_eq!(admit(1, track), None);
        }
        // All are kept for a while, so the next one shares a place.
        assert_eq!(admit(2 * SECOND, u64::MAX), Some(0));
        assert_eq!(limit.state.lock().unwrap().told.len(), KEYS_MAX + 1);
        assert_eq!(admit(90 * SECOND, u64::MAX), Some(0));
        assert!(limit.state.lock().unwrap().told.len() < 4);
        let all = limit.admit(91 * SECOND, "track.dark", &[]);
        assert_eq!(all, Some(KEYS_MAX as u64));
    }
}
