//! Any bytes as a metric's name, label, label values and help: the engine refuses them with an error, or writes texts that
//! strict readers accept and that give everything back.

use musefs_telemetry::encode::{json, openmetrics, prometheus};
use musefs_telemetry::{Buckets, DescribeError, Engine, Family, Kind, Label, Unit};

use super::strict;

/// Bytes as decisions and texts. At the end there are zeros and empty texts.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A text of at most 31 bytes: as it is, or, two times in three, of letters that names are made of.
    fn text(&mut self) -> String {
        const LETTERS: &[u8; 16] = b"abcdelqu_tonis09";
        let head = self.byte();
        let (text, rest) = self.0.split_at(usize::from(head & 31).min(self.0.len()));
        self.0 = rest;
        if head >> 5 < 3 {
            return String::from_utf8_lossy(text).into_owned();
        }
        let letters = text.iter().map(|byte| LETTERS[usize::from(byte & 15)]);
        letters.map(char::from).collect()
    }
}

/// The classic text, the open one, and the snapshot and the catalogue as JSON; `None` when the input was refused.
///
/// # Panics
/// When the engine took what it should have refused, or a text is not what it should be.
pub fn check(bytes: &[u8]) -> Option<[String; 4]> {
    let mut bytes = Bytes(bytes);
    let decisions = bytes.byte();
    let identity = (bytes.text(), bytes.text());
    let named = decisions & 0x80 != 0;
    let engine = match Engine::builder()
        .attribute(&*identity.0, &*identity.1)
        .build()
    {
        Ok(engine) if named => engine,
        Ok(_) => Engine::new(),
        Err(refused) => {
            assert!(
                matches!(refused, DescribeError::Refused { .. }),
                "{refused}"
            );
            return None;
        }
    };
    let unit = [
        Unit::None,
        Unit::None,
        Unit::Seconds,
        Unit::Bytes,
        Unit::Ratio,
    ][usize::from(decisions >> 2 & 31) % 5];
    let kind = match decisions & 3 {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::MinMaxSumCount,
        _ => Kind::Histogram(Buckets::powers_of_two(1, 1 << 20)),
    };
    let mut name = bytes.text();
    let ends = bytes.byte();
    for (bit, ending) in [(1, unit.as_str()), (2, "total")] {
        // Without help few names would end as they must.
        if ends & bit != 0 && (bit == 1 || kind == Kind::Counter) && !ending.is_empty() {
            name = format!("{name}_{ending}");
        }
    }
    let help = bytes.text();
    let labels: Vec<Label> = (0..ends >> 6)
        .map(|_| Label {
            name: bytes.text().leak(),
            values: (0..=bytes.byte() % 3)
                .map(|_| &*bytes.text().leak())
                .collect::<Vec<_>>()
                .leak(),
        })
        .collect();
    // A description lives as long as the process, as those of programs do.
    let family: &'static Family = Box::leak(Box::new(Family {
        name: name.leak(),
        unit,
        help: help.leak(),
        kind,
        labels: labels.leak(),
        ..Family::counter("", "")
    }));
    let amount = u64::from(bytes.byte()) << (bytes.byte() & 31);
    let last = family.series_count().saturating_sub(1);
    if let Err(refused) = record(&engine, family, last, amount) {
        let clash = named && family.labels.iter().any(|label| label.name == identity.0);
        assert!(family.check().is_err() || clash, "{refused}: {family:?}");
        return None;
    }
    assert_eq!(family.check(), Ok(()), "{family:?}");
    Some(texts(&engine, family))
}

fn record(
    engine: &Engine,
    family: &'static Family,
    series: usize,
    amount: u64,
) -> Result<(), DescribeError> {
    match family.kind {
        Kind::Counter => engine.counters(family)?.add(series, amount),
        Kind::Gauge => engine.gauges(family)?.set(series, -amount.cast_signed()),
        Kind::MinMaxSumCount => engine.min_max_sum_counts(family)?.record(series, amount),
        Kind::Histogram(_) => engine.histograms(family)?.record(series, amount),
    }
    Ok(())
}

fn texts(engine: &Engine, family: &Family) -> [String; 4] {
    let snapshot = engine.snapshot();
    let mut texts = [const { String::new() }; 3];
    let [classic, open, machine] = &mut texts;
    prometheus::Writer::new(classic, engine.attributes()).snapshot(&snapshot);
    openmetrics::encode(open, &snapshot, engine.attributes());
    json::encode(machine, &snapshot, engine.attributes());
    for (read, name) in [
        (strict::classic(classic), family.name),
        (strict::open(open), family.stem()),
    ] {
        let read = read.unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!(
            (read.name.as_str(), read.help.as_str()),
            (name, family.help)
        );
        assert_eq!(read.kind, family.kind.as_str());
        labels_come_back(engine, family, &read);
    }
    json_comes_back(engine, family, machine);
    let [classic, open, machine] = texts;
    [classic, open, machine, engine.schema()]
}

/// Every series is there, in order, with the labels that it has.
fn labels_come_back(engine: &Engine, family: &Family, read: &strict::Family) {
    let mut series: Vec<Vec<(String, String)>> = read
        .samples
        .iter()
        .map(|sample| {
            let labels = sample
                .labels
                .iter()
                .filter(|(name, _)| name != "le" && name != "quantile");
            labels.cloned().collect()
        })
        .collect();
    series.dedup();
    let expected: Vec<Vec<(String, String)>> = (0..family.series_count())
        .map(|index| {
            let own = family
                .series_labels(index)
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            engine.attributes().iter().cloned().chain(own).collect()
        })
        .collect();
    assert_eq!(series, expected);
}

fn json_comes_back(engine: &Engine, family: &Family, machine: &str) {
    let told: serde_json::Value = serde_json::from_str(machine).expect("JSON");
    for (name, value) in engine.attributes() {
        assert_eq!(told["attributes"][name], **value);
    }
    let told = &told["families"][0];
    assert_eq!(told["name"], family.name);
    for index in 0..family.series_count() {
        for (name, value) in family.series_labels(index) {
            assert_eq!(told["series"][index]["labels"][name], value);
        }
    }
    let catalogue: serde_json::Value = serde_json::from_str(&engine.schema()).expect("JSON");
    assert_eq!(catalogue["families"][0]["help"], family.help);
}
