//! Each rule of sending, against a server that answers as it was told; time is a number.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::cycle::Answer;
use super::*;
use crate::facts::Limits;

mod server;

use server::{Script, Server, ok, reply};

const SOON: Duration = Duration::from_secs(60);
const DAY: Duration = INTERVAL;
const HOUR: Duration = Duration::from_secs(3_600);
/// A Sunday: Sun, 06 Nov 1994 08:49:37 GMT.
const WALL_MS: u64 = 784_111_777_000;

fn settings(endpoint: &str) -> Settings {
    Settings {
        endpoint: endpoint.to_owned(),
        user_agent: "shop/1.0".into(),
        home: None,
        timeout: SOON,
        last_timeout: SOON,
        note: Box::new(|_| {}),
        observe: Box::new(|_| {}),
    }
}

fn facts_without(disabled: &[&str]) -> Facts {
    let facts = Facts::default();
    facts
        .init("one", disabled.iter().map(ToString::to_string))
        .unwrap();
    facts
}

/// A client without a thread.
struct Client {
    facts: Facts,
    cycle: Cycle,
    post: Post,
    server: Server,
    now_ns: u64,
}

impl Client {
    fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::of(facts_without(&[]), scripts)
    }

    fn of(facts: Facts, scripts: impl IntoIterator<Item = Script>) -> Self {
        let server = Server::new(scripts);
        Self {
            cycle: Cycle::new(facts.clone(), 0, Box::new(|| 0)),
            post: Post::new(&settings(&server.endpoint())),
            facts,
            server,
            now_ns: 0,
        }
    }

    /// Sends what is due; what the server got, and what came of it.
    fn send(&mut self) -> (Value, Report) {
        let report = self.send_unseen();
        (self.server.request(), report)
    }

    fn send_unseen(&mut self) -> Report {
        let Due::Now { last } = self.cycle.due(self.now_ns) else {
            panic!("nothing is due: {:?}", self.cycle)
        };
        match self.cycle.begin(self.now_ns, WALL_MS) {
            Ok(body) => {
                let answer = self.post.send(&body, last);
                self.cycle.answered(self.now_ns, WALL_MS, answer)
            }
            Err(report) => report,
        }
    }

    /// How long it is until the next one, which is due then.
    fn wait(&mut self) -> Duration {
        let Due::In(time) = self.cycle.due(self.now_ns) else {
            panic!("it is over, or due: {:?}", self.cycle)
        };
        self.now_ns += u64::try_from(time.as_nanos()).unwrap();
        time
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

#[test]
fn the_first_payload_is_sent_at_once_and_says_what_it_is() {
    let mut client = Client::new([ok("{}")]);
    client.facts.set("version", "1.0").unwrap();
    let (payload, report) = client.send();
    assert_eq!(report.outcome, Outcome::Sent);
    assert_eq!(
        payload,
        json!({
            "instance_id": "one",
            "timestamp": "1994-11-06T08:49:37Z",
            "expect_next": "1994-11-07T11:13:37Z",
            "data": {"version": "1.0"},
        })
    );
    assert_eq!(client.wait(), DAY);
}

#[test]
fn what_is_printed_is_what_would_be_sent_and_leaves_the_facts_as_they_are() {
    let mut client = Client::new([ok("{}")]);
    client.facts.add("sum", 2.0).unwrap();
    client.facts.set_nested("formats", "flac", 3.0).unwrap();
    let printed: Value = serde_json::from_str(&preview(&client.facts)).unwrap();
    let (sent, _) = client.send();
    assert_eq!(printed["data"], sent["data"]);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(&printed), names(&sent));
}

#[test]
fn a_preview_while_a_payload_is_under_way_changes_nothing() {
    let mut client = Client::new([ok("{}")]);
    client.facts.add("sum", 1.0).unwrap();
    client.cycle.begin(0, WALL_MS).unwrap();
    preview(&client.facts);
    client.cycle.answered(0, WALL_MS, delivered());
    assert!(client.facts.known().is_empty());
}

fn delivered() -> Answer {
    Answer::Http {
        status: 200,
        retry_after: None,
        body: None,
    }
}

