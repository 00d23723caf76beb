//! Mounts whose control sockets are a test's own, and asking them without a request of the kernel's: what is counted stays as
//! it is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::library::Library;
use super::metrics::Metrics;
use super::mount::Mount;
use super::process::musefs;

/// Longer than a snapshot of metrics answers.
const NEXT_MOMENT: Duration = Duration::from_millis(1_100);

/// Where the sockets are.
fn runtime(library: &Library) -> PathBuf {
    let directory = library.path().join("run");
    std::fs::create_dir_all(&directory).expect("a new directory");
    directory
}

/// `musefs` that finds the mounts of this library and no others.
pub fn own(library: &Library, arguments: &[&str]) -> Command {
    let mut command = musefs(arguments);
    command.env("XDG_RUNTIME_DIR", runtime(library));
    command
}

/// A mount that such commands find.
#[track_caller]
pub fn mount(library: &Library, arguments: &[&str]) -> Mount {
    let mut command = Mount::command(library);
    command.env("XDG_RUNTIME_DIR", runtime(library));
    command.args(arguments);
    Mount::start(&mut command, &library.mountpoint())
        .unwrap_or_else(|outcome| panic!("could not be mounted: {outcome:?}"))
}

/// The only socket there is.
pub fn socket(library: &Library) -> PathBuf {
    let sockets = runtime(library).join("musefs");
    let mut sockets = std::fs::read_dir(sockets).expect("a directory of sockets");
    let socket = sockets.next().expect("a socket").expect("it reads");
    socket.path()
}

/// The numbers of a moment after this call, by way of the socket.
pub fn counted(library: &Library) -> Metrics {
    std::thread::sleep(NEXT_MOMENT);
    let mut stream = UnixStream::connect(socket(library)).expect("the mount listens");
    stream
        .write_all(b"{\"do\":\"metrics\",\"name\":\"metrics\"}\n")
        .expect("it is told");
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .expect("it answers");
    let answer: Value = serde_json::from_str(&line).expect("an answer is JSON");
    Metrics::parse(answer["text"].as_str().expect("a text").as_bytes())
}
