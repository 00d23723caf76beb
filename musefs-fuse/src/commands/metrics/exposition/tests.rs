use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Findings as the cases have them.
fn run(input: &str) -> String {
    let format = looks_like(input);
    let report = check(input.as_bytes(), format);
    let mut output = String::new();
    for fault in &report.faults {
        writeln!(output, "{}: {}", fault.line, fault.what).unwrap();
    }
    writeln!(output, "{}: {}", format.name(), report.counted()).unwrap();
    output
}

/// A case is a text, a line `---`, and what is found in it; `UPDATE=1` takes what is found as what is expected.
#[test]
fn cases() {
    let count = crate::kept::cases("exposition", run);
    assert!(count > 20, "{count} cases");
}

const WHOLE: &str =
    "# HELP a_total Things.\n# TYPE a_total counter\na_total{op=\"read\"} 1\n# EOF\n";

#[test]
fn a_text_that_was_cut_anywhere_is_found_out() {
    assert_eq!(check(WHOLE.as_bytes(), Format::Text).faults, []);
    for end in 0..WHOLE.len() {
        let report = check(&WHOLE.as_bytes()[..end], Format::Text);
        assert!(!report.faults.is_empty(), "cut at {end}");
    }
}

#[test]
fn bytes_that_no_text_has_are_named_with_their_line() {
    for (bytes, what) in [
        (&b"a\xff 1\n"[..], "UTF-8"),
        (b"a\0 1\n", "zero byte"),
        (b"a 1\r\n", "carriage return"),
    ] {
        let report = check(&[b"\n", bytes].concat(), Format::Text);
        let fault = &report.faults[0];
        assert!(fault.line == 2 && fault.what.contains(what), "{fault:?}");
    }
}

#[test]
fn no_more_faults_are_kept_than_somebody_reads() {
    let report = check("?\n".repeat(FAULTS_MAX + 10).as_bytes(), Format::Text);
    assert_eq!(report.faults.len(), FAULTS_MAX);
    // The end mark is missing, too.
    assert_eq!(report.further_faults, 11);
}

#[test]
fn what_the_engine_writes_has_no_fault() {
    use musefs_telemetry::encode::prometheus::pad;
    use musefs_telemetry::{Engine, Family, Kind, Unit};
    static DURATION: Family = Family::of(
        "demo_duration_seconds",
        "Back\\slash \"quoted\" and\nline.",
        Kind::Histogram(musefs_telemetry::Buckets::powers_of_two(1 << 10, 1 << 20)),
    )
    .with_unit(Unit::Seconds);
    static COUNT: Family = Family::counter("demo_total", "Things.");
    let engine = Engine::new();
    let durations = engine.histogram(&DURATION).unwrap();
    durations.record(5_000);
    engine.counter(&COUNT).unwrap().increment();
    let identity = [("mount".to_owned(), "a\"b\\c\nd".to_owned())];
    let mut text = String::new();
    let snapshot = engine.snapshot();
    musefs_telemetry::encode::openmetrics::encode(&mut text, &snapshot, &identity);
    assert_eq!(check(text.as_bytes(), Format::Open).faults, []);
    assert_eq!(looks_like(&text), Format::Open);
    text.clear();
    musefs_telemetry::encode::prometheus::Writer::new(&mut text, &identity).snapshot(&snapshot);
    let filled = text.len() + 200;
    pad(&mut text, filled);
    text.push_str("# EOF\n");
    let report = check(text.as_bytes(), Format::Text);
    assert_eq!(report.faults, []);
    assert_eq!(report.families, 2);
    assert_eq!(looks_like(&text), Format::Text);
}

proptest! {
    /// Whatever is on its lines, a text is read to its end, and only a whole one has no fault.
    #[test]
    fn any_text_is_read_to_its_end(
        lines in proptest::collection::vec("[a{}=\"\\\\, #_:0-9.é\t\u{0}]{0,12}|# (HELP|TYPE|UNIT) [ab_]{0,4} [a-z\\\\]{0,9}", 0..12),
        open: bool,
    ) {
        let format = if open { Format::Open } else { Format::Text };
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let report = check(text.as_bytes(), format);
        prop_assert!(!report.faults.is_empty(), "there is no end mark");
        for fault in &report.faults {
            prop_assert!((1..=lines.len().max(1)).contains(&fault.line));
        }
        looks_like(&text);
    }
}
