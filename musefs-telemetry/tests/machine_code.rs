//! What the compiler makes of a call: no locked instruction where events are counted, and nothing at all without `stats`.
//! Where there is no `objdump` or the machine is another, the test says so and passes, but fails when `CI` is set.

#![cfg(feature = "stats")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("skipped: {what}");
}

/// The disassembled release build of the probe.
fn disassembly(features: &[&str], folder: &str) -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        missing("another machine has other instructions");
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--example", "probe"])
        .args(features)
        .arg("--manifest-path")
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo runs, for it runs this test");
    assert!(built.success());
    let program = target.join("release/examples/probe");
    let objdump = Command::new("objdump")
        .args(["-d", "-C", "--no-show-raw-insn"])
        .arg(&program)
        .output();
    let Ok(output) = objdump else {
        missing("objdump is not installed");
        return None;
    };
    assert!(output.status.success());
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The instructions of the function whose name has `name` in it; `None` when there is no such function.
fn function<'a>(assembly: &'a str, name: &str) -> Option<&'a str> {
    let mut functions = assembly.split("\n\n");
    functions.find(|function| {
        function
            .trim_start()
            .lines()
            .next()
            .is_some_and(|head| head.contains('<') && head.contains(name) && head.ends_with(">:"))
    })
}

/// The functions of the engine that `code` goes on in, where the compiler did not put them in line. What a thread does at its
/// first event is none of them: that takes a lock.
fn called(assembly: &str, code: &str) -> String {
    let targets = code
        .lines()
        .filter(|line| line.contains("call") || line.contains("jmp"))
        .filter_map(|line| line.split_once('<')?.1.rsplit_once('>'))
        .map(|(name, _)| name)
        .filter(|name| name.contains("musefs_telemetry") && !name.contains("without_slab"));
    targets
        .filter_map(|name| function(assembly, &format!("<{name}>:")))
        .collect()
}

#[test]
fn an_event_takes_no_locked_instruction() {
    let Some(assembly) = disassembly(&[], "with-stats") else {
        return;
    };
    for name in [
        "probe_increment",
        "probe_labelled",
        "probe_histogram",
        "probe_operation",
        "probe_run_time",
        "probe_named",
        "probe_sets",
    ] {
        let own = function(&assembly, name).unwrap_or_else(|| panic!("{name} is there"));
        let code = own.to_owned() + &called(&assembly, own);
        assert!(
            code.contains("%fs:"),
            "{name} counts in the thread's own slab\n{code}"
        );
        for locked in ["lock ", "xchg %", "mfence"] {
            assert!(!code.contains(locked), "{name} has `{locked}`\n{code}");
        }
    }
}

#[test]
fn asking_for_interest_is_one_load() {
    let Some(assembly) = disassembly(&[], "with-stats") else {
        return;
    };
    let code = function(&assembly, "probe_interest").expect("it is there");
    for costly in ["lock ", "xchg %", "mfence", "call"] {
        assert!(!code.contains(costly), "`{costly}`\n{code}");
    }
    // All but padding and what a function begins and ends with anyway.
    let loads = code.lines().skip(1).filter(|line| line.contains("(%rdi)"));
    assert_eq!(loads.count(), 1, "{code}");
}

/// The symbols of the engine in a program.
fn engine_symbols(assembly: &str) -> Vec<&str> {
    let symbols = assembly.lines().filter(|line| line.ends_with(">:"));
    symbols
        .filter(|line| line.contains("musefs_telemetry"))
        .collect()
}

#[test]
fn without_stats_nothing_of_the_engine_is_left_with_names_of_run_time_included() {
    let (Some(with), Some(without)) = (
        disassembly(&[], "with-stats"),
        disassembly(&["--no-default-features"], "without-stats"),
    ) else {
        return;
    };
    // What is looked for is there to be found in the other build.
    let symbols = engine_symbols(&with);
    for module in ["dynamic", "registry", "cells"] {
        let path = format!("musefs_telemetry::{module}::");
        assert!(
            symbols.iter().any(|symbol| symbol.contains(&path)),
            "{path} in {symbols:#?}"
        );
    }
    let symbols = engine_symbols(&without);
    assert!(symbols.is_empty(), "{symbols:#?}");
    for name in ["probe_run_time", "probe_named", "probe_sets"] {
        if let Some(code) = function(&without, name) {
            assert!(!code.contains("call"), "{code}");
        }
    }
}
