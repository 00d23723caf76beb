use musefs_telemetry::encode::prometheus;

use super::*;

fn text(engine: &Engine) -> String {
    let mut text = String::new();
    prometheus::Writer::new(&mut text, &[]).snapshot(&engine.snapshot());
    text
}

fn value(text: &str, family: &str, client: &str) -> u64 {
    let start = format!("{family}{{client=\"{client}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn who_asks_is_counted_by_name_and_who_cannot_be_known_is_told_so() {
    let engine = Engine::new();
    let metrics = ClientMetrics::declare(&engine).unwrap();
    let clients = Clients::start(&metrics).unwrap();
    let own = std::process::id();
    let name = names::of_process(own).unwrap();
    for _ in 0..1_000 {
        clients.asked(own);
        clients.given(own, 7);
    }
    clients.asked(0);
    // No process has such a number.
    clients.asked(4_194_302);
    let requests = REQUESTS.name;
    let deadline = Instant::now() + Duration::from_secs(30);
    let text = loop {
        clients.count(Instant::now());
        let text = text(&engine);
        let counted = value(&text, requests, &name) + value(&text, requests, "unknown");
        if counted == 1_002 {
            break text;
        }
        assert!(Instant::now() < deadline, "{text}");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(value(&text, requests, "unknown"), 2);
    assert_eq!(value(&text, READ_BYTES.name, &name), 7_000);
    assert_eq!(value(&text, READ_BYTES.name, "other"), 0);
    assert!(clients.stop(deadline));
    metrics.silence();
    assert!(!self::text(&engine).contains("client=\""));
}

#[test]
fn who_asks_nothing_more_is_forgotten_and_nothing_is_lost() {
    let engine = Engine::new();
    let metrics = ClientMetrics::declare(&engine).unwrap();
    let clients = Clients::start(&metrics).unwrap();
    assert!(clients.stop(Instant::now() + Duration::from_secs(30)));
    let now = Instant::now();
    let own = std::process::id();
    clients.asked(own);
    clients.look(now);
    assert_eq!(
        clients.notes.processes().collect::<Vec<_>>(),
        [(own, false)]
    );
    clients.asked(own);
    clients.look(now + IDLE_MAX);
    assert_eq!(clients.known.lock().len(), 1, "it asked again");
    clients.look(now + 2 * IDLE_MAX);
    assert_eq!(clients.notes.processes().count(), 0);
    assert!(clients.known.lock().is_empty());
    let name = names::of_process(own).unwrap();
    assert_eq!(value(&text(&engine), REQUESTS.name, &name), 2);
}
