//! `musefs revalidate`: which of the scanned files are still what the store says, and, if so wished, forgetting those that are
//! gone.

use std::io::{self, Write as _};
use std::num::NonZeroU64;

use anyhow::{Context as _, anyhow};
use indicatif::{HumanBytes, HumanCount};
use musefs_core::metrics::Metrics;
use musefs_core::scan::{RevalidateReport, ScanFailure, ScanOptions, revalidate};
use musefs_core::store::{Store, TrackFailure};
use musefs_telemetry::{Engine, MetricSet as _};
use serde_json::{Map, Value, json};

use super::Failure;
use super::scan::{PLACES_SHOWN_MAX, SYNC_TIMEOUT, Shown, cancelled_by_signals};
use crate::cli::{EXIT_DONE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, RevalidateArgs};
use crate::{control, files};

const MISSING: ScanFailure = ScanFailure::Track(TrackFailure::Missing);

/// Revalidates; the exit code.
///
/// # Errors
/// When there is nothing to look at, the store fails, or what is gone looks like a disk that is not mounted.
pub(super) fn run(args: &RevalidateArgs) -> Result<u8, Failure> {
    files::raise_descriptor_limit();
    files::refuse_inside_musefs(&args.db, "the store")?;
    let cancel = cancelled_by_signals()?;
    let mut store = Store::open(&args.db)?;
    let metrics = Metrics::declare(&Engine::new()).context("a metric of the core")?;
    let shown = Shown::new(true);
    let options = ScanOptions::default();
    let mut report = revalidate(
        &mut store,
        &args.targets,
        &options,
        &metrics,
        &shown,
        &cancel,
    )?;
    shown.bar.finish_and_clear();
    let refused = args.prune && !args.force && !report.absent_roots.is_empty();
    let mut pruned = 0;
    if args.prune && !refused && !report.cancelled {
        pruned = store.forget_missing(&report.missing_tracks())?;
        report.failed.remove(&MISSING);
    }
    let (_, unsynced) = control::sync_mounts_of(&args.db, SYNC_TIMEOUT);
    for problem in &report.target_problems {
        writeln!(io::stderr(), "musefs: {problem}").ok();
    }
    for why in unsynced {
        writeln!(
            io::stderr(),
            "musefs: {why}; it will show what was found later"
        )
        .ok();
    }
    // A reader that has seen enough takes nothing from what was done.
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        writeln!(out, "{:#}", to_json(&report, pruned)).ok();
    } else {
        print(&report, pruned, &mut out).ok();
    }
    out.flush().ok();
    if refused {
        let roots: Vec<String> = report
            .absent_roots
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        return Err(anyhow!(
            "nothing was forgotten: not one file of {} is there; is the disk mounted? --force forgets them all the same",
            roots.join(", ")
        )
        .into());
    }
    Ok(if report.cancelled {
        EXIT_INTERRUPTED
    } else if report.failed.is_empty() && report.target_problems.is_empty() {
        EXIT_DONE
    } else {
        EXIT_SOME_FAILED
    })
}

fn print(report: &RevalidateReport, pruned: u64, out: &mut impl io::Write) -> io::Result<()> {
    let head = if report.cancelled {
        "Interrupted after looking"
    } else {
        "Looked"
    };
    writeln!(
        out,
        "{head} at {} files: {} changed, {} unchanged, {} newly gone; read {} of {}",
        HumanCount(report.checked),
        HumanCount(report.updated),
        HumanCount(report.unchanged),
        HumanCount(report.missing),
        HumanBytes(report.scan_bytes_read),
        HumanCount(report.scan_opens),
    )?;
    for (reason, tracks) in &report.failed {
        let count = HumanCount(tracks.len() as u64);
        writeln!(out, "{}: {count}", reason.as_str())?;
        for (_, path) in tracks.iter().take(PLACES_SHOWN_MAX) {
            writeln!(out, "  {}", path.display())?;
        }
        let rest = tracks.len().saturating_sub(PLACES_SHOWN_MAX) as u64;
        if let Some(rest) = NonZeroU64::new(rest) {
            writeln!(
                out,
                "  and {} more; --json names all",
                HumanCount(rest.get())
            )?;
        }
    }
    if pruned > 0 {
        writeln!(out, "Forgot {} files that are gone", HumanCount(pruned))?;
    }
    for root in &report.absent_roots {
        writeln!(out, "Nothing of {} is there", root.display())?;
    }
    Ok(())
}

fn to_json(report: &RevalidateReport, pruned: u64) -> Value {
    let failed: Map<String, Value> = report
        .failed
        .iter()
        .map(|(reason, tracks)| {
            let paths = tracks.iter().map(|(_, path)| path.to_string_lossy());
            (reason.as_str().to_owned(), json!(paths.collect::<Vec<_>>()))
        })
        .collect();
    let roots = report
        .absent_roots
        .iter()
        .map(|root| root.to_string_lossy());
    json!({
        "checked": report.checked,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "missing": report.missing,
        "pruned": pruned,
        "failed": failed,
        "absent_roots": roots.collect::<Vec<_>>(),
        "files_read": report.scan_opens,
        "bytes_read": report.scan_bytes_read,
        "interrupted": report.cancelled,
    })
}
