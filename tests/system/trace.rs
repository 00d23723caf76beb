//! `musefs trace` and `musefs profile` beside the mount's own counters: each operation once, none of their own, and what a
//! follower misses is counted and told. No follower delays anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gettid};
use serde_json::Value;

use crate::support::control::{self, counted, own};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::process::{Outcome, Running, run};
use crate::support::users;
use crate::support::{SOON, eventually, within};

const ROUNDS: u64 = 20;
const OPERATIONS: &str = "musefs_ops_total";

/// A command that follows until it is stopped.
struct Follower(Running);

impl Follower {
    /// Starts, and waits until it follows.
    fn start(library: &Library, arguments: &[&str]) -> Self {
        let mut command = own(library, arguments);
        command.arg(library.mountpoint());
        let running = Running::start(&mut command);
        eventually("it follows", || {
            running.stderr().contains("Ctrl-C ends").then_some(())
        });
        Self(running)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Has it end as Ctrl-C does; what it said.
    fn stop(mut self) -> Outcome {
        self.signal(Signal::SIGINT);
        let status = self.0.wait(SOON);
        self.0.outcome(status).done()
    }
}

fn objects(outcome: &Outcome) -> Vec<Value> {
    let text = outcome.text();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// How much the sample `name` grew.
fn grown(before: &Metrics, after: &Metrics, name: &str) -> f64 {
    after.number(name) - before.number(name)
}

/// How many operations of each name ended, those that did.
fn ended(before: &Metrics, after: &Metrics) -> BTreeMap<String, u64> {
    let samples = after.samples().keys();
    let named = samples.filter_map(|name| {
        let operation = name.strip_prefix(OPERATIONS)?.strip_prefix("{op=\"")?;
        let count = after.value(name) - before.value(name);
        Some((operation.strip_suffix("\"}")?.to_owned(), count))
    });
    named.filter(|(_, count)| *count > 0).collect()
}

fn seconds(object: &Value) -> f64 {
    object.as_f64().expect("nanoseconds") / 1e9
}

#[test]
fn each_operation_is_told_once_and_sums_are_those_of_the_counters() {
    require_fuse!();
    let library = Library::of_two();
    let mount = control::mount(&library, &["--no-kernel-cache"]);
    let before = counted(&library);
    let trace = Follower::start(&library, &["trace", "--follow", "--json"]);
    let profile = Follower::start(&library, &["profile", "--seconds", "3600", "--json"]);
    let path = mount.join(ONE_SERVED);
    let mut bytes = Vec::new();
    for _ in 0..ROUNDS {
        File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(std::fs::metadata(mount.join("nothing")).is_err());
    }
    let release = "musefs_ops_total{op=\"release\"}";
    let after = eventually("all files are closed", || {
        let after = counted(&library);
        (after.value(release) - before.value(release) == ROUNDS).then_some(after)
    });
    let expected = ended(&before, &after);
    let told = objects(&trace.stop());

    let id = |it: &Value| it["request"].as_str().unwrap().to_owned();
    let ids: BTreeSet<String> = told.iter().map(id).collect();
    assert_eq!(ids.len(), told.len(), "each has an id of its own");
    let mut names = BTreeMap::new();
    for operation in &told {
        let name = operation["operation"].as_str().unwrap().to_owned();
        *names.entry(name).or_insert(0) += 1;
    }
    assert_eq!(names, expected);
    let opens: Vec<&Value> = told.iter().filter(|it| it["operation"] == "open").collect();
    assert_eq!(opens.len() as u64, ROUNDS);
    for open in opens {
        assert_eq!(open["path"], ONE_SERVED);
        assert_eq!(open["pid"], gettid().as_raw());
        assert!(open["command"].is_string(), "{open}");
        assert_eq!(open["outcome"], "ok");
    }
    let failed = told.iter().filter(|it| it["outcome"] == "ENOENT").count();
    assert_eq!(failed as u64, ROUNDS);

    let told: Value = serde_json::from_slice(&profile.stop().stdout).unwrap();
    assert_eq!(told["operations"], expected.values().sum::<u64>());
    assert_eq!(
        (&told["failed"], &told["missed"]),
        (&ROUNDS.into(), &0.into())
    );
    for group in told["by_operation"].as_array().unwrap() {
        let name = group["name"].as_str().unwrap();
        assert_eq!(group["operations"], expected[name], "{name}");
        let sum = format!("musefs_op_duration_seconds_sum{{op=\"{name}\"}}");
        if before.samples().contains_key(&sum) {
            let took = grown(&before, &after, &sum);
            assert!(
                (seconds(&group["nanoseconds"]) - took).abs() < 1e-6,
                "{name}: {took}"
            );
        }
    }
    for phase in ["queue", "store", "layout", "backing"] {
        let samples = after.samples().keys();
        let of_phase = samples.filter(|name| {
            name.starts_with("musefs_op_phase_seconds_total{")
                && name.contains(&format!("phase=\"{phase}\""))
        });
        let counted: f64 = of_phase.map(|name| grown(&before, &after, name)).sum();
        let told = seconds(&told["by_phase_nanoseconds"][phase]);
        assert!((told - counted).abs() < 1e-6, "{phase}: {told} {counted}");
    }
    assert!(
        told["words"][0].as_str().unwrap().starts_with("Of "),
        "{told}"
    );
    let fate =
        |fate: &str| after.value(&format!("musefs_trace_operations_total{{fate=\"{fate}\"}}"));
    assert_eq!(fate("dropped"), 0);
    assert_eq!(fate("told"), 2 * expected.values().sum::<u64>());
}

#[test]
fn what_is_asked_for_alone_is_told() {
    require_fuse!();
    let library = Library::new();
    let hung = Hanging::scanned(&library);
    let mount = control::mount(&library, &["--template", "$filename", "--no-kernel-cache"]);
    let by_name = Follower::start(
        &library,
        &[
            "trace", "--follow", "--json", "--op", "read", "--op", "open",
        ],
    );
    let slow = Follower::start(&library, &["trace", "--follow", "--slower-than", "200"]);
    let file = File::open(mount.join("long.flac")).unwrap();
    hung.stick_all(Stuck {
        reads: true,
        ..Stuck::default()
    });
    let reading = std::thread::spawn(move || (&file).read_to_end(&mut Vec::new()));
    eventually("the reader is stuck", || (hung.held() > 0).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    hung.release();
    reading.join().unwrap().unwrap();

    let told = objects(&by_name.stop());
    let names: BTreeSet<&str> = told
        .iter()
        .map(|it| it["operation"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["open", "read"]));
    let text = slow.stop().text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("# time seconds request because operation"),
        "{text}"
    );
    assert!(lines.len() > 1, "{text}");
    for line in &lines[1..] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(
            (words[4], words[5], words.len()),
            ("read", "ok", 12),
            "{line}"
        );
        assert!(words[1].parse::<f64>().unwrap() >= 0.2, "{line}");
        assert!(words[8].contains("backing=0."), "{line}");
        assert_eq!(words[11], "long.flac");
    }

    // Without following, what was kept is told, with the parts of what took long.
    let kept = |arguments: &[&str]| {
        let mut command = own(&library, &["trace", "--json"]);
        objects(&run(command.arg(mount.path()).args(arguments)).done())
    };
    let all = kept(&[]);
    assert!(all.len() > kept(&["--op", "read"]).len());
    let slow = kept(&["--op", "read", "--slower-than", "200"]);
    assert_eq!(slow.len() + 1, lines.len());
    assert_eq!(slow[0]["path"], "long.flac");
    assert_eq!(slow[0]["phases"].as_array().map(Vec::is_empty), Some(false));
    assert!(kept(&["--slower-than", "60000"]).is_empty());
    let id = |it: &Value| it["request"].as_str().unwrap().to_owned();
    let ids: BTreeSet<String> = all.iter().map(id).collect();
    assert_eq!(ids.len(), all.len(), "each once");
}

#[test]
fn a_follower_that_is_stopped_delays_nobody_and_is_told_what_it_missed() {
    require_fuse!();
    let library = Library::of_one();
    let mut mount = control::mount(&library, &["--no-kernel-cache"]);
    let before = counted(&library);
    let trace = Follower::start(&library, &["trace", "--follow", "--json"]);
    trace.signal(Signal::SIGSTOP);
    let dropped = "musefs_trace_operations_total{fate=\"dropped\"}";
    let path = mount.join(ONE_SERVED);
    let after = eventually("some are dropped", || {
        let path = path.clone();
        // Were anything to wait for the follower, this would never end.
        within(SOON, "a stat", move || {
            for _ in 0..2_000 {
                std::fs::metadata(&path).unwrap();
            }
            std::fs::read(&path).unwrap();
        });
        let after = counted(&library);
        (after.value(dropped) > 0).then_some(after)
    });
    trace.signal(Signal::SIGCONT);
    eventually("it is told that it missed some", || {
        let told = trace.0.stdout();
        String::from_utf8_lossy(&told)
            .contains("{\"missed\":")
            .then_some(())
    });
    let release = "musefs_ops_total{op=\"release\"}";
    let open = "musefs_ops_total{op=\"open\"}";
    let last = eventually("all files are closed", || {
        let last = counted(&library);
        (last.value(release) == last.value(open)).then_some(last)
    });
    let told = objects(&trace.stop());
    let missed: u64 = told.iter().filter_map(|it| it["missed"].as_u64()).sum();
    assert!(missed >= after.value(dropped), "{missed}");
    let heard = told.iter().filter(|it| it["request"].is_string()).count() as u64;
    let all: u64 = ended(&before, &last).values().sum();
    assert_eq!(heard + missed, all);

    // One that takes nothing holds up no end, either.
    let stopped = Follower::start(&library, &["trace", "--follow", "--json"]);
    stopped.signal(Signal::SIGSTOP);
    mount.signal(Signal::SIGINT);
    let outcome = mount.ended(SOON).expect("it ends");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stderr.contains("stuck"), "{outcome:?}");
    stopped.signal(Signal::SIGCONT);
}

