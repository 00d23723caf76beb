//! Metrics and operations as an OpenTelemetry collector gets them: the same as in the mount, and never at the cost of a reader.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::otlp_receiver::{Answer, METRICS, Receiver, Request, TRACES, texts};
use crate::support::eventually;
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::run;

const MOMENT: &str = "musefs_snapshot_timestamp_seconds";

/// A mount that sends to `receiver` often.
fn mount(library: &Library, receiver: &Receiver, arguments: &[&str]) -> Mount {
    let own = ["--otlp-endpoint", receiver.url(), "--otlp-interval", "0.3"];
    Mount::with(library, &[&own, arguments].concat())
}

/// A point's name as a text of metrics has it.
fn sample(name: &str, attributes: &[KeyValue], more: Option<(&str, String)>) -> String {
    let labels = texts(attributes);
    // In the order of their declaration.
    let labels = attributes
        .iter()
        .map(|own| (&*own.key, labels[&own.key].clone()));
    let labels: Vec<String> = labels
        .chain(more)
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    if labels.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", labels.join(","))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
fn number(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(Value::AsInt(value)) => value as f64,
        Some(Value::AsDouble(value)) => value,
        None => panic!("no value: {point:?}"),
    }
}

/// The classic buckets, the sum and the count of a point, by their names; `known` has the bounds of the text.
#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
fn classic(
    name: &str,
    point: &HistogramDataPoint,
    known: &Metrics,
    samples: &mut BTreeMap<String, f64>,
) {
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    let own = |ending: &str| sample(&format!("{name}{ending}"), &point.attributes, None);
    samples.insert(own("_count"), point.count as f64);
    samples.insert(own("_sum"), point.sum.unwrap());
    let bucket = own("_bucket");
    let begin = match bucket.strip_suffix('}') {
        Some(labelled) => format!("{labelled},le=\""),
        None => format!("{bucket}{{le=\""),
    };
    for bucket in known
        .names()
        .into_iter()
        .filter(|name| name.starts_with(&begin))
    {
        let bound = bucket[begin.len()..].trim_end_matches("\"}");
        let bound: f64 = bound.replace("+Inf", "inf").parse().unwrap();
        let bounds = point.explicit_bounds.iter();
        // Numbers with so few digits differ by much more than this, or not at all.
        let within = bounds.filter(|own| **own <= bound * (1.0 + 1e-12)).count();
        let within = if bound.is_infinite() {
            within + 1
        } else {
            within
        };
        let below: u64 = point.bucket_counts[..within].iter().sum();
        samples.insert(bucket.to_owned(), below as f64);
    }
}

/// All that `request` tells, by the names that a text has for it.
fn samples(request: &Request, known: &Metrics) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for metric in request.metrics() {
        let points = match metric.data.unwrap() {
            Data::Gauge(gauge) => gauge.data_points,
            Data::Sum(sum) => sum.data_points,
            Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    classic(&metric.name, point, known, &mut samples);
                }
                continue;
            }
            other => panic!("{}: {other:?}", metric.name),
        };
        for point in points {
            samples.insert(
                sample(&metric.name, &point.attributes, None),
                number(&point),
            );
        }
    }
    samples
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= one.abs().max(other.abs()) * 1e-12
}

