//! How fast a mount is: makes libraries, measures the files themselves, the least that FUSE can do, this project's musefs and
//! perhaps another one with the same verbs, and prints a table. `scripts/bench.sh` builds what this needs and cleans up.

mod bench;
mod corpus;
mod machine;
mod mounted;
mod plot;
mod report;
mod row;
mod rows;
mod sample;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bench::{Amounts, Bench, Programs};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures all rows.
    Measure(Measure),
    /// Reads one file and prints how many gigabytes in a second; for a user who may read it.
    SampleSequential { path: PathBuf },
}

#[derive(Args)]
struct Measure {
    /// The musefs to measure.
    #[arg(long)]
    ours: PathBuf,
    /// The same, built without telemetry.
    #[arg(long)]
    silent: Option<PathBuf>,
    /// The program that does the least.
    #[arg(long)]
    floor: PathBuf,
    /// Another program with the verbs `scan DIR --db F` and `mount MNT --db F --template T`.
    #[arg(long)]
    vs: Option<PathBuf>,
    /// An empty directory for libraries, stores and mounts.
    #[arg(long)]
    work: PathBuf,
    /// Where the table, the JSON and the plot go: this and `.txt`, `.json`, `.svg`.
    #[arg(long)]
    out: PathBuf,
    /// Tracks of the large library.
    #[arg(long)]
    tracks: usize,
    /// How often each thing is done.
    #[arg(long)]
    runs: usize,
    /// Less of everything.
    #[arg(long)]
    quick: bool,
    /// Only rows whose names fit.
    #[arg(long)]
    rows: Vec<String>,
}

const LARGE_MIB: usize = 512;
const LARGE_MIB_QUICK: usize = 16;

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Measure(arguments) => measure(&arguments),
        Task::SampleSequential { path } => sample::forget(&path)
            .and_then(|()| sample::sequential(&path).map(|rate| println!("{rate}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("musefs-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Measure) -> anyhow::Result<()> {
    let facts = machine::describe(&arguments.work);
    let bench = &mut prepared(arguments)?;
    rows::all(bench);
    if bench.rows.is_empty() {
        bail!("no row is called so");
    }
    let table = report::table(&facts, &bench.rows);
    print!("{table}");
    let known = |name: &str| {
        let fact = facts.iter().find(|(known, _)| *known == name);
        fact.map_or("", |(_, value)| value.as_str())
    };
    let title = format!(
        "musefs on {}, {} cores, Linux {}, {}; logarithmic",
        known("processor"),
        known("cores"),
        known("kernel"),
        known("user")
    );
    write(&arguments.out, ".txt", &table)?;
    let json = report::json(&facts, &bench.rows);
    write(&arguments.out, ".json", &format!("{json:#}\n"))?;
    write(&arguments.out, ".svg", &plot::svg(&title, &bench.rows))?;
    let silent: Vec<_> = bench
        .rows
        .iter()
        .filter(|row| !row.is_explained())
        .map(|row| row.id)
        .collect();
    if !silent.is_empty() {
        bail!("neither a number nor a reason: {}", silent.join(", "));
    }
    Ok(())
}

/// Everything that is there before the first row.
fn prepared(arguments: &Measure) -> anyhow::Result<Bench> {
    let work = arguments.work.canonicalize()?;
    let library = |name: &str| work.join(name);
    eprintln!("making a library of {} tracks", arguments.tracks);
    let many = corpus::make_many(library("many"), arguments.tracks)?;
    let mib = if arguments.quick {
        LARGE_MIB_QUICK
    } else {
        LARGE_MIB
    };
    let large = corpus::make_large(library("large"), mib << 20)?;
    let runs = arguments.runs;
    let amounts = if arguments.quick {
        Amounts {
            runs,
            pairs: runs,
            random_reads: 500,
            opens: 100,
            whole_files: 100,
            retagged: 100,
            settling: Duration::from_millis(100),
        }
    } else {
        Amounts {
            runs,
            pairs: runs * 4,
            random_reads: 20_000,
            opens: 5000,
            whole_files: 3000,
            retagged: 1000,
            settling: Duration::from_secs(2),
        }
    };
    // In the directory of work everybody may run them.
    let programs = Programs {
        ours: copied(&arguments.ours, &work, "musefs")?,
        floor: copied(&arguments.floor, &work, "floor")?,
        silent: (arguments.silent.as_deref())
            .map(|program| copied(program, &work, "silent"))
            .transpose()?,
        theirs: (arguments.vs.as_deref())
            .map(|program| copied(program, &work, "theirs"))
            .transpose()?,
    };
    Ok(Bench {
        programs,
        amounts,
        many,
        large,
        work,
        wanted: arguments.rows.clone(),
        rows: Vec::new(),
    })
}

fn copied(program: &Path, work: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let copy = work.join(name);
    fs::copy(program, &copy).with_context(|| program.display().to_string())?;
    Ok(copy)
}

fn write(out: &Path, ending: &str, text: &str) -> anyhow::Result<()> {
    let path = bench::with_ending(out, ending);
    fs::write(&path, text).with_context(|| path.display().to_string())
}
