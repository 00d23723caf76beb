//! `musefs trace`: single operations of a mount, a line for each, as they were kept or as they complete.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::Failure;
use super::metrics::print::watch_signals;
use crate::cli::{EXIT_DONE, TraceArgs};
use crate::control::trace::{Following, Heard, Line, Operation, Phase, Tier, Wanted};
use crate::metrics_files::seconds;

/// What stands for something that is not known.
const UNKNOWN: &str = "-";
/// The words of each line.
const HEADER: &str =
    "# time seconds request because operation outcome pid command phases tiers bytes path";
/// How long what ended before Ctrl-C may take to be told.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Tells; the exit code.
///
/// # Errors
/// When the mount does not answer or ends without a word, or standard output takes no more. A reader that has seen enough is no
/// error.
pub(super) fn run(args: &TraceArgs) -> Result<u8, Failure> {
    let wanted = Wanted {
        operations: args.op.clone(),
        least_ns: args.slower_than.map_or(0, crate::metrics::nanoseconds),
        follow: args.follow,
    };
    let asked = watch_signals()?;
    let mut following = Following::begin(&args.mount, &wanted)?;
    if args.follow {
        say_to_user(&format!("following {}; Ctrl-C ends", args.mount.display()));
    }
    let mut out = Out {
        to: BufWriter::new(io::stdout().lock()),
        json: args.json,
    };
    let mut give_up_at: Option<Instant> = None;
    let mut is_told_silent = false;
    let mut told = out.begin();
    while let Ok(()) = told {
        if give_up_at.is_none() && asked.try_recv().is_ok() {
            following.finish();
            give_up_at = Some(Instant::now() + LAST_WORDS);
        }
        if give_up_at.is_some_and(|moment| Instant::now() >= moment) {
            break;
        }
        told = match following.hear()? {
            Heard::Line(Line::Operation(operation)) => out.operation(&operation),
            Heard::Line(Line::Missed { operations }) => out.missed(operations),
            Heard::Line(Line::End { mount_ends }) => {
                if mount_ends {
                    say_to_user(&format!("the mount at {} ended", args.mount.display()));
                }
                break;
            }
            Heard::Line(Line::Quiet) => {
                is_told_silent = false;
                Ok(())
            }
            Heard::Nothing => {
                if following.is_silent() && !is_told_silent {
                    say_to_user(&format!("{}; still following", following.mount()));
                    is_told_silent = true;
                }
                Ok(())
            }
            Heard::Closed => {
                out.to.flush().ok();
                return Err(ended_silently(args.mount.display()).into());
            }
        };
        if told.is_ok() && following.is_drained() {
            told = out.to.flush();
        }
    }
    match told.and_then(|()| out.to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(EXIT_DONE),
    }
}

/// The error for a mount that went away in the middle.
pub(super) fn ended_silently(mount: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the mount at {mount} ended without a word: it was killed, or left a thread behind")
}

/// Tells the user, beside what is printed for whoever reads that.
pub(super) fn say_to_user(what: &str) {
    writeln!(io::stderr(), "musefs: {what}").ok();
}

struct Out<W: Write> {
    to: W,
    json: bool,
}

impl<W: Write> Out<W> {
    fn begin(&mut self) -> io::Result<()> {
        if self.json {
            Ok(())
        } else {
            writeln!(self.to, "{HEADER}")
        }
    }

    fn operation(&mut self, operation: &Operation) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut self.to, operation)?;
            self.to.write_all(b"\n")
        } else {
            writeln!(self.to, "{}", line(operation))
        }
    }

    fn missed(&mut self, operations: u64) -> io::Result<()> {
        if self.json {
            writeln!(self.to, "{{\"missed\":{operations}}}")
        } else {
            let (s, were) = if operations == 1 {
                ("", "was")
            } else {
                ("s", "were")
            };
            writeln!(
                self.to,
                "# … {operations} operation{s} {were} not told: too fast"
            )
        }
    }
}

