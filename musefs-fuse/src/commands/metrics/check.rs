//! `musefs metrics check`: every fault of a text of metrics, with its line.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::exposition::{Format, check, looks_like};
use super::patience::Patient;
use super::source::{Source, read, whole};
use crate::cli::{CheckArgs, EXIT_DONE, EXIT_FAILED, TextFormatArg};
use crate::commands::Failure;

/// The text of a mount that is checked.
const TEXT: &str = "metrics";

/// Tells what is wrong, or that nothing is; the exit code.
///
/// # Errors
/// When the text cannot be read.
pub(super) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let (name, text) = if args.source == Path::new("-") {
        let text = whole(io::stdin().lock()).context("cannot read standard input")?;
        ("-".to_owned(), text)
    } else {
        let source = args.source.clone();
        Patient::default().look(Some(&args.source), move || {
            Ok(match Source::of(&source)? {
                Source::Mount(mount) => (mount.called(TEXT), mount.text(TEXT)?),
                Source::File(path) => (source.display().to_string(), read(&path)?),
            })
        })?
    };
    let format = match args.format {
        Some(TextFormatArg::Text) => Format::Text,
        Some(TextFormatArg::Om) => Format::Open,
        None => looks_like(&String::from_utf8_lossy(&text)),
    };
    let report = check(&text, format);
    // A reader that has seen enough takes nothing from what was found.
    let mut out = io::stdout().lock();
    for fault in &report.faults {
        writeln!(out, "{name}:{}: {}", fault.line, fault.what).ok();
    }
    writeln!(out, "{name}: {}: {}", format.name(), report.counted()).ok();
    Ok(if report.faults.is_empty() {
        EXIT_DONE
    } else {
        EXIT_FAILED
    })
}
