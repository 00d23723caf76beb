//! Where a mount listens, and who is told what there.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{is, listening};
use crate::support::http::{address, ask, connect, get, say};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{eventually, has_program};

#[test]
fn with_a_token_nobody_is_told_anything_without_it() {
    require_fuse!();
    let library = Library::of_one();
    let token = library.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let token = token.to_str().unwrap();
    let mount = Mount::with(
        &library,
        &["--metrics-listen", "0", "--metrics-token-file", token],
    );
    let address = address(&mount);
    for path in [
        "/metrics", "/json", "/schema", "/healthz", "/readyz", "/slow", "/oplog",
    ] {
        for headers in [
            &[][..],
            &[("Authorization", "Bearer s3cre")],
            &[("Authorization", "Basic s3cret")],
        ] {
            let answer = ask(&address, "GET", path, headers);
            is(&answer, 401, "text/plain; charset=utf-8");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"musefs\"");
            assert!(!answer.text().contains("s3cre"), "{}", answer.text());
        }
        let answer = ask(&address, "GET", path, &[("Authorization", "Bearer s3cret")]);
        assert_eq!(answer.status, 200, "{path}");
    }
    let url = format!("http://{address}");
    let stats = ["stats", &url, "--once", "--json", "--interval", "0.2"];
    run(&mut musefs(stats)).refused(1, &["wants a token"]);
    run(musefs(stats).args(["--token-file", token])).done();
    // The page has nothing to hide but must be there to ask for the token.
    let page = get(&address, "/");
    assert_eq!(page.status, 200);
    let told = std::fs::read_to_string(mount.join(".metrics/config")).unwrap();
    assert!(told.contains("metrics-token-file") && !told.contains("s3cret"));

    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        run(Mount::command(&Library::of_one()).args(arguments)).refused(code, parts);
    };
    std::fs::write(token, "two words").unwrap();
    refused(
        &["--metrics-listen", "0", "--metrics-token-file", token],
        1,
        &["expected one line"],
    );
    refused(
        &["--metrics-listen", "0", "--metrics-token-file", "/none"],
        1,
        &["/none", "cannot be read"],
    );
    let outcome = run(Mount::command(&library).args(["--metrics-token-file", token]));
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
    let outcome = run(Mount::command(&library).args(["--metrics-listen", "nas:80"]));
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
    assert!(outcome.stderr.contains("expected PORT"), "{outcome:?}");
}

#[test]
fn an_address_that_others_reach_is_warned_of_and_a_taken_one_refused() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-listen", "0.0.0.0:0"]);
    eventually("a warning", || {
        mount
            .log()
            .contains("whoever reaches this machine")
            .then_some(())
    });
    let port = address(&mount).replace("0.0.0.0:", "");
    // By any name, as there is no telling which it has.
    let request = b"GET /healthz HTTP/1.1\r\nHost: nas.example\r\n\r\n";
    assert_eq!(
        say(&format!("127.0.0.1:{port}"), request).unwrap().status,
        200
    );
    let other = Library::of_one();
    run(Mount::command(&other).args(["--metrics-listen", &port]))
        .refused(1, &["another program listens there"]);
}

fn over(socket: &Path, path: &str) -> (Option<i32>, String) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "30", "--fail", "--unix-socket"])
        .arg(socket);
    let outcome = run(curl.arg(format!("http://any.example{path}")));
    (outcome.code, outcome.text())
}

#[test]
fn a_socket_is_for_its_owner_who_sees_paths_and_is_gone_at_the_end() {
    require_fuse!();
    require!(has_program("curl"), "there is no curl");
    let library = Library::of_one();
    let socket = library.path().join("musefs.sock");
    let listen = format!("unix:{}", socket.display());
    let listen = ["--metrics-listen", &listen];
    let mut mount = Mount::with(&library, &listen);
    assert!(
        mount.said().contains("metrics at the socket"),
        "{}",
        mount.said()
    );
    assert_eq!(
        socket.metadata().unwrap().permissions().mode() & 0o7777,
        0o600
    );
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    Metrics::parse(over(&socket, "/metrics").1.as_bytes());
    eventually("what was read", || {
        over(&socket, "/oplog").1.contains(ONE_SERVED).then_some(())
    });

    run(&mut musefs([
        "stats",
        listen[1],
        "--once",
        "--interval",
        "0.2",
    ]))
    .done();
    let second = Library::of_one();
    run(Mount::command(&second).args(listen)).refused(1, &["another program listens there"]);
    // What a killed one leaves behind is in nobody's way.
    mount.signal(Signal::SIGKILL);
    mount.ended(Duration::from_secs(20)).unwrap();
    assert!(socket.exists());
    drop(mount);
    let mount = Mount::with(&library, &listen);
    assert_eq!(over(&socket, "/readyz"), (Some(0), "ready\n".into()));
    mount.stop().done();
    assert!(!socket.exists());
    std::fs::write(&socket, "a file").unwrap();
    run(Mount::command(&library).args(listen)).refused(1, &["something else than a socket"]);
    assert_eq!(std::fs::read(&socket).unwrap(), b"a file");
}

#[test]
fn nothing_of_it_lies_inside_any_musefs() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let other = Library::of_one();
    let inside = mount.join("musefs.prom");
    let socket = format!("unix:{}", inside.display());
    let inside = inside.to_str().unwrap();
    for arguments in [
        &["--metrics-listen", &socket][..],
        &["--metrics-textfile", inside],
        &["--metrics-listen", "0", "--metrics-token-file", inside],
    ] {
        run(Mount::command(&other).args(arguments)).refused(
            1,
            &[
                "lies inside the musefs mount at",
                "give a path outside of it",
            ],
        );
    }
    let own = other.mountpoint().join("musefs.sock");
    let own = format!("unix:{}", own.display());
    run(Mount::command(&other).args(["--metrics-listen", &own]))
        .refused(64, &["lies at the mountpoint"]);
}

#[test]
fn a_mount_that_ends_lets_go_of_its_port_though_clients_stay() {
    require_fuse!();
    let library = Library::of_one();
    let (mount, address) = listening(&library);
    let mut idle = connect(&address);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let mut asking = connect(&address);
    asking.write_all(b"GET /hea").unwrap();
    // Neither is waited for.
    mount.stop().done();
    let mount = Mount::with(&library, &["--metrics-listen", &address]);
    assert_eq!(get(&address, "/readyz").text(), "ready\n");
    mount.stop().done();
}
