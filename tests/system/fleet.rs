//! Many mounts at once: found by files, collected by a Prometheus that keeps nothing itself, and passed on to one that does.

use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Yaml};

use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::servers::Server;
use crate::support::watching::contrib_text;
use crate::support::{eventually, has_program, http};

/// Tells the agent of a mount, as `contrib/fleet/targets` has it.
fn announce(targets: &Path, host: &str, address: &str) {
    let text = contrib_text("fleet/targets/nas.json");
    assert!(text.contains("localhost:9184") && text.contains("\"nas\""));
    let text = text
        .replace("localhost:9184", address)
        .replace("\"nas\"", &format!("\"{host}\""));
    // Whole at once: the agent may look at any time.
    let unfinished = targets.join(host);
    fs::write(&unfinished, text).expect("a file of the test's own");
    fs::rename(&unfinished, targets.join(format!("{host}.json"))).expect("the same directory");
}

#[test]
fn an_agent_finds_mounts_by_files_and_passes_on_what_they_tell() {
    require_fuse!();
    require!(
        has_program("prometheus") && has_program("curl"),
        "there is no prometheus or no curl"
    );
    let libraries = [Library::of_two(), Library::of_one()];
    let mounts = libraries
        .each_ref()
        .map(|library| Mount::with(library, &["--metrics-listen", "0"]));
    let addresses = mounts.each_ref().map(http::address);

    let kept = tempfile::tempdir().expect("a temporary directory");
    let keeper = Server::prometheus_receiving(kept.path());
    let passing = tempfile::tempdir().expect("a temporary directory");
    let targets = passing.path().join("targets");
    fs::create_dir(&targets).expect("a new directory");
    announce(&targets, "attic", &addresses[0]);
    let config = contrib_text("fleet/prometheus-agent.yml");
    assert!(config.contains("localhost:9090") && config.contains("15s"));
    let config = config
        .replace("localhost:9090", &keeper.address())
        .replace("15s", "500ms");
    let _agent = Server::prometheus_agent(&config, passing.path());

    let value = |question: &str| -> Option<f64> {
        let found = keeper.query(question);
        let [only] = &*found else { return None };
        only["value"][1].as_str()?.parse().ok()
    };
    let tracks = |host: &str, mount: &Mount| {
        format!(
            "sum(musefs_library_tracks{{site=\"home\",host=\"{host}\",library=\"flac\",mount=\"{}\"}})",
            mount.path().display()
        )
    };
    eventually("the first mount's tracks", || {
        (value(&tracks("attic", &mounts[0])) == Some(2.0)).then_some(())
    });
    // A second one is found without anybody being told but by its file.
    announce(&targets, "cellar", &addresses[1]);
    eventually("the second mount's tracks", || {
        (value(&tracks("cellar", &mounts[1])) == Some(1.0)).then_some(())
    });
    eventually("both", || {
        (value("count(musefs_up == 1)") == Some(2.0)).then_some(())
    });
    fs::read(mounts[0].join(ONE_SERVED)).expect("it is served");
    let read = mounts[0].metrics().sum("musefs_read_bytes_total");
    let read = f64::from(u32::try_from(read).expect("a small file"));
    eventually("what was read", || {
        (value("sum(musefs_read_bytes_total{host=\"attic\"})") == Some(read)).then_some(())
    });
    // A mount that is gone is told apart from one that was taken away.
    let [first, second] = mounts;
    second.stop();
    eventually("a mount that does not answer", || {
        (value("up{host=\"cellar\"}") == Some(0.0)).then_some(())
    });
    fs::remove_file(targets.join("cellar.json")).expect("it is there");
    eventually("a mount that is no target any more", || {
        keeper.query("up{host=\"cellar\"}").is_empty().then_some(())
    });
    assert_eq!(value("up{host=\"attic\"}"), Some(1.0));
    first.stop();
}

#[test]
fn the_configurations_for_fleets_hold_together() {
    require!(has_program("promtool"), "there is no promtool");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("targets")).expect("a new directory");
    for name in ["prometheus-agent.yml", "targets/nas.json"] {
        fs::write(path(name), contrib_text(&format!("fleet/{name}")))
            .expect("a file of the test's own");
    }
    let mut check = std::process::Command::new("promtool");
    check
        .args(["check", "config", "--agent"])
        .arg(path("prometheus-agent.yml"));
    run(&mut check).done();
    // The collector cannot be had here. Its pipelines at least name what is there.
    let text = contrib_text("fleet/otel-collector.yml");
    let documents = Yaml::load_from_str(&text).expect("YAML");
    let config = &documents[0];
    let pipelines = config["service"]["pipelines"]
        .as_mapping()
        .expect("pipelines");
    assert_eq!(pipelines.len(), 2);
    for pipeline in pipelines.values() {
        for part in ["receivers", "processors", "exporters"] {
            let used = pipeline[part].as_sequence().expect("a list");
            assert!(!used.is_empty());
            for name in used {
                let name = name.as_str().expect("a name");
                let there = config[part].contains_mapping_key(name);
                assert!(there, "{part} has no {name}");
            }
        }
    }
}
