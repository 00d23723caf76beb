//! The exporter as a collector sees it: one that takes everything, one that does not, and one that is not there.

#![cfg(feature = "otlp")]

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use musefs_telemetry::encode::otlp::{HistogramForm, Origin};
use musefs_telemetry::export::otlp::{
    BATCH_MAX, Backoff, Endpoint, ExportOutcome, Exporter, Header, Moment, Notice, QUEUE_MAX,
    Settings, Signal, Sources, Spans, Stats,
};
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Counter, Ctx, Engine, Family, Ops, Scope, Temporality,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint};

#[path = "../../tests/otlp_receiver.rs"]
mod otlp_receiver;

use otlp_receiver::{Answer, METRICS, Receiver, Request, TRACES};

static READS: Family = Family::counter("reads_total", "Reads.");

/// Between two attempts, unless a collector asks for more.
const PAUSE: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
}

struct Scene {
    receiver: Receiver,
    engine: Engine,
    reads: Counter,
    ops: Ops<Op>,
    stats: Arc<Stats>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

fn scene() -> Scene {
    let engine = Engine::builder().attribute("mount", "/m").build().unwrap();
    let stats = Arc::new(Stats::default());
    stats.declare(&engine, "shop").unwrap();
    Scene {
        receiver: Receiver::start(),
        reads: engine.counter(&READS).unwrap(),
        ops: Ops::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap(),
        engine,
        stats,
        notices: Arc::default(),
    }
}

impl Scene {
    fn settings(&self, temporality: Temporality) -> Settings {
        let endpoint = Endpoint::parse(self.receiver.url()).unwrap();
        let origin = Origin::new("shop", "1.0", self.engine.attributes(), SystemTime::now());
        Settings {
            interval: PAUSE,
            temporality,
            backoff: Backoff {
                first: PAUSE,
                max: PAUSE,
                ..Backoff::default()
            },
            ..Settings::new(endpoint, origin)
        }
    }

    fn start(&self, settings: Settings, sources: Sources) -> Exporter {
        let notices = Arc::clone(&self.notices);
        let stats = Arc::clone(&self.stats);
        Exporter::start(&self.engine, settings, sources, stats, move |notice| {
            notices.lock().unwrap().push(notice);
        })
        .unwrap()
    }

    fn metrics(&self) -> Sources {
        Sources::of(&self.engine)
    }

    fn operation(&self, request_id: u64) {
        let ctx = Ctx::request(0, request_id);
        Scope::begin(&self.ops, Op::Read, ctx).finish(Completion::Ok);
    }

    fn notices(&self) -> Vec<String> {
        let notices = self.notices.lock().unwrap();
        notices.iter().map(ToString::to_string).collect()
    }

    fn exports(&self, signal: Signal, outcome: ExportOutcome) -> u64 {
        self.stats.exports(signal, outcome)
    }
}

/// No metrics, but every operation.
fn spans() -> Sources {
    Sources {
        metrics: Box::new(|| None),
        spans: Some(Spans {
            wanted: Box::new(|_| true),
            attributes: Box::new(|_| Vec::new()),
        }),
    }
}

fn end(exporter: &Exporter) {
    assert!(exporter.stop(Instant::now() + LONG), "it ends");
}

fn reads_of(request: &Request) -> NumberDataPoint {
    let metrics = request.metrics();
    let reads = metrics.iter().find(|metric| metric.name == READS.name);
    let Some(Data::Sum(sum)) = reads.and_then(|reads| reads.data.clone()) else {
        panic!("no reads in {metrics:?}");
    };
    let delta = sum.aggregation_temporality() == AggregationTemporality::Delta;
    assert!(sum.is_monotonic && (delta || sum.aggregation_temporality == 2));
    sum.data_points[0].clone()
}

fn whole(point: &NumberDataPoint) -> u64 {
    match point.value {
        Some(Value::AsInt(value)) => u64::try_from(value).unwrap(),
        ref other => panic!("{other:?}"),
    }
}

fn taken(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|own| own.status == 200).collect()
}

