//! Every file of the metrics directory through every kind of reader: each gets one whole text, none a mixture of two.
//!
//! A reader is a line of [`READERS`]. What it prints must be what the same work makes of the text before it ran or of the one
//! after it, which are the same but where a new snapshot was rendered meanwhile.

mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use self::readers::{Expected, OPTIONAL, READERS};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::{files_below, has_program, is_full, python, skip};

/// That a text of the file called `name` is a complete one of its kind.
#[track_caller]
fn is_complete(name: &str, text: &[u8]) {
    assert!(!text.contains(&0), "{name}: a zero byte");
    assert_eq!(text.last(), Some(&b'\n'), "{name}: no line end");
    let text_utf8 = std::str::from_utf8(text).expect("metrics are text");
    let file = name.rsplit('/').next().unwrap_or(name);
    match file.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "json" => drop(serde_json::from_str::<serde_json::Value>(text_utf8).expect(name)),
        "om" => assert!(text_utf8.ends_with("\n# EOF\n"), "{name}"),
        "env" => {
            for line in text_utf8.lines().filter(|line| !line.starts_with('#')) {
                let (key, value) = line.split_once('=').unwrap_or_default();
                let is_word = key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                assert!(
                    !key.is_empty() && is_word && value.parse::<f64>().is_ok(),
                    "{name}: {line}"
                );
            }
        }
        _ if name.starts_with("value/") => {
            assert!(
                text_utf8.trim().parse::<f64>().is_ok(),
                "{name}: {text_utf8:?}"
            );
        }
        "prom" => drop(Metrics::parse(text)),
        _ if file == "metrics" => drop(Metrics::parse(text)),
        _ => {}
    }
}

/// The files to read: all there are, but of the single values, which are all alike, only a few.
fn files(directory: &Path) -> Vec<String> {
    let (values, mut files): (Vec<_>, Vec<_>) = files_below(directory)
        .into_iter()
        .partition(|name| name.starts_with("value/"));
    let wanted = [
        "value/musefs_uptime_seconds",
        "value/musefs_ops_total/op=lookup",
    ];
    files.extend(
        values
            .into_iter()
            .filter(|name| wanted.contains(&name.as_str())),
    );
    assert!(files.len() >= 2, "{files:?}");
    files
}

/// A mount with some work behind it, and its metrics directory.
fn mounted(library: &Library) -> Mount {
    let mount = Mount::new(library);
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    mount
}

fn rendered(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

/// Runs one reader until at most one snapshot was rendered meanwhile, and compares.
#[track_caller]
fn reads_one_text(directory: &Path, name: &str, script: &str, expected: Expected) {
    let path = directory.join(name);
    for _ in 0..20 {
        let out = tempfile::tempdir().unwrap();
        let first = rendered(&path);
        let before = std::fs::read(&path).unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-e", "-o", "pipefail", "-c", script])
            .env("f", &path)
            .env("o", out.path())
            .env("python", python::python().get_program());
        let outcome = run(&mut command).done();
        assert_eq!(outcome.stderr, "", "{script} on {name}");
        let after = std::fs::read(&path).unwrap();
        let last = rendered(&path);
        is_complete(name, &before);
        is_complete(name, &after);
        let got = outcome.stdout;
        if got == expected(&before) || got == expected(&after) {
            return;
        }
        // Snapshots are a second apart, so there was none between the two: it read neither.
        assert!(
            last.duration_since(first)
                .is_ok_and(|passed| passed >= Duration::from_secs(2)),
            "`{script}` on {name} got {} bytes, which are of no text of {} bytes:\n{}",
            got.len(),
            before.len(),
            String::from_utf8_lossy(&got)
        );
    }
    panic!("`{script}` on {name} always takes longer than two snapshots");
}

/// How many files each reader reads, to be quick.
const TURN: usize = 5;

#[test]
fn every_file_is_read_whole_by_every_kind_of_reader() {
    require_fuse!();
    let library = Library::of_one();
    let mount = mounted(&library);
    let directory = mount.join(".musefs-metrics");
    let names = files(&directory);
    let mut missing = BTreeSet::new();
    let mut read = 0;
    // Without --full, each reader reads a few of the files, the next one the next few.
    let turn = if is_full() { names.len() } else { TURN };
    let mut next = names.iter().cycle();
    for (program, script, expected) in READERS {
        if has_program(program) {
            for name in next.by_ref().take(turn) {
                reads_one_text(&directory, name, script, *expected);
                read += 1;
            }
        } else {
            missing.insert(*program);
        }
    }
    eprintln!(
        "{read} readings of {} files by {} readers",
        names.len(),
        READERS.len()
    );
    for program in missing {
        if OPTIONAL.contains(&program) {
            eprintln!("not tried: there is no {program}");
        } else {
            skip(&format!("there is no {program}"));
        }
    }
}

/// How many read at once, how much at a time, and for how long: over several snapshots.
const THREADS: usize = 8;
const PIECE: usize = 512;
const READ_FOR: Duration = Duration::from_secs(5);

#[test]
fn parallel_readers_of_small_pieces_never_get_a_mixture_of_two_snapshots() {
    require_fuse!();
    let library = Library::of_one();
    let mount = mounted(&library);
    let directory = mount.join(".musefs-metrics");
    let names = files(&directory);
    let started = Instant::now();
    let read_texts = |first: usize| {
        let mut texts = BTreeMap::<usize, BTreeSet<Vec<u8>>>::new();
        let mut index = first;
        while started.elapsed() < READ_FOR {
            index = (index + 1) % names.len();
            texts
                .entry(index)
                .or_default()
                .insert(in_pieces(&directory.join(&names[index])));
        }
        texts
    };
    let mut texts = BTreeMap::<usize, BTreeSet<Vec<u8>>>::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || read_texts(first)))
            .collect();
        for thread in threads {
            for (index, read) in thread.join().unwrap() {
                texts.entry(index).or_default().extend(read);
            }
        }
    });
    // At most one a second, and one that was there already.
    let snapshots_max = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    assert_eq!(texts.len(), names.len(), "every file was read");
    for (index, texts) in texts {
        let name = &names[index];
        assert!(
            texts.len() <= snapshots_max,
            "{} texts of {name} in {snapshots_max} snapshots",
            texts.len()
        );
        for text in &texts {
            is_complete(name, text);
        }
        if name == "metrics" {
            assert!(texts.len() > 2, "the readers saw {} snapshots", texts.len());
            let moments: BTreeSet<u64> = texts
                .iter()
                .map(|text| Metrics::parse(text).value("musefs_renders_total"))
                .collect();
            assert_eq!(moments.len(), texts.len(), "two texts of one snapshot");
        }
    }
}

/// Reads a file with many small reads, and checks that it is as long as it said.
fn in_pieces(path: &Path) -> Vec<u8> {
    let mut file = File::open(path).unwrap();
    let said = file.metadata().unwrap().size();
    let mut text = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        match file.read(&mut piece).unwrap() {
            0 => break,
            read => text.extend_from_slice(&piece[..read]),
        }
    }
    assert_eq!(text.len() as u64, said, "{}", path.display());
    text
}
