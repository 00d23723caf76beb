//! Walks, and what a mount takes before and after one.

use crate::bench::Bench;
use crate::corpus;
use crate::row::{COLUMNS, Cell, Column, Row, Unit};
use crate::sample;

pub fn measure(bench: &mut Bench) {
    let tracks = bench.many.tracks;
    let mut ready = Row::new(
        "mount-ready",
        format!("mount of {tracks} tracks, until the first name is there"),
        Unit::Seconds,
    );
    let mut first = Row::new(
        "walk-first",
        format!("walk of {tracks} tracks with sizes, the first after the mount"),
        Unit::Seconds,
    );
    let mut dropped = Row::new(
        "walk-dropped",
        "the same again, the kernel's names dropped",
        Unit::Seconds,
    );
    let mut resident = Row::new(
        "memory-mounted",
        "resident memory, mounted",
        Unit::Mebibytes,
    );
    let mut walked = Row::new(
        "memory-walked",
        "resident memory, after these walks",
        Unit::Mebibytes,
    );
    if bench.wants(&[ready.id, first.id, dropped.id, resident.id, walked.id]) {
        eprintln!("walks");
        native(bench, &mut first, &mut dropped);
        for column in [Column::Floor, Column::Ours, Column::Theirs] {
            let mut samples = [const { Vec::new() }; 5];
            let done = mounts(bench, column, &mut samples);
            let rows = [
                &mut ready,
                &mut first,
                &mut dropped,
                &mut resident,
                &mut walked,
            ];
            for (row, samples) in rows.into_iter().zip(samples) {
                let cell = match &done {
                    Ok(()) if samples.is_empty() => {
                        Cell::Reason("dropping the kernel's names needs root".into())
                    }
                    Ok(()) => Cell::Samples(samples),
                    Err(error) => Cell::Reason(format!("{error:#}")),
                };
                row.set(column, cell);
            }
        }
        // The floor reads names from the files, which is no mount of a store.
        ready.set(Column::Floor, Cell::none());
        for row in [ready, first, dropped, resident, walked] {
            bench.push(row);
        }
    }
    whole_files(bench);
}

fn native(bench: &Bench, first: &mut Row, dropped: &mut Row) {
    let walk = || sample::walk(&bench.many.dir, bench.many.tracks);
    first.set(
        Column::Native,
        Cell::of(walk().and_then(|_| bench.repeat(walk))),
    );
    let samples = bench.repeat(|| {
        sample::drop_caches(false)?;
        walk()
    });
    dropped.set(Column::Native, Cell::of(samples));
}

/// One mount for each run: until ready, the first walk, one after dropping names, memory before and after.
fn mounts(bench: &Bench, column: Column, samples: &mut [Vec<f64>; 5]) -> anyhow::Result<()> {
    let [ready, first, dropped, resident, walked] = samples;
    for _ in 0..bench.amounts.runs {
        let mounted = bench.mount(column, &bench.many)?;
        ready.push(mounted.ready_seconds);
        resident.push(mounted.resident_mib()?);
        first.push(sample::walk(&mounted.at, bench.many.tracks)?);
        if crate::machine::is_root() {
            sample::drop_caches(false)?;
            dropped.push(sample::walk(&mounted.at, bench.many.tracks)?);
        }
        walked.push(mounted.resident_mib()?);
    }
    Ok(())
}

/// Small files as a player that imports a library reads them.
fn whole_files(bench: &mut Bench) {
    let count = bench.amounts.whole_files.min(bench.many.tracks);
    let mut row = Row::new(
        "small-files",
        format!("{count} files of 90 KB read whole, the first time after the mount"),
        Unit::Seconds,
    );
    if !bench.wants(&[row.id]) {
        return;
    }
    let names: Vec<_> = (0..count)
        .map(|number| corpus::names(number).path())
        .collect();
    let below = |dir: &std::path::Path| names.iter().map(|name| dir.join(name)).collect::<Vec<_>>();
    let native = below(&bench.many.dir);
    let samples =
        sample::whole_files(&native).and_then(|_| bench.repeat(|| sample::whole_files(&native)));
    row.set(Column::Native, Cell::of(samples));
    for column in &COLUMNS[1..] {
        let samples = bench.repeat(|| {
            let mounted = bench.mount(*column, &bench.many)?;
            let paths = below(&mounted.at);
            // Names are another row.
            for path in &paths {
                path.metadata()?;
            }
            sample::whole_files(&paths)
        });
        row.set(*column, Cell::of(samples));
    }
    bench.push(row);
}
