use serde_json::{Value, json};

use super::*;

fn ready() -> Facts {
    let facts = Facts::default();
    facts.init("one", []).unwrap();
    facts
}

fn told(facts: &Facts) -> Value {
    serde_json::to_value(facts.known()).unwrap()
}

#[test]
fn before_init_every_call_does_nothing_and_a_second_init_is_an_error() {
    let facts = Facts::default();
    facts.set("a", "b").unwrap();
    facts.add("a", f64::NAN).unwrap();
    facts.append("a", 1.0).unwrap();
    facts.reset("a");
    assert!(!facts.is_initialised());
    assert_eq!(told(&facts), json!({}));
    facts.init("one", []).unwrap();
    assert_eq!(told(&facts), json!({}));
    assert_eq!(
        facts.init("two", []),
        Err(FactError::AlreadyInitialised),
        "its clones share it"
    );
    assert_eq!(facts.clone().instance_id(), "one");
}

#[test]
fn each_kind_is_told_in_its_own_way() {
    let facts = ready();
    facts.set("text", "x").unwrap();
    facts.set("whole", 3_u64).unwrap();
    facts.set("half", 0.5).unwrap();
    facts.set("half", 1.5).unwrap();
    facts.append("list", "b").unwrap();
    facts.append("list", "a").unwrap();
    facts.append("list", 1.0).unwrap();
    facts.append_unique("set", "x").unwrap();
    facts.append_unique("set", "x").unwrap();
    facts.append_counted("set", "never", 0).unwrap();
    facts.set_nested("map", "b", 2.0).unwrap();
    facts.set_nested("map", "a", "one").unwrap();
    facts.set_nested("map", "b", "two").unwrap();
    facts.add("sum", 2.0).unwrap();
    facts.increment("sum").unwrap();
    assert_eq!(
        told(&facts),
        json!({
            "text": "x",
            "whole": 3,
            "half": 1.5,
            "list": ["b", "a", 1],
            "set": [{"value": "never", "count": 0}, {"value": "x", "count": 2}],
            "map": {"a": "one", "b": "two"},
            "sum": 3,
        })
    );
    facts.reset("set");
    facts.reset("unheard of");
    assert_eq!(told(&facts).get("set"), None);
}

#[test]
fn another_kind_is_an_error_and_changes_nothing() {
    let facts = ready();
    facts.set("text", "x").unwrap();
    facts.set("number", 1.0).unwrap();
    facts.append("list", "x").unwrap();
    facts.append_unique("set", "x").unwrap();
    facts.set_nested("map", "x", 1.0).unwrap();
    let before = told(&facts);
    for key in ["text", "number", "list", "set", "map"] {
        let results = [
            ("text", facts.set(key, "y")),
            ("number", facts.set(key, 1.0)),
            ("number", facts.add(key, 0.0)),
            ("list", facts.append(key, "y")),
            ("set", facts.append_unique(key, "y")),
            ("map", facts.set_nested(key, "y", 2.0)),
        ];
        for (kind, result) in results {
            assert_eq!(result.is_ok(), kind == key, "{kind} on {key}: {result:?}");
        }
    }
    let after = told(&facts);
    assert_eq!(before.as_object().unwrap().len(), 5);
    // Only what was of its own kind went through.
    assert_eq!(after["text"], "y");
    assert_eq!(after["number"], 1);
    assert_eq!(after["list"], json!(["x", "y"]));
    assert_eq!(after["map"], json!({"x": 1, "y": 2}));
}

#[test]
fn what_is_no_finite_number_is_refused() {
    let facts = ready();
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = FactError::NotFinite { key: "a".into() };
        assert_eq!(facts.set("a", odd), Err(refused.clone()));
        assert_eq!(facts.add("a", odd), Err(refused.clone()));
        assert_eq!(facts.append("a", odd), Err(refused.clone()));
        assert_eq!(facts.set_nested("a", "b", odd), Err(refused));
    }
    assert_eq!(told(&facts), json!({}));
    facts.set("a", f64::MAX).unwrap();
    facts.add("a", f64::MAX).unwrap_err();
    assert_eq!(told(&facts), json!({"a": f64::MAX}));
}

#[test]
fn what_does_not_fit_is_refused_and_counted() {
    let facts = Facts::within(Limits {
        items_max: 4,
        bytes_max: 40,
    });
    facts.init("one", []).unwrap();
    facts.set("a", "12345").unwrap();
    let full = |key: &str| Err(FactError::Full { key: key.into() });
    assert_eq!(facts.set("a", "x".repeat(40)), full("a"));
    assert_eq!(facts.set("b", "x".repeat(40)), full("b"));
    facts.append_unique("s", "x").unwrap();
    facts.append_unique("s", "y").unwrap();
    assert_eq!(
        facts.append_unique("s", "z"),
        full("s"),
        "there are four items"
    );
    // What is there already takes no room.
    facts.append_unique("s", "y").unwrap();
    facts.set("a", "54321").unwrap();
    assert_eq!(facts.refused(), 3);
    assert_eq!(
        told(&facts),
        json!({"a": "54321", "s": [{"value": "x", "count": 1}, {"value": "y", "count": 2}]})
    );
    facts.reset("s");
    facts.append("l", "room").unwrap();
}