#[test]
fn totals_and_who_they_are_of_arrive_at_intervals() {
    let scene = scene();
    scene.reads.add(5);
    let settings = Settings {
        headers: vec![Header::parse("Authorization=Bearer abc").unwrap()],
        gzip: true,
        histograms: HistogramForm::Exponential,
        ..scene.settings(Temporality::Cumulative)
    };
    let exporter = scene.start(settings, scene.metrics());
    scene.receiver.wait(METRICS, 2);
    scene.reads.add(2);
    end(&exporter);
    let requests = scene.receiver.requests(METRICS);
    let (first, last) = (&requests[0], &requests[requests.len() - 1]);
    assert_eq!(first.headers["content-type"], "application/x-protobuf");
    assert_eq!(first.headers["content-encoding"], "gzip");
    assert_eq!(first.headers["authorization"], "Bearer abc");
    assert_eq!(first.resource()["service.name"], "shop");
    assert_eq!(first.resource()["mount"], "/m");
    let (first, last) = (reads_of(first), reads_of(last));
    assert_eq!(
        (whole(&first), whole(&last)),
        (5, 7),
        "the last flush has it all"
    );
    assert_eq!(first.start_time_unix_nano, last.start_time_unix_nano);
    assert!(first.time_unix_nano < last.time_unix_nano);
    let sent = scene.exports(Signal::Metrics, ExportOutcome::Sent);
    assert_eq!(sent, requests.len() as u64);
    assert!(scene.notices().is_empty());
    // What it counts of itself is a metric as others are.
    let own = scene.engine.snapshot();
    let own = own.find("shop_otlp_exports_total").unwrap();
    assert_eq!(own.series().count(), 8);
}

#[test]
fn what_was_not_taken_comes_again_and_nothing_comes_twice() {
    let scene = scene();
    let later = Answer::Status(503, None);
    scene.receiver.answers(
        METRICS,
        [
            later.clone(),
            Answer::Taken,
            later.clone(),
            later,
            Answer::Status(429, None),
        ],
    );
    let exporter = scene.start(scene.settings(Temporality::Delta), scene.metrics());
    let counting = {
        let reads = scene.reads.clone();
        thread::spawn(move || {
            for _ in 0..2_000 {
                reads.increment();
                thread::sleep(Duration::from_micros(50));
            }
        })
    };
    scene
        .receiver
        .wait_until(METRICS, |requests| taken(requests).len() >= 4);
    counting.join().unwrap();
    end(&exporter);
    let requests = scene.receiver.requests(METRICS);
    let points: Vec<_> = taken(&requests).into_iter().map(reads_of).collect();
    assert_eq!(points.iter().map(whole).sum::<u64>(), 2_000);
    for two in points.windows(2) {
        assert_eq!(two[1].start_time_unix_nano, two[0].time_unix_nano);
    }
    assert_eq!(scene.exports(Signal::Metrics, ExportOutcome::Retried), 4);
    assert_eq!(scene.stats.dropped(Signal::Metrics), 0);
    let notices = scene.notices();
    assert_eq!(notices.len(), 4, "each time once: {notices:?}");
    assert!(
        notices[0].contains("503") && notices[1].contains("sent again"),
        "{notices:?}"
    );
}

#[test]
fn a_collector_that_asks_for_time_gets_it() {
    for asked in [
        || "1".to_owned(),
        // A date has whole seconds, so that this one is one to two seconds away.
        || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2)),
    ] {
        let scene = scene();
        let answer = Answer::Status(503, Some(asked()));
        scene.receiver.answers(METRICS, [answer]);
        let exporter = scene.start(scene.settings(Temporality::Cumulative), scene.metrics());
        let requests = scene.receiver.wait(METRICS, 2);
        let waited = requests[1].came - requests[0].came;
        assert!(waited >= Duration::from_millis(900), "{waited:?}");
        end(&exporter);
    }
}

