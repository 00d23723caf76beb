//! What happened between two moments of a mount, as plain data: what is drawn, and what programs get.

use serde::Serialize;

use super::moment::Moment;

/// When a text's numbers were taken.
const TAKEN: &str = "musefs_snapshot_timestamp_seconds";

/// What a mount did in an interval, and how it is at the end of that. What it does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// The mount's name.
    pub mount: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// `ok`, `degraded` or `failing`.
    pub health: Option<String>,
    /// Seconds since it was made.
    pub uptime_seconds: Option<f64>,
    /// Length of the interval in seconds.
    pub interval_seconds: f64,
    /// Whether the mount was made anew within the interval, so that what follows counts from then on.
    pub restarted: bool,
    /// Bytes answered to reads, by where they came from.
    pub bytes_per_second: Vec<Rate>,
    /// Bytes read from backing files.
    pub backing_bytes_per_second: Option<f64>,
    /// The operations of the kernel.
    pub operations: Vec<Operation>,
    /// Shares of 1; absent where nothing was asked of them.
    pub header_cache_hits: Option<f64>,
    /// As of the header cache.
    pub readahead_hits: Option<f64>,
    /// Requests by process name.
    pub clients_per_second: Vec<Rate>,
    /// Whether the mount notes who asks.
    pub notes_clients: bool,
    /// Reads under way, and their bound.
    pub reads_inflight: Option<[f64; 2]>,
    /// Threads of the pool at work, and how many there are.
    pub pool: Option<[f64; 2]>,
    /// Requests beyond the bound of the queue.
    pub parked: Option<f64>,
    /// Open files.
    pub handles: Option<f64>,
    /// Tracks in the tree.
    pub tracks: Option<f64>,
    /// Listed tracks that cannot be served.
    pub tracks_dark: Option<f64>,
    /// Directories of the library that cannot be reached, of how many.
    pub roots_unreachable: Option<[f64; 2]>,
    /// From the last commit that made a difference to the tree that shows it.
    pub refresh_lag_seconds: Option<f64>,
    /// Cores that the mount's process kept busy.
    pub cores_busy: Option<f64>,
    /// Resident memory of its process.
    pub resident_bytes: Option<f64>,
}

/// How much of something there was a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Of what.
    pub name: String,
    /// How much.
    pub per_second: f64,
}

/// One kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Operation {
    /// As the metrics call it.
    pub name: String,
    /// That ended.
    pub per_second: f64,
    /// Of these, the failed.
    pub failed_per_second: f64,
    /// How long half of them took at most; absent where there were none or their time is not kept, infinite (in JSON `null`)
    /// where it was longer than is told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<f64>,
    /// How long 99 of 100 took at most; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_seconds: Option<f64>,
    /// Age of the oldest that is under way.
    pub oldest_seconds: Option<f64>,
}

impl View {
    /// What happened from `before` to `now`, where `elapsed` seconds went by for who looks. `None` when they are one moment: a
    /// mount gives the same text for a second.
    pub fn between(before: &Moment, now: &Moment, elapsed: f64) -> Option<Self> {
        if now == before && now.sum(TAKEN).is_some() {
            return None;
        }
        let restarted = now.sum("musefs_start_time_seconds").map(f64::to_bits)
            != before.sum("musefs_start_time_seconds").map(f64::to_bits);
        let from_zero = Moment::default();
        let span = Span {
            before: if restarted { &from_zero } else { before },
            now,
            seconds: seconds_between(before, now, restarted).unwrap_or(elapsed),
        };
        let mut operations = span.operations();
        operations.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
        let sources = now.label_values("musefs_read_bytes_total", "source");
        let mut clients = span.rates_by("musefs_client_requests_total", "client");
        clients.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
        Some(Self {
            mount: now.attribute("mount").map(Into::into),
            version: now
                .label_values("musefs_build_info", "version")
                .first()
                .map(|version| (*version).to_owned()),
            health: now
                .label_values("musefs_health_state", "state")
                .into_iter()
                .find(|state| {
                    now.sum_where("musefs_health_state", &[("state", state)]) == Some(1.0)
                })
                .map(Into::into),
            uptime_seconds: now.sum("musefs_uptime_seconds"),
            interval_seconds: span.seconds,
            restarted,
            bytes_per_second: sources
                .into_iter()
                .map(|source| span.rate_of("musefs_read_bytes_total", "source", source))
                .collect(),
            backing_bytes_per_second: span.rate("musefs_backing_pread_bytes_total"),
            operations,
            header_cache_hits: span.share(
                "musefs_cache_header_hits_total",
                "musefs_cache_header_misses_total",
            ),
            readahead_hits: span.share(
                "musefs_readahead_hits_total",
                "musefs_readahead_misses_total",
            ),
            clients_per_second: clients,
            notes_clients: now.sum("musefs_client_requests_total").is_some(),
            reads_inflight: pair(now, "musefs_reads_inflight", "musefs_reads_inflight_max"),
            pool: pair(now, "musefs_pool_active", "musefs_pool_workers"),
            parked: now.sum("musefs_requests_parked"),
            handles: now.sum("musefs_handles_open"),
            tracks: now.sum("musefs_library_tracks"),
            tracks_dark: now.sum("musefs_tracks_dark"),
            roots_unreachable: unreachable(now),
            refresh_lag_seconds: now.sum("musefs_refresh_lag_seconds"),
            cores_busy: span.rate("musefs_process_cpu_seconds_total"),
            resident_bytes: now.sum("musefs_process_resident_memory_bytes"),
        })
    }

