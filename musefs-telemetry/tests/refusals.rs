//! What the compiler says of declarations that it refuses: the blocks and the quotes of `src/refused.rs`, each block compiled
//! as a program of its own.

#![cfg(feature = "stats")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A declaration, and what the compiler must say of it.
#[derive(Debug, Default)]
struct Refusal {
    code: String,
    quote: String,
}

/// The blocks of a module's documentation that must not compile. A line that the documentation hides is code, too.
fn refusals(source: &str) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut within = false;
    for line in source.lines() {
        let line = line.trim_start_matches("//!");
        let line = line.strip_prefix(' ').unwrap_or(line);
        if line.starts_with("```compile_fail") {
            refusals.push(Refusal::default());
            within = true;
        } else if line.starts_with("```") {
            within = false;
        } else if within {
            let code = line.strip_prefix("# ").unwrap_or(line);
            let block = refusals.last_mut().expect("a block began");
            writeln!(block.code, "{code}").expect("a String takes whatever is written to it");
        } else if let Some(quote) = line.strip_prefix("> ") {
            let block = refusals.last_mut().expect("a quote follows a block");
            quote.clone_into(&mut block.quote);
        }
    }
    refusals
}

/// A package with one program for each refusal.
fn package(folder: &Path, refusals: &[Refusal]) {
    let programs = folder.join("src/bin");
    if programs.exists() {
        std::fs::remove_dir_all(&programs).unwrap();
    }
    std::fs::create_dir_all(&programs).unwrap();
    let engine = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"refused\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nmusefs-telemetry = {{ path = {engine:?} }}\n\n[workspace]\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let lock = Path::new(engine).join("../Cargo.lock");
    std::fs::copy(lock, folder.join("Cargo.lock")).unwrap();
    for (number, refusal) in refusals.iter().enumerate() {
        let items = ["#[", "const _"]
            .iter()
            .any(|item| refusal.code.contains(item));
        let code = if items {
            format!("{}fn main() {{}}\n", refusal.code)
        } else {
            format!("fn main() {{\n{}}}\n", refusal.code)
        };
        std::fs::write(programs.join(format!("refusal_{number}.rs")), code).unwrap();
    }
}

/// The errors of each program.
fn errors(folder: &Path) -> HashMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--keep-going", "--bins"])
        .args(["--message-format", "json"])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("target"))
        .output()
        .expect("cargo runs, for it runs this test");
    let mut errors: HashMap<String, String> = HashMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        if told["message"]["level"] == "error" {
            let program = told["target"]["name"].as_str().unwrap().to_owned();
            let text = told["message"]["rendered"].as_str().unwrap();
            errors.entry(program).or_default().push_str(text);
        }
    }
    assert!(
        !errors.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    errors
}

#[test]
fn the_compiler_says_which_rule_is_broken() {
    let refusals = refusals(include_str!("../src/refused.rs"));
    assert!(refusals.len() >= 12, "{refusals:#?}");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("refusals");
    package(&folder, &refusals);
    let errors = errors(&folder);
    for (number, Refusal { code, quote }) in refusals.iter().enumerate() {
        assert!(!quote.is_empty(), "nothing is quoted after\n{code}");
        let said = errors.get(&format!("refusal_{number}"));
        let said = said.unwrap_or_else(|| panic!("this compiles:\n{code}"));
        assert!(said.contains(quote.as_str()), "`{quote}` is not in\n{said}");
    }
}
