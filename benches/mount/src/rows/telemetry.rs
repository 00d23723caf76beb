//! What metrics cost: who reads them, and who is served meanwhile. Where a ratio is near one, the two are measured in turn in
//! many short runs, and each pair gives one ratio.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};

use super::edits::Edited;
use crate::bench::Bench;
use crate::corpus::{self, large_path};
use crate::mounted::{As, Mounted};
use crate::row::{Cell, Column, Row, Unit};
use crate::sample;

const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);
const SCRAPERS: usize = 2;
/// Listings go on that long after the last change was shown.
const STORM_GOES_ON: Duration = Duration::from_millis(300);

pub fn measure(bench: &mut Bench) {
    scrape(bench);
    storm(bench);
    compiled_out(bench);
    beside_scraping(bench);
}

fn scrape(bench: &mut Bench) {
    let mut row = Row::new(
        "metrics-read",
        "metrics: open, read whole, close",
        Unit::Milliseconds,
    );
    if !bench.wants(&[row.id]) {
        return;
    }
    eprintln!("metrics");
    for column in [Column::Ours, Column::Theirs] {
        let samples = bench.mount(column, &bench.large).and_then(|mounted| {
            ensure!(
                mounted.metrics().exists(),
                "it has no metrics inside the mount"
            );
            bench.repeat(|| sample::open_read_close(&mounted.metrics(), bench.amounts.opens))
        });
        row.set(column, Cell::of(samples));
    }
    bench.push(row);
}

/// Somebody lists directories, two read metrics without pause, and every track gets new tags.
fn storm(bench: &mut Bench) {
    let mut row = Row::new(
        "listing-in-storm",
        "slowest listing of a directory while metrics are read without pause and all tracks are retagged",
        Unit::Milliseconds,
    );
    if !bench.wants(&[row.id]) {
        return;
    }
    eprintln!("listings in a storm");
    for column in [Column::Ours, Column::Theirs] {
        let samples = (0..bench.amounts.runs)
            .map(|run| {
                let edited = Edited::mount(bench, column)?;
                slowest_listing(&edited, bench.many.tracks, run)
            })
            .collect();
        row.set(column, Cell::of(samples));
    }
    bench.push(row);
}

