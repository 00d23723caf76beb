//! `musefs tag`: shows and edits tags in the store. A whole command is one transaction, and returns when every mount of the
//! store shows it.

mod change;
mod exchange;
mod select;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use indicatif::HumanCount;
use musefs_core::formats::Tag;
use musefs_core::metrics::Metrics;
use musefs_core::scan::reread;
use musefs_core::store::{Finding, Reading, Stamp, Store, TrackId, TrackTags};
use musefs_telemetry::{Engine, MetricSet as _};

use self::change::Keys;
use self::exchange::Entry;
use self::select::Selected;
use self::words::{Action, Words};
use super::Failure;
use crate::cli::{EXIT_DONE, EXIT_SOME_FAILED, TagArgs};
use crate::{control, files};

/// How long a mount has to show an edit.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);

/// Shows or edits; the exit code.
///
/// # Errors
/// When no track is meant, or the edit cannot be made: then nothing is changed.
pub(super) fn run(args: &TagArgs) -> Result<u8, Failure> {
    let words = Words::parse(&args.words).map_err(Failure::usage)?;
    let entries = args.from.as_deref().map(exchange::read).transpose()?;
    if entries.is_some() && !args.words.is_empty() {
        let error =
            anyhow!("--from says itself what to edit: give neither WHERE nor a verb with it");
        return Err(Failure::usage(error));
    }
    if entries.is_none() && words.wheres.is_empty() && !args.all {
        let error = anyhow!(
            "no file and no condition is given before `{}`: --all means every track of the store",
            words.action.verb()
        );
        return Err(Failure::usage(error));
    }
    if args.json && (entries.is_some() || !matches!(words.action, Action::Get(_))) {
        let error = anyhow!("--json goes with `get` alone");
        return Err(Failure::usage(error));
    }
    let db = select::store_meant(args.db.as_deref(), &words.wheres)?;
    files::refuse_inside_musefs(&db, "the store")?;
    let store = Store::open(&db)?;
    let mut edit = Edit {
        dry_run: args.dry_run,
        db: &db,
        store,
    };
    if let Some(entries) = entries {
        return edit.exchange(&entries);
    }
    let selected = select::tracks(&edit.store, &words.wheres)?;
    let tracks = edit.store.tags_of_tracks(&selected.tracks)?;
    if tracks.is_empty() {
        return Err(anyhow!("no track is meant: the conditions hold for none").into());
    }
    match &words.action {
        Action::Get(keys) => {
            show(&tracks, keys, &selected, args.json);
            Ok(EXIT_DONE)
        }
        Action::Change(change) => {
            let mut change = change.clone();
            change.name_keys(&Keys::of(&tracks));
            let ids: Vec<TrackId> = tracks.iter().map(|track| track.id).collect();
            edit.retag(&ids, |track| change.apply(&track.tags))
        }
        Action::Diff => edit.diff(&tracks),
        Action::Revert => edit.revert(&tracks),
    }
}

/// The tags that somebody asked for.
fn show(tracks: &[TrackTags], keys: &[String], selected: &Selected, as_json: bool) {
    let known = Keys::of(tracks);
    let keys: Vec<String> = keys.iter().map(|key| known.name(key)).collect();
    let wanted = |tag: &&Tag| keys.is_empty() || keys.contains(&tag.key);
    // A reader that has seen enough takes nothing from what was told.
    let mut out = io::BufWriter::new(io::stdout().lock());
    if as_json {
        let entries: Vec<Entry> = tracks
            .iter()
            .map(|track| {
                let served = selected.served.get(&track.id);
                Entry::of(track, served.map(PathBuf::as_path), wanted)
            })
            .collect();
        exchange::write(&mut out, &entries).ok();
        return;
    }
    for (index, track) in tracks.iter().enumerate() {
        if index > 0 {
            writeln!(out).ok();
        }
        let path = selected.served.get(&track.id).unwrap_or(&track.path);
        writeln!(out, "{}", path.display()).ok();
        for tag in track.tags.iter().filter(wanted) {
            writeln!(out, "{}={}", tag.key, change::on_one_line(&tag.value)).ok();
        }
    }
}

/// An open store that is about to be edited.
struct Edit<'a> {
    dry_run: bool,
    db: &'a Path,
    store: Store,
}

