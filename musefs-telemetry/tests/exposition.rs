//! Foreign parsers judge the texts: promtool and the Python client. Each says so and passes when it is not there, but fails
//! where `CI` is set.

#![cfg(feature = "stats")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use musefs_telemetry::clock::ManualClock;
use musefs_telemetry::encode::{json, openmetrics, prometheus};
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Counters, Ctx, Engine, Family, Gauge, Histograms, Kind,
    Label, MetricSet, MinMaxSumCount, Ops, RequestId, UpDownCounter, attribute_set, metric_set,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

#[path = "../fuzz/body.rs"]
mod body;
#[path = "../fuzz/strict.rs"]
mod strict;

#[derive(Clone, Copy, Debug, AttributeEnum)]
enum Source {
    Memory,
    Disk,
}

#[derive(Clone, Copy, Debug, AttributeEnum)]
enum Format {
    Flac,
    #[attribute(value = "mp3")]
    LayerThree,
}

#[attribute_set]
#[derive(Clone, Copy, Debug)]
struct Read {
    source: Source,
    format: Format,
}

#[metric_set(prefix = "shop")]
#[derive(Debug)]
struct Shop {
    /// Bytes answered, by where they came from \ and "what" they are.
    #[metric(unit = "bytes")]
    read: Counters<Read>,
    /// Open handles.
    handles_open: UpDownCounter,
    /// How full it is.
    #[metric(unit = "ratio", stability = "experimental")]
    full: Gauge,
    /// How long a wait was.
    #[metric(unit = "seconds")]
    wait: MinMaxSumCount,
    /// How long a read was.
    #[metric(unit = "seconds", min = 1, max = 1 << 36, scale = 2, text_scale = -1)]
    read_duration: Histograms<Source>,
    /// How many bytes a read had.
    #[metric(unit = "bytes", min = 1, max = 1 << 24)]
    read_size: Histograms<Source>,
}

fn engine() -> Engine {
    let clock = Arc::new(ManualClock::default());
    clock.advance(1_700_000_000_123_456_789);
    let engine = Engine::builder()
        .attribute("mount", "a \"quoted\" \\ name\nof two lines")
        .clock(clock.clone())
        .build()
        .unwrap();
    let shop = Shop::declare(&engine).unwrap();
    shop.read.add(
        Read {
            source: Source::Disk,
            format: Format::LayerThree,
        },
        4_096,
    );
    let flac = Read {
        source: Source::Memory,
        format: Format::Flac,
    };
    shop.read.add(flac, 0);
    shop.handles_open.add(3);
    shop.full.set(-250_000);
    shop.wait.record(1_500_000_000);
    for value in [1, 70_000, 70_000, 5_000_000, u64::MAX >> 3] {
        shop.read_duration.record(Source::Memory, value);
        shop.read_size.record(Source::Disk, value);
    }
    shop.read_duration.record_with_exemplar(
        Source::Memory,
        9_000,
        RequestId {
            instance: 3,
            number: 17,
        },
        1_700_000_000_500,
    );
    let ops =
        Ops::<Source>::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap();
    ops.record_op(Source::Memory, 77_777, Completion::Errno(5));
    let _entered = Ctx::request(0, 5).enter();
    drop(ops.scope(Source::Disk));
    engine
        .register_counter("late_total", "Registered at run time.")
        .unwrap()
        .add(2);
    engine
}

fn texts(engine: &Engine) -> [String; 3] {
    let snapshot = engine.snapshot();
    let [mut classic, mut open, mut machine] = [const { String::new() }; 3];
    prometheus::Writer::new(&mut classic, engine.attributes()).snapshot(&snapshot);
    openmetrics::encode(&mut open, &snapshot, engine.attributes());
    json::encode(&mut machine, &snapshot, engine.attributes());
    [classic, open, machine]
}