#[test]
fn the_environment_forbids_sending() {
    for (value, wanted) in [
        ("1", true),
        ("yes", true),
        ("0", false),
        ("", false),
        ("False", false),
    ] {
        assert_eq!(forbids(OsStr::new(value)), wanted, "{value:?}");
    }
    let started = start(&facts_without(&[]), settings("http://127.0.0.1:1/"), true);
    assert!(matches!(started, Err(StartError::DoNotTrack)));
}

#[test]
fn what_cannot_be_started_says_why() {
    let start = |facts: &Facts, endpoint: &str| start(facts, settings(endpoint), false);
    let facts = facts_without(&[]);
    for odd in [
        "",
        "example.org",
        "ftp://example.org/",
        "http://",
        "/path",
        "http://a b/",
    ] {
        let started = start(&facts, odd);
        assert!(matches!(started, Err(StartError::Endpoint(_))), "{odd:?}");
    }
    let server = Server::new([ok("{}"), ok("{}")]);
    let not_ready = start(&Facts::default(), &server.endpoint());
    assert!(matches!(not_ready, Err(StartError::NotInitialised)));
    let first = start(&facts, &server.endpoint()).unwrap();
    let second = start(&facts, &server.endpoint());
    assert!(matches!(second, Err(StartError::AlreadyEmitting)));
    assert!(first.stop_emitting(Instant::now() + SOON));
}

#[test]
fn the_server_says_when_the_next_one_comes_within_bounds() {
    for (told, wanted) in [
        (json!(nanoseconds(HOUR)), HOUR),
        (json!(1), INTERVAL_MIN),
        (json!(1e300), INTERVAL_MAX),
        (json!(u64::MAX), INTERVAL_MAX),
        (json!(0), DAY),
        (json!(-5), DAY),
        (Value::Null, DAY),
    ] {
        let body = json!({"next_update": told}).to_string();
        let mut client = Client::new([ok(&body)]);
        client.send();
        assert_eq!(client.wait(), wanted, "{told}");
    }
}

#[test]
fn two_instances_that_start_together_part_and_none_is_early() {
    let waits = [0, 1, u64::MAX / 3, u64::MAX].map(|random| {
        let mut cycle = Cycle::new(facts_without(&[]), 0, Box::new(move || random));
        cycle.begin(0, WALL_MS).unwrap();
        cycle.answered(0, WALL_MS, delivered());
        match cycle.due(0) {
            Due::In(wait) => wait,
            due => panic!("{due:?}"),
        }
    });
    for (index, wait) in waits.iter().enumerate() {
        assert!((DAY..DAY + DAY / 10).contains(wait), "{wait:?}");
        assert!(!waits[..index].contains(wait), "{waits:?}");
    }
}

#[test]
fn a_reply_never_leaks_into_the_next() {
    let hurried = json!({"next_update": nanoseconds(HOUR), "error": "odd"}).to_string();
    let mut client = Client::new([ok(&hurried), ok("{}")]);
    let (_, first) = client.send();
    assert_eq!((client.wait(), first.message.as_str()), (HOUR, "odd"));
    let (_, second) = client.send();
    assert_eq!((client.wait(), second.message.as_str()), (DAY, ""));
}