    /// Bytes answered to reads, from wherever they came.
    pub fn read_bytes_per_second(&self) -> f64 {
        self.bytes_per_second
            .iter()
            .map(|rate| rate.per_second)
            .sum()
    }
}

/// What the mount itself says went by: the texts of two moments may be older than their reader knows.
fn seconds_between(before: &Moment, now: &Moment, restarted: bool) -> Option<f64> {
    let end = now.sum(TAKEN)?;
    let start = if restarted {
        now.sum("musefs_start_time_seconds")?
    } else {
        before.sum(TAKEN)?
    };
    Some(end - start).filter(|seconds| *seconds > 0.0)
}

fn pair(moment: &Moment, first: &str, second: &str) -> Option<[f64; 2]> {
    Some([moment.sum(first)?, moment.sum(second)?])
}

#[expect(clippy::cast_precision_loss, reason = "there are sixteen at most")]
fn unreachable(moment: &Moment) -> Option<[f64; 2]> {
    let roots = moment
        .label_values("musefs_backing_reachable", "root")
        .len() as f64;
    let reachable = moment.sum("musefs_backing_reachable")?;
    Some([roots - reachable, roots])
}

/// Two moments of one run of a mount.
struct Span<'a> {
    before: &'a Moment,
    now: &'a Moment,
    seconds: f64,
}

impl Span<'_> {
    /// How much the counters of `family` grew a second; `None` when there are none.
    fn rate(&self, family: &str) -> Option<f64> {
        self.rate_where(family, &[])
    }

    fn rate_where(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let now = self.now.sum_where(family, labels)?;
        let before = self.before.sum_where(family, labels).unwrap_or(0.0);
        Some((now - before).max(0.0) / self.seconds)
    }

    fn rate_of(&self, family: &str, label: &str, value: &str) -> Rate {
        Rate {
            name: value.to_owned(),
            per_second: self.rate_where(family, &[(label, value)]).unwrap_or(0.0),
        }
    }

    fn rates_by(&self, family: &str, label: &str) -> Vec<Rate> {
        let values = self.now.label_values(family, label);
        let rates = values
            .into_iter()
            .map(|value| self.rate_of(family, label, value));
        rates.filter(|rate| rate.per_second > 0.0).collect()
    }

    /// The share of hits among hits and misses; `None` when there were neither.
    fn share(&self, hits: &str, misses: &str) -> Option<f64> {
        let (hits, misses) = (self.rate(hits)?, self.rate(misses)?);
        Some(hits / (hits + misses)).filter(|share| share.is_finite())
    }

    fn operations(&self) -> Vec<Operation> {
        let names = self.now.label_values("musefs_ops_total", "op");
        let operation = |name: &str| {
            let labels = [("op", name)];
            let took = self.grown("musefs_op_duration_seconds", &labels);
            Operation {
                name: name.to_owned(),
                per_second: self.rate_where("musefs_ops_total", &labels).unwrap_or(0.0),
                failed_per_second: self
                    .rate_where("musefs_op_errors_total", &labels)
                    .unwrap_or(0.0),
                median_seconds: quantile(&took, 0.5),
                p99_seconds: quantile(&took, 0.99),
                oldest_seconds: self
                    .now
                    .sum_where("musefs_oldest_inflight_seconds", &labels),
            }
        };
        names.into_iter().map(operation).collect()
    }

    /// The buckets of `family`, with what came into them alone.
    fn grown(&self, family: &str, labels: &[(&str, &str)]) -> Vec<(f64, u64)> {
        let before = self.before.buckets(family, labels);
        let was = |bound: f64| {
            let same = before.iter().find(|(b, _)| b.to_bits() == bound.to_bits());
            same.map_or(0, |(_, count)| *count)
        };
        let now = self.now.buckets(family, labels).into_iter();
        now.map(|(bound, count)| (bound, count.saturating_sub(was(bound))))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// The upper bound of the bucket that holds the `share` of `buckets`; `None` when they are empty.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count, rounded up to a count"
)]
fn quantile(buckets: &[(f64, u64)], share: f64) -> Option<f64> {
    let all: u64 = buckets.iter().map(|(_, count)| count).sum();
    let wanted = (all as f64 * share).ceil() as u64;
    let mut seen = 0;
    let found = buckets.iter().find(|(_, count)| {
        seen += count;
        seen >= wanted
    });
    found.map(|(bound, _)| *bound)
}

#[cfg(test)]
mod tests;
