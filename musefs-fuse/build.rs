//! Tells the program which commit it is built from, where the sources are those of a git working tree.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = commit().unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=MUSEFS_COMMIT={commit}");
}

fn commit() -> Option<String> {
    // Unpacked within somebody else's working tree, the sources would be told as a commit of that one.
    let prefix = git(&["rev-parse", "--show-prefix"])?;
    if prefix.trim_end_matches('/') != "musefs-fuse" {
        return None;
    }
    // Each of these changes when another commit is made or taken; a path that is not there would mean building every time.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What git says in one line.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim_end().to_owned())
}
