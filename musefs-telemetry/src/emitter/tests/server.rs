//! A server that answers as it was told, one request after the other, and keeps what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Script {
    /// Answers with these bytes.
    Say(String),
    /// Answers with these bytes when something comes through the channel `go`.
    SayLater(String),
    /// Ends the connection without an answer.
    HangUp,
    /// Answers nothing and keeps the connection.
    Nothing,
}

/// A reply with `status`, `headers` that each end in a line end, and `body`.
pub fn reply(status: u16, headers: &str, body: &str) -> Script {
    let len = body.len();
    Script::Say(format!(
        "HTTP/1.1 {status} Word\r\nContent-Length: {len}\r\n{headers}Connection: close\r\n\r\n{body}"
    ))
}

pub fn ok(body: &str) -> Script {
    reply(200, "Content-Type: application/json\r\n", body)
}

pub struct Server {
    address: SocketAddr,
    requests: Receiver<Value>,
    pub go: Sender<()>,
}

impl Server {
    /// One that follows `scripts` and then refuses connections.
    pub fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scripts: Vec<Script> = scripts.into_iter().collect();
        let (sender, requests) = channel();
        let (go, gone) = channel();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for script in scripts {
                let (mut stream, _) = listener.accept().unwrap();
                let body = read(&stream);
                // Who does not ask for it does not look at it.
                sender.send(body).ok();
                match script {
                    Script::Say(text) => stream.write_all(text.as_bytes()).unwrap(),
                    Script::SayLater(text) => {
                        gone.recv().unwrap();
                        stream.write_all(text.as_bytes()).unwrap();
                    }
                    Script::HangUp => {}
                    Script::Nothing => held.push(stream),
                }
            }
            drop((listener, sender));
            // Until the test is over.
            gone.recv().ok();
            drop(held);
        });
        Self {
            address,
            requests,
            go,
        }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}/v1/facts?token=t", self.address)
    }

    /// The next request's body.
    pub fn request(&self) -> Value {
        self.requests.recv_timeout(SOON).expect("a request comes")
    }

    /// The requests that nobody looked at yet, once the server has followed its scripts.
    pub fn rest(&self) -> usize {
        std::iter::from_fn(|| self.requests.recv_timeout(SOON).ok()).count()
    }
}

fn read(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut len = 0;
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    assert_eq!(first, "POST /v1/facts?token=t HTTP/1.1\r\n");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}
