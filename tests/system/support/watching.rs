//! The files of `contrib` that hold expressions: dashboards and rules, read as Grafana and Prometheus would.

use std::collections::BTreeSet;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

/// An expression in one of the files.
#[derive(Debug)]
pub struct Use {
    /// Where it stands.
    pub origin: String,
    pub expression: String,
    /// Labels that texts beside it are filled in from.
    pub mentioned: BTreeSet<String>,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// The name of what it records, or of an alert.
    pub name: String,
    pub is_alert: bool,
    pub severity: Option<String>,
    pub annotations: Vec<(String, String)>,
    pub found: Use,
}

/// The path of a file of `contrib`.
pub fn contrib(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "contrib", name]
        .iter()
        .collect()
}

/// Its text.
#[track_caller]
pub fn contrib_text(name: &str) -> String {
    let path = contrib(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The dashboard.
#[track_caller]
pub fn dashboard() -> Value {
    serde_json::from_str(&contrib_text("grafana-dashboard.json")).expect("the dashboard is JSON")
}

/// What Grafana puts in for variables when everything is selected.
fn filled_in(expression: &str) -> String {
    let values = [
        ("$__rate_interval", "1m"),
        ("$instance", ".*"),
        ("$mount", ".*"),
        ("$op", "read"),
    ];
    let mut filled = expression.to_owned();
    for (variable, value) in values {
        filled = filled.replace(variable, value);
    }
    assert!(!filled.contains('$'), "an unknown variable: {expression}");
    filled
}

/// All expressions of the dashboard: of panels, and those that its variables are listed by.
#[track_caller]
pub fn dashboard_uses() -> Vec<Use> {
    let dashboard = dashboard();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut uses = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            uses.push(Use {
                origin: format!("panel {} {}", panel["title"], target["refId"]),
                expression: filled_in(target["expr"].as_str().expect("an expression")),
                mentioned: placeholders(legend, "{{", "}}"),
            });
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        let Some(query) = variable["query"]["query"].as_str() else {
            continue;
        };
        let inside = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let (expression, label) = inside
            .and_then(|inside| inside.rsplit_once(','))
            .expect("a variable lists values of a label");
        uses.push(Use {
            origin: format!("variable {}", variable["name"]),
            expression: filled_in(expression),
            mentioned: [label.trim().to_owned()].into(),
        });
    }
    uses
}

/// What stands between `before` and `after`, each time.
fn placeholders(text: &str, before: &str, after: &str) -> BTreeSet<String> {
    let mut parts = text.split(before);
    parts.next();
    parts
        .map(|part| {
            part.split(after)
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .collect()
}

/// All rules.
#[track_caller]
pub fn rules() -> Vec<Rule> {
    let text = contrib_text("prometheus-rules.yml");
    let documents = Yaml::load_from_str(&text).expect("rules are YAML");
    let get = |rule: &Yaml<'_>, key: &str| {
        let value = rule.as_mapping_get(key).and_then(Yaml::as_str);
        value.map(ToOwned::to_owned)
    };
    let mut rules = Vec::new();
    let groups = documents[0]["groups"].as_sequence().expect("groups");
    for rule in groups
        .iter()
        .flat_map(|group| group["rules"].as_sequence().expect("rules"))
    {
        let alert = get(rule, "alert");
        let name = alert.clone().or_else(|| get(rule, "record"));
        let name = name.expect("a rule records or alerts");
        let annotations: Vec<(String, String)> = rule
            .as_mapping_get("annotations")
            .and_then(Yaml::as_mapping)
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let text = |yaml: &Yaml<'_>| yaml.as_str().expect("a string").to_owned();
                (text(key), text(value))
            })
            .collect();
        let mentioned = annotations
            .iter()
            .flat_map(|(_, text)| placeholders(text, "$labels.", " "))
            .collect();
        rules.push(Rule {
            found: Use {
                origin: format!("rule {name}"),
                expression: get(rule, "expr").expect("a rule has an expression"),
                mentioned,
            },
            severity: rule
                .as_mapping_get("labels")
                .and_then(|labels| get(labels, "severity")),
            annotations,
            is_alert: alert.is_some(),
            name,
        });
    }
    rules
}
