//! Printing the metrics of a mount or file, once or again and again.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exposition::{Format, looks_like};
use super::filter::{Filter, families, holds_nothing};
use super::patience::Patient;
use super::source::{Mounted, Source, read};
use crate::cli::{EXIT_DONE, EXIT_INTERRUPTED, FormatArg, PrintArgs};
use crate::commands::Failure;

/// Home, then all that follows cleared: the terminal shows one text at a time.
const CLEAR: &str = "\x1b[H\x1b[2J";
/// What stands between two texts where they go on in a file or pipe.
const BETWEEN: &str = "---\n";

/// Prints; the exit code.
///
/// # Errors
/// When there is no such mount or file, or it has no such text.
pub(super) fn run(args: &PrintArgs) -> Result<u8, Failure> {
    let mut patient = Patient::default();
    let mut look = || {
        let own = args.clone();
        patient.look(args.source.as_deref(), move || look(&own))
    };
    let Some(interval) = args.watch else {
        say(&look()?)?;
        return Ok(EXIT_DONE);
    };
    let ended = watch_signals()?;
    // What is wrong from the beginning is wrong usage more often than a mount that will come.
    let mut next: Result<String> = Ok(look()?);
    let clears = io::stdout().is_terminal();
    let mut is_first = true;
    loop {
        let before = match (clears, is_first) {
            (true, _) => CLEAR,
            (false, true) => "",
            (false, false) => BETWEEN,
        };
        is_first = false;
        let goes_on = match next {
            Ok(text) => say(&format!("{before}{text}"))?,
            Err(error) => {
                let error: Failure = error.into();
                writeln!(io::stderr(), "musefs: {error}; looking again").is_ok()
            }
        };
        if !goes_on || !waits(&ended, interval) {
            return Ok(EXIT_DONE);
        }
        next = look();
    }
}

/// Told of the first signal that asks the program to end. The second ends it, whatever it is waiting for.
pub fn watch_signals() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let (ask, asked) = mpsc::channel();
    std::thread::Builder::new()
        .name("musefs-signal".into())
        .spawn(move || {
            let mut signals = signals.forever();
            // Who no longer listens is at its end.
            if signals.next().is_some() && ask.send(()).is_ok() && signals.next().is_some() {
                std::process::exit(EXIT_INTERRUPTED.into());
            }
        })?;
    Ok(asked)
}

/// Waits for `interval`; whether to go on after it.
pub fn waits(ended: &Receiver<()>, interval: Duration) -> bool {
    ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout)
}

/// Writes to standard output; whether somebody still reads it.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn say(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// What is to be printed now.
fn look(args: &PrintArgs) -> Result<String> {
    let source = match &args.source {
        Some(path) => Source::of(path)?,
        None => Source::only_mount()?,
    };
    let filter = Filter(args.name.as_ref());
    let kept = match source {
        Source::File(path) => of_file(&path, args.format, filter)?,
        Source::Mount(mount) => of_mount(&mount, args.format.unwrap_or(FormatArg::Text), filter)?,
    };
    if let Some(pattern) = args.name.as_ref().filter(|_| holds_nothing(&kept)) {
        bail!(
            "no metric is called `{pattern}`: `musefs metrics list` names all, and * stands for any text"
        );
    }
    Ok(kept)
}

fn of_mount(mount: &Mounted, format: FormatArg, filter: Filter<'_>) -> Result<String> {
    let name = match format {
        FormatArg::Text => "metrics",
        FormatArg::Om => "metrics.om",
        FormatArg::Json => "metrics.json",
        FormatArg::Env => "metrics.env",
    };
    let text = mount.text(name)?;
    let kept = match format {
        FormatArg::Text => filter.text(&text, Format::Text),
        FormatArg::Om => filter.text(&text, Format::Open),
        FormatArg::Json => filter.json(&text),
        FormatArg::Env => {
            let names = mount.text("metrics")?;
            filter.env(&text, &families(&String::from_utf8_lossy(&names)))
        }
    };
    kept.with_context(|| {
        format!(
            "{} is not what a mount of this version has",
            mount.called(name)
        )
    })
}

fn of_file(path: &Path, format: Option<FormatArg>, filter: Filter<'_>) -> Result<String> {
    let wanted = match format {
        None => None,
        Some(FormatArg::Text) => Some(Format::Text),
        Some(FormatArg::Om) => Some(Format::Open),
        Some(FormatArg::Json | FormatArg::Env) => bail!(
            "{} is a file: it is printed in its own format, Prometheus text or OpenMetrics; only a mount has others",
            path.display()
        ),
    };
    let text = read(path)?;
    let found = looks_like(&String::from_utf8_lossy(&text));
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        bail!(
            "{} is {}, and {} was asked for: a file is printed in its own format",
            path.display(),
            found.name(),
            wanted.name()
        );
    }
    filter.text(&text, found).with_context(|| {
        format!(
            "{} is neither Prometheus text nor OpenMetrics, which are the formats of files",
            path.display()
        )
    })
}
