//! Who asks: requests and bytes by the name of the program, exact as a whole whatever the names are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::eventually;
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};

const PROGRAMS: usize = 20;
/// How often each of the first few reads the file; all others do once.
const READS: [usize; 4] = [40, 30, 20, 10];
/// A name that would break a text in which it is not escaped.
const ODD: &str = "a\"b\\c d";

const REQUESTS: &str = "musefs_client_requests_total";
const BYTES: &str = "musefs_client_read_bytes_total";

/// A reader of the mount's file under a name of its own. It is there until its standard input is closed.
fn reader(programs: &Path, name: &str, file: &Path, times: usize) -> Child {
    let program = programs.join(name);
    // A copy could not be started while another thread, starting something, still holds it open for writing.
    std::os::unix::fs::symlink("/bin/cat", &program).unwrap();
    let mut command = Command::new(&program);
    command.args(std::iter::repeat_n(file.as_os_str(), times));
    command.arg("-");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// What a family tells, by name of the client.
fn by_client(metrics: &Value, family: &str) -> BTreeMap<String, u64> {
    let families = metrics["families"].as_array().unwrap();
    let found = families.iter().find(|found| found["name"] == family);
    let Some(found) = found else {
        return BTreeMap::new();
    };
    let series = found["series"].as_array().unwrap().iter();
    let client = |series: &Value| series["labels"]["client"].as_str().unwrap().to_owned();
    series
        .map(|series| (client(series), series["value"].as_u64().unwrap()))
        .collect()
}

fn json(mount: &Mount) -> Value {
    let text = std::fs::read(mount.join(".metrics/metrics.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn the_busiest_programs_are_named_and_the_sum_is_exact() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--no-kernel-cache"]);
    let programs = tempfile::tempdir().unwrap();
    let file = mount.join(ONE_SERVED);
    let len = file.metadata().unwrap().len();
    let mut names: Vec<String> = (0..PROGRAMS)
        .map(|index| format!("reader{index}"))
        .collect();
    names[0] = ODD.to_owned();
    let mut all_bytes = 0;
    let mut readers = Vec::new();
    // Those that read much first, so that what they have is all that they ever had.
    let (much, little) = names.split_at(READS.len());
    for names in [much, little] {
        for name in names {
            let times = READS.get(readers.len()).copied().unwrap_or(1);
            readers.push(reader(programs.path(), name, &file, times));
            all_bytes += len * times as u64;
        }
        eventually("all was read", || {
            let read = by_client(&json(&mount), BYTES).values().sum::<u64>();
            (read == all_bytes).then_some(())
        });
    }
    let [bytes, requests] = [BYTES, REQUESTS].map(|family| by_client(&json(&mount), family));
    for (name, times) in names.iter().zip(READS) {
        assert_eq!(
            bytes.get(name),
            Some(&(len * times as u64)),
            "{name}: {bytes:?}"
        );
        assert!(requests[name] > 2 * times as u64, "{name}: {requests:?}");
    }
    assert_eq!((bytes.len(), bytes["unknown"]), (18, 0));
    assert!(
        bytes["other"] >= 4 * len,
        "20 programs have 16 places: {bytes:?}"
    );
    let metrics = mount.metrics();
    assert_eq!(metrics.sum("musefs_read_bytes_total"), all_bytes);
    assert!(metrics.value("musefs_client_names_displaced_total") >= 4);
    // Taken, but not answered, is what asked for these very numbers.
    eventually("all requests have somebody who asked", || {
        let metrics = mount.metrics();
        let [taken, ended] = [REQUESTS, "musefs_ops_total"].map(|family| metrics.sum(family));
        (ended..=ended + 2).contains(&taken).then_some(())
    });
    for mut reader in readers {
        drop(reader.stdin.take());
        assert!(reader.wait().unwrap().success());
    }
    for text in ["metrics", "metrics.prom", "metrics.om"] {
        let text = mount.join(".metrics").join(text);
        run(musefs(["metrics", "check"]).arg(&text)).done();
    }
    let value = mount.join(".metrics/value").join(BYTES);
    let files: Vec<_> = std::fs::read_dir(value).unwrap().collect();
    assert_eq!(files.len(), 2, "only those whose names are always the same");
}

#[test]
fn who_asks_is_not_noted_where_that_is_not_wanted() {
    require_fuse!();
    let library = Library::of_one();
    let mut command = Mount::command(&library);
    command.env("MUSEFS_NO_CLIENTS", "1");
    let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    let text = std::fs::read(mount.join(".metrics/metrics")).unwrap();
    let metrics = Metrics::parse(&text);
    let mut names = metrics.samples().keys();
    assert!(names.all(|name| !name.contains("client=\"")));
    run(musefs(["metrics", "check"]).arg(mount.path())).done();
}
