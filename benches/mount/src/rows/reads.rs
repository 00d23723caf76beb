//! Reads of one large file.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::bench::Bench;
use crate::corpus::large_path;
use crate::machine::is_root;
use crate::mounted::{As, Mounted, command, give_to_nobody};
use crate::row::{COLUMNS, Cell, Column, Row, Unit};
use crate::sample;

const SERVED: [Column; 3] = [Column::Floor, Column::Ours, Column::Theirs];
const JOBS: usize = 4;

pub fn measure(bench: &mut Bench) {
    synthesis(bench);
    unprivileged(bench);
    structure_only(bench);
}

/// All that needs no more than a mount.
fn synthesis(bench: &mut Bench) {
    let who = if is_root() { "root" } else { "not root" };
    let mut sequential = Row::new(
        "read-sequential",
        format!("sequential read, cold in the mount's cache, {who}"),
        Unit::GigabytesPerSecond,
    );
    let mut again = Row::new(
        "read-again",
        "the same again, cached",
        Unit::GigabytesPerSecond,
    );
    let mut random = Row::new(
        "read-random",
        "random direct reads of 4 KiB, 1 job",
        Unit::PerSecond,
    );
    let mut jobs = Row::new(
        "read-random-jobs",
        format!("random direct reads of 4 KiB, {JOBS} jobs"),
        Unit::PerSecond,
    );
    let mut amplified = Row::new(
        "read-amplification",
        "bytes of the backing file read for each byte of those",
        Unit::Ratio,
    );
    let mut open = Row::new("open-close", "open and close", Unit::Microseconds);
    if !bench.wants(&[
        sequential.id,
        again.id,
        random.id,
        jobs.id,
        amplified.id,
        open.id,
    ]) {
        return;
    }
    eprintln!("reads");
    let amounts = bench.amounts;
    let native = bench.large.dir.join(large_path());
    let direct = "direct reads of the file itself go to the disk";
    random.set(Column::Native, Cell::Reason(direct.into()));
    jobs.set(Column::Native, Cell::Reason(direct.into()));
    for column in COLUMNS {
        let mounted = match column {
            Column::Native => None,
            _ => match bench.mount(column, &bench.large) {
                Ok(mounted) => Some(mounted),
                Err(error) => {
                    for row in [
                        &mut sequential,
                        &mut again,
                        &mut random,
                        &mut jobs,
                        &mut open,
                    ] {
                        row.set(column, Cell::Reason(format!("{error:#}")));
                    }
                    continue;
                }
            },
        };
        // Brings the file into the page cache, as what lies behind the mounts.
        sample::sequential(&native).ok();
        let path = mounted
            .as_ref()
            .map_or_else(|| native.clone(), |mounted| mounted.at.join(large_path()));
        let samples = bench.repeat(|| {
            if mounted.is_some() {
                sample::forget(&path)?;
            }
            sample::sequential(&path)
        });
        sequential.set(column, Cell::of(samples));
        again.set(column, Cell::of(bench.repeat(|| sample::sequential(&path))));
        open.set(
            column,
            Cell::of(bench.repeat(|| sample::open_close(&path, amounts.opens))),
        );
        let Some(mounted) = mounted else {
            continue;
        };
        sample::forget(&path).ok();
        let before = settled(&mounted, column);
        let samples = bench.repeat(|| sample::random(&path, 1, amounts.random_reads));
        random.set(column, Cell::of(samples));
        if let (Some(before), Some(after)) = (before, settled(&mounted, column)) {
            let reads = amounts.random_reads * amounts.runs as u64;
            let bytes = sample::as_float(reads) * sample::as_float(sample::RANDOM_BYTES as u64);
            amplified.set(column, Cell::Samples(vec![(after - before) / bytes]));
        } else if column != Column::Floor {
            amplified.set(column, Cell::Reason("it does not count them".into()));
        }
        let each = amounts.random_reads / JOBS as u64;
        let samples = bench.repeat(|| sample::random(&path, JOBS, each));
        jobs.set(column, Cell::of(samples));
    }
    for row in [sequential, again, random, jobs, amplified, open] {
        bench.push(row);
    }
}

