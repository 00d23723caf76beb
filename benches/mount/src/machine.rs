//! On what was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The machine in words, as pairs of a name and what is known.
pub fn describe(dir: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut facts = vec![
        ("processor", processor()),
        ("cores", cores.to_string()),
        (
            "governor",
            line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        ),
        ("memory", memory()),
        ("kernel", line("/proc/sys/kernel/osrelease")),
        ("disk", disk(dir)),
        ("user", user().into()),
        ("load before", line("/proc/loadavg")),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

/// The same for programs.
pub fn as_json(facts: &[(&'static str, String)]) -> Value {
    facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Whether this is root, who may drop caches and pass reads through.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn user() -> &'static str {
    if is_root() { "root" } else { "not root" }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "model name" | "Model" | "cpu model").then(|| value.trim().to_owned())
    });
    name.unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        let rest = line.strip_prefix("MemTotal:")?;
        rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kib.map(|kib| format!("{} GiB", (kib + (1 << 19)) >> 20))
        .unwrap_or_default()
}

/// The filesystem under `dir`, and what it is on.
fn disk(dir: &Path) -> String {
    let said = Command::new("findmnt")
        .args(["--noheadings", "--output", "FSTYPE,SOURCE", "--target"])
        .arg(dir)
        .output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" on ")
}

fn line(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}
