//! The files that tell of single operations: what hangs now, what took long and where, and what was done last.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::eventually;
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};

/// Where the file of the filesystem that hangs is shown.
pub const HUNG_SERVED: &str = "long.flac";
const HOLD: Duration = Duration::from_millis(300);

/// A mount of one file on a filesystem that hangs on demand.
pub struct Scene {
    pub hung: Hanging,
    pub mount: Mount,
    /// Last, because nothing can be taken away from under a mount.
    _library: Library,
}

pub fn scene(arguments: &[&str]) -> Scene {
    let library = Library::new();
    let hung = Hanging::scanned(&library);
    let template = ["--template", "$filename", "--no-kernel-cache"];
    let mount = Mount::with(&library, &[&template, arguments].concat());
    Scene {
        hung,
        mount,
        _library: library,
    }
}

/// A process that reads the hanging file, which stops answering before its first read.
pub fn stuck_reader(scene: &Scene) -> Child {
    let file = File::open(scene.mount.join(HUNG_SERVED)).unwrap();
    scene.hung.stick_all(Stuck {
        reads: true,
        ..Stuck::default()
    });
    let mut reader = Command::new("cat");
    reader
        .stdin(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let reader = reader.spawn().unwrap();
    eventually("the reader is stuck", || {
        (scene.hung.held() > 0).then_some(())
    });
    reader
}

pub fn lines(mount: &Mount, name: &str) -> Vec<String> {
    let path = mount.join(".musefs-metrics").join(name);
    let mode = path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o400, "{name}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.len() % 4096, 0, "{name}");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The first line of the file `name` that has all of `words` in this order, with blanks around each.
pub fn line_with(mount: &Mount, name: &str, words: &str) -> Vec<String> {
    let words = format!(" {words} ");
    eventually(&format!("`{words}` in {name}"), || {
        let lines = lines(mount, name);
        let line = lines
            .iter()
            .find(|line| format!("{line} ").contains(&words));
        line.map(|line| line.split(' ').map(str::to_owned).collect())
    })
}

/// How long `phase` took by the word that tells of phases, in seconds.
fn seconds_of(phase: &str, word: &str) -> f64 {
    let part = word
        .split(',')
        .find_map(|part| part.strip_prefix(phase)?.strip_prefix('='));
    part.unwrap_or_else(|| panic!("{phase} in {word}"))
        .parse()
        .unwrap()
}

#[test]
fn what_hangs_is_told_while_it_does_and_where_its_time_went_afterwards() {
    require_fuse!();
    let scene = scene(&[]);
    let mount = &scene.mount;
    let begun = Instant::now();
    let mut reader = stuck_reader(&scene);
    let words = format!("read backing {} cat {HUNG_SERVED}", reader.id());
    let waits = line_with(mount, "inflight", &words);
    let age: f64 = waits[0].parse().unwrap();
    assert!(age > 0.0 && age <= begun.elapsed().as_secs_f64(), "{age}");
    std::thread::sleep(HOLD);

    scene.hung.release();
    assert!(reader.wait().unwrap().success());
    let slow = line_with(mount, "slow", &format!("read ok {}", reader.id()));
    let [time, seconds, id, because, _, _, _, _, phases, tiers, path] = &slow[..] else {
        panic!("{slow:?}");
    };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let since = now.as_secs_f64() - time.parse::<f64>().unwrap();
    assert!(
        (-0.1..=begun.elapsed().as_secs_f64() + 0.1).contains(&since),
        "{since}"
    );
    let (whole, backing) = (
        seconds.parse::<f64>().unwrap(),
        seconds_of("backing", phases),
    );
    assert!(
        backing >= HOLD.as_secs_f64() && backing <= whole,
        "{slow:?}"
    );
    assert!(seconds_of("queue", phases) + backing <= whole, "{slow:?}");
    assert_eq!(
        tiers,
        "handle=hit,header_cache=hit,readahead=miss,backing=ok(fallback)"
    );
    assert_eq!((id, &**because), (&waits[1], "-"), "one name everywhere");
    assert_eq!(path, HUNG_SERVED);
    eventually("nothing is under way any more", || {
        lines(mount, "inflight").is_empty().then_some(())
    });
}

#[test]
fn what_was_not_answered_in_time_is_told_with_what_it_hung_in() {
    require_fuse!();
    let scene = scene(&["--backing-timeout", "1"]);
    let mut reader = stuck_reader(&scene);
    assert!(!reader.wait().unwrap().success());
    let slow = line_with(&scene.mount, "slow", &format!("read EIO {}", reader.id()));
    assert!(seconds_of("backing", &slow[8]) > 0.5, "{slow:?}");
    assert_eq!(slow[9..], ["handle=hit", HUNG_SERVED]);
    assert!(lines(&scene.mount, "inflight").is_empty());
    scene.hung.release();
}

#[test]
fn the_last_operations_are_told_by_path_and_process() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--attr-ttl-ms", "0"]);
    let mut reader = Command::new("cat");
    let path = mount.join(ONE_SERVED);
    let mut reader = reader.arg(&path).stdout(Stdio::null()).spawn().unwrap();
    assert!(reader.wait().unwrap().success());
    assert!(std::fs::metadata(mount.join("nothing")).is_err());
    // Looking again and again would be all that the log holds.
    let next_moment = || {
        std::thread::sleep(Duration::from_millis(1100));
        lines(&mount, "oplog")
    };
    let log = next_moment();
    let has = |log: &[String], words: String| {
        let found = log.iter().any(|line| line.ends_with(&words));
        assert!(found, "no `{words}` in {log:#?}");
    };
    for operation in ["lookup", "open", "read"] {
        // It has ended, so that nobody knows any more what it was called.
        let words = format!(" {operation} ok {} - {ONE_SERVED}", reader.id());
        has(&log, words);
    }
    let own = nix::unistd::gettid();
    let name = std::fs::read_to_string(format!("/proc/{own}/comm")).unwrap();
    let name = name.trim_end().replace(' ', "\\u{20}");
    has(&log, format!(" lookup ENOENT {own} {name} ."));
    has(
        &next_moment(),
        format!(" open ok {own} {name} .musefs-metrics/oplog"),
    );

    library.set_tag("one.flac", "title", "Renamed");
    run(musefs(["sync"]).arg(mount.path())).done();
    let gone = format!(" open ok {} - inode ", reader.id());
    let log = next_moment();
    assert!(log.iter().any(|line| line.contains(&gone)), "{log:#?}");
}

#[test]
fn what_is_slow_is_set_while_mounted() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--slow-ms", "2000"]);
    let slow = |arguments: &[&str]| run(musefs(["slow"]).arg(mount.path()).args(arguments));
    let from = |seconds: &str| {
        let line = format!("# from {seconds} seconds on");
        eventually(&line, || {
            let text = slow(&[]).done().text();
            assert!(text.ends_with(" path\n"), "{text}");
            text.starts_with(&line).then_some(())
        });
    };
    from("2.000000");
    slow(&["--threshold-ms", "3000"]).done();
    from("3.000000");
    slow(&["--threshold-ms", "auto"]).done();
    from("0.100000");
    assert_eq!(slow(&["--threshold-ms", "0"]).code, Some(64));
}
