//! The texts of the metrics directory: a table of names and how each is rendered.
//!
//! A text is as long as the last one of its name, or longer, and a multiple of a block: a reader that asks for the size of
//! an open file gets that of the newest text, and cuts or fills what it read to that.

use std::fmt::Write as _;

use musefs_core::telemetry::render_served;
use musefs_telemetry::Snapshot;
use musefs_telemetry::encode::{json, openmetrics, plain, prometheus};

use super::operations::Operations;
use crate::health::{State, Verdict};

/// The lengths of texts are multiples of this, in bytes.
const ROUND: usize = 4096;
/// Ends the texts that Prometheus reads.
const END: &str = "# EOF\n";

/// What the texts of a moment are rendered from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    /// What is measured.
    pub schema: &'a str,
    pub snapshot: &'a Snapshot,
    /// The labels that tell this mount's samples from another's.
    pub identity: &'a [(String, String)],
    /// What was asked for on the command line, a line each.
    pub config: &'a str,
    /// What each thread has done.
    pub shares: &'a [Share],
    /// How the mount is.
    pub verdict: &'a Verdict,
    /// Single operations.
    pub operations: &'a Operations,
}

/// What one thread has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    /// Requests that it answered on the event loop.
    pub inline_requests: u64,
    /// Backing reads, in calls.
    pub preads: u64,
    /// What they returned.
    pub pread_bytes: u64,
}

/// One text.
pub(super) struct Text {
    pub name: &'static str,
    /// Permission bits: 0444 for numbers, 0400 for what holds paths.
    pub mode: u16,
    /// The text, at least as long as the second argument; `None` while there is no such file.
    pub render: fn(&Sources<'_>, usize) -> Option<String>,
}

/// All of them, in the order of a listing.
pub(super) const TEXTS: [Text; 13] = [
    Text {
        name: "config",
        mode: 0o400,
        render: |sources, len_min| Some(with_comment(sources.config.to_owned(), len_min)),
    },
    Text {
        name: "cores",
        mode: 0o444,
        render: |sources, len_min| Some(with_comment(shares(sources.shares), len_min)),
    },
    Text {
        name: "health",
        mode: 0o444,
        render: |sources, _| Some(format!("{}\n", sources.verdict)),
    },
    Text {
        name: "inflight",
        mode: 0o400,
        render: |sources, len_min| Some(with_comment(sources.operations.inflight.clone(), len_min)),
    },
    Text {
        name: "metrics",
        mode: 0o444,
        render: |sources, len_min| Some(with_help(render_served(sources.snapshot, &[]), len_min)),
    },
    Text {
        name: "metrics.env",
        mode: 0o444,
        render: |sources, len_min| {
            let mut text = String::new();
            plain::encode(&mut text, sources.snapshot);
            Some(with_comment(text, len_min))
        },
    },
    Text {
        name: "metrics.json",
        mode: 0o444,
        render: |sources, len_min| {
            let mut text = String::new();
            json::encode(&mut text, sources.snapshot, sources.identity);
            Some(with_spaces(text, len_min))
        },
    },
    Text {
        name: "metrics.om",
        mode: 0o444,
        render: |sources, len_min| {
            let mut text = String::new();
            openmetrics::encode(&mut text, sources.snapshot, &[]);
            text.truncate(text.len() - END.len());
            Some(with_help(text, len_min))
        },
    },
    Text {
        name: "metrics.prom",
        mode: 0o444,
        render: |sources, len_min| {
            let text = render_served(sources.snapshot, sources.identity);
            Some(with_help(text, len_min))
        },
    },
    Text {
        name: "oplog",
        mode: 0o400,
        render: |sources, len_min| Some(with_comment(sources.operations.oplog.clone(), len_min)),
    },
    Text {
        name: "ready",
        mode: 0o444,
        // A mount that fails is not ready for whoever would begin to use it.
        render: |sources, _| {
            (sources.verdict.state != State::Failing).then(|| "ready\n".to_owned())
        },
    },
    Text {
        name: "schema.json",
        mode: 0o444,
        render: |sources, len_min| Some(with_spaces(sources.schema.to_owned(), len_min)),
    },
    Text {
        name: "slow",
        mode: 0o400,
        render: |sources, len_min| Some(with_comment(sources.operations.slow.clone(), len_min)),
    },
];

fn padded_len(len: usize, len_min: usize) -> usize {
    len.next_multiple_of(ROUND).max(len_min)
}

/// `text`, one HELP line of nothing, and the end mark.
fn with_help(mut text: String, len_min: usize) -> String {
    let len = padded_len(text.len() + prometheus::PAD_MIN + END.len(), len_min);
    prometheus::pad(&mut text, len - END.len());
    text.push_str(END);
    text
}

/// `text` and a comment, as shells and many configuration files have them.
fn with_comment(mut text: String, len_min: usize) -> String {
    const HEAD: &str = "#";
    let len = padded_len(text.len() + HEAD.len() + 1, len_min);
    text.push_str(HEAD);
    text.extend(std::iter::repeat_n(' ', len - text.len() - 1));
    text.push('\n');
    text
}

/// One JSON text, whose end may be any white space.
fn with_spaces(mut text: String, len_min: usize) -> String {
    text.truncate(text.trim_end().len());
    let len = padded_len(text.len() + 1, len_min);
    text.extend(std::iter::repeat_n(' ', len - text.len() - 1));
    text.push('\n');
    text
}

/// A table of what the threads have done. The first two rows are no threads: they sum up those that ended, and those that
/// found no room to count by themselves.
fn shares(shares: &[Share]) -> String {
    let mut text = String::from("# thread inline_requests preads pread_bytes\n");
    for (index, share) in shares.iter().enumerate() {
        let thread = match index {
            0 => "ended".to_owned(),
            1 => "others".to_owned(),
            _ => (index - 2).to_string(),
        };
        let Share {
            inline_requests,
            preads,
            pread_bytes,
        } = share;
        writeln!(text, "{thread} {inline_requests} {preads} {pread_bytes}")
            .expect("a String takes whatever is written to it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_padded_to_blocks_and_never_shrink() {
        for pad in [with_help, with_comment, with_spaces] {
            for len in [0, 1, 4030, 4089, 4090, 4095, 4096, 5000] {
                let text = pad("x".repeat(len), 0);
                assert_eq!(text.len() % ROUND, 0, "{len}");
                assert!(text.len() - len < 2 * ROUND && text.ends_with('\n'));
                assert_eq!(pad("x".repeat(len), 3 * ROUND).len(), 3 * ROUND);
            }
        }
    }
}
