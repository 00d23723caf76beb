#![expect(
    clippy::float_cmp,
    reason = "the numbers are small and whole, or fractions of two"
)]

use super::*;

/// A text of metrics: families with series, each its labels and what follows them.
fn moment(families: &[(&str, &[(&str, &str)])]) -> Moment {
    let families: Vec<String> = families
        .iter()
        .map(|(name, series)| {
            let series: Vec<String> = series
                .iter()
                .map(|(labels, value)| format!(r#"{{"labels":{{{labels}}},{value}}}"#))
                .collect();
            format!(
                r#"{{"name":"{name}","type":"","unit":"","created_ms":0,"series":[{}]}}"#,
                series.join(",")
            )
        })
        .collect();
    let text = format!(
        r#"{{"attributes":{{"mount":"/m"}},"families":[{}]}}"#,
        families.join(",")
    );
    Moment::parse(text.as_bytes()).unwrap()
}

fn between(before: &Moment, now: &Moment, elapsed: f64) -> View {
    View::between(before, now, elapsed).expect("two moments")
}

fn at(start: &str, taken: &str, reads: &str, fast: u64, slow: u64) -> Moment {
    let buckets = format!(r#""sum":0,"count":0,"buckets":[[0.001,{fast}],[null,{slow}]]"#);
    moment(&[
        ("musefs_start_time_seconds", &[("", start)]),
        ("musefs_snapshot_timestamp_seconds", &[("", taken)]),
        (
            "musefs_ops_total",
            &[
                (r#""op":"open""#, r#""value":1"#),
                (r#""op":"read""#, reads),
            ],
        ),
        (
            "musefs_op_duration_seconds",
            &[(r#""op":"read""#, &buckets)],
        ),
    ])
}

#[test]
fn rates_are_by_the_mounts_own_time() {
    let before = at(r#""value":100"#, r#""value":110"#, r#""value":50"#, 50, 0);
    let now = at(
        r#""value":100"#,
        r#""value":114"#,
        r#""value":250"#,
        150,
        100,
    );
    let view = between(&before, &now, 1.0);
    assert!(!view.restarted);
    assert_eq!(view.interval_seconds, 4.0);
    let read = &view.operations[0];
    assert_eq!((&*read.name, read.per_second), ("read", 50.0));
    assert_eq!(read.median_seconds, Some(0.001));
    assert_eq!(read.p99_seconds, Some(f64::INFINITY));
    let open = &view.operations[1];
    assert_eq!((&*open.name, open.per_second), ("open", 0.0));
    assert_eq!(open.median_seconds, None, "no such time is kept");
}

#[test]
fn a_mount_that_was_made_anew_counts_from_then_on() {
    let before = at(r#""value":100"#, r#""value":110"#, r#""value":5000"#, 50, 0);
    let now = at(r#""value":112"#, r#""value":114"#, r#""value":20"#, 20, 0);
    let view = between(&before, &now, 4.0);
    assert!(view.restarted);
    assert_eq!(view.interval_seconds, 2.0);
    assert_eq!(view.operations[0].per_second, 10.0);
}

#[test]
fn a_mount_that_does_not_tell_the_time_is_timed_by_who_looks() {
    let text = |reads| moment(&[("musefs_ops_total", &[(r#""op":"read""#, reads)])]);
    let view = between(&text(r#""value":10"#), &text(r#""value":30"#), 2.0);
    assert_eq!(view.operations[0].per_second, 10.0);
    assert_eq!(view.tracks, None);
    assert_eq!(view.header_cache_hits, None);
}

#[test]
fn what_was_asked_of_a_cache_is_a_share() {
    let text = |hits, misses| {
        moment(&[
            ("musefs_cache_header_hits_total", &[("", hits)]),
            ("musefs_cache_header_misses_total", &[("", misses)]),
        ])
    };
    let before = text(r#""value":10"#, r#""value":10"#);
    let now = text(r#""value":13"#, r#""value":11"#);
    let share = |from, to| between(from, to, 1.0).header_cache_hits;
    assert_eq!(share(&before, &now), Some(0.75));
    assert_eq!(share(&now, &now), None);
}

#[test]
fn only_clients_that_asked_are_told_the_busiest_first() {
    let text = |mpd, cat| {
        moment(&[(
            "musefs_client_requests_total",
            &[
                (r#""client":"cat""#, cat),
                (r#""client":"other""#, r#""value":7"#),
                (r#""client":"mpd""#, mpd),
            ],
        )])
    };
    let view = between(
        &text(r#""value":1"#, r#""value":1"#),
        &text(r#""value":9"#, r#""value":3"#),
        2.0,
    );
    let told: Vec<_> = view
        .clients_per_second
        .iter()
        .map(|rate| (&*rate.name, rate.per_second))
        .collect();
    assert_eq!(told, [("mpd", 4.0), ("cat", 1.0)]);
}

#[test]
fn unreachable_roots_are_those_that_say_0() {
    let now = moment(&[(
        "musefs_backing_reachable",
        &[
            (r#""root":"0""#, r#""value":1"#),
            (r#""root":"1""#, r#""value":0"#),
        ],
    )]);
    let view = between(&now, &now, 1.0);
    assert_eq!(view.roots_unreachable, Some([1.0, 2.0]));
}

#[test]
fn one_moment_seen_twice_tells_nothing() {
    let moment = at(r#""value":100"#, r#""value":110"#, r#""value":50"#, 50, 0);
    assert_eq!(View::between(&moment, &moment, 0.5), None);
}
