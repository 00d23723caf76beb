//! The page that shows a mount, in a real browser: what it shows is what the mount says of the same moment, it asks nobody else,
//! and it outlives the mount.

use std::process::Command;

use crate::support::http::address;
use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::Running;
use crate::support::{SOON, eventually, has_program, python};

/// A script beside this file.
fn script(name: &str) -> Command {
    let directory = [
        env!("CARGO_MANIFEST_DIR"),
        "..",
        "tests",
        "system",
        "http_page",
        name,
    ];
    let mut command = python::python();
    command.arg(directory.iter().collect::<std::path::PathBuf>());
    command
}

/// Why the page cannot be looked at here.
fn missing() -> Option<&'static str> {
    if !has_program("chromium") {
        return Some("there is no chromium");
    }
    let has_client = python::script("import websocket", [""; 0]).code == Some(0);
    (!has_client).then_some("there is no websocket-client")
}

/// Waits until a script says something, or ends.
#[track_caller]
fn says(running: &mut Running, word: &str) {
    eventually(word, || {
        let said = String::from_utf8_lossy(&running.stdout()).into_owned();
        if said.lines().any(|line| line.starts_with(word)) {
            return Some(());
        }
        let ended = running.wait(std::time::Duration::ZERO);
        assert!(ended.is_none(), "it ended: {:?}", running.outcome(ended));
        None
    });
}

#[test]
fn the_page_shows_what_the_mount_says_and_outlives_it() {
    require_fuse!();
    require!(missing().is_none(), "{}", missing().unwrap_or_default());
    let library = Library::of_two();
    let mount = Mount::with(&library, &["--metrics-listen", "0"]);
    let address = address(&mount);
    let _reading = Running::start(script("reader.py").arg(mount.path()));
    let mut following =
        Running::start(script("browser.py").args(["follow", &format!("http://{address}")]));
    says(&mut following, "agreed");
    mount.stop();
    says(&mut following, "away");
    let _mount = Mount::with(&library, &["--metrics-listen", &address]);
    let status = following.wait(SOON);
    let outcome = following.outcome(status).done();
    assert!(outcome.text().contains("\nback "), "{outcome:?}");
    eprintln!("{}", outcome.text());
}

#[test]
fn the_page_asks_for_the_token_and_then_shows_paths_too() {
    require_fuse!();
    require!(missing().is_none(), "{}", missing().unwrap_or_default());
    let library = Library::of_one();
    let token = library.path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let token = token.to_str().unwrap();
    let mount = Mount::with(
        &library,
        &["--metrics-listen", "0", "--metrics-token-file", token],
    );
    let origin = format!("http://{}", address(&mount));
    let mut shown = Running::start(script("browser.py").args(["guarded", &origin, "s3cret"]));
    let status = shown.wait(SOON);
    assert_eq!(shown.outcome(status).done().text(), "shown\n");
}
