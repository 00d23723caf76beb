use std::collections::BTreeSet;

use super::*;

fn families() -> Vec<&'static Family> {
    catalogue().expect("everything is declared")
}

/// With `UPDATE` set, the page is written anew.
#[test]
fn the_page_about_metrics_is_what_the_program_prints() {
    crate::kept::page(
        "docs/metrics.md",
        "musefs metrics list --markdown",
        &markdown(&families()),
    );
}

#[test]
fn every_family_has_advice_and_every_advice_a_family() {
    let families = families();
    let declared: BTreeSet<&str> = families.iter().map(|family| family.name).collect();
    let mut advised = BTreeSet::new();
    for (name, advice) in GROUPS.iter().flat_map(|group| group.families) {
        assert!(advised.insert(*name), "{name} stands twice");
        assert!(advice.ends_with('.'), "{name}: {advice}");
    }
    let without: Vec<_> = declared.difference(&advised).collect();
    assert!(without.is_empty(), "no advice for {without:?}");
    let unknown: Vec<_> = advised.difference(&declared).collect();
    assert!(unknown.is_empty(), "advice for nothing: {unknown:?}");
}

#[test]
fn people_and_programs_get_every_family() {
    let families = families();
    let text = plain(&families);
    let all: serde_json::Value = serde_json::from_str(&json(&families).unwrap()).unwrap();
    let listed = all["families"].as_array().unwrap();
    assert_eq!(listed.len(), families.len());
    for (family, entry) in families.iter().zip(listed) {
        assert!(text.contains(family.help), "{}", family.name);
        assert_eq!(entry["name"], family.name);
        assert!(
            entry["when_bad"]
                .as_str()
                .is_some_and(|bad| !bad.is_empty())
        );
    }
    let errors = listed
        .iter()
        .find(|entry| entry["name"] == "musefs_ops_total")
        .unwrap();
    assert_eq!(errors["type"], "counter");
    assert_eq!(errors["labels"][0]["name"], "op");
    assert_eq!(errors["labels"][0]["values"][0], "lookup");
}