impl Edit<'_> {
    /// Gives tracks the tags that `wanted` makes of theirs.
    fn retag(
        &mut self,
        ids: &[TrackId],
        wanted: impl Fn(&TrackTags) -> Vec<Tag>,
    ) -> Result<u8, Failure> {
        if self.dry_run {
            let mut out = io::BufWriter::new(io::stdout().lock());
            let tracks = self.store.tags_of_tracks(ids)?;
            let changed = tracks
                .iter()
                .filter(|track| {
                    change::print_difference(&mut out, &track.path, &track.tags, &wanted(track))
                })
                .count();
            writeln!(out, "Would change {} of {} tracks", changed, tracks.len()).ok();
            return Ok(EXIT_DONE);
        }
        let changed = self.store.retag(ids, super::now_ns(), wanted)?;
        Ok(self.told("Changed", changed.len() as u64, ids.len() as u64))
    }

    /// Gives tracks the tags that somebody wrote down for them.
    fn exchange(&mut self, entries: &[Entry]) -> Result<u8, Failure> {
        let ids: Vec<TrackId> = entries.iter().map(Entry::id).collect();
        let tracks = self.store.tags_of_tracks(&ids)?;
        let known = Keys::of(&tracks);
        let mut wanted = BTreeMap::new();
        for entry in entries {
            // They are in the order of their ids.
            let track = tracks
                .binary_search_by_key(&entry.id(), |track| track.id)
                .map_err(|_| anyhow!("the store has no track {}", entry.track))?;
            let track = &tracks[track];
            entry.check(track)?;
            if wanted.insert(track.id, entry.change(&known)?).is_some() {
                return Err(anyhow!("track {} is given twice", entry.track).into());
            }
        }
        self.retag(&ids, |track| wanted[&track.id].apply(&track.tags))
    }

    /// What the store has other than the files themselves.
    fn diff(&self, tracks: &[TrackTags]) -> Result<u8, Failure> {
        let metrics = metrics()?;
        let mut code = EXIT_DONE;
        let mut out = io::BufWriter::new(io::stdout().lock());
        for track in tracks {
            match reread(&track.path, &metrics) {
                Ok((_, reading)) => {
                    let parts = &reading.parts;
                    change::print_difference(&mut out, &track.path, &parts.tags, &track.tags);
                    if let Some(held) = self.store.track(track.id)? {
                        let counts = [
                            (
                                "pictures",
                                parts.art != held.art,
                                parts.art.len(),
                                held.art.len(),
                            ),
                            (
                                "kept items",
                                parts.items != held.items,
                                parts.items.len(),
                                held.items.len(),
                            ),
                        ];
                        for (what, differ, own, held) in counts {
                            if differ {
                                writeln!(
                                    out,
                                    "{}: other {what}, {own} in the file and {held} in the store",
                                    track.path.display()
                                )
                                .ok();
                            }
                        }
                    }
                }
                Err(error) => {
                    writeln!(io::stderr(), "musefs: {}: {error}", track.path.display()).ok();
                    code = EXIT_SOME_FAILED;
                }
            }
        }
        Ok(code)
    }

    /// Gives up the edits of those tracks that have some.
    fn revert(&mut self, tracks: &[TrackTags]) -> Result<u8, Failure> {
        let metrics = metrics()?;
        let edited: Vec<&TrackTags> = tracks.iter().filter(|track| track.is_edited).collect();
        let read = edited
            .iter()
            .map(|track| {
                reread(&track.path, &metrics).with_context(|| {
                    format!(
                        "the edits of {} are kept, as all others",
                        track.path.display()
                    )
                })
            })
            .collect::<anyhow::Result<Vec<(Stamp, Reading)>>>()?;
        if self.dry_run {
            let mut out = io::BufWriter::new(io::stdout().lock());
            for (track, (_, reading)) in edited.iter().zip(&read) {
                change::print_difference(&mut out, &track.path, &track.tags, &reading.parts.tags);
            }
            writeln!(
                out,
                "Would give up the edits of {} of {} tracks",
                edited.len(),
                tracks.len()
            )
            .ok();
            return Ok(EXIT_DONE);
        }
        let findings: Vec<Finding<'_>> = edited
            .iter()
            .zip(&read)
            .map(|(track, (stamp, reading))| Finding {
                root: track.root,
                path: &track.relative,
                stamp: *stamp,
                moved_from: None,
                reading: Some(reading),
            })
            .collect();
        let reverted = self.store.revert(&findings, super::now_ns())?;
        Ok(self.told("Gave up the edits of", reverted, tracks.len() as u64))
    }

    /// Waits until every mount shows what was committed, and tells of it; the exit code.
    fn told(&self, what: &str, changed: u64, of: u64) -> u8 {
        let (synced, unsynced) = control::sync_mounts_of(self.db, SYNC_TIMEOUT);
        let shown = match synced {
            0 => String::new(),
            1 => "; shown by 1 mount of this store".into(),
            several => format!("; shown by {several} mounts of this store"),
        };
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{what} {} of {} tracks{shown}",
            HumanCount(changed),
            HumanCount(of)
        )
        .ok();
        for why in &unsynced {
            writeln!(io::stderr(), "musefs: {why}; it will show the edit later").ok();
        }
        if unsynced.is_empty() {
            EXIT_DONE
        } else {
            EXIT_SOME_FAILED
        }
    }
}

fn metrics() -> anyhow::Result<Metrics> {
    match Metrics::declare(&Engine::new()) {
        Ok(metrics) => Ok(metrics),
        Err(error) => bail!("a metric of the core: {error}"),
    }
}
