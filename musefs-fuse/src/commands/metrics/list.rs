//! `musefs metrics list`: what a mount measures, for people, for programs, and as `docs/metrics.md`.
//!
//! All of it is read from an engine with which everything is declared as a mount declares it; what to do when a number is bad
//! is said in the table of advice, which has every family and no other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Result;
use musefs_telemetry::Family;
use serde::Serialize;

use super::advice::GROUPS;
use crate::cli::{EXIT_DONE, ListArgs};
use crate::commands::Failure;
use crate::commands::mount::catalogue;

/// A family, for programs.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    r#type: &'a str,
    unit: &'a str,
    stability: &'a str,
    labels: Vec<LabelEntry>,
    tells: &'a str,
    when_bad: &'a str,
}

#[derive(Serialize)]
struct LabelEntry {
    name: &'static str,
    values: &'static [&'static str],
}

/// Prints; the exit code.
///
/// # Errors
/// When standard output takes no more. A reader that has seen enough is no error.
pub(super) fn run(args: &ListArgs) -> Result<u8, Failure> {
    let families = catalogue()?;
    let text = if args.json {
        json(&families)?
    } else if args.markdown {
        markdown(&families)
    } else {
        plain(&families)
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(EXIT_DONE),
    }
}

/// What to do when the family called `name` is bad.
fn advice(name: &str) -> Option<&'static str> {
    let mut all = GROUPS.iter().flat_map(|group| group.families);
    all.find(|(family, _)| *family == name)
        .map(|(_, advice)| *advice)
}

/// `op`, `errno`, and so on.
fn label_names(family: &Family) -> Vec<&'static str> {
    family.labels.iter().map(|label| label.name).collect()
}

fn plain(families: &[&'static Family]) -> String {
    let mut text = String::new();
    for family in families {
        let labels = match label_names(family) {
            names if names.is_empty() => String::new(),
            names => format!("{{{}}}", names.join(",")),
        };
        let _ = writeln!(
            text,
            "{}{labels}  {}\n    {}",
            family.name,
            family.kind.as_str(),
            family.help
        );
    }
    text.push_str("\nmusefs metrics list --markdown tells what to do when a number is bad, too.\n");
    text
}

fn json(families: &[&'static Family]) -> serde_json::Result<String> {
    let entries: Vec<Entry> = families
        .iter()
        .map(|family| Entry {
            name: family.name,
            r#type: family.kind.as_str(),
            unit: family.unit.as_str(),
            stability: family.stability.as_str(),
            labels: family
                .labels
                .iter()
                .map(|label| LabelEntry {
                    name: label.name,
                    values: label.values,
                })
                .collect(),
            tells: family.help,
            when_bad: advice(family.name).unwrap_or_default(),
        })
        .collect();
    let all = BTreeMap::from([("families", entries)]);
    serde_json::to_string_pretty(&all).map(|text| text + "\n")
}

/// The page `docs/metrics.md`.
fn markdown(families: &[&'static Family]) -> String {
    let mut page = String::from(INTRODUCTION);
    let by_name: BTreeMap<&str, &Family> = families
        .iter()
        .map(|family| (family.name, *family))
        .collect();
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in GROUPS {
        let _ = writeln!(
            page,
            "\n## {}\n\n| metric | type | tells | when it is bad |\n|---|---|---|---|",
            group.title
        );
        for (name, advice) in group.families {
            let Some(family) = by_name.get(name) else {
                continue;
            };
            let own: Vec<String> = label_names(family)
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let by = if own.is_empty() {
                String::new()
            } else {
                format!(" by {}", own.join(", "))
            };
            let _ = writeln!(
                page,
                "| `{name}` | {}{by} | {} | {} |",
                family.kind.as_str(),
                cell(family.help),
                cell(advice)
            );
            // A label with one value tells of the program that prints this, not of the page's reader's.
            for label in family.labels.iter().filter(|label| label.values.len() > 1) {
                let known = labels.entry(label.name).or_default();
                for value in label.values {
                    if !known.contains(value) {
                        known.push(value);
                    }
                }
            }
        }
    }
    page.push_str(LABELS);
    for (label, values) in labels {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let _ = writeln!(page, "| `{label}` | {} |", values.join(" "));
    }
    page
}

const INTRODUCTION: &str = "\
# Metrics

This page is printed by `musefs metrics list --markdown`; `musefs metrics list --json` tells programs the same, and
[monitoring.md](monitoring.md) how to get at the numbers.

Counters count since the mount was made and end in `_total`: what matters is how fast they grow. A number that cannot be known is
left out. Seconds and bytes are plain numbers, never thousands of them. Names, types and labels stay as they are.
";

const LABELS: &str = "
## Labels

Each label has a closed list of values, but for those of `musefs_build_info` and for `client`, where `#1` to `#16` stand for names
of programs; not every family with the label has all of them.

| label | values |
|---|---|
";

/// Text within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests;