/// Feeds `input` to a foreign program. Nothing when it is not installed.
fn judge(command: &mut Command, input: &str) -> Option<(bool, String)> {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = piped.spawn() else {
        missing(&format!("{command:?} is not installed"));
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("skipped: {what}");
}

fn python(script: &str, input: &str) {
    let python = std::env::var_os("MUSEFS_PYTHON").unwrap_or_else(|| "python3".into());
    let mut probe = Command::new(&python);
    probe.args(["-c", "import prometheus_client, jsonschema"]);
    match judge(&mut probe, "") {
        Some((true, _)) => {}
        Some((false, _)) => {
            return missing("the Python Prometheus client or jsonschema is not installed");
        }
        None => return,
    }
    if let Some((passed, said)) = judge(Command::new(&python).args(["-c", script]), input) {
        assert!(passed, "{said}\n{input}");
    }
}

const PARSE_CLASSIC: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families as parse
families = {family.name: family for family in parse(sys.stdin.read())}
assert families['shop_read_duration_seconds'].type == 'histogram', families
assert sum(sample.value for sample in families['shop_read_bytes'].samples) == 4096
";

const PARSE_OPEN: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = {family.name: family for family in parse(sys.stdin.read())}
duration = families['shop_read_duration_seconds']
assert duration.type == 'histogram' and duration.unit == 'seconds', duration
exemplars = [sample.exemplar for sample in duration.samples if sample.exemplar]
assert [exemplar.labels for exemplar in exemplars] == [{'request_id': '3-17'}], exemplars
assert families['shop_read_bytes'].samples[0].labels['mount'] == 'a \"quoted\" \\\\ name\\nof two lines'
";

/// What the texts are, byte for byte, with labels of the instance and without. `UPDATE=1` rewrites the files.
#[test]
fn the_texts_are_those_of_the_files() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exposition");
    let update = std::env::var_os("UPDATE").is_some();
    let engine = engine();
    let [classic, open, machine] = texts(&engine);
    let [mut bare_classic, mut bare_open] = [const { String::new() }; 2];
    prometheus::Writer::new(&mut bare_classic, &[]).snapshot(&engine.snapshot());
    openmetrics::encode(&mut bare_open, &engine.snapshot(), &[]);
    for (name, text) in [
        ("named.prom", classic),
        ("named.openmetrics", open),
        ("named.json", machine),
        ("bare.prom", bare_classic),
        ("bare.openmetrics", bare_open),
    ] {
        let path = directory.join(name);
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        assert!(
            text == expected,
            "{name} is another, UPDATE=1 rewrites it:\n{text}"
        );
    }
}

/// Reads a list of texts, each the classic and the open one and two of JSON, and fails with the first that a judge refuses.
/// Broken copies of the JSON show that its judge refuses anything.
const JUDGE_ALL: &str = "
import copy, json, sys
from jsonschema import Draft202012Validator as Validator
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
told = json.load(sys.stdin)
validators = [Validator(json.loads(schema)) for schema in told['schemas']]
for validator in validators:
    Validator.check_schema(validator.schema)
def key(sample):
    return sample.name, tuple(sorted(sample.labels.items()))
for classic, open_text, *machine in told['texts']:
    ours = [sample for family in parse_classic(classic) for sample in family.samples]
    names = [key(sample) for sample in ours]
    assert names and len(set(names)) == len(names), classic
    theirs = {key(sample) for family in parse_open(open_text) for sample in family.samples}
    created = {sample for sample in theirs if sample[0].endswith('_created')}
    assert len(theirs) == len(created) + len(names), open_text
    for validator, text in zip(validators, machine):
        value = json.loads(text)
        validator.validate(value)
        broken = [copy.deepcopy(value) for _ in range(4)]
        broken[0]['more'] = 1
        broken[1]['families'][0]['name'] = 'Upper case'
        del broken[2]['families'][0]['type']
        broken[3]['families'][0]['series'] = []
        assert not any(validator.is_valid(each) for each in broken), text
";

/// Lets the foreign parsers and the foreign validator judge `texts`.
fn judge_all(texts: &[[String; 4]]) {
    let schemas = [
        include_str!("../schema/snapshot.schema.json"),
        include_str!("../schema/catalogue.schema.json"),
    ];
    let input = serde_json::json!({ "schemas": schemas, "texts": texts });
    python(JUDGE_ALL, &input.to_string());
}

#[test]
fn foreign_judges_accept_every_kind_of_family() {
    static SOME: Family = Family::counter("some_total", "Not of all combinations.")
        .with_labels(&[
            Label {
                name: "op",
                values: &["read", "open"],
            },
            Label {
                name: "how",
                values: &["well", "badly"],
            },
        ])
        .with_only(&[&[1, 0], &[0, 1]]);
    let engine = engine();
    engine.counters(&SOME).unwrap().add(1, 7);
    let [classic, open, machine] = texts(&engine);
    assert!(
        classic.contains("op=\"read\",how=\"badly\"} 7\n"),
        "{classic}"
    );
    judge_all(&[[classic, open, machine, engine.schema()]]);
}