#[test]
fn what_is_sent_is_what_the_files_tell_at_the_same_moment() {
    require_fuse!();
    let library = Library::of_one();
    let receiver = Receiver::start();
    let mount = mount(&library, &receiver, &["--metrics-label", "host=nas"]);
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    std::fs::read(mount.join("no such file")).unwrap_err();
    let (text, request) = eventually("the same moment on both ways", || {
        let text = std::fs::read(mount.join(".metrics/metrics")).unwrap();
        let text = Metrics::parse(&text);
        let requests = receiver.requests(METRICS);
        let same = requests.into_iter().find(|request| {
            let sent = samples(request, &text);
            is_near(sent[MOMENT], text.number(MOMENT))
        });
        let reads = text.value("musefs_ops_total{op=\"read\"}") > 0;
        same.filter(|_| reads).map(|request| (text, request))
    });
    let sent = samples(&request, &text);
    for (name, value) in text.samples() {
        let told = sent
            .get(name)
            .unwrap_or_else(|| panic!("{name} was not sent"));
        let value: f64 = value.parse().unwrap();
        assert!(is_near(*told, value), "{name}: {told} and {value}");
    }
    assert_eq!(sent.len(), text.samples().len(), "and nothing else");
    let resource = request.resource();
    assert_eq!(resource["service.name"], "musefs");
    assert_eq!(resource["host"], "nas");
    assert_eq!(resource["mount"], mount.path().to_str().unwrap());
    let own = "musefs_otlp_exports_total{signal=\"metrics\",outcome=\"sent\"}";
    mount.metrics_when("exports are counted", |metrics| metrics.value(own) > 0);
    let begun = receiver.requests(METRICS).len();
    mount.stop().done();
    assert!(
        receiver.requests(METRICS).len() > begun,
        "sent once more at the end"
    );
}

#[test]
fn differences_add_up_to_what_was_counted_whatever_the_collector_does() {
    require_fuse!();
    let library = Library::of_one();
    let receiver = Receiver::start();
    let away = Answer::Status(503, None);
    receiver.answers(METRICS, [Answer::Taken, away.clone(), away]);
    let mount = mount(
        &library,
        &receiver,
        &["--otlp-temporality", "delta", "--no-kernel-cache"],
    );
    for _ in 0..10 {
        std::fs::read(mount.join(ONE_SERVED)).unwrap();
    }
    let opens = "musefs_ops_total{op=\"open\"}";
    let counted = mount.metrics_when("the opens", |metrics| metrics.value(opens) >= 10);
    let reads = "musefs_op_duration_seconds_count{op=\"open\"}";
    receiver.wait_until(METRICS, |requests| {
        requests.iter().filter(|own| own.status == 200).count() >= 3
    });
    mount.stop().done();
    let requests = receiver.requests(METRICS);
    let taken = requests.iter().filter(|own| own.status == 200);
    let taken: Vec<_> = taken.map(|own| samples(own, &counted)).collect();
    let sum = |name: &str| taken.iter().map(|sent| sent[name]).sum::<f64>();
    // Opening the metrics to look is an open, too, so there may be some more at the end.
    assert!(
        sum(opens) >= counted.number(opens),
        "{} lost some",
        sum(opens)
    );
    assert!(
        sum(opens) < counted.number(opens) + 10.0,
        "{} came twice",
        sum(opens)
    );
    assert!(
        is_near(sum(opens), sum(reads)),
        "counts and histograms agree"
    );
}

/// An operation's attribute as a text.
fn told(span: &Span, key: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|own| own.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

/// Whether a histogram in `request` has `span` as its example.
fn has_example(request: &Request, span: &Span) -> bool {
    let metrics = request.metrics().into_iter();
    let points = metrics.flat_map(|metric| match metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points,
        _ => Vec::new(),
    });
    let mut examples = points.flat_map(|point| point.exemplars);
    examples.any(|own| own.trace_id == span.trace_id && own.span_id == span.span_id)
}

/// A mount of one file on a filesystem that hangs on demand, and one read that hung for a while.
fn one_slow_read(receiver: &Receiver, arguments: &[&str], look: impl FnOnce(&Mount, u32)) {
    one_read_that_hangs(
        receiver,
        arguments,
        |hung, reader| {
            std::thread::sleep(Duration::from_millis(300));
            hung.release();
            assert!(reader.wait().unwrap().success());
        },
        look,
    );
}

/// As [`one_slow_read`], with the end of the read left to `end`.
fn one_read_that_hangs(
    receiver: &Receiver,
    arguments: &[&str],
    end: impl FnOnce(&Hanging, &mut Child),
    look: impl FnOnce(&Mount, u32),
) {
    let library = Library::new();
    let hung = Hanging::scanned(&library);
    let own = ["--template", "$filename", "--no-kernel-cache"];
    let mount = mount(&library, receiver, &[&own, arguments].concat());
    let file = File::open(mount.join("long.flac")).unwrap();
    hung.stick_all(Stuck {
        reads: true,
        ..Stuck::default()
    });
    let mut reader = Command::new("cat");
    let mut reader = reader.stdin(file).stdout(Stdio::null()).spawn().unwrap();
    eventually("the reader is stuck", || (hung.held() > 0).then_some(()));
    end(&hung, &mut reader);
    look(&mount, reader.id());
}

