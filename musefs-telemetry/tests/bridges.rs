//! What `tracing` gets to see, with the features `logs` and `tracing`.

#![cfg(all(feature = "logs", feature = "tracing"))]

use std::io::Write;
use std::sync::{Arc, Mutex};

use musefs_telemetry::events::LogHandler;
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Ctx, Engine, Ops, Outcome, Scope, fields,
};
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
    Open,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines of `work`, as a subscriber of `tracing` writes them.
fn lines(work: impl FnOnce(&Arc<Ops<Op>>)) -> Vec<String> {
    let text = Text::default();
    let writer = text.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let engine = Engine::builder().event_handler(LogHandler).build().unwrap();
        let buckets = Buckets::powers_of_two(1 << 10, 1 << 30);
        work(&Arc::new(Ops::declare(&engine, "shop", buckets).unwrap()));
    });
    let text = text.0.lock().unwrap();
    let text = String::from_utf8(text.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_line_has_the_request_id_and_tiers_are_spans_within_their_operation() {
    let lines = lines(|ops| {
        let mut scope = Scope::begin(Arc::clone(ops), Op::Open, Ctx::request(2, 4_711));
        scope.tier("disk").timed().fallback().finish(Outcome::Hit);
        scope.within(|| tracing::info!("in between"));
        scope.finish(Completion::Errno(5));
        let _entered = Ctx::request(2, 4_711).enter();
        drop(ops.scope(Op::Read));
    });
    for line in &lines {
        assert!(line.contains("request_id=2-4711"), "{line}");
    }
    let with =
        |part: &str| -> Vec<&String> { lines.iter().filter(|line| line.contains(part)).collect() };
    let tiers = with(":tier{");
    assert_eq!(tiers.len(), 1);
    assert!(tiers[0].contains("operation{") && tiers[0].contains("outcome=hit fallback=true"));
    assert!(with("in between")[0].contains("operation=\"open\"}"));
    let ends = with("operation complete");
    assert_eq!(ends.len(), 2);
    assert!(ends[0].contains(" WARN") && ends[0].contains("outcome=errno 5"));
    assert!(ends[1].contains("outcome=cancelled"));
    for field in [
        fields::COALESCED,
        fields::FALLBACK,
        fields::DURATION,
        fields::OPERATION,
    ] {
        assert!(ends[0].contains(&format!("{field}=")), "{field}");
    }
    assert!(with("musefs_telemetry::operations: tier")[0].contains(&format!("{}=", fields::NAME)));
}