#[test]
fn what_is_refused_is_dropped_and_counted() {
    let scene = scene();
    scene.reads.add(3);
    let refusals = [
        Answer::Status(400, None),
        Answer::Status(400, None),
        Answer::Status(500, None),
    ];
    scene.receiver.answers(METRICS, refusals);
    let exporter = scene.start(scene.settings(Temporality::Delta), scene.metrics());
    scene.receiver.wait(METRICS, 4);
    end(&exporter);
    let requests = scene.receiver.requests(METRICS);
    let total: u64 = taken(&requests)
        .into_iter()
        .map(|own| whole(&reads_of(own)))
        .sum();
    assert_eq!(
        (whole(&reads_of(&requests[0])), total),
        (3, 0),
        "it does not come again"
    );
    assert_eq!(scene.exports(Signal::Metrics, ExportOutcome::Refused), 3);
    assert_eq!(scene.exports(Signal::Metrics, ExportOutcome::Retried), 0);
    let points = |request: &Request| {
        let metrics = request.metrics();
        let points = metrics.iter().map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.len(),
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Histogram(histogram)) => histogram.data_points.len(),
            other => panic!("{other:?}"),
        });
        points.sum::<usize>() as u64
    };
    let refused: u64 = requests[..3].iter().map(points).sum();
    assert_eq!(scene.stats.dropped(Signal::Metrics), refused);
    let notices = scene.notices();
    assert_eq!(notices.len(), 2, "each refusal once: {notices:?}");
    assert!(
        notices[0].contains("400") && notices[1].contains("500"),
        "{notices:?}"
    );
}

#[test]
fn what_is_taken_in_part_is_counted_in_part() {
    let scene = scene();
    scene
        .receiver
        .answers(METRICS, [Answer::TakenWithout(2), Answer::TakenWithout(0)]);
    let exporter = scene.start(scene.settings(Temporality::Cumulative), scene.metrics());
    scene.receiver.wait(METRICS, 3);
    end(&exporter);
    assert_eq!(scene.exports(Signal::Metrics, ExportOutcome::Partial), 1);
    assert_eq!(scene.stats.dropped(Signal::Metrics), 2);
    let notices = scene.notices();
    assert!(notices[0].contains("too old"), "{notices:?}");
}

#[test]
fn a_collector_that_says_nothing_is_given_up_in_time_and_tried_again() {
    let scene = scene();
    scene.receiver.answers(METRICS, [Answer::Silence]);
    let settings = Settings {
        timeout: Duration::from_millis(200),
        ..scene.settings(Temporality::Delta)
    };
    scene.reads.add(4);
    let exporter = scene.start(settings, scene.metrics());
    let requests = scene.receiver.wait(METRICS, 1);
    assert_eq!(whole(&reads_of(&requests[0])), 4);
    end(&exporter);
    assert_eq!(scene.exports(Signal::Metrics, ExportOutcome::Retried), 1);
    assert!(
        scene.notices()[0].contains("timeout"),
        "{:?}",
        scene.notices()
    );
}

#[test]
fn a_collector_that_is_away_is_told_once_and_found_when_it_is_there() {
    let scene = scene();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let settings = Settings {
        endpoint: Endpoint::parse(&format!("http://{address}")).unwrap(),
        ..scene.settings(Temporality::Cumulative)
    };
    let exporter = scene.start(settings, scene.metrics());
    let deadline = Instant::now() + LONG;
    while scene.exports(Signal::Metrics, ExportOutcome::Retried) < 3 {
        assert!(Instant::now() < deadline);
        thread::sleep(PAUSE);
    }
    end(&exporter);
    let notices = scene.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].starts_with("cannot send metrics: "),
        "{notices:?}"
    );
}

