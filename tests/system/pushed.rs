//! Facts that a mount sends where its owner said: what was printed before and nothing else, when it is due, and to nobody else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use musefs_telemetry::emitter;
use serde_json::{Value, json};

use crate::support::SOON;
use crate::support::library::{Library, ONE, ONE_SERVED, TWO, TWO_SERVED};
use crate::support::mount::{Mount, is_mounted};
use crate::support::process::{Outcome, run};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/telemetry-privacy.md");

/// A server that answers every request with the next of its replies, then with an empty one.
struct Server {
    address: SocketAddr,
    requests: Receiver<Value>,
}

impl Server {
    fn new(replies: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut replies = replies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .into_iter();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            // It ends with the test's process.
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let body = body_of(&stream);
                let reply = replies.next().unwrap_or_else(|| "{}".into());
                let mut answer = String::from("HTTP/1.1 200 OK\r\nConnection: close\r\n");
                write!(answer, "Content-Length: {}\r\n\r\n{reply}", reply.len()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                if sender.send(body).is_err() {
                    return;
                }
            }
        });
        Self { address, requests }
    }

    fn endpoint(&self) -> String {
        format!("http://{}/facts?token=of-nobody", self.address)
    }

    fn request(&self) -> Value {
        self.requests.recv_timeout(SOON).expect("a request comes")
    }

    /// Requests that came and that nobody looked at.
    fn rest(&self) -> usize {
        self.requests.try_iter().count()
    }
}

fn body_of(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn state(library: &Library) -> PathBuf {
    library.path().join("state of anna")
}

/// A mount with a state of its own, and an environment that forbids nothing.
fn mount_of(library: &Library) -> Command {
    let mut command = Mount::command(library);
    for name in [
        "DO_NOT_TRACK",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command.env("XDG_STATE_HOME", state(library));
    command
}

fn start(command: &mut Command, library: &Library) -> Mount {
    Mount::start(command, &library.mountpoint()).expect("it mounts")
}

fn print(command: &mut Command) -> (Value, Outcome) {
    let outcome = run(command.arg("--telemetry-print")).done();
    (serde_json::from_slice(&outcome.stdout).unwrap(), outcome)
}

/// The names and kinds of everything in it; of counted texts the texts, but not how many.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) if object.contains_key("count") => object["value"].clone(),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
        Value::Array(array) => array.iter().map(shape).collect(),
        Value::Number(_) => json!("a number"),
        Value::String(_) => json!("a text"),
        other => other.clone(),
    }
}

fn counted(payload: &Value, fact: &str, text: &str) -> u64 {
    let set = payload["data"][fact].as_array().unwrap();
    let entry = set.iter().find(|entry| entry["value"] == text);
    entry.unwrap()["count"].as_u64().unwrap()
}