#[test]
fn a_follower_ends_with_the_mount_and_there_is_room_for_a_few() {
    require_fuse!();
    let library = Library::of_one();
    let mount = control::mount(&library, &[]);
    let mut followers: Vec<Follower> = (0..4)
        .map(|_| Follower::start(&library, &["trace", "-f"]))
        .collect();
    let trace = || {
        let mut command = own(&library, &["trace", "--follow"]);
        run(command.arg(library.mountpoint()))
    };
    trace().refused(1, &["is followed by 4 already"]);
    followers.pop().unwrap().stop();
    followers.push(eventually("its place is free", || {
        let mut command = own(&library, &["trace", "--follow"]);
        let mut running = Running::start(command.arg(library.mountpoint()));
        let ended = running.wait(Duration::from_millis(500));
        ended.is_none().then_some(Follower(running))
    }));
    mount.stop();
    for mut follower in followers {
        let status = follower.0.wait(SOON);
        let outcome = follower.0.outcome(status).done();
        assert!(outcome.stderr.contains(" ended\n"), "{outcome:?}");
    }
    trace().refused(1, &["no musefs of yours answers for"]);
}

#[test]
fn a_profile_says_in_words_where_the_time_went() {
    require_fuse!();
    let library = Library::of_one();
    let _mount = control::mount(&library, &[]);
    let quiet =
        run(own(&library, &["profile", "--seconds", "0.3"]).arg(library.mountpoint())).done();
    assert!(
        quiet
            .text()
            .starts_with("Nothing was asked of the mount in "),
        "{quiet:?}"
    );
    let profile = Follower::start(&library, &["profile", "--seconds", "3600"]);
    std::fs::read(library.mountpoint().join(ONE_SERVED)).unwrap();
    let text = profile.stop().text();
    for part in [
        "Of ",
        "by phase\n",
        "by operation\n",
        "by directory\n",
        "by process\n",
        "  Boards of Canada/Geogaddi/\n",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_reason() {
    require_fuse!();
    let library = Library::of_one();
    for command in ["trace", "profile"] {
        run(own(&library, &[command]).arg(library.music()))
            .refused(1, &["no musefs of yours answers for", "in no musefs mount"]);
        run(own(&library, &[command]).arg(library.path().join("none")))
            .refused(1, &["cannot look at"]);
        assert_eq!(run(&mut own(&library, &[command])).code, Some(64));
    }
    let odd = run(own(&library, &["trace", "--op", "red"]).arg(library.music()));
    assert_eq!(odd.code, Some(64), "{odd:?}");
    assert!(odd.stderr.contains("possible values"), "{odd:?}");

    // A mount that knows no such request.
    let sockets = library.path().join("run/musefs");
    std::fs::create_dir(&sockets).unwrap();
    let device = library.music().metadata().unwrap().dev();
    let name = format!("{}-{}.sock", libc_major(device), libc_minor(device));
    let listener = UnixListener::bind(sockets.join(name)).unwrap();
    let older = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(&stream)
            .read_line(&mut String::new())
            .unwrap();
        let answer =
            "{\"answer\":\"failed\",\"why\":\"not understood: unknown variant `trace`\"}\n";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    run(own(&library, &["trace"]).arg(library.music())).refused(1, &["of an older version"]);
    older.join().unwrap();
}

fn libc_major(device: u64) -> u64 {
    nix::sys::stat::major(device)
}

fn libc_minor(device: u64) -> u64 {
    nix::sys::stat::minor(device)
}

#[test]
fn a_mount_of_somebody_else_is_said_to_be_theirs() {
    require_fuse!();
    require!(users::is_root(), "only root has another user to be");
    let library = Library::of_one();
    let _mount = control::mount(&library, &[]);
    let mut command = users::musefs_as_normal_user();
    command.env("XDG_RUNTIME_DIR", library.path().join("nowhere"));
    run(command.arg("trace").arg(library.mountpoint()))
        .refused(1, &["no musefs of yours answers for", "belongs to user 0"]);
}
