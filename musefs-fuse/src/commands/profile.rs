//! `musefs profile`: the operations of a while, summed up, and where their time went in words.

mod sums;
mod words;

use std::io::{self, IsTerminal as _, Write};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use indicatif::HumanCount;

use self::sums::{Groups, Part, Sums};
use self::words::{percent, took, words};
use super::Failure;
use super::metrics::print::watch_signals;
use super::trace::{ended_silently, say_to_user};
use crate::cli::{EXIT_DONE, ProfileArgs};
use crate::control::trace::{Following, Heard, Line, Wanted};
use crate::metrics::nanoseconds;

/// How many groups of each kind are printed.
const GROUPS_PRINTED: usize = 10;
/// How long what ended before the end may take to be told.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often a terminal is told how far it is.
const PROGRESS: Duration = Duration::from_millis(200);

/// Watches and tells; the exit code.
///
/// # Errors
/// When the mount does not answer, or ends without a word.
pub(super) fn run(args: &ProfileArgs) -> Result<u8, Failure> {
    let wanted = Wanted {
        follow: true,
        ..Wanted::default()
    };
    let asked = watch_signals()?;
    let mut following = Following::begin(&args.mount, &wanted)?;
    let watching = Watching {
        begun: Instant::now(),
        limit: args.seconds,
        shows: io::stderr().is_terminal(),
    };
    let mut sums = Sums::default();
    say_to_user(&format!(
        "watching {} for {} s; Ctrl-C ends it and prints",
        args.mount.display(),
        args.seconds.as_secs_f64()
    ));
    let watched = watching.watch(&mut following, &asked, &mut sums);
    watching.clear();
    let ended = match watched? {
        Ended::Whole(watched) => watched,
        Ended::Closed => return Err(ended_silently(args.mount.display()).into()),
        Ended::Silent => return Err(anyhow::anyhow!("{}", following.mount()).into()),
    };
    let watched_ns = nanoseconds(ended);
    let words = words(&sums, watched_ns);
    // A reader that has seen enough takes nothing from what was told.
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", sums.to_json(watched_ns, &words)).ok();
    } else {
        print(&sums, &words, &mut out).ok();
    }
    Ok(EXIT_DONE)
}

/// How watching ended.
enum Ended {
    /// With all that there was to tell, after so long.
    Whole(Duration),
    /// The mount is gone.
    Closed,
    /// The mount does not answer.
    Silent,
}

/// For how long, and since when.
struct Watching {
    begun: Instant,
    limit: Duration,
    /// Whether somebody sees how far it is.
    shows: bool,
}

impl Watching {
    fn watch(
        &self,
        following: &mut Following,
        asked: &Receiver<()>,
        sums: &mut Sums,
    ) -> io::Result<Ended> {
        let mut finished: Option<Instant> = None;
        let mut shown = self.begun;
        loop {
            match following.hear()? {
                Heard::Line(Line::Operation(operation)) => sums.add(*operation),
                Heard::Line(Line::Missed { operations }) => sums.missed += operations,
                Heard::Line(Line::End { .. }) => {
                    let ended = finished.unwrap_or_else(Instant::now);
                    return Ok(Ended::Whole(ended - self.begun));
                }
                Heard::Line(Line::Quiet) | Heard::Nothing => {}
                Heard::Closed => return Ok(Ended::Closed),
            }
            let is_over = || self.begun.elapsed() >= self.limit || asked.try_recv().is_ok();
            match finished {
                None if is_over() => {
                    // The mount tells what ended until it hears this.
                    finished = Some(Instant::now());
                    following.finish();
                }
                Some(finished) if finished.elapsed() >= LAST_WORDS => return Ok(Ended::Silent),
                _ => {}
            }
            if self.shows && shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                self.show(sums);
            }
        }
    }

    fn show(&self, sums: &Sums) {
        write!(
            io::stderr(),
            "\r{:.0} of {:.0} s, {} operations\x1b[K",
            self.begun.elapsed().as_secs_f64(),
            self.limit.as_secs_f64(),
            HumanCount(sums.all.operations)
        )
        .ok();
    }

    fn clear(&self) {
        if self.shows {
            write!(io::stderr(), "\r\x1b[K").ok();
        }
    }
}

/// The words first, the numbers that they follow from below.
fn print(sums: &Sums, words: &[String], out: &mut impl Write) -> io::Result<()> {
    for sentence in words {
        writeln!(out, "{sentence}")?;
    }
    if sums.all.operations == 0 {
        return Ok(());
    }
    writeln!(out, "\nby phase")?;
    let mut parts = Part::ALL.map(|part| (sums.parts[part as usize], part));
    parts.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns));
    for (ns, part) in parts.into_iter().filter(|(ns, _)| *ns > 0) {
        let share = percent(ns, sums.all.ns);
        writeln!(out, "{:>10} {share:>3} %  {}", took(ns), part.name())?;
    }
    for (title, groups) in [
        ("by operation", &sums.by_operation),
        ("by directory", &sums.by_directory),
        ("by process", &sums.by_process),
    ] {
        print_groups(title, groups, sums.all.ns, out)?;
    }
    Ok(())
}

fn print_groups(
    title: &str,
    groups: &Groups,
    whole_ns: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "\n{title}")?;
    let groups = groups.by_time();
    for (name, group) in groups.iter().take(GROUPS_PRINTED) {
        let share = percent(group.ns, whole_ns);
        let count = HumanCount(group.operations).to_string();
        write!(
            out,
            "{:>10} {share:>3} % {count:>9}  {name}",
            took(group.ns)
        )?;
        if group.failed > 0 {
            write!(out, " ({} failed)", HumanCount(group.failed))?;
        }
        writeln!(out)?;
    }
    if let Some(more) = groups
        .len()
        .checked_sub(GROUPS_PRINTED)
        .filter(|more| *more > 0)
    {
        writeln!(out, "           and {more} more")?;
    }
    Ok(())
}

/// An operation as a mount would tell of it.
#[cfg(test)]
fn made_up(
    operation: &str,
    path: &str,
    command: &str,
    phases: &[(&str, u64)],
    duration_ns: u64,
) -> crate::control::trace::Operation {
    let phase = |(name, duration_ns): &(&str, u64)| crate::control::trace::Phase {
        name: (*name).into(),
        duration_ns: *duration_ns,
    };
    crate::control::trace::Operation {
        ended_unix_ms: 0,
        request: "1".into(),
        cause: None,
        leader: None,
        operation: operation.into(),
        outcome: "ok".into(),
        duration_ns,
        path: path.into(),
        pid: Some(1),
        command: Some(command.into()),
        phases: Some(phases.iter().map(phase).collect()),
        tiers: Some(Vec::new()),
        bytes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_follow_the_words() {
        let mut sums = Sums::default();
        for index in 0..12 {
            let path = format!("d{index}/e/f.flac");
            sums.add(made_up(
                "read",
                &path,
                "mpd",
                &[("backing", 900_000)],
                1_000_000,
            ));
        }
        let mut out = Vec::new();
        print(&sums, &["Words.".into()], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("Words.\n\nby phase\n     11 ms  90 %  backing\n"),
            "{text}"
        );
        assert!(
            text.contains("     12 ms 100 %        12  read\n"),
            "{text}"
        );
        assert!(text.contains("           and 2 more\n"), "{text}");
        let mut out = Vec::new();
        print(&Sums::default(), &["Nothing.".into()], &mut out).unwrap();
        assert_eq!(out, b"Nothing.\n");
    }
}
