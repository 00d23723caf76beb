//! What is in `contrib`: dashboards and rules name nothing that a mount does not measure, and every file is what the program that
//! reads it takes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::catalogue::Catalogue;
use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{MUSEFS, clean, run};
use crate::support::watching::{Use, contrib, contrib_text, dashboard, dashboard_uses, rules};
use crate::support::{has_program, not_for_this_user};

/// Everything that names metrics.
fn uses() -> Vec<Use> {
    let rules = rules().into_iter().map(|rule| rule.found);
    dashboard_uses().into_iter().chain(rules).collect()
}

#[test]
fn every_metric_and_label_of_dashboards_and_rules_is_in_the_catalogue() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let mut catalogue = Catalogue::of(&mount);
    for rule in rules() {
        if !rule.is_alert {
            catalogue.record(&rule.name);
        }
    }
    let mut faults = Vec::new();
    for found in uses() {
        for fault in catalogue.faults(&found.expression, &found.mentioned) {
            faults.push(format!("{}: {fault}", found.origin));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A small catalogue.
fn catalogue() -> Catalogue {
    let label = |name: &str, values: &[&str]| json!({"name": name, "values": values});
    let mut catalogue = Catalogue::parse(&json!({"families": [
        {"name": "one_total", "type": "counter", "labels": [label("op", &["read", "open"])]},
        {"name": "two", "type": "gauge", "labels": []},
        {"name": "three_seconds", "type": "histogram", "labels": [label("op", &["read"])]},
    ]}));
    catalogue.record("mount:one:rate5m");
    catalogue
}

#[test]
fn an_expression_that_keeps_to_the_catalogue_has_no_fault() {
    for expression in [
        "two",
        r#"sum by (instance, mount, op) (rate(one_total{op=~"read|open",mount=~".*"}[5m]))"#,
        r#"histogram_quantile(0.5, sum by (le) (rate(three_seconds_bucket{op="read"}[5m])))"#,
        "three_seconds_sum / three_seconds_count and on (job) up == 1",
        "sum by (anything) (mount:one:rate5m)",
    ] {
        let faults = catalogue().faults(expression, &BTreeSet::new());
        assert!(faults.is_empty(), "{expression}: {faults:?}");
    }
}

#[test]
fn whatever_is_not_in_the_catalogue_is_a_fault() {
    for (expression, fault) in [
        ("rate(one[5m])", "there is no metric one"),
        ("two_total", "there is no metric two_total"),
        ("two_bucket", "there is no metric two_bucket"),
        ("three_seconds", "there is no metric three_seconds"),
        ("mount:two:rate5m", "there is no metric mount:two:rate5m"),
        (r#"two{op="read"}"#, "two has no label op"),
        (
            r#"one_total{op="write"}"#,
            "op of one_total is never \"write\"",
        ),
        (
            r#"one_total{op=~"read|write"}"#,
            "op of one_total is never \"write\"",
        ),
        (
            r#"one_total{op!="opened"}"#,
            "op of one_total is never \"opened\"",
        ),
        ("sum by (way) (one_total)", "nothing here has a label way"),
        (
            "sum by (le) (three_seconds_sum)",
            "nothing here has a label le",
        ),
    ] {
        let faults = catalogue().faults(expression, &BTreeSet::new());
        assert_eq!(faults, [fault], "{expression}");
    }
    let legend = BTreeSet::from(["way".to_owned()]);
    let faults = catalogue().faults("one_total", &legend);
    assert_eq!(faults, ["nothing here has a label way"]);
}

#[test]
fn promtool_takes_the_rules_and_what_they_say_to_courses_of_events() {
    require!(has_program("promtool"), "there is no promtool");
    for (verb, file) in [
        (["check", "config"], "prometheus.yml"),
        (["check", "rules"], "prometheus-rules.yml"),
        (["test", "rules"], "prometheus-rules-test.yml"),
    ] {
        let outcome = run(Command::new("promtool").args(verb).arg(contrib(file))).done();
        assert_eq!(outcome.stderr, "", "{file}");
    }
}

#[test]
fn every_rule_is_tested_and_every_alert_tells_what_is_wrong_and_what_to_do() {
    let tests = contrib_text("prometheus-rules-test.yml");
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule.name;
        assert!(names.insert(name.clone()), "{name} stands twice");
        if !rule.is_alert {
            assert!(tests.contains(&name), "{name} is not tested");
            continue;
        }
        let fires = format!("alertname: {name}\n        exp_alerts:\n");
        let is_calm = format!("alertname: {name}\n        exp_alerts: []\n");
        assert!(tests.contains(&fires), "{name} is never seen to fire");
        assert!(tests.contains(&is_calm), "{name} is never seen not to");
        let severity = rule.severity.as_deref();
        assert!(
            ["critical", "warning", "info"]
                .map(Some)
                .contains(&severity),
            "{name}"
        );
        let annotations: Vec<&str> = rule
            .annotations
            .iter()
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(annotations, ["summary", "description"], "{name}");
    }
}

/// The panels of the dashboard.
fn panels() -> Vec<Value> {
    dashboard()["panels"]
        .as_array()
        .expect("a list of panels")
        .clone()
}

#[test]
fn the_dashboard_is_laid_out_without_gaps_in_its_meaning() {
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels() {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            ids.insert(panel["id"].as_u64().expect("a number")),
            "{title}"
        );
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        for column in side("x")..side("x") + side("w") {
            assert!(column < 24, "{title} is too far right");
            for line in side("y")..side("y") + side("h") {
                assert!(taken.insert((column, line)), "{title} lies over another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        let said = panel["description"].as_str().unwrap_or_default();
        assert!(said.ends_with('.'), "{title} does not say what it shows");
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().expect("expressions");
        let names: BTreeSet<&str> = targets
            .iter()
            .filter_map(|it| it["refId"].as_str())
            .collect();
        assert!(
            !targets.is_empty() && names.len() == targets.len(),
            "{title}"
        );
        for target in targets {
            let expression = target["expr"].as_str().expect("an expression");
            assert!(
                expression.contains(r#"instance=~"$instance",mount=~"$mount""#),
                "{title} shows mounts that were not asked for: {expression}"
            );
        }
    }
    let variables: Vec<Value> = dashboard()["templating"]["list"]
        .as_array()
        .expect("variables")
        .clone();
    let names: Vec<&str> = variables
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["datasource", "instance", "mount", "op"]);
}

/// The unit with the program that is tested in place of the one that is installed.
fn unit() -> String {
    const INSTALLED: &str = "/usr/local/bin/musefs";
    let unit = contrib_text("musefs@.service");
    assert!(unit.contains(INSTALLED));
    unit.replace(INSTALLED, MUSEFS)
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    if !has_program("systemd-analyze") {
        return not_for_this_user("there is no systemd here");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("musefs@.service");
    let verify = |path: &Path| {
        run(Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(path))
    };
    std::fs::write(&path, unit()).unwrap();
    let outcome = verify(&path).done();
    assert_eq!((outcome.text().as_str(), outcome.stderr.as_str()), ("", ""));
    // It would say so if there was one.
    std::fs::write(&path, unit().replace("KillMode=", "KilMode=")).unwrap();
    assert!(verify(&path).stderr.contains("KilMode"));
}

#[test]
fn the_command_of_the_unit_mounts_what_its_settings_say() {
    require_fuse!();
    let library = Library::of_one();
    let unit = unit();
    let command = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let mut words = command.split(' ');
    let mut start = Command::new(words.next().unwrap());
    clean(&mut start);
    // As the comment at its head shows.
    for setting in unit.lines().filter_map(|line| line.strip_prefix("#   ")) {
        let (name, value) = setting.split_once('=').unwrap();
        match name {
            "MOUNTPOINT" => {}
            "MUSEFS_DB" => drop(start.env(name, library.db())),
            _ => drop(start.env(name, value)),
        }
    }
    for word in words {
        if word == "${MOUNTPOINT}" {
            start.arg(library.mountpoint());
        } else {
            start.arg(word);
        }
    }
    let mut mount = Mount::start(&mut start, &library.mountpoint()).unwrap();
    assert!(mount.join(ONE_SERVED).exists());
    let text = std::fs::read_to_string(mount.join(".metrics/metrics.prom")).unwrap();
    assert!(text.contains("musefs_up{mount=\"music\"} 1\n"));
    mount.signal(nix::sys::signal::Signal::SIGTERM);
    let outcome = mount
        .ended(crate::support::SOON)
        .expect("it ends as systemd asks it to");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