/// Every name that has to do with the library and where it is.
fn names(library: &Library, mount: &Mount) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["state of anna".to_owned()]);
    let mut walked = vec![library.music(), library.db(), mount.path().to_path_buf()];
    while let Some(path) = walked.pop() {
        for part in &path {
            names.insert(part.to_string_lossy().into_owned());
        }
        names.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
        if path.is_dir() && !path.ends_with(".musefs-metrics") {
            let entries = std::fs::read_dir(&path).unwrap();
            walked.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    for (_, value) in ONE.iter().chain(TWO) {
        names.insert((*value).to_owned());
    }
    for file in ["/proc/sys/kernel/hostname", "/etc/machine-id"] {
        let name = std::fs::read_to_string(file).unwrap_or_default();
        names.insert(name.trim().to_owned());
    }
    names.extend(std::env::var("USER"));
    // Numbers are everywhere, and one letter is no name.
    names.retain(|name| name.len() > 2 && name.parse::<f64>().is_err());
    names
}

#[test]
fn a_mount_sends_what_was_printed_and_once_more_at_its_end_and_no_name_is_in_it() {
    require_fuse!();
    let library = Library::of_two();
    let server = Server::new(&[]);
    let mut command = mount_of(&library);
    command.args(["--fallback", "genre=Secret Style", "--telemetry-endpoint"]);
    command.arg(server.endpoint());
    let (printed, outcome) = print(&mut command);
    assert!(outcome.stderr.contains("about once a day"), "{outcome:?}");
    assert!(!state(&library).exists(), "printing makes nothing");
    assert!(!is_mounted(&library.mountpoint()));
    assert_eq!(server.rest(), 0, "printing sends nothing");

    let mut command = mount_of(&library);
    command.args(["--fallback", "genre=Secret Style", "--telemetry-endpoint"]);
    let mount = start(command.arg(server.endpoint()), &library);
    let first = server.request();
    assert_eq!(shape(&first), shape(&printed));
    for fact in [
        "directories",
        "formats",
        "kernel",
        "musefs",
        "options",
        "tracks",
    ] {
        assert_eq!(first["data"][fact], printed["data"][fact], "{fact}");
    }
    assert_eq!(first["data"]["tracks"], 2);
    assert_eq!(first["data"]["formats"], json!({"flac": 1, "mp3": 1}));
    assert_eq!(
        first["data"]["options"],
        json!(["fallback", "poll-interval-ms"])
    );
    let id = state(&library).join("musefs/telemetry-id");
    assert_eq!(id.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let known = std::fs::read_to_string(&id).unwrap();
    assert_eq!(first["instance_id"], known.trim());

    for path in [ONE_SERVED, TWO_SERVED] {
        std::fs::read(mount.join(path)).unwrap();
    }
    std::fs::metadata(mount.join("Abba/a name that is not there")).unwrap_err();
    let config = std::fs::read_to_string(mount.join(".metrics/config")).unwrap();
    assert!(
        !config.contains("of-nobody"),
        "the address may hold a secret"
    );
    let mut names = names(&library, &mount);
    names.extend(["Secret Style", "a name that is not there"].map(str::to_owned));
    mount.metrics_when("the sending is counted", |metrics| {
        metrics.value("musefs_pushes_total{outcome=\"sent\"}") == 1
    });
    assert!(mount.stop().stderr.is_empty());

    let last = server.request();
    assert!(counted(&last, "requests", "open") >= 2);
    assert!(counted(&last, "requests", "read") >= 1);
    assert!(counted(&last, "errors", "ENOENT") >= 1);
    assert_eq!(last.get("expect_next"), None);
    assert_eq!(last["instance_id"], known.trim());
    assert_eq!(server.rest(), 0, "exactly once more");
    for payload in [printed, first, last] {
        let text = payload.to_string();
        for name in &names {
            assert!(!text.contains(name.as_str()), "`{name}` is in {text}");
        }
    }
    // What is kept is the id, and nothing of the server.
    let kept = std::fs::read_dir(id.parent().unwrap()).unwrap().count();
    assert_eq!(kept, 1);
}

#[test]
fn the_owner_has_the_last_word_and_the_server_the_one_before() {
    require_fuse!();
    let library = Library::of_one();
    let server = Server::new(&[r#"{"enable_keys": ["tracks"], "disable_keys": ["requests"]}"#]);
    let mut command = mount_of(&library);
    command.args([
        "--telemetry-disable",
        "tracks,kernel",
        "--telemetry-endpoint",
    ]);
    let mount = start(command.arg(server.endpoint()), &library);
    let has = |payload: &Value, fact: &str| payload["data"].get(fact).is_some();
    let first = server.request();
    assert!(has(&first, "requests") && has(&first, "formats"));
    mount.metrics_when("the reply is there", |metrics| {
        metrics.value("musefs_pushes_total{outcome=\"sent\"}") == 1
    });
    mount.stop();
    let last = server.request();
    assert!(!has(&last, "requests") && has(&last, "formats"));
    for payload in [first, last] {
        assert!(!has(&payload, "tracks") && !has(&payload, "kernel"));
    }
}

#[test]
fn nothing_is_sent_without_an_address_or_where_the_environment_forbids_it() {
    require_fuse!();
    let library = Library::of_one();
    let server = Server::new(&[]);
    let (_, outcome) = print(&mut mount_of(&library));
    assert!(outcome.stderr.contains("sends nothing"), "{outcome:?}");
    let mount = start(&mut mount_of(&library), &library);
    assert!(mount.stop().stderr.is_empty());

    let mut command = mount_of(&library);
    command.env("DO_NOT_TRACK", "1");
    command.env("MUSEFS_TELEMETRY_ENDPOINT", server.endpoint());
    let mount = start(&mut command, &library);
    let log = mount.stop().stderr;
    assert!(log.contains("DO_NOT_TRACK is set"), "{log}");
    let (_, outcome) = print(&mut command);
    assert!(
        outcome.stderr.contains("DO_NOT_TRACK is set"),
        "{outcome:?}"
    );
    assert_eq!(server.rest(), 0);
    assert!(!state(&library).exists());
}

#[test]
fn a_server_that_does_not_answer_holds_up_no_end() {
    require_fuse!();
    let library = Library::of_one();
    // The system takes connections for it, and nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = mount_of(&library);
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    command.args(["--telemetry-endpoint", &endpoint]);
    let mount = start(&mut command, &library);
    let (_held, _) = listener.accept().unwrap();
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    let outcome = mount.stop();
    assert!(
        outcome
            .stderr
            .contains("does not answer; the last facts are lost")
    );
    assert!(!outcome.stderr.contains("stuck"), "{outcome:?}");
    assert!(!is_mounted(&library.mountpoint()));
}

#[test]
fn a_server_that_is_not_there_is_counted_and_logged_once() {
    require_fuse!();
    let library = Library::of_one();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut command = mount_of(&library);
    command.args(["--telemetry-endpoint", &format!("http://{nobody}/")]);
    let mount = start(&mut command, &library);
    mount.metrics_when("the failure is counted", |metrics| {
        metrics.value("musefs_pushes_total{outcome=\"failed\"}") == 1
    });
    let log = mount.stop().stderr;
    assert_eq!(log.matches("could not be sent").count(), 1, "{log}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    require_fuse!();
    let library = Library::of_one();
    let address = ["--telemetry-endpoint", "http://127.0.0.1:1/"];
    for wrong in [
        ["--telemetry-endpoint", "example.org"],
        ["--telemetry-endpoint", "file:///etc/passwd"],
        ["--telemetry-disable", "everything"],
    ] {
        assert_eq!(
            run(mount_of(&library).args(wrong)).code,
            Some(64),
            "{wrong:?}"
        );
    }
    let refused = |state: &Path, part: &str| {
        let mut command = mount_of(&library);
        command.env("XDG_STATE_HOME", state).args(address);
        run(&mut command).refused(1, &["telemetry id", part]);
    };
    refused(&library.mountpoint().join("x"), "lies at the mountpoint");
    let other = Library::of_one();
    let mount = Mount::new(&other);
    refused(mount.path(), "lies inside the musefs mount");
}

/// Names in the first column of the table under a heading `| title |`.
fn listed(title: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {title} |")));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let name = |row: &str| Some(row.split('`').nth(1)?.to_owned());
    rows.filter_map(name).collect()
}

#[test]
fn the_document_lists_exactly_what_is_sent() {
    require_fuse!();
    let library = Library::of_two();
    let mut command = mount_of(&library);
    let (payload, _) = print(command.args(["--mode", "synthesis"]));
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(listed("around the facts"), names(&payload));
    assert_eq!(listed("fact"), names(&payload["data"]));
    let limit = emitter::INTERVAL_MAX;
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let days = (limit + limit / 10).as_secs() / 86_400;
    assert!(text.contains(&format!("every {days} days")));
}