#[test]
fn a_flood_of_names_stays_within_the_bounds() {
    let facts = ready();
    for number in 0..10_000 {
        // Refused once it is full, which is what is looked at.
        facts.append_unique("set", &format!("{number}")).ok();
        facts.append("list", format!("{number}")).ok();
    }
    let limits = Limits::default();
    let told = told(&facts);
    let members = told["set"].as_array().unwrap().len() + told["list"].as_array().unwrap().len();
    assert_eq!(members + 2, limits.items_max);
    assert_eq!(facts.refused(), 20_000 - (limits.items_max as u64 - 2));
}

#[test]
fn a_window_that_was_not_delivered_is_part_of_the_next_and_nothing_is_told_twice() {
    let facts = ready();
    let sum = |window: &BTreeMap<String, Fact>| match window.get("sum") {
        Some(Fact::One(Scalar::Number(number))) => *number,
        _ => 0.0,
    };
    facts.add("sum", 1.0).unwrap();
    let first = facts.window();
    facts.add("sum", 10.0).unwrap();
    facts.append("list", "while under way").unwrap();
    facts.kept();
    let second = facts.window();
    facts.add("sum", 100.0).unwrap();
    facts.delivered();
    let third = facts.window();
    facts.delivered();
    assert_eq!((sum(&first), sum(&second), sum(&third)), (1.0, 11.0, 100.0));
    assert!(second.contains_key("list") && !third.contains_key("list"));
    assert!(facts.window().is_empty());
}

#[test]
fn a_kind_holds_also_while_a_window_is_under_way() {
    let facts = ready();
    facts.set("a", "x").unwrap();
    facts.window();
    facts.add("a", 1.0).unwrap_err();
    facts.kept();
    assert_eq!(told(&facts), json!({"a": "x"}));
}

#[test]
fn what_a_server_disables_is_forgotten_also_out_of_a_window_under_way() {
    let facts = ready();
    facts.add("sum", 1.0).unwrap();
    facts.window();
    facts.add("sum", 2.0).unwrap();
    facts.steer(&[], &["sum".into()]);
    facts.kept();
    facts.add("sum", 4.0).unwrap();
    assert_eq!(told(&facts), json!({}));
    facts.steer(&["sum".into()], &[]);
    facts.add("sum", 8.0).unwrap();
    assert_eq!(told(&facts), json!({"sum": 8}));
}

#[test]
fn disable_wins_over_enable_and_the_operator_over_the_server() {
    let facts = Facts::default();
    facts.init("one", ["mine".to_owned()]).unwrap();
    let both = ["mine".to_owned(), "theirs".to_owned()];
    facts.steer(&both, &both);
    facts.steer(&both[..1], &[]);
    facts.set("mine", "x").unwrap();
    facts.set("theirs", "x").unwrap();
    assert_eq!(told(&facts), json!({}));
    facts.steer(&both, &[]);
    facts.set("mine", "x").unwrap();
    facts.set("theirs", "x").unwrap();
    assert_eq!(told(&facts), json!({"theirs": "x"}));
}

#[test]
fn a_server_cannot_fill_the_memory_with_keys() {
    let facts = ready();
    let keys: Vec<String> = (0..10_000).map(|number| format!("k{number}")).collect();
    facts.steer(&[], &keys);
    assert_eq!(facts.refused(), 10_000 - SERVER_KEYS_MAX as u64);
    // The first ones are disabled, the others are as they were.
    facts.set("k0", "x").unwrap();
    facts.set("k9999", "x").unwrap();
    assert_eq!(told(&facts), json!({"k9999": "x"}));
}

#[test]
fn the_hash_is_fnv_1a_without_padding() {
    // Vectors of the draft that describes the function (draft-eastlake-fnv).
    assert_eq!(fast_hash(b""), "811c9dc5");
    assert_eq!(fast_hash(b"a"), "e40c292c");
    assert_eq!(fast_hash(b"foobar"), "bf9cf968");
    let short = (0_u32..1_000)
        .map(|number| fast_hash(&number.to_le_bytes()))
        .find(|hash| hash.len() < 8);
    assert!(short.is_some_and(|hash| !hash.starts_with('0')));
}
