//! Operations as nested spans and as lines of `tracing`, with the request's id on each line.
//!
//! `cargo run -p musefs-telemetry --example telemetry_subscriber --features logs,tracing`

use std::sync::Arc;

use musefs_telemetry::events::LogHandler;
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Ctx, DescribeError, Engine, Ops, Outcome, Scope,
};
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
    Open,
}

/// Two requests that end as they should, one of them answered by the other's work, and one that nobody ends.
fn requests() -> Result<(), DescribeError> {
    let engine = Engine::builder().event_handler(LogHandler).build()?;
    let buckets = Buckets::powers_of_two(1 << 10, 1 << 30);
    let ops: Arc<Ops<Op>> = Arc::new(Ops::declare(&engine, "example", buckets)?);

    let leader = Ctx::request(0, 41);
    let mut open = Scope::begin(Arc::clone(&ops), Op::Open, leader);
    let mut follower = Scope::begin(Arc::clone(&ops), Op::Open, Ctx::request(0, 42));
    open.tier("memory").finish(Outcome::Miss);
    open.within(|| {
        tracing::debug!(
            request_id = Ctx::current().request_id,
            "looking on the disk"
        );
    });
    open.tier("disk").timed().fallback().finish(Outcome::Hit);
    follower.coalesce(leader);
    open.finish(Completion::Ok);
    follower.finish(Completion::Ok);

    let abandoned = Scope::begin(Arc::clone(&ops), Op::Read, Ctx::request(0, 43));
    std::thread::spawn(move || drop(abandoned))
        .join()
        .expect("dropping does not panic");
    Ok(())
}

fn main() -> Result<(), DescribeError> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_target(false)
        .init();
    requests()
}

#[test]
fn the_requests_end() {
    assert_eq!(requests(), Ok(()));
}
