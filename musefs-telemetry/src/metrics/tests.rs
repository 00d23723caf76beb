use crate::{Engine, Family};

#[test]
fn a_gauge_holds_what_was_set_last() {
    static LEVEL: Family = Family::gauge("level", "Level.");
    let engine = Engine::new();
    let level = engine.gauge(&LEVEL).unwrap();
    level.set(7);
    level.add(-9);
    assert_eq!(level.value(), -2);
    assert_eq!(engine.snapshot().value(&LEVEL, 0), Some(0));
}

#[test]
fn a_gauge_that_nobody_knows_is_in_no_text() {
    static LEVELS: Family = Family::gauge("levels", "Levels.").with_labels(&[crate::Label {
        name: "tank",
        values: &["left", "right"],
    }]);
    let engine = Engine::new();
    let levels = engine.gauges(&LEVELS).unwrap();
    let texts = || {
        let (mut classic, mut open, mut json) = (String::new(), String::new(), String::new());
        let snapshot = engine.snapshot();
        crate::encode::prometheus::Writer::new(&mut classic, &[]).snapshot(&snapshot);
        crate::encode::openmetrics::encode(&mut open, &snapshot, &[]);
        crate::encode::json::encode(&mut json, &snapshot, &[]);
        [classic, open, json]
    };
    levels.set(0, 5);
    levels.clear(1);
    for text in texts() {
        assert!(text.contains("left") && !text.contains("right"), "{text}");
    }
    levels.clear(0);
    for text in texts() {
        assert!(!text.contains("levels"), "{text}");
    }
    levels.set(1, 0);
    assert!(texts()[0].contains("levels{tank=\"right\"} 0\n"));
}