#[test]
fn a_request_has_one_name_in_the_log_the_slow_file_its_span_and_its_example() {
    require_fuse!();
    let receiver = Receiver::start();
    let arguments = ["--backing-timeout", "0.5"];
    let end = |hung: &Hanging, reader: &mut Child| {
        assert!(!reader.wait().unwrap().success(), "it got an error");
        hung.release();
    };
    one_read_that_hangs(&receiver, &arguments, end, |mount, process| {
        let line = eventually("a line about it", || {
            let log = mount.log();
            let mut lines = log.lines();
            let found = lines.find(|line| line.contains("request.answer.overdue"));
            found.map(str::to_owned)
        });
        let (_, id) = line.split_once("request_id=").expect("the request's name");
        let id = id.split(' ').next().unwrap();
        let slow = eventually("it is in the file", || {
            let text = std::fs::read_to_string(mount.join(".metrics/slow")).unwrap();
            let mut lines = text.lines();
            let found = lines.find(|line| line.split(' ').any(|word| word == id));
            found.map(str::to_owned)
        });
        assert!(slow.contains(&format!(" read EIO {process} ")), "{slow}");
        let span = eventually("it was sent", || {
            let mut spans = receiver.spans().into_iter();
            spans.find(|span| told(span, "request_id").as_deref() == Some(id))
        });
        assert_eq!(told(&span, "process"), Some(process.to_string()));
        let example = format!("request_id=\"{id}\"");
        eventually("the example of its bucket", || {
            let text = std::fs::read_to_string(mount.join(".metrics/metrics.om")).unwrap();
            text.contains(&example).then_some(())
        });
    });
}

#[test]
fn a_slow_read_is_a_span_that_tells_what_the_slow_file_tells() {
    require_fuse!();
    let receiver = Receiver::start();
    let arguments = ["--otlp-paths", "--otlp-compression", "gzip"];
    one_slow_read(&receiver, &arguments, |mount, process| {
        let slow = eventually("the slow read is in the file", || {
            let text = std::fs::read_to_string(mount.join(".metrics/slow")).unwrap();
            let words = format!(" read ok {process} ");
            text.lines()
                .find(|line| line.contains(&words))
                .map(str::to_owned)
        });
        let slow: Vec<&str> = slow.split(' ').collect();
        let process = process.to_string();
        let spans = eventually("the slow read was sent", || {
            let spans = receiver.spans();
            let own = |span: &Span| told(span, "process").as_ref() == Some(&process);
            spans.iter().any(own).then_some(spans)
        });
        let span = spans
            .iter()
            .find(|span| told(span, "process").as_ref() == Some(&process));
        let span = span.unwrap();
        assert_eq!(
            (span.name.as_str(), told(span, "path").as_deref()),
            ("read", Some("long.flac"))
        );
        let took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1_000;
        let seconds = format!("{}.{:06}", took / 1_000_000, took % 1_000_000);
        assert!(slow.contains(&seconds.as_str()), "{seconds} in {slow:?}");
        // The trace's second half is the request.
        let request_id = told(span, "request_id").unwrap();
        assert_eq!(slow[2], request_id, "one name everywhere: {slow:?}");
        let id: u64 = request_id.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(span.span_id, id.to_be_bytes());
        assert_eq!(span.trace_id[8..], id.to_be_bytes());
        let example = format!("request_id=\"{request_id}\"");
        eventually("the example of its bucket", || {
            let text = std::fs::read_to_string(mount.join(".metrics/metrics.om")).unwrap();
            text.contains(&example).then_some(())
        });
        eventually("the same example by OTLP", || {
            let requests = receiver.requests(METRICS);
            let same = |request: &Request| has_example(request, span);
            requests.iter().any(same).then_some(())
        });
        let backing = spans
            .iter()
            .find(|own| own.parent_span_id == span.span_id && own.name == "backing");
        let backing = backing.expect("where its time went is below it");
        assert!(backing.end_time_unix_nano - backing.start_time_unix_nano >= 300_000_000);
    });
    let fast = receiver.spans();
    assert!(
        fast.iter()
            .all(|span| span.name != "lookup" || span.status.is_none()),
        "{fast:?}"
    );
}

