//! Tags as JSON, out and in: an array of objects, one for each track. What comes out goes in again and changes nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use musefs_core::formats::Tag;
use musefs_core::store::{TrackId, TrackTags};
use serde::{Deserialize, Serialize};

use super::change::{Change, Keys, check};

/// Bytes of JSON that are read.
const JSON_BYTES_MAX: u64 = 1 << 30;

/// One track.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The audio file. Checked where it is given, so that JSON of another store is not taken for this one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Where a mount shows it, if it was asked for by that path. Not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served: Option<String>,
    /// The row of the store.
    pub(super) track: i64,
    /// The values of some keys: none take the key away, and a key that is left out stays as it is.
    tags: BTreeMap<String, Vec<String>>,
}

impl Entry {
    pub(super) fn of(
        track: &TrackTags,
        served: Option<&Path>,
        wanted: impl Fn(&&Tag) -> bool,
    ) -> Self {
        let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for tag in track.tags.iter().filter(wanted) {
            tags.entry(tag.key.clone())
                .or_default()
                .push(tag.value.clone());
        }
        Self {
            path: Some(track.path.to_string_lossy().into_owned()),
            served: served.map(|path| path.to_string_lossy().into_owned()),
            track: track.id.0,
            tags,
        }
    }

    pub(super) fn id(&self) -> TrackId {
        TrackId(self.track)
    }

    /// Whether this is about that track.
    pub(super) fn check(&self, track: &TrackTags) -> Result<()> {
        match &self.path {
            Some(path) if *path != track.path.to_string_lossy() => bail!(
                "track {} of this store is {}, not {path}: is the JSON of another store?",
                self.track,
                track.path.display()
            ),
            _ => Ok(()),
        }
    }

    /// What it is to change.
    pub(super) fn change(&self, known: &Keys) -> Result<Change> {
        let mut set: Vec<(String, Vec<String>)> = Vec::new();
        for (key, values) in &self.tags {
            check(key, "").with_context(|| format!("track {}", self.track))?;
            let name = known.name(key);
            for value in values {
                check(&name, value).with_context(|| format!("track {}", self.track))?;
            }
            match set.iter_mut().find(|(known, _)| *known == name) {
                // Another spelling of the same key.
                Some((_, all)) => all.extend(values.iter().cloned()),
                None => set.push((name, values.clone())),
            }
        }
        Ok(Change::Set(set))
    }
}

/// Writes entries, one to a line, so that `diff` and `grep` are of use.
pub(super) fn write(out: &mut impl Write, entries: &[Entry]) -> io::Result<()> {
    for (index, entry) in entries.iter().enumerate() {
        out.write_all(if index == 0 { b"[" } else { b",\n " })?;
        serde_json::to_writer(&mut *out, entry)?;
    }
    out.write_all(if entries.is_empty() { b"[]\n" } else { b"]\n" })
}

/// Reads entries from a file, or from standard input where it is `-`.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>> {
    let from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
    };
    let mut text = String::new();
    from.take(JSON_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() as u64 > JSON_BYTES_MAX {
        bail!("{} has more than {JSON_BYTES_MAX} bytes", path.display());
    }
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is not what `musefs tag … get --json` prints",
            path.display()
        )
    })
}
