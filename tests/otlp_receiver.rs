//! A collector of the tests' own: takes what is sent by OTLP over HTTP, keeps it, and answers as it is told. Tests include this
//! file by its path.

#![allow(dead_code, reason = "each that includes it uses a part")]

use std::collections::{HashMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

pub const METRICS: &str = "/v1/metrics";
pub const TRACES: &str = "/v1/traces";

/// How long anything may take that is expected to happen at once.
const SOON: Duration = Duration::from_secs(60);

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200.
    Taken,
    /// 200, but so many items were not taken.
    TakenWithout(i64),
    /// Another status, with this header `Retry-After` if any.
    Status(u16, Option<String>),
    /// Nothing until the receiver is dropped.
    Silence,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// As it was before compression.
    pub body: Vec<u8>,
    pub status: u16,
    pub came: Instant,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    answers: HashMap<String, VecDeque<Answer>>,
    over: bool,
}

/// A collector, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    state: Arc<Mutex<State>>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// Listens on a free port of this machine.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a port");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if locked(&shared).over {
                    break;
                }
                let (Ok(stream), state) = (stream, Arc::clone(&shared)) else {
                    continue;
                };
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self {
            url: format!("http://{address}"),
            state,
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next requests for `path` are answered so; later ones are taken.
    pub fn answers(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let mut state = locked(&self.state);
        state
            .answers
            .insert(path.to_owned(), answers.into_iter().collect());
    }

    /// The requests for `path` that came so far.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let state = locked(&self.state);
        let requests = state.requests.iter();
        requests.filter(|own| own.path == path).cloned().collect()
    }

    /// Waits until `count` requests for `path` were answered; all that there are then.
    pub fn wait(&self, path: &str, count: usize) -> Vec<Request> {
        self.wait_until(path, |requests| requests.len() >= count)
    }

    /// Waits until the requests for `path` are as `is_enough` wants them.
    pub fn wait_until(&self, path: &str, is_enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let deadline = Instant::now() + SOON;
        loop {
            let requests = self.requests(path);
            if is_enough(&requests) {
                return requests;
            }
            assert!(Instant::now() < deadline, "never came: {requests:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// All spans that were taken.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.requests(TRACES);
        requests
            .iter()
            .filter(|own| own.status == 200)
            .flat_map(Request::spans)
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        locked(&self.state).over = true;
        // Wakes the thread that waits for connections.
        TcpStream::connect(self.url.trim_start_matches("http://")).ok();
    }
}

impl Request {
    /// The metrics in it, all of one resource and scope.
    pub fn metrics(&self) -> Vec<Metric> {
        let request = ExportMetricsServiceRequest::decode(&self.body[..]).expect("metrics");
        let [of_resource] = &request.resource_metrics[..] else {
            panic!("one resource");
        };
        of_resource.scope_metrics[0].metrics.clone()
    }

    /// The attributes of its resource that are texts.
    pub fn resource(&self) -> HashMap<String, String> {
        let request = ExportMetricsServiceRequest::decode(&self.body[..]).expect("metrics");
        let resource = request.resource_metrics[0]
            .resource
            .clone()
            .expect("a resource");
        texts(&resource.attributes)
    }

    /// The spans in it.
    pub fn spans(&self) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(&self.body[..]).expect("spans");
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|of| of.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// Attributes that are texts.
pub fn texts(
    attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue],
) -> HashMap<String, String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let texts = attributes.iter().filter_map(|attribute| {
        match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some((attribute.key.clone(), text.clone())),
            _ => None,
        }
    });
    texts.collect()
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let came = Instant::now();
    // A client that goes away, or sends nothing, is no request.
    let Some((path, headers, body)) = read(&mut stream) else {
        return;
    };
    let answer = {
        let mut state = locked(state);
        let answers = state.answers.get_mut(&path);
        answers
            .and_then(VecDeque::pop_front)
            .unwrap_or(Answer::Taken)
    };
    let (status, header, reply) = match answer {
        Answer::Taken => (200, None, Vec::new()),
        Answer::TakenWithout(items) => {
            let partial_success = Some(ExportMetricsPartialSuccess {
                rejected_data_points: items,
                error_message: "too old".into(),
            });
            // The answer for spans has the same fields.
            let reply = ExportMetricsServiceResponse { partial_success };
            (200, None, reply.encode_to_vec())
        }
        Answer::Status(status, header) => (status, header, Vec::new()),
        Answer::Silence => {
            while !locked(state).over {
                thread::sleep(Duration::from_millis(10));
            }
            return;
        }
    };
    locked(state).requests.push(Request {
        path,
        headers,
        body,
        status,
        came,
    });
    let header = header.map_or(String::new(), |header| format!("Retry-After: {header}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n",
        reply.len()
    );
    stream.write_all(&[head.as_bytes(), &reply].concat()).ok();
}

/// The path, the headers and the body of a request.
fn read(stream: &mut TcpStream) -> Option<(String, HashMap<String, String>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head_len = loop {
        if let Some(place) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break place + 4;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
        }
    };
    let head = String::from_utf8(bytes[..head_len].to_vec()).expect("a head of text");
    let mut lines = head.lines();
    let first = lines.next().expect("a request line");
    let path = first
        .strip_prefix("POST ")
        .expect("a POST")
        .split(' ')
        .next()?
        .to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let len: usize = headers["content-length"].parse().expect("a length");
    let mut body = bytes.split_off(head_len);
    while body.len() < len {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(more) => body.extend_from_slice(&buffer[..more]),
        }
    }
    if headers
        .get("content-encoding")
        .is_some_and(|own| own == "gzip")
    {
        let mut whole = Vec::new();
        let mut packed = flate2::read::GzDecoder::new(&body[..]);
        packed.read_to_end(&mut whole).expect("gzip");
        body = whole;
    }
    Some((path, headers, body))
}
