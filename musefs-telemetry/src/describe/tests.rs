use super::*;

const TWO_LABELS: Family = Family::counter("demo_total", "Demo.").with_labels(&[
    Label {
        name: "op",
        values: &["read", "open"],
    },
    Label {
        name: "how",
        values: &["a", "b", "c"],
    },
]);

#[test]
fn the_last_label_varies_fastest() {
    let all: Vec<String> = (0..TWO_LABELS.series_count())
        .map(|index| {
            TWO_LABELS
                .series_labels(index)
                .map(|(_, value)| value)
                .collect()
        })
        .collect();
    assert_eq!(all, ["reada", "readb", "readc", "opena", "openb", "openc"]);
}

#[test]
fn a_bad_name_is_refused() {
    let named = |name, kind| {
        Family {
            name,
            kind,
            ..TWO_LABELS
        }
        .check()
    };
    assert_eq!(named("demo_total", Kind::Counter), Ok(()));
    assert_eq!(named("demo_bytes", Kind::Gauge), Ok(()));
    for (name, kind, fault) in [
        ("demo", Kind::Counter, Fault::Total),
        ("demo_total", Kind::Gauge, Fault::Total),
        ("Demo_total", Kind::Counter, Fault::Name),
        ("1_total", Kind::Counter, Fault::Name),
        ("", Kind::Gauge, Fault::Name),
        ("dash-ed", Kind::Gauge, Fault::Name),
    ] {
        assert_eq!(named(name, kind), Err(fault), "{name}");
    }
}

#[test]
fn a_name_ends_with_its_unit() {
    let seconds = |name, kind| {
        Family::of(name, "Demo.", kind)
            .with_unit(Unit::Seconds)
            .check()
    };
    assert_eq!(seconds("demo_seconds", Kind::Gauge), Ok(()));
    assert_eq!(seconds("demo_seconds_total", Kind::Counter), Ok(()));
    assert_eq!(seconds("demo_total", Kind::Counter), Err(Fault::Unit));
    assert_eq!(seconds("demo_milliseconds", Kind::Gauge), Err(Fault::Unit));
    assert_eq!(seconds("seconds", Kind::Gauge), Err(Fault::Unit));
}

#[test]
fn labels_are_few_distinct_and_not_those_of_the_formats() {
    static MANY: [&str; 2_001] = ["x"; 2_001];
    let labelled = |labels| Family::gauge("demo", "Demo.").with_labels(labels).check();
    let label = |name, values| Label { name, values };
    let check = |labels: Vec<Label>| labelled(Vec::leak(labels));
    assert_eq!(check(vec![label("le", &["a"])]), Err(Fault::LabelName));
    assert_eq!(check(vec![label("a", &[])]), Err(Fault::LabelEmpty));
    assert_eq!(check(vec![label("a", &["x", "x"])]), Err(Fault::LabelTwice));
    assert_eq!(check(vec![label("a", &MANY)]), Err(Fault::Cardinality));
    let twice = vec![label("a", &["x"]), label("a", &["y"])];
    assert_eq!(check(twice), Err(Fault::LabelTwice));
}

#[test]
fn names_that_meet_in_a_text_format_collide() {
    let family = |name, kind| Family::of(name, "Demo.", kind);
    let pairs = [
        ("x_total", Kind::Counter, "x", Kind::Gauge, true),
        ("x_total", Kind::Counter, "x_created", Kind::Gauge, true),
        ("x", Kind::MinMaxSumCount, "x_count", Kind::Gauge, true),
        ("x", Kind::Gauge, "x_bytes", Kind::Gauge, false),
        ("x", Kind::Gauge, "y", Kind::Gauge, false),
    ];
    for (left, left_kind, right, right_kind, expected) in pairs {
        let (left, right) = (family(left, left_kind), family(right, right_kind));
        assert_eq!(left.collides(&right), expected, "{left:?} {right:?}");
        assert_eq!(right.collides(&left), expected);
    }
}

#[test]
fn a_family_can_have_some_combinations_of_its_labels_alone() {
    const SOME: Family = TWO_LABELS.with_only(&[&[1, 0], &[0, 2]]);
    assert_eq!(SOME.check(), Ok(()));
    assert_eq!(SOME.series_count(), 2);
    let labels: Vec<Vec<_>> = (0..2)
        .map(|index| SOME.series_labels(index).collect())
        .collect();
    assert_eq!(
        labels,
        [
            [("op", "open"), ("how", "a")],
            [("op", "read"), ("how", "c")]
        ]
    );
    let only: [&[&[u16]]; 4] = [&[], &[&[0]], &[&[0, 3]], &[&[1, 1], &[0, 1], &[1, 1]]];
    for only in only {
        assert_eq!(TWO_LABELS.with_only(only).check(), Err(Fault::Combination));
    }
}