/// How many bytes of backing files a musefs has read, once its metrics are as new as that.
fn settled(mounted: &Mounted, column: Column) -> Option<f64> {
    if column == Column::Floor {
        return None;
    }
    std::thread::sleep(std::time::Duration::from_millis(2100));
    mounted.metric("musefs_backing_pread_bytes_total")
}

/// Mounted and read by somebody without rights, whose mounts read ahead no further than the kernel lets everybody.
fn unprivileged(bench: &mut Bench) {
    let mut row = Row::new(
        "read-unprivileged",
        "sequential read, cold in the mount's cache, no rights",
        Unit::GigabytesPerSecond,
    );
    if !bench.wants(&[row.id]) {
        return;
    }
    if !is_root() {
        let reason = "all was measured without rights";
        row.set(Column::Ours, Cell::Reason(reason.into()));
        return bench.push(row);
    }
    let native = bench.large.dir.join(large_path());
    row.set(
        Column::Native,
        Cell::of(bench.repeat(|| sample::sequential(&native))),
    );
    for column in SERVED {
        row.set(column, Cell::of(of_nobody(bench, column)));
    }
    bench.push(row);
}

fn of_nobody(bench: &Bench, column: Column) -> anyhow::Result<Vec<f64>> {
    let library = &bench.large;
    let mounted = if column == Column::Floor {
        bench.mount_floor(library, As::Nobody)?
    } else {
        let program = bench.program(column)?.to_owned();
        let store = bench.store_to_edit(column, library)?;
        let dir = bench
            .work
            .join(format!("store-of-nobody-{}", column.name()));
        std::fs::create_dir_all(&dir)?;
        give_to_nobody(&dir)?;
        let own = dir.join("store.db");
        std::fs::copy(&store, &own)?;
        give_to_nobody(&own)?;
        bench.mount_store(&program, &own, library, As::Nobody, &[])?
    };
    let path = mounted.at.join(large_path());
    bench.repeat(|| sample_as_nobody(&path))
}

/// Root may not read a mount of somebody else's, so this program runs itself once more as that one.
fn sample_as_nobody(path: &Path) -> anyhow::Result<f64> {
    let arguments = ["sample-sequential".into(), path.as_os_str().to_owned()];
    let own = std::env::current_exe()?;
    let output = command(&own, &arguments, As::Nobody).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .context("no number")
}

/// The bytes as they are, which the kernel can read from the backing file by itself.
fn structure_only(bench: &mut Bench) {
    let mut row = Row::new(
        "read-structure-only",
        "structure-only, sequential read",
        Unit::GigabytesPerSecond,
    );
    if !bench.wants(&[row.id]) {
        return;
    }
    let native = bench.large.dir.join(large_path());
    row.set(
        Column::Native,
        Cell::of(bench.repeat(|| sample::sequential(&native))),
    );
    for column in [Column::Ours, Column::Theirs] {
        let mut passed = None;
        let samples = bench.program(column).and_then(|program| {
            let store = bench.store(column, &bench.large)?;
            let flags = ["--mode", "structure-only"];
            let mounted = bench.mount_store(program, &store, &bench.large, As::Self_, &flags)?;
            let path = mounted.at.join(large_path());
            let samples = bench.repeat(|| {
                sample::forget(&path)?;
                sample::sequential(&path)
            })?;
            let held = std::fs::File::open(&path)?;
            std::thread::sleep(std::time::Duration::from_millis(2100));
            passed = mounted.metric("musefs_passthrough_active");
            drop(held);
            Ok(samples)
        });
        if column == Column::Ours && samples.is_ok() {
            row.note = match passed {
                Some(count) if count > 0.0 => "passed through by the kernel".into(),
                Some(_) => {
                    "not passed through: the kernel or a missing right does not let it".into()
                }
                None => "not passed through: this musefs has no kernel passthrough".into(),
            };
        }
        row.set(column, Cell::of(samples));
    }
    bench.push(row);
}
