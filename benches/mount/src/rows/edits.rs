//! From an edit of a store to what a mount shows, and what that costs in memory.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::bench::Bench;
use crate::corpus;
use crate::mounted::{As, Mounted};
use crate::row::{Cell, Column, Row, Unit};
use crate::store::Editor;

const MUSEFSES: [Column; 2] = [Column::Ours, Column::Theirs];
const REFRESHES: usize = 10;

pub fn measure(bench: &mut Bench) {
    one_edit(bench);
    many_edits(bench);
    refreshes(bench);
}

/// A mount of a store that may be edited, and the way to edit it.
pub struct Edited {
    pub mounted: Mounted,
    pub editor: Editor,
    store: PathBuf,
}

impl Edited {
    pub fn mount(bench: &Bench, column: Column) -> anyhow::Result<Self> {
        let program = bench.program(column)?.to_owned();
        let store = bench.store_to_edit(column, &bench.many)?;
        let mounted = bench.mount_store(&program, &store, &bench.many, As::Self_, &[])?;
        let editor = Editor::open(&store)?;
        Ok(Self {
            mounted,
            editor,
            store,
        })
    }

    /// Puts `tracks` tracks on another album and waits until the last of them is shown there: seconds.
    pub fn retag(&self, tracks: usize, album: &str) -> anyhow::Result<f64> {
        self.editor.set_albums(tracks, album)?;
        let start = Instant::now();
        let last = corpus::names(0);
        let first = PathBuf::from(last.artist).join(album);
        self.mounted.wait_for(&first)?;
        Ok(start.elapsed().as_secs_f64())
    }
}

fn one_edit(bench: &mut Bench) {
    let mut by_sql = Row::new(
        "edit-sql",
        "one title edited by SQL, from the commit until its new name is there",
        Unit::Milliseconds,
    );
    let mut by_tag = Row::new(
        "edit-tag",
        "one title edited by `musefs tag`, new at the first access after it",
        Unit::Milliseconds,
    );
    by_tag.note = "from the start of the command".into();
    if !bench.wants(&[by_sql.id, by_tag.id]) {
        return;
    }
    eprintln!("edits");
    for column in MUSEFSES {
        let edited = match Edited::mount(bench, column) {
            Ok(edited) => edited,
            Err(error) => {
                by_sql.set(column, Cell::Reason(format!("{error:#}")));
                by_tag.set(column, Cell::Reason(format!("{error:#}")));
                continue;
            }
        };
        let mut number = 0;
        let samples = bench.repeat(|| {
            number += 1;
            sql_edit(&edited, number)
        });
        by_sql.set(column, Cell::of(samples));
        let samples = bench.program(column).and_then(|program| {
            bench.repeat(|| {
                number += 1;
                tag_edit(program, &edited, number)
            })
        });
        by_tag.set(column, Cell::of(samples));
    }
    bench.push(by_sql);
    bench.push(by_tag);
}

fn sql_edit(edited: &Edited, number: usize) -> anyhow::Result<f64> {
    let mut names = corpus::names(number);
    let track = edited.editor.track(number)?;
    // The kernel knows what was there before.
    edited.mounted.wait_for(&names.path())?;
    names.title = format!("Edited {number}");
    edited.editor.set_title(track, &names.title)?;
    Ok(edited.mounted.wait_for(&names.path())? * 1e3)
}

fn tag_edit(program: &std::path::Path, edited: &Edited, number: usize) -> anyhow::Result<f64> {
    let mut names = corpus::names(number);
    let old = edited.mounted.at.join(names.path());
    ensure!(old.exists(), "the track is not there");
    names.title = format!("Edited {number}");
    let start = Instant::now();
    let output = Command::new(program)
        .arg("tag")
        .arg("--db")
        .arg(&edited.store)
        .arg(&old)
        .args(["set", &format!("title={}", names.title)])
        .output()
        .context("musefs tag")?;
    ensure!(output.status.success(), "it has no such command");
    let new = edited.mounted.at.join(names.path());
    ensure!(new.exists() && !old.exists(), "stale at the first access");
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn many_edits(bench: &mut Bench) {
    let count = bench.amounts.retagged.min(bench.many.tracks);
    let mut time = Row::new(
        "retag",
        format!(
            "{count} tracks put on another album by one SQL statement, until the mount shows it"
        ),
        Unit::Seconds,
    );
    let mut memory = Row::new(
        "retag-memory",
        "resident memory after that, beside before",
        Unit::Ratio,
    );
    if !bench.wants(&[time.id, memory.id]) {
        return;
    }
    eprintln!("{count} edits at once");
    for column in MUSEFSES {
        let (mut seconds, mut grown) = (Vec::new(), Vec::new());
        let done = (0..bench.amounts.runs).try_for_each(|run| {
            let edited = Edited::mount(bench, column)?;
            crate::sample::walk(&edited.mounted.at, bench.many.tracks)?;
            let before = edited.mounted.resident_mib()?;
            seconds.push(edited.retag(count, &format!("Retagged {run}"))?);
            std::thread::sleep(bench.amounts.settling);
            grown.push(edited.mounted.resident_mib()? / before);
            Ok(())
        });
        time.set(column, Cell::of(done.map(|()| seconds)));
        let cell = match time.cell(column) {
            Cell::Reason(reason) => Cell::Reason(reason.clone()),
            Cell::Samples(_) => Cell::Samples(grown),
        };
        memory.set(column, cell);
    }
    bench.push(time);
    bench.push(memory);
}

fn refreshes(bench: &mut Bench) {
    let mut memory = Row::new(
        "memory-refreshed",
        format!("resident memory, after all tracks were retagged {REFRESHES} times"),
        Unit::Mebibytes,
    );
    let mut time = Row::new(
        "refresh-all",
        "all tracks put on another album, until the mount shows it",
        Unit::Seconds,
    );
    if !bench.wants(&[memory.id, time.id]) {
        return;
    }
    eprintln!("refreshes of everything");
    for column in MUSEFSES {
        let (mut seconds, mut resident) = (Vec::new(), Vec::new());
        let done = (0..bench.amounts.runs).try_for_each(|_| {
            let edited = Edited::mount(bench, column)?;
            for refresh in 0..REFRESHES {
                seconds.push(edited.retag(bench.many.tracks, &format!("All {refresh}"))?);
            }
            std::thread::sleep(bench.amounts.settling);
            resident.push(edited.mounted.resident_mib()?);
            Ok(())
        });
        memory.set(column, Cell::of(done.map(|()| resident)));
        let cell = match memory.cell(column) {
            Cell::Reason(reason) => Cell::Reason(reason.clone()),
            Cell::Samples(_) => Cell::Samples(seconds),
        };
        time.set(column, cell);
    }
    bench.push(time);
    bench.push(memory);
}