#[test]
fn the_server_ends_it_without_a_further_payload() {
    for (status, outcome) in [
        (200, Outcome::Sent),
        (500, Outcome::Failed),
        (429, Outcome::Throttled),
    ] {
        let mut client = Client::new([reply(status, "", r#"{"stop": true}"#)]);
        let (_, report) = client.send();
        assert_eq!(report.outcome, outcome);
        client.cycle.stop();
        assert_eq!(client.cycle.due(u64::MAX), Due::Ended(End::Told));
    }
}

#[test]
fn keys_are_disabled_and_enabled_and_what_was_buffered_is_gone() {
    let mut client = Client::new([
        reply(500, "", r#"{"disable_keys": ["sum"]}"#),
        ok("{}"),
        ok(r#"{"enable_keys": ["sum"]}"#),
        ok("{}"),
    ]);
    let sum = |payload: &Value| payload["data"].get("sum").cloned();
    client.facts.add("sum", 1.0).unwrap();
    // It was not delivered, and is not kept either.
    assert_eq!(sum(&client.send().0), Some(json!(1)));
    client.facts.add("sum", 2.0).unwrap();
    client.wait();
    assert_eq!(sum(&client.send().0), None);
    client.wait();
    assert_eq!(sum(&client.send().0), None);
    client.facts.add("sum", 4.0).unwrap();
    client.wait();
    assert_eq!(sum(&client.send().0), Some(json!(4)));
}

#[test]
fn no_server_enables_what_the_operator_disabled_and_disable_wins() {
    let both = r#"{"enable_keys": ["mine", "theirs"], "disable_keys": ["theirs"]}"#;
    let mut client = Client::of(facts_without(&["mine"]), [ok(both), ok(both), ok("{}")]);
    for _ in 0..3 {
        client.facts.set("mine", "x").unwrap();
        client.facts.set("other", "x").unwrap();
        let (payload, _) = client.send();
        assert_eq!(payload["data"], json!({"other": "x"}));
        client.facts.set("theirs", "x").unwrap();
        client.wait();
    }
}

#[test]
fn a_throttled_payload_is_kept_and_sent_when_the_server_said() {
    let date = "Retry-After: Sun, 06 Nov 1994 10:49:37 GMT\r\n";
    let past = "Retry-After: Sunday, 06-Nov-94 08:00:00 GMT\r\n";
    let told = json!({"next_update": nanoseconds(HOUR)}).to_string();
    let cases = [
        (reply(429, "Retry-After: 7200\r\n", &told), 2 * HOUR),
        (reply(429, date, ""), 2 * HOUR),
        (reply(429, past, ""), INTERVAL_MIN),
        (reply(429, "Retry-After: soon\r\n", &told), HOUR),
        (reply(429, "Retry-After: 99999999999\r\n", ""), INTERVAL_MAX),
        (reply(429, "", "no JSON"), DAY),
    ];
    let scripts = cases.iter().map(|(script, _)| script.clone());
    let mut client = Client::new(scripts.chain([ok("{}"), ok("{}")]));
    for (number, (_, wanted)) in cases.iter().enumerate() {
        client.facts.increment("sum").unwrap();
        let (payload, report) = client.send();
        assert_eq!(payload["data"]["sum"], number + 1);
        assert_eq!(report.outcome, Outcome::Throttled);
        assert_eq!(client.wait(), *wanted, "case {number}");
    }
    assert_eq!(client.send().0["data"]["sum"], cases.len());
    client.wait();
    assert_eq!(client.send().0["data"], json!({}));
}

#[test]
fn a_failed_payload_is_kept_whatever_failed_and_tried_again_ever_later() {
    let scripts = [
        reply(500, "", "<html>"),
        Script::HangUp,
        reply(302, "Location: http://127.0.0.1:1/\r\n", ""),
        reply(404, "", "{}"),
        // As RFC 9110 has it for this status, too.
        reply(503, "Retry-After: 7200\r\n", ""),
        Script::Say("SSH-2.0\r\n\r\n".into()),
        ok("{}"),
    ];
    let failing = scripts.len() - 1;
    let mut client = Client::new(scripts);
    for number in 0..failing {
        client.facts.increment("sum").unwrap();
        let (payload, report) = client.send();
        assert_eq!(payload["data"]["sum"], number + 1);
        assert_eq!(report.outcome, Outcome::Failed);
        assert!(!report.message.is_empty());
        let wanted = match number {
            4 => 2 * HOUR,
            _ => INTERVAL_MIN * (1 << number),
        };
        assert_eq!(client.wait(), wanted);
    }
    assert_eq!(client.send().0["data"]["sum"], failing);
    client.wait();
    // Nobody listens there any more.
    for _ in 0..40 {
        client.facts.increment("sum").unwrap();
        assert_eq!(client.send_unseen().outcome, Outcome::Failed);
        assert!(client.wait() <= DAY);
    }
    assert_eq!(client.wait_is_usual(), DAY);
    let left = serde_json::to_value(client.facts.known()).unwrap();
    assert_eq!(left, json!({"sum": 40}));
}

impl Client {
    fn wait_is_usual(&mut self) -> Duration {
        self.send_unseen();
        self.wait()
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let server = Server::new([Script::Nothing, Script::Nothing]);
    let mut settings = settings(&server.endpoint());
    settings.timeout = Duration::from_millis(20);
    settings.last_timeout = Duration::from_millis(20);
    let post = Post::new(&settings);
    for last in [false, true] {
        assert!(matches!(post.send(b"{}", last), Answer::Lost(_)));
    }
}

#[test]
fn a_reply_that_is_too_long_or_makes_no_sense_changes_nothing() {
    let long = format!(
        r#"{{"stop": true, "error": "{}"}}"#,
        "x".repeat(usize::try_from(post::REPLY_BYTES_MAX).unwrap())
    );
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"stop\":true}";
    let scripts = [
        ok(&long),
        Script::Say(short.into()),
        ok("[]"),
        ok(r#"{"stop": "yes"}"#),
        ok(""),
        ok("{\"stop\": null, \"disable_keys\": null}"),
    ];
    let count = scripts.len();
    let mut client = Client::new(scripts);
    for _ in 0..count {
        client.facts.increment("sum").unwrap();
        let (payload, report) = client.send();
        assert_eq!(payload["data"]["sum"], 1, "the one before was delivered");
        assert_eq!((report.outcome, client.wait()), (Outcome::Sent, DAY));
    }
}

#[test]
fn a_message_of_the_server_is_one_short_line() {
    let message = "a\nb\u{1b}[31m".to_owned() + &"x".repeat(1_000);
    let mut client = Client::new([reply(503, "", &json!({"error": message}).to_string())]);
    let (_, report) = client.send();
    assert!(report.message.starts_with("HTTP status 503 a b [31mxx"));
    assert_eq!(report.message.chars().count(), 200);
}

#[test]
fn neither_a_payload_that_is_too_long_nor_a_number_that_is_none_ends_it() {
    let facts = Facts::within(Limits {
        items_max: 10,
        bytes_max: 1 << 20,
    });
    facts.init("one", []).unwrap();
    let mut client = Client::of(facts, [reply(413, "", ""), ok("{}")]);
    client.facts.set("long", "\u{1}".repeat(1 << 16)).unwrap();
    let report = client.send_unseen();
    assert_eq!(report.outcome, Outcome::Oversized);
    assert_eq!(client.wait(), DAY);
    client.facts.set("sum", f64::NAN).unwrap_err();
    client.facts.add("sum", 1.0).unwrap();
    client.facts.add("sum", f64::INFINITY).unwrap_err();
    let (payload, report) = client.send();
    assert_eq!(payload["data"], json!({"sum": 1}));
    // The server finds it too long: it would at every time.
    assert_eq!(report.outcome, Outcome::Oversized);
    client.wait();
    assert_eq!(client.send().0["data"], json!({}));
}

#[test]
fn stop_sends_exactly_once_more_and_ends() {
    let mut client = Client::new([ok("{}"), reply(500, "", r#"{"next_update": 1}"#)]);
    client.send();
    client.facts.increment("sum").unwrap();
    client.cycle.stop();
    assert_eq!(client.cycle.due(0), Due::Now { last: true });
    let (payload, _) = client.send();
    assert_eq!(payload["data"]["sum"], 1);
    assert_eq!(payload.get("expect_next"), None);
    // Also when that one failed.
    assert_eq!(client.cycle.due(u64::MAX), Due::Ended(End::Asked));
}

#[test]
fn a_last_payload_that_is_too_long_ends_it_as_well() {
    let facts = Facts::within(Limits {
        items_max: 10,
        bytes_max: 1 << 20,
    });
    facts.init("one", []).unwrap();
    facts.set("long", "\u{1}".repeat(1 << 16)).unwrap();
    let mut client = Client::of(facts, []);
    client.cycle.stop();
    assert_eq!(client.send_unseen().outcome, Outcome::Oversized);
    assert_eq!(client.cycle.due(0), Due::Ended(End::Asked));
}

/// A thread that sends to `server`, and what it reports.
fn emitting(facts: &Facts, server: &Server, home: Option<Home>) -> (Emitter, Receiver<Report>) {
    let (sender, reports) = channel();
    let mut settings = settings(&server.endpoint());
    settings.home = home;
    settings.note = Box::new(|facts| facts.increment("noted").unwrap());
    settings.observe = Box::new(move |report| {
        sender.send(report.clone()).ok();
    });
    (start(facts, settings, false).unwrap(), reports)
}

#[test]
fn the_thread_sends_at_once_and_once_more_when_it_is_stopped() {
    let server = Server::new([ok("{}"), ok("{}")]);
    let (emitter, reports) = emitting(&facts_without(&[]), &server, None);
    assert_eq!(server.request()["data"]["noted"], 1);
    let first = reports.recv_timeout(SOON).unwrap();
    assert_eq!(first.outcome, Outcome::Sent);
    assert!(!emitter.is_over());
    assert!(emitter.stop_emitting(Instant::now() + SOON));
    assert_eq!((server.rest(), reports.iter().count()), (1, 1));
}

#[test]
fn stopped_while_a_payload_is_under_way_it_sends_exactly_once_more() {
    for (status, kept) in [(200, 1), (500, 2)] {
        let Script::Say(text) = reply(status, "", "{}") else {
            unreachable!("a reply is said")
        };
        let server = Server::new([Script::SayLater(text), ok("{}")]);
        let facts = facts_without(&[]);
        let (emitter, reports) = emitting(&facts, &server, None);
        server.request();
        emitter.ask_to_stop();
        assert!(!emitter.stop_emitting(Instant::now()));
        server.go.send(()).unwrap();
        assert!(emitter.stop_emitting(Instant::now() + SOON));
        let last = server.request();
        assert_eq!(last["data"]["noted"], kept);
        assert_eq!((server.rest(), reports.iter().count()), (0, 2));
        // The facts are free for another one.
        let server = Server::new([ok("{}"), ok("{}")]);
        let (emitter, _reports) = emitting(&facts, &server, None);
        server.request();
        drop(emitter);
        assert_eq!(server.rest(), 1, "dropping it is stopping it");
    }
}

#[test]
fn a_server_that_is_gone_is_remembered_and_another_is_not() {
    for status in [410, 451] {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path().join("state/shop"));
        let server = Server::new([reply(status, "", "")]);
        let facts = facts_without(&[]);
        let (emitter, reports) = emitting(&facts, &server, Some(home.clone()));
        assert_eq!(reports.recv_timeout(SOON).unwrap().outcome, Outcome::Gone);
        assert!(emitter.stop_emitting(Instant::now() + SOON));
        assert_eq!(reports.iter().count(), 0, "there is no last payload");
        let mut again = settings(&server.endpoint());
        again.home = Some(home.clone());
        let started = start(&facts, again, false);
        assert!(matches!(started, Err(StartError::Gone { status: told }) if told == status));
        assert_eq!(home.gone("http://127.0.0.1:1/"), None);
        for other in 0..100 {
            home.remember_gone(&format!("http://127.0.0.1:{other}/"), 410);
        }
        assert_eq!(
            home.gone(&server.endpoint()),
            None,
            "the oldest is forgotten"
        );
        assert_eq!(home.gone("http://127.0.0.1:99/"), Some(410));
    }
}

#[test]
fn the_id_is_random_kept_for_the_owner_alone_and_made_anew_when_it_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::new(directory.path().join("state/shop"));
    assert_eq!(home.known_id(), None);
    assert!(!home.directory().exists(), "looking makes nothing");
    let id = home.id().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "4"));
    assert_eq!(home.id().unwrap(), id);
    let path = home.directory().join("telemetry-id");
    let mode = || path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!((home.id().unwrap(), mode()), (id.clone(), 0o600));
    let mut ids = vec![id.clone()];
    for corrupt in ["", "no id", &id[1..], &id.to_uppercase(), &format!("{id}x")] {
        std::fs::write(&path, corrupt).unwrap();
        let other = home.id().unwrap();
        assert!(!ids.contains(&other), "{corrupt:?}");
        assert_eq!(mode(), 0o600);
        ids.push(other);
    }
    std::fs::write(&path, [0xff; 36]).unwrap();
    assert!(!ids.contains(&home.id().unwrap()));
    assert_eq!(std::fs::read_dir(home.directory()).unwrap().count(), 1);
    // Where nothing can be kept there is no id.
    let blocked = Home::new(path.join("below a file"));
    let error = blocked.id().unwrap_err();
    assert!(error.to_string().contains("telemetry-id"), "{error}");
}
