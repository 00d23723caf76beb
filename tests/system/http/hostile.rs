//! Clients that ask slowly, or nonsense.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::listening;
use crate::support::eventually;
use crate::support::http::{connect, get, say};
use crate::support::library::Library;
use crate::support::metrics::Metrics;

/// What a text of a moment after now says of open connections.
fn connections(address: &str) -> u64 {
    let text = get(address, "/metrics").text();
    let line = text
        .lines()
        .find(|line| line.starts_with("musefs_http_connections{"));
    let (_, value) = line.unwrap().rsplit_once(' ').unwrap();
    value.parse().unwrap()
}

#[test]
fn who_asks_slowly_holds_up_nobody_and_is_cut_off() {
    require_fuse!();
    let library = Library::of_one();
    let (_mount, address) = listening(&library);
    let slow = |address: &str| -> TcpStream {
        let mut stream = connect(address);
        stream.write_all(b"GET /metrics HT").unwrap();
        stream
    };
    // One asks and asks, and takes no answer.
    let mut deaf = connect(&address);
    let ask = "GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    deaf.write_all(ask.repeat(1000).as_bytes()).unwrap();
    let mut hanging: Vec<TcpStream> = (0..10).map(|_| slow(&address)).collect();
    // While all ten are connected and have not been answered, others are. They go on with a byte at a time meanwhile.
    eventually("a scrape beside ten that hang", || {
        for stream in &mut hanging {
            stream.write_all(b"T").ok();
        }
        (connections(&address) == 12).then_some(())
    });
    let mut answer = Vec::new();
    for mut stream in hanging {
        // Cut off: an end or a reset, and no metrics.
        stream.read_to_end(&mut answer).ok();
    }
    assert!(!String::from_utf8_lossy(&answer).contains("musefs_up"));

    // More than there are places for: who comes last waits until they are cut off, and no longer.
    let hanging: Vec<TcpStream> = (0..100).map(|_| slow(&address)).collect();
    let seen = connections(&address);
    assert!((1..=64).contains(&seen), "{seen}");
    drop(hanging);
    eventually("an end of all", || {
        (connections(&address) == 1).then_some(())
    });
    // What is there of its answers is far from all.
    let mut taken = Vec::new();
    deaf.read_to_end(&mut taken).ok();
    let answers = String::from_utf8_lossy(&taken)
        .matches("HTTP/1.1 200")
        .count();
    assert!((1..900).contains(&answers), "{answers}");
}

/// The next of a row of numbers that look random and are the same every time.
fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Something that no good client says.
fn nonsense(kind: u64, seed: &mut u64) -> Vec<u8> {
    let mut bytes = |most: u64| -> Vec<u8> {
        let len = 1 + next(seed) % most;
        (0..len).map(|_| (next(seed) & 0xff) as u8).collect()
    };
    let valid = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain;q=0.5\r\n\r\n";
    match kind % 10 {
        0 => bytes(300),
        1 => [b"GET /".as_slice(), &bytes(40), b" HTTP/1.1\r\n\r\n"].concat(),
        2 => [b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: ".as_slice(), &bytes(60), b"\r\n\r\n"].concat(),
        3 => valid[..usize::try_from(next(seed)).unwrap() % (valid.len() - 1)].to_vec(),
        4 => format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(40_000)).into_bytes(),
        5 => format!("GET /{} HTTP/1.1\r\n\r\n", "z".repeat(70_000)).into_bytes(),
        6 => format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200)).into_bytes(),
        7 => format!("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\nbody", u64::MAX).into_bytes(),
        8 => b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_vec(),
        _ => format!("GET {} HTTP/9.{}\r\n\r\n", ["/../../etc/passwd", "http://[", "*", "/\\..\\..", "/%00"][usize::try_from(next(seed) % 5).unwrap()], next(seed)).into_bytes(),
    }
}

#[test]
fn a_thousand_bad_requests_leave_it_serving() {
    require_fuse!();
    let library = Library::of_one();
    let (mount, address) = listening(&library);
    let mut seed = 7;
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    for round in 0..1000 {
        let answer = say(&address, &nonsense(round, &mut seed));
        if let Some(answer) = &answer {
            assert!(!answer.text().contains("root:"), "{}", answer.text());
        }
        let status = answer.map_or(0, |answer| answer.status);
        *statuses.entry(status).or_default() += 1;
        if round % 100 == 99 {
            assert_eq!(get(&address, "/healthz").text(), "ok\n");
        }
    }
    eprintln!("{statuses:?}");
    for expected in [400, 404, 405, 431] {
        assert!(statuses.contains_key(&expected), "{statuses:?}");
    }
    assert!(statuses.keys().all(|status| *status < 500), "{statuses:?}");
    let metrics = mount.metrics();
    let refused = metrics.value("musefs_http_requests_total{path=\"other\",code=\"4xx\"}");
    assert!(
        refused >= u64::from(statuses[&400]),
        "{refused} of {statuses:?}"
    );
    Metrics::parse(&get(&address, "/metrics").body);
    assert!(mount.log().is_empty(), "{}", mount.log());
}