fn slowest_listing(edited: &Edited, tracks: usize, run: usize) -> anyhow::Result<f64> {
    let (metrics, at) = (edited.mounted.metrics(), edited.mounted.at.clone());
    let (ended, scrapes) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..SCRAPERS {
            scope.spawn(|| {
                while !ended.load(Relaxed) {
                    if std::fs::read(&metrics).is_ok_and(|text| !text.is_empty()) {
                        scrapes.fetch_add(1, Relaxed);
                    } else {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
        let lister = scope.spawn(|| {
            let mut slowest = 0.0_f64;
            let mut number = 0;
            while !ended.load(Relaxed) {
                // Directories of artists stay while albums change.
                number = (number + 7919) % tracks;
                let dir = at.join(corpus::names(number).artist);
                slowest = slowest.max(sample::list(&dir)?);
            }
            Ok::<_, anyhow::Error>(slowest)
        });
        let shown = edited.retag(tracks, &format!("Storm {run}"));
        std::thread::sleep(STORM_GOES_ON);
        ended.store(true, Relaxed);
        let slowest = lister.join().map_err(|_| anyhow!("the lister panicked"))?;
        shown?;
        ensure!(
            scrapes.load(Relaxed) > 0 || !metrics.exists(),
            "no metrics could be read"
        );
        slowest
    })
}

/// How much longer `on` takes than `off`, once for each pair; which comes first changes from pair to pair.
fn pairs(
    count: usize,
    on: &mut dyn FnMut() -> anyhow::Result<f64>,
    off: &mut dyn FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<f64>> {
    on()?;
    off()?;
    (0..count)
        .map(|pair| {
            let (with, without) = if pair % 2 == 0 {
                let with = on()?;
                (with, off()?)
            } else {
                let without = off()?;
                (on()?, without)
            };
            Ok(with / without)
        })
        .collect()
}

/// How long a sequential read takes whose mount has nothing cached; of no unit, for ratios.
fn sequential_time(path: &Path) -> anyhow::Result<f64> {
    sample::forget(path)?;
    Ok(sample::sequential(path)?.recip())
}

fn compiled_out(bench: &mut Bench) {
    let ids = ["telemetry-sequential", "telemetry-random", "telemetry-walk"];
    if !bench.wants(&ids) {
        return;
    }
    eprintln!("telemetry on and compiled out");
    let mut rows = [
        "sequential read",
        "random direct reads of 4 KiB, 1 job",
        "first walk",
    ]
    .map(|what| format!("time with telemetry beside compiled out: {what}"))
    .into_iter()
    .zip(ids)
    .map(|(what, id)| Row::new(id, what, Unit::Ratio))
    .collect::<Vec<_>>();
    let measured = on_and_off(bench);
    for (index, row) in rows.iter_mut().enumerate() {
        row.note = "pairs in turn".into();
        let cell = match &measured {
            Ok(samples) => Cell::of(match &samples[index] {
                Ok(samples) => Ok(samples.clone()),
                Err(error) => Err(anyhow!("{error:#}")),
            }),
            Err(error) => Cell::Reason(format!("{error:#}")),
        };
        row.set(Column::Ours, cell);
    }
    for row in rows {
        bench.push(row);
    }
}

type Ratios = anyhow::Result<Vec<f64>>;

fn on_and_off(bench: &Bench) -> anyhow::Result<[Ratios; 3]> {
    let silent = bench.programs.silent.as_deref();
    let silent = silent.context("there is no build without telemetry (--quick makes none)")?;
    let ours = &bench.programs.ours;
    let [sequential, random] = reads_on_and_off(bench, silent)?;
    let store = bench.store(Column::Ours, &bench.many)?;
    let walk = |program: &Path| {
        let mounted = bench.mount_store(program, &store, &bench.many, As::Self_, &[])?;
        sample::walk(&mounted.at, bench.many.tracks)
    };
    let walks = pairs(bench.amounts.pairs, &mut || walk(ours), &mut || {
        walk(silent)
    });
    Ok([sequential, random, walks])
}

/// Both are mounted all the while.
fn reads_on_and_off(bench: &Bench, silent: &Path) -> anyhow::Result<[Ratios; 2]> {
    let store = bench.store(Column::Ours, &bench.large)?;
    let ours = &bench.programs.ours;
    let on = bench.mount_store(ours, &store, &bench.large, As::Self_, &[])?;
    let off = bench.mount_store(silent, &store, &bench.large, As::Self_, &[])?;
    let [on, off] = [&on, &off].map(|mounted: &Mounted| mounted.at.join(large_path()));
    let sequential = pairs(
        bench.amounts.pairs,
        &mut || sequential_time(&on),
        &mut || sequential_time(&off),
    );
    let reads = bench.amounts.random_reads;
    let random = pairs(
        bench.amounts.pairs,
        &mut || Ok(sample::random(&on, 1, reads)?.recip()),
        &mut || Ok(sample::random(&off, 1, reads)?.recip()),
    );
    Ok([sequential, random])
}

fn beside_scraping(bench: &mut Bench) {
    let mut sequential = Row::new(
        "scraped-sequential",
        "time while metrics are read ten times a second beside not: sequential read",
        Unit::Ratio,
    );
    let mut random = Row::new(
        "scraped-random",
        "the same, random direct reads of 4 KiB, 1 job",
        Unit::Ratio,
    );
    if !bench.wants(&[sequential.id, random.id]) {
        return;
    }
    eprintln!("reads while metrics are read");
    for row in [&mut sequential, &mut random] {
        row.note = "pairs in turn".into();
    }
    for column in [Column::Ours, Column::Theirs] {
        let mounted = match bench.mount(column, &bench.large) {
            Ok(mounted) if mounted.metrics().exists() => mounted,
            other => {
                let reason = other.map_or_else(
                    |error| format!("{error:#}"),
                    |_| "it has no metrics inside the mount".into(),
                );
                sequential.set(column, Cell::Reason(reason.clone()));
                random.set(column, Cell::Reason(reason));
                continue;
            }
        };
        let path = mounted.at.join(large_path());
        let metrics = mounted.metrics();
        // Several reads of the file to one sample, so that a few scrapes fall into it.
        let mut read = || (0..3).try_fold(0.0, |sum, _| anyhow::Ok(sum + sequential_time(&path)?));
        let mut read_too = read;
        let samples = pairs(
            bench.amounts.pairs,
            &mut || while_scraped(&metrics, &mut read),
            &mut read_too,
        );
        sequential.set(column, Cell::of(samples));
        let mut read = || Ok(sample::random(&path, 1, bench.amounts.random_reads)?.recip());
        let mut read_too = read;
        let samples = pairs(
            bench.amounts.pairs,
            &mut || while_scraped(&metrics, &mut read),
            &mut read_too,
        );
        random.set(column, Cell::of(samples));
    }
    bench.push(sequential);
    bench.push(random);
}

fn while_scraped(
    metrics: &Path,
    measure: &mut dyn FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<f64> {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut next = Instant::now();
            while !ended.load(Relaxed) {
                ensure!(!std::fs::read(metrics)?.is_empty(), "no metrics");
                next += SCRAPE_INTERVAL;
                while Instant::now() < next && !ended.load(Relaxed) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            Ok(())
        });
        let measured = measure();
        ended.store(true, Relaxed);
        scraper
            .join()
            .map_err(|_| anyhow!("the scraper panicked"))??;
        measured
    })
}
