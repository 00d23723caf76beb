//! HTTP over a bare connection: what a test writes is what goes over the wire, however wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::SOON;
use super::mount::Mount;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By name, in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Takes one apart; `None` when it is none.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        Some(Self {
            status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }

    /// A header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Where a mount said that it serves its metrics: `127.0.0.1:PORT`.
#[track_caller]
pub fn address(mount: &Mount) -> String {
    let said = mount.said();
    let rest = said.split("metrics at http://").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no address: {said}"));
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// A connection that gives up when nothing comes.
#[track_caller]
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream.set_write_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Writes these bytes, says that no more come, and reads all that is answered; what came is no answer when that is `None`.
#[track_caller]
pub fn say(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // Whoever has heard enough of nonsense may hang up at any time.
    stream.write_all(bytes).ok();
    stream.shutdown(std::net::Shutdown::Write).ok();
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).ok();
    Answer::parse(&answered)
}

/// Asks as a well-behaved client does.
#[track_caller]
pub fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").expect("a string takes any text");
    }
    request.push_str("\r\n");
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).expect("an answer");
    let answer = Answer::parse(&answered);
    answer.unwrap_or_else(|| panic!("{path}: {}", String::from_utf8_lossy(&answered)))
}

/// `GET` without more.
#[track_caller]
pub fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path, &[])
}
