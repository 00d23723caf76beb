use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::*;

/// What each macro says an event of it matters.
const MACROS: [(&str, Level); 4] = [
    ("event_error!(", Level::Error),
    ("event_warn!(", Level::Warn),
    ("event_info!(", Level::Info),
    ("event_debug!(", Level::Debug),
];

/// Every source below `directory`, as one text each, without its tests.
fn sources(directory: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_stem().is_none_or(|stem| stem != "tests")
        {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn all_sources() -> Vec<String> {
    let mut texts = Vec::new();
    for part in ["src", "../musefs-core/src"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(part);
        sources(&directory, &mut texts);
    }
    assert!(texts.len() > 50, "the sources are there");
    texts
}

#[test]
fn every_event_of_the_sources_is_told_of_and_none_else() {
    let mut said = BTreeMap::from([(super::super::libraries::NAME, Level::Error)]);
    let texts = all_sources();
    for text in &texts {
        for (name, level) in MACROS {
            for call in text.split(name).skip(1) {
                let event = call.split('"').nth(1).expect("an event has a name");
                let before = said.insert(event, level);
                assert!(before.is_none_or(|before| before == level), "{event}");
            }
        }
    }
    let told: BTreeMap<&str, Level> = EVENTS
        .iter()
        .map(|(name, level, _)| (*name, *level))
        .collect();
    assert_eq!(said, told);
    assert!(EVENTS.is_sorted_by_key(|(name, _, _)| name));
    assert_eq!(told.len(), EVENTS.len(), "each once");
}

#[test]
fn nothing_is_said_past_the_events() {
    let past = ["tracing", "log"].map(|library| {
        ["error", "warn", "info", "debug", "trace"].map(|level| format!("{library}::{level}!("))
    });
    for text in all_sources() {
        for call in past.iter().flatten() {
            assert!(!text.contains(call), "{call}");
        }
    }
}

#[test]
fn the_page_has_the_events() {
    let mut table = String::from("| event | level | what it means, or asks for |\n|---|---|---|\n");
    for (name, level, advice) in EVENTS {
        let level = match *name {
            super::super::libraries::NAME => "any".to_owned(),
            _ => level.name().to_ascii_lowercase(),
        };
        writeln!(table, "| `{name}` | {level} | {advice} |").unwrap();
    }
    crate::kept::table("docs/monitoring.md", &table);
}
