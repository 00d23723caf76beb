//! `musefs scan`: progress while it runs, a summary at the end.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};
use musefs_core::metrics::Metrics;
use musefs_core::scan::{Milestone, Occurrences, Progress, ScanOptions, ScanReport, scan};
use musefs_core::store::Store;
use musefs_telemetry::{Engine, MetricSet as _};
use parking_lot::Mutex;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Failure;
use crate::cli::{EXIT_DONE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, ScanArgs};
use crate::{control, files};

/// Places named per reason in the summary.
pub(super) const PLACES_SHOWN_MAX: usize = 5;
/// Time between two lines of plain progress.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a mount has to show what was found.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// Shows how far the scan is: a bar on a terminal, a line now and then otherwise, or nothing.
pub(super) struct Shown {
    pub(super) bar: ProgressBar,
    plain: bool,
    last_line: Mutex<Instant>,
}

impl Shown {
    pub(super) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let plain = !quiet && bar.is_hidden();
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template(
            "{wide_bar} {human_pos}/{human_len} files {per_sec} ETA {eta}",
        )
        .expect("the template is a constant");
        bar.set_style(style);
        Self {
            bar,
            plain,
            last_line: Mutex::new(Instant::now()),
        }
    }

    fn line(&self, text: &str) {
        if self.plain {
            writeln!(io::stderr(), "{text}").ok();
        } else {
            self.bar.suspend(|| writeln!(io::stderr(), "{text}").ok());
        }
    }
}

impl Progress for Shown {
    fn on_found(&self, found: u64) {
        self.bar.set_length(found);
    }

    fn on_done(&self, done: u64) {
        self.bar.set_position(done);
    }

    fn on_problem(&self, path: &Path, reason: &str) {
        if self.plain || !self.bar.is_hidden() {
            self.line(&format!("{}: {reason}", path.display()));
        }
    }

    fn on_milestone(&self, milestone: Milestone) {
        if !self.plain {
            return;
        }
        match milestone {
            Milestone::Walked { found } => {
                self.line(&format!("found {} audio files", HumanCount(found)));
            }
            Milestone::Committed { written } => {
                let mut last = self.last_line.lock();
                if last.elapsed() >= LINE_INTERVAL {
                    *last = Instant::now();
                    let found = self.bar.length().unwrap_or_default();
                    self.line(&format!(
                        "{} files read, {} found",
                        HumanCount(written),
                        HumanCount(found)
                    ));
                }
            }
        }
    }
}

/// What becomes true when somebody asks the program to end.
pub(super) fn cancelled_by_signals() -> io::Result<Arc<AtomicBool>> {
    let cancel = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // The second signal ends the program at once; what was committed stays.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            EXIT_INTERRUPTED.into(),
            Arc::clone(&cancel),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&cancel))?;
    }
    Ok(cancel)
}

/// Scans; the exit code.
///
/// # Errors
/// When nothing could be scanned or the store failed.
pub(super) fn run(args: &ScanArgs) -> Result<u8, Failure> {
    files::raise_descriptor_limit();
    files::refuse_inside_musefs(&args.db, "the store")?;
    let cancel = cancelled_by_signals()?;
    let mut store = Store::create(&args.db)?;
    let options = ScanOptions {
        jobs: args.jobs.and_then(|jobs| NonZeroUsize::new(jobs.into())),
        force: args.force,
        follow_symlinks: args.follow_symlinks,
        skip_properties: args.no_properties,
    };
    let metrics = Metrics::declare(&Engine::new()).context("a metric of the core")?;
    let shown = Shown::new(args.quiet);
    let report = scan(
        &mut store,
        &args.targets,
        &options,
        &metrics,
        &shown,
        &cancel,
    )?;
    shown.bar.finish_and_clear();
    let (synced, unsynced) = control::sync_mounts_of(&args.db, SYNC_TIMEOUT);
    for problem in &report.target_problems {
        writeln!(io::stderr(), "musefs: {problem}").ok();
    }
    if !args.quiet {
        // A reader that has seen enough, or a full disk, takes nothing from the scan.
        print_summary(&report, &args.db, synced, &mut io::stdout().lock()).ok();
    }
    for why in unsynced {
        writeln!(io::stderr(), "musefs: {why}; it will show the scan later").ok();
    }
    let vanished = report.files_seen == 0 && report.missing > 0;
    if vanished {
        writeln!(
            io::stderr(),
            "musefs: not one audio file was found where there were {}: is the disk mounted? Their edits are kept; when the files \
             are back, scan again",
            report.missing
        )
        .ok();
    }
    Ok(if report.cancelled {
        EXIT_INTERRUPTED
    } else if vanished || report.failed() > 0 || !report.target_problems.is_empty() {
        EXIT_SOME_FAILED
    } else {
        EXIT_DONE
    })
}

fn print_summary(
    report: &ScanReport,
    db: &Path,
    synced: u64,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let head = if report.cancelled {
        "Interrupted"
    } else {
        "Scanned"
    };
    let elapsed = report.elapsed;
    let took = if elapsed < Duration::from_secs(60) {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        HumanDuration(elapsed).to_string()
    };
    writeln!(
        out,
        "{head} {} audio files in {took}: {} new, {} changed, {} moved, {} unchanged, {} gone, {} failed",
        HumanCount(report.files_seen),
        HumanCount(report.added),
        HumanCount(report.updated),
        HumanCount(report.moved),
        HumanCount(report.unchanged),
        HumanCount(report.missing),
        HumanCount(report.failed()),
    )?;
    writeln!(
        out,
        "Read {} of {} files in {} reads",
        HumanBytes(report.scan_bytes_read),
        HumanCount(report.scan_opens),
        HumanCount(report.scan_preads),
    )?;
    if report.outdated > 0 {
        writeln!(
            out,
            "Read {} again that another version of musefs had read; edits are kept",
            HumanCount(report.outdated)
        )?;
    }
    let failures = report
        .failures
        .iter()
        .map(|(failure, found)| (failure.as_str(), found));
    print_occurrences("Failed", failures, out)?;
    let warnings = report
        .warnings
        .iter()
        .map(|(warning, found)| (warning.as_str(), found));
    print_occurrences("Noted", warnings, out)?;
    if synced > 0 {
        let mounts = if synced == 1 { "mount" } else { "mounts" };
        writeln!(out, "Shown by {synced} {mounts} of this store")?;
    }
    if report.cancelled {
        writeln!(
            out,
            "What was read is kept in {}; the next scan goes on from there",
            db.display()
        )?;
    }
    Ok(())
}

fn print_occurrences<'a>(
    title: &str,
    found: impl Iterator<Item = (&'a str, &'a Occurrences)>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    for (name, occurrences) in found {
        writeln!(out, "{title}: {name} {}", HumanCount(occurrences.count))?;
        for place in occurrences.places.iter().take(PLACES_SHOWN_MAX) {
            writeln!(out, "  {}: {}", place.path.display(), place.detail)?;
        }
        let rest = occurrences.count.saturating_sub(PLACES_SHOWN_MAX as u64);
        if rest > 0 {
            writeln!(out, "  and {} more", HumanCount(rest))?;
        }
    }
    Ok(())
}
