//! Every file of the metrics directory through every kind of reader: each gets one whole text, none a mixture of two.
//!
//! A reader is a line of [`READERS`]. What it prints must be what the same work makes of the text before it ran or of the one
//! after it, which are the same but where a new snapshot was rendered meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::{files_below, has_program, python, skip};

/// What a reader is to print, from the bytes of the file.
type Expected = fn(&[u8]) -> Vec<u8>;

/// The text itself.
const WHOLE: Expected = <[u8]>::to_vec;

/// A reader: the program that it needs, what is run, and what comes of it. `$f` is the file and `$o` an empty directory;
/// `$python` is the interpreter.
const READERS: &[(&str, &str, Expected)] = &[
    ("cat", "cat $f", WHOLE),
    ("head", "head -n 3 $f", |text| {
        lines(text, |all| all.truncate(3))
    }),
    ("head", "head -c 5000 $f", |text| {
        text[..text.len().min(5000)].to_vec()
    }),
    ("tail", "tail -n 1 $f", |text| {
        lines(text, |all| drop(all.drain(..all.len() - 1)))
    }),
    ("tail", "tail -c +4000 $f", |text| {
        text[text.len().min(3999)..].to_vec()
    }),
    ("tac", "tac $f", |text| lines(text, |all| all.reverse())),
    ("sort", "LC_ALL=C sort $f", |text| {
        lines(text, |all| all.sort_unstable())
    }),
    ("grep", "grep '' $f", WHOLE),
    ("grep", "grep -c '' $f", line_count),
    ("grep", "grep -r -h '' $f", WHOLE),
    ("awk", "awk 1 $f", WHOLE),
    ("awk", "awk 'END { print NR }' $f", line_count),
    ("sed", "sed -n p $f", WHOLE),
    ("wc", "wc -l < $f", line_count),
    ("wc", "wc -c < $f", size),
    (
        "md5sum",
        "md5sum < $f > $o/sum && md5sum $f > /dev/null && cat $f",
        WHOLE,
    ),
    ("od", "od -An -v -tx1 -w1 $f | wc -l", size),
    ("split", "split -b 1000 $f $o/part. && cat $o/part.*", WHOLE),
    ("dd", "dd if=$f bs=7 status=none", WHOLE),
    ("dd", "dd if=$f bs=511 status=none", WHOLE),
    ("dd", "dd if=$f bs=4097 status=none", WHOLE),
    ("dd", "dd if=$f bs=1M status=none", WHOLE),
    ("dd", "dd if=$f bs=4096 iflag=direct status=none", WHOLE),
    ("dd", "dd if=$f bs=4096 iflag=nonblock status=none", WHOLE),
    ("dd", "dd if=$f bs=1 skip=1 count=100 status=none", |text| {
        text[1..text.len().min(101)].to_vec()
    }),
    (
        "bash",
        "while IFS= read -r line; do printf '%s\\n' \"$line\"; done < $f",
        WHOLE,
    ),
    ("bash", "mapfile all < $f; printf %s \"${all[@]}\"", WHOLE),
    ("bash", "text=$(< $f); printf '%s\\n' \"$text\"", WHOLE),
    ("bash", "[ -s $f ] && echo yes", |_| b"yes\n".to_vec()),
    ("bash", "exec 3< $f; cat <&3", WHOLE),
    ("stat", "stat -c %s $f", size),
    ("find", "find $f -size +0 -type f -printf '%s\\n'", size),
    ("cp", "cp $f $o/copy && cat $o/copy", WHOLE),
    (
        "cp",
        "cp -a --sparse=always $f $o/copy && cat $o/copy",
        WHOLE,
    ),
    ("install", "install -m 644 $f $o/copy && cat $o/copy", WHOLE),
    (
        "busybox",
        "busybox cp $f $o/copy && busybox cat $o/copy",
        WHOLE,
    ),
    ("busybox", "busybox cat $f", WHOLE),
    (
        "busybox",
        "busybox tar -c -C ${f%/*} ${f##*/} | busybox tar -x -O",
        WHOLE,
    ),
    ("rsync", "rsync $f $o/copy && cat $o/copy", WHOLE),
    (
        "rsync",
        "rsync -t --checksum --inplace $f $o/copy && cat $o/copy",
        WHOLE,
    ),
    (
        "tar",
        "tar -c -C ${f%/*} ${f##*/} > $o/archive && tar -x -O -f $o/archive",
        WHOLE,
    ),
    ("gzip", "gzip -c $f | gzip -d -c", WHOLE),
    ("curl", "curl -sS file://$f", WHOLE),
    ("less", "less $f | cat", WHOLE),
    ("perl", "perl -ne print $f", WHOLE),
    ("perl", "perl -0777 -e 'open F, shift; print <F>' $f", WHOLE),
    (
        "perl",
        "perl -MFile::Copy -e 'copy shift, \\*STDOUT' $f",
        WHOLE,
    ),
    (
        "node",
        "node -e 'process.stdout.write(require(\"fs\").readFileSync(process.argv[1]))' $f",
        WHOLE,
    ),
    (
        "node",
        "node -e 'require(\"fs\").createReadStream(process.argv[1]).pipe(process.stdout)' $f",
        WHOLE,
    ),
    (
        "sqlite3",
        "sqlite3 :memory: \"SELECT length(readfile('$f'))\"",
        size,
    ),
    (
        "python3",
        "$python -c 'import sys; sys.stdout.write(open(sys.argv[1]).read())' $f",
        WHOLE,
    ),
    (
        "python3",
        "$python -c 'import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])' $f $o/copy; cat $o/copy",
        WHOLE,
    ),
    (
        "python3",
        // As web servers do: by the size of the open file.
        "$python -c 'import os, sys; f = os.open(sys.argv[1], 0); os.sendfile(1, f, 0, os.fstat(f).st_size)' $f > $o/copy; \
         cat $o/copy",
        WHOLE,
    ),
    (
        "python3",
        "$python -c 'import os, sys; print(os.lseek(os.open(sys.argv[1], 0), 0, os.SEEK_END))' $f",
        size,
    ),
    (
        "python3",
        "$python -c 'import mmap, os, sys
m = mmap.mmap(os.open(sys.argv[1], 0), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
sys.stdout.buffer.write(m[:])' $f",
        WHOLE,
    ),
    (
        "python3",
        // Backwards, a piece at a time.
        "$python -c 'import os, sys
f = os.open(sys.argv[1], 0)
n = os.fstat(f).st_size
parts = [os.pread(f, 1000, at) for at in range(0, n, 1000)][::-1]
sys.stdout.buffer.write(b\"\".join(parts[::-1]))' $f",
        WHOLE,
    ),
];

/// What scripts/test.sh does not install: such readers are tried where they are.
const OPTIONAL: [&str; 4] = ["less", "node", "perl", "sqlite3"];

/// The lines of a text after `change`.
fn lines(text: &[u8], change: impl FnOnce(&mut Vec<&[u8]>)) -> Vec<u8> {
    let mut all: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    change(&mut all);
    all.concat()
}

fn line_count(text: &[u8]) -> Vec<u8> {
    format!("{}\n", text.split_inclusive(|&byte| byte == b'\n').count()).into_bytes()
}

fn size(text: &[u8]) -> Vec<u8> {
    format!("{}\n", text.len()).into_bytes()
}

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

#[test]
fn every_reader_reads_one_whole_text_of_every_file() {
    require_fuse!();
    let library = Library::of_one();
    let mount = mounted(&library);
    let directory = mount.join(".musefs-metrics");
    let names = files(&directory);
    let mut missing = BTreeSet::new();
    let mut read = 0;
    for (program, script, expected) in READERS {
        if has_program(program) {
            for name in &names {
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