#[test]
fn a_collector_does_not_get_to_know_names_of_files_unasked() {
    require_fuse!();
    let receiver = Receiver::start();
    one_slow_read(&receiver, &["--otlp-spans", "all"], |_, process| {
        let process = process.to_string();
        eventually("the slow read was sent", || {
            let spans = receiver.spans();
            let own = |span: &&Span| told(span, "process").as_ref() == Some(&process);
            spans.iter().any(|span| own(&span)).then_some(())
        });
    });
    for request in receiver.requests(TRACES) {
        let has = |text: &[u8]| request.body.windows(text.len()).any(|own| own == text);
        assert!(!has(b"long.flac") && !has(b"inode"));
    }
    let names: Vec<String> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert!(
        names.contains(&"lookup".to_owned()),
        "every operation: {names:?}"
    );
}

#[test]
fn a_collector_that_hangs_or_is_away_holds_up_nobody() {
    require_fuse!();
    let library = Library::of_one();
    let receiver = Receiver::start();
    receiver.answers(METRICS, vec![Answer::Silence; 9]);
    receiver.answers(TRACES, vec![Answer::Silence; 9]);
    let hanging = mount(
        &library,
        &receiver,
        &["--otlp-spans", "all", "--no-kernel-cache"],
    );
    let expected = std::fs::read(hanging.join(ONE_SERVED)).unwrap();
    // More operations than may wait: what has no room is counted, and every read is answered.
    for _ in 0..600 {
        assert!(std::fs::read(hanging.join(ONE_SERVED)).unwrap() == expected);
    }
    let dropped = "musefs_otlp_dropped_total{signal=\"spans\"}";
    hanging.metrics_when("what has no room is counted", |metrics| {
        metrics.value(dropped) > 0
    });
    // It ends although a request hangs.
    hanging.stop().done();

    let url = receiver.url().to_owned();
    drop(receiver);
    let away = eventually("nobody listens there any more", || {
        std::net::TcpStream::connect(url.trim_start_matches("http://"))
            .is_err()
            .then(|| {
                Mount::with(
                    &library,
                    &["--otlp-endpoint", &url, "--otlp-interval", "0.1"],
                )
            })
    });
    let retried = "musefs_otlp_exports_total{signal=\"metrics\",outcome=\"retried\"}";
    away.metrics_when("attempts", |metrics| metrics.value(retried) >= 2);
    assert!(std::fs::read(away.join(ONE_SERVED)).unwrap() == expected);
    let outcome = away.stop().done();
    assert_eq!(
        outcome.stderr.matches("cannot send metrics").count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn flags_that_make_no_sense_are_refused_before_anything_is_mounted() {
    require_fuse!();
    let library = Library::of_one();
    for (arguments, parts) in [
        (
            ["--otlp-endpoint", "localhost:4318"],
            ["--otlp-endpoint: ", "http://"],
        ),
        (
            ["--otlp-endpoint", "grpc://localhost:4317"],
            ["--otlp-endpoint: ", "https://"],
        ),
        (
            ["--otlp-endpoint", "http://me:secret@localhost"],
            ["--otlp-endpoint: ", "Authorization"],
        ),
    ] {
        run(Mount::command(&library).args(arguments)).refused(64, &parts);
    }
    let header = [
        "--otlp-endpoint",
        "http://localhost",
        "--otlp-header",
        "secret",
    ];
    run(Mount::command(&library).args(header)).refused(64, &["--otlp-header: ", "NAME=VALUE"]);
}
