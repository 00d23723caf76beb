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