/// One line of words, as [`HEADER`] names them.
fn line(operation: &Operation) -> String {
    let Operation {
        ended_unix_ms,
        request,
        operation: name,
        outcome,
        path,
        ..
    } = operation;
    let mut line = format!(
        "{}.{:03} {} {request} {} {name} {outcome}",
        ended_unix_ms / 1_000,
        ended_unix_ms % 1_000,
        seconds(operation.duration_ns),
        because(operation)
    );
    let mut word = |word: Option<String>| {
        let word = word.filter(|word| !word.is_empty());
        write!(line, " {}", word.as_deref().unwrap_or(UNKNOWN))
            .expect("a String takes whatever is written to it");
    };
    word(operation.pid.map(|pid| pid.to_string()));
    word(operation.command.clone());
    word(operation.phases.as_ref().map(|phases| {
        let part = |phase: &Phase| format!("{}={}", phase.name, seconds(phase.duration_ns));
        phases.iter().map(part).collect::<Vec<_>>().join(",")
    }));
    word(operation.tiers.as_ref().map(|tiers| {
        let part = |tier: &Tier| {
            let fallback = if tier.fallback { "(fallback)" } else { "" };
            format!("{}={}{fallback}", tier.name, tier.outcome)
        };
        tiers.iter().map(part).collect::<Vec<_>>().join(",")
    }));
    word(operation.bytes.map(|bytes| bytes.to_string()));
    line.push(' ');
    line.push_str(path);
    line
}

/// The other request that an operation has to do with, as one word.
fn because(operation: &Operation) -> String {
    match (&operation.leader, &operation.cause) {
        (Some(leader), _) => format!("leader={leader}"),
        (None, Some(cause)) => format!("cause={cause}"),
        (None, None) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation() -> Operation {
        Operation {
            ended_unix_ms: 1_700_000_000_007,
            request: "42".into(),
            cause: None,
            leader: Some("41".into()),
            operation: "read".into(),
            outcome: "EIO".into(),
            duration_ns: 1_234_567,
            path: "Abba/Gold 1.flac".into(),
            pid: Some(7),
            command: Some("mpd".into()),
            phases: Some(vec![
                Phase {
                    name: "queue".into(),
                    duration_ns: 1_000,
                },
                Phase {
                    name: "backing".into(),
                    duration_ns: 1_000_000,
                },
            ]),
            tiers: Some(vec![Tier {
                name: "backing".into(),
                outcome: "error".into(),
                fallback: true,
            }]),
            bytes: Some(0),
        }
    }

    #[test]
    fn a_line_has_a_word_for_each_part_and_the_path_last() {
        assert_eq!(
            line(&operation()),
            "1700000000.007 0.001234 42 leader=41 read EIO 7 mpd queue=0.000001,backing=0.001000 backing=error(fallback) 0 Abba/Gold 1.flac"
        );
        let bare = Operation {
            leader: None,
            pid: None,
            command: None,
            phases: Some(Vec::new()),
            tiers: None,
            bytes: None,
            ..operation()
        };
        assert_eq!(
            line(&bare),
            "1700000000.007 0.001234 42 - read EIO - - - - - Abba/Gold 1.flac"
        );
        assert_eq!(HEADER.split(' ').count() - 1, 12);
    }

    #[test]
    fn what_was_missed_is_told_in_both_forms() {
        let printed = |json, operations| {
            let mut out = Out {
                to: Vec::new(),
                json,
            };
            out.missed(operations).unwrap();
            String::from_utf8(out.to).unwrap()
        };
        assert_eq!(printed(true, 12), "{\"missed\":12}\n");
        assert_eq!(
            printed(false, 12),
            "# … 12 operations were not told: too fast\n"
        );
        assert_eq!(
            printed(false, 1),
            "# … 1 operation was not told: too fast\n"
        );
    }
}
