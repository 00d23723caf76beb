//! Serving an engine's texts over HTTP, for those who scrape.
//!
//! `GET /metrics` is Prometheus text, or `OpenMetrics` for a client that asks for it; `/metrics.json` and `/schema.json` are for
//! machines. Requests are parsed by `httparse`; each connection answers one request, on a thread of its own, of which there are
//! few; whoever is slow is cut off.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Engine;
use crate::encode::{json, openmetrics, prometheus};

/// What a server does not go beyond.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are answered at once; the next one is answered with 503.
    pub connections_max: usize,
    /// How long a client may take to ask, and to take the answer.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 16,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Bytes of a request's head.
const HEAD_MAX: usize = 8_192;
const HEADERS_MAX: usize = 64;

/// Ends a server from another thread.
#[derive(Clone, Debug)]
pub struct Shutdown {
    ending: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Shutdown {
    /// The handle of a server that will listen with `listener`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn of(listener: &TcpListener) -> std::io::Result<Self> {
        Ok(Self {
            ending: Arc::default(),
            address: listener.local_addr()?,
        })
    }

    /// The server takes no more connections and returns.
    pub fn shut_down(&self) {
        self.ending.store(true, Ordering::Release);
        // Wakes the server from waiting for a connection; when that fails, it is not waiting.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

/// Answers requests until `shutdown` says to end.
///
/// # Errors
/// When the listener fails in a way that the next connection will not mend.
pub fn serve_blocking(
    engine: &Engine,
    listener: &TcpListener,
    shutdown: &Shutdown,
    limits: Limits,
) -> std::io::Result<()> {
    let open = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        loop {
            let accepted = listener.accept();
            if shutdown.ending.load(Ordering::Acquire) {
                return Ok(());
            }
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if is_passing(&error) => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if open.fetch_add(1, Ordering::AcqRel) >= limits.connections_max {
                open.fetch_sub(1, Ordering::AcqRel);
                // The client is told without waiting for its question; if it left, nobody is there to be told.
                let _ = answer(
                    stream,
                    &Answer::plain(503, "Too many connections\n"),
                    false,
                    limits,
                );
                continue;
            }
            let open = &open;
            scope.spawn(move || {
                // A client that leaves or is too slow has no answer to get.
                let _ = converse(engine, stream, limits);
                open.fetch_sub(1, Ordering::AcqRel);
            });
        }
    })
}

/// Whether accepting the next connection may work.
fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};

    // 23 and 24 are ENFILE and EMFILE: descriptors that others will give back.
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | WouldBlock
    ) || matches!(error.raw_os_error(), Some(23 | 24))
}

struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn plain(status: u16, body: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: body.to_owned(),
        }
    }
}

fn converse(engine: &Engine, mut stream: TcpStream, limits: Limits) -> std::io::Result<()> {
    let deadline = Instant::now() + limits.timeout;
    let mut head = Vec::new();
    let (found, without_body) = loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                let without_body = request.method == Some("HEAD");
                break (reply(engine, &request), without_body);
            }
            Ok(httparse::Status::Partial) if head.len() < HEAD_MAX => {}
            Ok(httparse::Status::Partial) => {
                break (Answer::plain(431, "The request is too long\n"), false);
            }
            Err(_) => break (Answer::plain(400, "That is no request\n"), false),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break (Answer::plain(408, "The request took too long\n"), false);
        }
        stream.set_read_timeout(Some(left))?;
        let mut part = [0; 1_024];
        match stream.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(len) => head.extend_from_slice(&part[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break (Answer::plain(408, "The request took too long\n"), false),
        }
    };
    answer(stream, &found, without_body, limits)
}

fn reply(engine: &Engine, request: &httparse::Request<'_, '_>) -> Answer {
    let path = request.path.unwrap_or("").split('?').next().unwrap_or("");
    let known = ["/metrics", "/metrics.json", "/schema.json"].contains(&path);
    if !known {
        return Answer::plain(404, "There is /metrics, /metrics.json and /schema.json\n");
    }
    if !matches!(request.method, Some("GET" | "HEAD")) {
        return Answer::plain(405, "GET and HEAD are known here\n");
    }
    let snapshot = engine.snapshot();
    let mut body = String::new();
    let content_type = match path {
        "/metrics.json" => {
            json::encode(&mut body, &snapshot, engine.attributes());
            json::CONTENT_TYPE
        }
        "/schema.json" => {
            body = engine.schema();
            json::CONTENT_TYPE
        }
        _ if wants_open_metrics(request.headers) => {
            openmetrics::encode(&mut body, &snapshot, engine.attributes());
            openmetrics::CONTENT_TYPE
        }
        _ => {
            prometheus::Writer::new(&mut body, engine.attributes()).snapshot(&snapshot);
            prometheus::CONTENT_TYPE
        }
    };
    Answer {
        status: 200,
        content_type,
        body,
    }
}

/// Whether the client likes `OpenMetrics` at least as much as plain text.
fn wants_open_metrics(headers: &[httparse::Header<'_>]) -> bool {
    let accept = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("accept"))
        .filter_map(|header| std::str::from_utf8(header.value).ok());
    let (mut open, mut plain) = (0.0_f32, 0.0_f32);
    for range in accept.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let weight: f32 = parts
            .find_map(|part| part.strip_prefix("q="))
            .and_then(|weight| weight.parse().ok())
            .unwrap_or(1.0);
        match media {
            "application/openmetrics-text" => open = weight.max(open),
            "text/plain" | "text/*" | "*/*" => plain = weight.max(plain),
            _ => {}
        }
    }
    open > 0.0 && open >= plain
}

fn answer(
    mut stream: TcpStream,
    answer: &Answer,
    without_body: bool,
    limits: Limits,
) -> std::io::Result<()> {
    let reason = match answer.status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
    let allow = if answer.status == 405 {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        answer.status,
        answer.content_type,
        answer.body.len()
    );
    stream.set_write_timeout(Some(limits.timeout))?;
    stream.write_all(head.as_bytes())?;
    if !without_body {
        stream.write_all(answer.body.as_bytes())?;
    }
    stream.flush()?;
    if answer.status == 200 {
        return Ok(());
    }
    // Closing over input that nobody read resets the connection, and the client may lose the answer.
    let patience = if answer.status == 503 { 1 } else { 200 };
    let deadline = Instant::now() + Duration::from_millis(patience);
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut ignored = [0; 4_096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut ignored)? == 0 {
            return Ok(());
        }
    }
}
