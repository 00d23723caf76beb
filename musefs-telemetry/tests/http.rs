//! The server as a client sees it.

#![cfg(all(feature = "http", feature = "stats"))]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use musefs_telemetry::Engine;
use musefs_telemetry::http::{Limits, Shutdown, serve_blocking};

/// A client that panics ends the server, too.
struct Ends(Shutdown);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// Serves an engine with one counter while `client` talks to it.
fn serve(limits: Limits, client: impl FnOnce(SocketAddr)) {
    let engine = Engine::new();
    engine
        .register_counter("seen_total", "Seen.")
        .unwrap()
        .add(3);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = Shutdown::of(&listener).unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve_blocking(&engine, &listener, &shutdown, limits));
        let ends = Ends(shutdown.clone());
        client(address);
        drop(ends);
        server.join().unwrap().unwrap();
    });
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn texts_are_negotiated() {
    serve(Limits::default(), |address| {
        let plain = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(plain.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
        assert!(
            plain.ends_with("\r\n\r\n") || plain.contains("\nseen_total 3\n"),
            "{plain}"
        );
        let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.7,text/plain;q=0.5";
        let open = ask(
            address,
            &format!("GET /metrics?a=b HTTP/1.1\r\n{accept}\r\n\r\n"),
        );
        assert!(open.contains("application/openmetrics-text") && open.ends_with("# EOF\n"));
        let accept = "Accept: application/openmetrics-text;q=0.1, */*;q=0.5";
        let less = ask(
            address,
            &format!("GET /metrics HTTP/1.1\r\n{accept}\r\n\r\n"),
        );
        assert!(less.contains("text/plain; version"), "{less}");
        let schema = ask(address, "GET /schema.json HTTP/1.1\r\n\r\n");
        assert!(schema.contains("\"name\":\"seen_total\""), "{schema}");
    });
}

#[test]
fn head_has_no_body_and_what_is_unknown_says_so() {
    serve(Limits::default(), |address| {
        let head = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(
            head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        assert!(!head.contains("Content-Length: 0\r"), "{head}");
        let status = |request| ask(address, request)[9..12].to_owned();
        assert_eq!(status("GET /other HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(status("nonsense\r\n\r\n"), "400");
        assert_eq!(
            status(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000))),
            "431"
        );
    });
}

#[test]
fn the_slow_are_cut_off_and_the_many_turned_away() {
    let limits = Limits {
        connections_max: 1,
        timeout: Duration::from_millis(300),
    };
    serve(limits, |address| {
        let started = Instant::now();
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET /metr").unwrap();
        thread::sleep(Duration::from_millis(50));
        let mut turned_away = String::new();
        let _ = TcpStream::connect(address)
            .unwrap()
            .read_to_string(&mut turned_away);
        assert!(turned_away.starts_with("HTTP/1.1 503"), "{turned_away}");
        let mut answer = String::new();
        slow.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(3));
    });
}