/// What the fuzz target's body accepts, some hundred of it.
#[test]
fn foreign_judges_accept_whatever_the_engine_accepts() {
    let inputs = prop::collection::vec(any::<u8>(), 0..240);
    let mut runner = TestRunner::deterministic();
    let texts: Vec<_> = (0..6_000)
        .map(|_| inputs.new_tree(&mut runner).unwrap().current())
        .filter_map(|bytes| body::check(&bytes))
        .collect();
    assert!(texts.len() >= 200, "{}", texts.len());
    judge_all(&texts);
}

#[test]
fn promtool_reads_the_classic_text() {
    let [classic, ..] = texts(&engine());
    let mut promtool = Command::new("promtool");
    if let Some((passed, said)) = judge(promtool.args(["check", "metrics"]), &classic) {
        // Advice about names is none about the format: `musefs_` names are older than it.
        assert!(
            passed || !said.contains("error while linting"),
            "{said}\n{classic}"
        );
    }
}

#[test]
fn the_python_client_reads_the_classic_text() {
    let [classic, ..] = texts(&engine());
    python(PARSE_CLASSIC, &classic);
}

#[test]
fn the_python_client_reads_the_open_text() {
    let [_, open, _] = texts(&engine());
    python(PARSE_OPEN, &open);
}

#[test]
fn json_agrees_with_the_schema() {
    let engine = engine();
    let [.., machine] = texts(&engine);
    let told: serde_json::Value = serde_json::from_str(&machine).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&engine.schema()).unwrap();
    let (told, described) = (
        told["families"].as_array().unwrap(),
        schema["families"].as_array().unwrap(),
    );
    assert_eq!(told.len(), described.len());
    for (told, described) in told.iter().zip(described) {
        for key in ["name", "type", "unit"] {
            assert_eq!(told[key], described[key]);
        }
        let series = told["series"].as_array().unwrap();
        assert_eq!(Some(series.len() as u64), described["series"].as_u64());
        for series in series {
            let labels = series["labels"].as_object().unwrap();
            for label in described["labels"].as_array().unwrap() {
                let value = &labels[label["name"].as_str().unwrap()];
                assert!(
                    label["values"].as_array().unwrap().contains(value),
                    "{label} {value}"
                );
            }
            let keys: &[&str] = match described["type"].as_str().unwrap() {
                "histogram" => &["sum", "count", "buckets"],
                "summary" => &["sum", "count"],
                _ => &["value"],
            };
            assert!(keys.iter().all(|key| !series[*key].is_null()), "{series}");
        }
    }
}

#[test]
fn the_order_is_stable() {
    let engine = engine();
    assert_eq!(texts(&engine), texts(&engine));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever the name, the label values and the help text are: it is refused, or our texts have one line for each sample and
    /// give the help and the values back.
    #[test]
    fn any_name_value_and_help(
        name in prop_oneof!["[a-z][a-z0-9_]{0,12}", "\\PC{0,6}"],
        help in "(?s).{0,40}",
        value in "(?s).{0,20}",
        identity in "(?s).{0,20}",
    ) {
        let engine = Engine::builder().attribute("mount", identity.clone()).build().unwrap();
        let family: &'static Family = Box::leak(Box::new(Family {
            name: name.leak(),
            help: help.clone().leak(),
            labels: vec![Label { name: "kind", values: vec![&*value.clone().leak(), "an other one that is fixed"].leak() }].leak(),
            ..Family::of("", "", Kind::Gauge)
        }));
        match engine.gauges(family) {
            Err(_) => prop_assert!(family.check().is_err()),
            Ok(gauges) => {
                gauges.set(0, 5);
                let [classic, open, machine] = texts(&engine);
                prop_assert_eq!(classic.lines().count(), 4);
                prop_assert_eq!(open.lines().count(), 5);
                let start = format!("{}{{mount=\"", family.name);
                prop_assert!(classic.lines().skip(2).all(|line| line.starts_with(&start)));
                let told: serde_json::Value = serde_json::from_str(&machine).unwrap();
                prop_assert_eq!(told["families"][0]["series"][0]["labels"]["kind"].as_str(), Some(&*value));
                prop_assert_eq!(told["attributes"]["mount"].as_str(), Some(&*identity));
                let schema: serde_json::Value = serde_json::from_str(&engine.schema()).unwrap();
                prop_assert_eq!(schema["families"][0]["help"].as_str(), Some(&*help));
            }
        }
    }
}