#[test]
fn a_collector_that_is_to_be_secure_gets_nothing_in_the_clear() {
    let scene = scene();
    let secure = scene.receiver.url().replace("http://", "https://");
    let settings = Settings {
        endpoint: Endpoint::parse(&secure).unwrap(),
        // The receiver waits for the end of a head that never comes.
        timeout: Duration::from_millis(200),
        ..scene.settings(Temporality::Cumulative)
    };
    let exporter = scene.start(settings, scene.metrics());
    let deadline = Instant::now() + LONG;
    while scene.exports(Signal::Metrics, ExportOutcome::Retried) == 0 {
        assert!(Instant::now() < deadline);
        thread::sleep(PAUSE);
    }
    end(&exporter);
    assert!(scene.receiver.requests(METRICS).is_empty());
}

#[test]
fn a_moment_is_sent_once() {
    let scene = scene();
    let snapshot = scene.engine.snapshot();
    let time = SystemTime::now();
    let (asked, turns) = std::sync::mpsc::channel();
    let sources = Sources {
        metrics: Box::new(move || {
            asked.send(()).ok();
            Some(Moment {
                snapshot: snapshot.clone(),
                time,
            })
        }),
        spans: None,
    };
    let exporter = scene.start(scene.settings(Temporality::Delta), sources);
    for _ in 0..3 {
        turns.recv_timeout(LONG).unwrap();
    }
    end(&exporter);
    assert_eq!(scene.receiver.requests(METRICS).len(), 1);
}

#[test]
fn operations_arrive_together_and_again_until_they_are_taken() {
    let scene = scene();
    scene.receiver.answers(
        TRACES,
        [Answer::Status(502, None), Answer::Status(504, None)],
    );
    let exporter = scene.start(scene.settings(Temporality::Cumulative), spans());
    for request_id in 1..=10 {
        scene.operation(request_id);
    }
    scene
        .receiver
        .wait_until(TRACES, |requests| !taken(requests).is_empty());
    end(&exporter);
    let spans = scene.receiver.spans();
    let mut ids: Vec<u8> = spans.iter().map(|span| span.span_id[7]).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(scene.exports(Signal::Spans, ExportOutcome::Retried), 2);
    assert_eq!(scene.stats.dropped(Signal::Spans), 0);
    scene.operation(11);
    assert!(
        !scene.engine.events().interested(),
        "nobody listens any more"
    );
}

#[test]
fn operations_beyond_the_bound_are_counted_and_hold_up_nobody() {
    let scene = scene();
    scene.receiver.answers(TRACES, [Answer::Silence]);
    let exporter = scene.start(scene.settings(Temporality::Cumulative), spans());
    // A full request is sent at once, and hangs.
    for request_id in 1..=BATCH_MAX as u64 {
        scene.operation(request_id);
    }
    let beyond = 100;
    let all = BATCH_MAX + QUEUE_MAX + beyond;
    for request_id in BATCH_MAX as u64 + 1..=all as u64 {
        scene.operation(request_id);
    }
    let dropped = scene.stats.dropped(Signal::Spans);
    // What was dropped depends on whether the first request was made up before the rest came.
    let bounds = beyond as u64..=(beyond + BATCH_MAX) as u64;
    assert!(bounds.contains(&dropped), "{dropped}");
    let begun = Instant::now();
    assert!(
        !exporter.stop(begun + Duration::from_millis(100)),
        "it hangs"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "and is left behind"
    );
}

#[test]
fn operations_of_long_ago_are_given_up() {
    let scene = scene();
    let away = Answer::Status(503, None);
    scene.receiver.answers(TRACES, vec![away; 3]);
    let settings = scene.settings(Temporality::Cumulative);
    let backoff = Backoff {
        patience: Duration::ZERO,
        ..settings.backoff
    };
    let exporter = scene.start(
        Settings {
            backoff,
            ..settings
        },
        spans(),
    );
    scene.operation(1);
    scene.receiver.wait(TRACES, 1);
    let deadline = Instant::now() + LONG;
    while scene.stats.dropped(Signal::Spans) == 0 {
        assert!(Instant::now() < deadline);
        thread::sleep(PAUSE);
    }
    end(&exporter);
    assert_eq!(scene.stats.dropped(Signal::Spans), 1);
    assert!(scene.receiver.spans().is_empty());
}
