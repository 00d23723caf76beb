//! A real `node_exporter` that collects mounts, and a real Prometheus that collects from it and asks what the dashboard and the
//! rules ask.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::support::library::{Library, ONE_SERVED, TWO_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::promql::references;
use crate::support::python;
use crate::support::servers::Server;
use crate::support::watching::{Use, dashboard_uses, rules};
use crate::support::{eventually, has_program};

macro_rules! require_servers {
    ($($program:literal),*) => {
        require_fuse!();
        $(require!(has_program($program), "there is no {}", $program);)*
    };
}

/// What an exporter tells of the mount with this identity: how many series each name of `musefs` has.
fn series(text: &str, mount: &Path) -> BTreeMap<String, usize> {
    let label = format!("mount=\"{}\"", mount.display());
    let mut counts = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains(&label)) {
        let name = line.split('{').next().unwrap_or_default();
        if !line.starts_with('#') && name.starts_with("musefs_") {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// The value of a sample without labels.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

#[track_caller]
fn collected(exporter: &Server) -> String {
    let text = exporter.get("/metrics").expect("an exporter that answers");
    assert_eq!(value(&text, "node_textfile_scrape_error"), Some("0"));
    // Its own are there, too.
    assert!(value(&text, "process_open_fds").is_some() && text.contains("\nnode_"));
    text
}

/// When the texts that an exporter read were made, by file.
fn made(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("node_textfile_mtime_seconds{"))
        .collect()
}

/// How many series a mount tells of itself.
fn own_series(mount: &Mount) -> BTreeMap<String, usize> {
    let text = std::fs::read(mount.join(".musefs-metrics/metrics.prom")).unwrap();
    Metrics::parse(&text);
    series(std::str::from_utf8(&text).unwrap(), mount.path())
}

#[test]
fn node_exporter_collects_a_mount_from_its_metrics_directory() {
    require_servers!("prometheus-node-exporter", "curl");
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let exporter = Server::node_exporter(&mount.join(".musefs-metrics"));
    let text = collected(&exporter);
    assert_eq!(series(&text, mount.path()), own_series(&mount));
    let first = made(&text).concat();
    assert!(first.contains("metrics.prom"), "{first}");
    eventually("a newer text", || {
        (made(&collected(&exporter)).concat() != first).then_some(())
    });
}

#[test]
fn node_exporter_collects_three_mounts_from_one_directory_of_links() {
    require_servers!("prometheus-node-exporter", "curl");
    let directory = tempfile::tempdir().unwrap();
    let libraries = [Library::of_one(), Library::of_two(), Library::of_many(3)];
    let mounts = libraries.each_ref().map(Mount::new);
    for (mount, name) in mounts.iter().zip(["one", "two", "three"]) {
        std::os::unix::fs::symlink(
            mount.join(".metrics/metrics.prom"),
            directory.path().join(format!("{name}.prom")),
        )
        .unwrap();
    }
    let exporter = Server::node_exporter(directory.path());
    let text = collected(&exporter);
    assert_eq!(made(&text).len(), 3);
    for mount in &mounts {
        assert_eq!(series(&text, mount.path()), own_series(mount));
    }
    // Nothing is left of a mount that is gone, and the others are collected as before. The link to nowhere is an error
    // until it is gone, too.
    let [one, two, three] = mounts;
    let gone = two.path().to_path_buf();
    two.stop();
    let text = exporter.get("/metrics").unwrap();
    assert_eq!(value(&text, "node_textfile_scrape_error"), Some("1"));
    for mount in [&one, &three] {
        assert_eq!(series(&text, mount.path()), own_series(mount));
    }
    std::fs::remove_file(directory.path().join("two.prom")).unwrap();
    let text = collected(&exporter);
    assert!(series(&text, &gone).is_empty());
    for mount in [one, three] {
        assert_eq!(series(&text, mount.path()), own_series(&mount));
    }
}

/// Families that a mount tells only where it can know them: in the kernel's own directory of FUSE connections, and from the
/// allocator that it was built with.
const WHERE_KNOWN: [&str; 2] = ["musefs_fuse_", "musefs_alloc_"];

/// Has a mount do something of everything: reads, one of them of a file that was cut off while it was open, names that are not
/// there, and an edit.
fn work(library: &Library, mount: &Mount) {
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    let mut cut = File::open(mount.join(TWO_SERVED)).unwrap();
    let backing = File::options()
        .write(true)
        .open(library.music().join("two.mp3"));
    backing.unwrap().set_len(1).unwrap();
    assert!(cut.read_to_end(&mut Vec::new()).is_err());
    assert!(!mount.join("no such name").exists());
    library.set_tag("one.flac", "genre", "Ambient");
}

#[test]
fn prometheus_answers_every_question_of_the_dashboard_and_the_rules() {
    require_servers!("prometheus-node-exporter", "prometheus", "curl");
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let exporter = Server::node_exporter(&mount.join(".musefs-metrics"));
    let data = tempfile::tempdir().unwrap();
    let prometheus = Server::prometheus(&exporter, data.path());
    // Counters are known from before the work on, so that what it adds is an increase.
    eventually("a first collection", || {
        (!prometheus.query("musefs_up == 1").is_empty()).then_some(())
    });
    work(&library, &mount);
    for (what, question) in [
        ("the error", "increase(musefs_read_errors_total[5m]) > 0"),
        ("the edit", "musefs_refresh_lag_seconds"),
    ] {
        eventually(what, || {
            (!prometheus.query(question).is_empty()).then_some(())
        });
    }

    let rules = rules();
    let shown = dashboard_uses();
    let uses: Vec<&Use> = shown
        .iter()
        .chain(rules.iter().map(|rule| &rule.found))
        .collect();
    // Each once, with one place where it stands.
    let mut wanted = BTreeMap::new();
    for found in &uses {
        prometheus.query(&found.expression);
        for selector in references(&found.expression).selectors {
            wanted.entry(selector.text()).or_insert(&found.origin);
        }
    }
    wanted.retain(|text, _| !WHERE_KNOWN.iter().any(|prefix| text.starts_with(prefix)));
    let mut unmatched = Vec::new();
    for (selector, origin) in wanted {
        // A collection that takes too long on a busy machine fails, and then there is nothing until the next.
        let question = format!("last_over_time({selector}[5m])");
        if prometheus.query(&question).is_empty() {
            unmatched.push(format!("{origin}: {selector}"));
        }
    }
    assert!(
        unmatched.is_empty(),
        "match nothing:\n{}",
        unmatched.join("\n")
    );
    eprintln!("{} expressions answered", uses.len());

    // Prometheus evaluates the rules itself without a fault, and an alert tells of the read that failed.
    let told = prometheus.get("/api/v1/rules").unwrap();
    assert_eq!(
        told.matches("\"health\":\"ok\"").count(),
        rules.len(),
        "{told}"
    );
    eventually("an alert", || {
        let firing = r#"ALERTS{alertname="MusefsReadErrors",alertstate="firing"}"#;
        (!prometheus.query(firing).is_empty()).then_some(())
    });
    let down = &rules
        .iter()
        .find(|rule| rule.name == "MusefsDown")
        .unwrap()
        .found;
    assert!(prometheus.query(&down.expression).is_empty());
    mount.stop();
    eventually("news of the mount that is gone", || {
        (!prometheus.query(&down.expression).is_empty()).then_some(())
    });
}

/// Reads each text with the parser of its format, and says how many samples it holds that are not told of single programs.
const PARSE: &str = r"
import sys
from prometheus_client.parser import text_string_to_metric_families as text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
for path in sys.argv[1:]:
    parse = openmetrics if path.endswith('.om') else text
    families = list(parse(open(path).read()))
    print(sum('client' not in sample.labels for family in families for sample in family.samples))
";

#[test]
fn the_parsers_of_the_python_client_take_every_text() {
    require_fuse!();
    let has_client = python::script("import prometheus_client", [""; 0]).code == Some(0);
    require!(has_client, "there is no prometheus_client");
    let library = Library::of_two();
    let mount = Mount::new(&library);
    work(&library, &mount);
    let directory = mount.join(".musefs-metrics");
    let names = ["metrics", "metrics.prom", "metrics.om"];
    let outcome = python::script(PARSE, names.map(|name| directory.join(name))).done();
    assert_eq!(outcome.stderr, "");
    let counts: Vec<usize> = outcome
        .text()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    let samples = mount.metrics().names().len();
    assert_eq!(counts[..2], [samples, samples]);
    assert!(counts[2] >= samples, "{counts:?}");
}
