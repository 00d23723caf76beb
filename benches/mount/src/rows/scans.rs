//! From files to a store.

use crate::bench::Bench;
use crate::row::{COLUMNS, Cell, Column, Row, Unit};
use crate::sample;

pub fn measure(bench: &mut Bench) {
    let tracks = bench.many.tracks;
    let mut warm = Row::new(
        "scan-warm",
        format!("scan of {tracks} files with 70 KB covers, in the page cache"),
        Unit::Seconds,
    );
    let mut again = Row::new(
        "scan-again",
        "the same again, nothing changed",
        Unit::Seconds,
    );
    let mut cold = Row::new(
        "scan-cold",
        format!("scan of {tracks} files, page cache dropped"),
        Unit::Seconds,
    );
    cold.note = "covers are holes on the disk".into();
    if !bench.wants(&[warm.id, again.id, cold.id]) {
        return;
    }
    eprintln!("scans");
    for column in COLUMNS {
        let Ok(program) = bench.program(column) else {
            continue;
        };
        if column == Column::Floor {
            continue;
        }
        let library = &bench.many;
        let store = bench
            .work
            .join(format!("{}-{}.db", library.name, column.name()));
        if bench.wants(&[cold.id]) {
            let samples = bench.repeat(|| {
                sample::drop_caches(true)?;
                bench.scan(program, library, &store)
            });
            cold.set(column, Cell::of(samples));
        }
        // The first brings everything into the page cache.
        let samples = bench
            .scan(program, library, &store)
            .and_then(|_| bench.repeat(|| bench.scan(program, library, &store)));
        warm.set(column, Cell::of(samples));
        let samples = bench.repeat(|| bench.scan_again(program, library, &store));
        again.set(column, Cell::of(samples));
    }
    for row in [warm, cold, again] {
        bench.push(row);
    }
}
