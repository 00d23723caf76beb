//! When to try again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime};

/// The longest time that a collector may ask to be left alone.
const ASKED_MAX: Duration = Duration::from_secs(300);

/// How long to wait after attempts that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first one; doubled after each further one.
    pub first: Duration,
    /// Never longer than this, unless the collector asks for it.
    pub max: Duration,
    /// After this long without success, operations are dropped. Metrics are not: the next ones tell as much.
    pub patience: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(30),
            patience: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// How long to wait after `failures` attempts in a row: from half of the time that doubles to all of it, by `dice` from 0 to 1.
    fn wait(&self, failures: u32, dice: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let whole = self.first.saturating_mul(1 << doublings).min(self.max);
        whole.mul_f64(0.5 + dice / 2.0)
    }

    /// The same with real dice; `asked` is what the collector asked for, and is kept to.
    pub(super) fn next(&self, failures: u32, asked: Option<Duration>) -> Duration {
        // A hasher's keys are random.
        let random = RandomState::new().build_hasher().finish();
        let dice = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        let own = self.wait(failures, dice);
        asked.map_or(own, |asked| asked.min(ASKED_MAX).max(own))
    }
}

/// What the header `Retry-After` asks for: seconds, or a date.
pub(super) fn asked(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_never_shorter_than_half() {
        let backoff = Backoff::default();
        let seconds = |failures, dice| backoff.wait(failures, dice).as_secs_f64();
        let longest: Vec<f64> = (1..=7).map(|failures| seconds(failures, 1.0)).collect();
        assert_eq!(longest, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert!((seconds(3, 0.0) - 2.0).abs() < 1e-9);
        assert!((seconds(u32::MAX, 0.0) - 15.0).abs() < 1e-9);
        for _ in 0..100 {
            let next = backoff.next(2, None);
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&next));
        }
        let asked = |seconds| backoff.next(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(1 << 40), ASKED_MAX);
        assert!(asked(0) >= Duration::from_millis(500));
    }

    #[test]
    fn a_collector_asks_in_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(asked(" 120 ", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(asked(date, now), Some(Duration::from_secs(7)));
        let later = now + Duration::from_secs(3600);
        assert_eq!(asked(date, later), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(asked(nonsense, now), None, "{nonsense}");
        }
    }
}
