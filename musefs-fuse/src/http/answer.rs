//! What is answered to a request: which text, in which form, and to whom.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, REFERRER_POLICY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use musefs_telemetry::encode::{json, openmetrics, prometheus};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::accept::{takes_gzip, wants_open_metrics};
use super::access::{Access, Refusal};
use super::page::Page;
use crate::metrics::Transport;
use crate::metrics::http::{HttpAnswer, HttpCode, HttpMetrics, HttpPath};
use crate::metrics_files::{Asked, Given, MetricsFiles};
use crate::textfile;

/// How long a text may take to come from the lane.
const TEXT_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes from which on packing an answer is worth it.
const PACK_MIN: usize = 1024;
/// When the numbers of an answer were so, in seconds since 1970 with milliseconds.
const MOMENT: HeaderName = HeaderName::from_static("musefs-moment");
/// Whether who asked may have paths, too.
const PATHS: HeaderName = HeaderName::from_static("musefs-paths");
const PLAIN: &str = "text/plain; charset=utf-8";

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Metrics,
    /// A text of the metrics directory as it is.
    Text {
        name: &'static str,
        content_type: &'static str,
        counted: HttpPath,
    },
    /// How the mount is, in the status as well.
    Health,
    Ready,
    Page,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        let text = |name, content_type, counted| Self::Text {
            name,
            content_type,
            counted,
        };
        Some(match path {
            "/" => Self::Page,
            "/metrics" => Self::Metrics,
            "/json" => text("metrics.json", json::CONTENT_TYPE, HttpPath::Json),
            "/schema" => text("schema.json", json::CONTENT_TYPE, HttpPath::Json),
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/slow" => text("slow", PLAIN, HttpPath::Operations),
            "/inflight" => text("inflight", PLAIN, HttpPath::Operations),
            "/oplog" => text("oplog", PLAIN, HttpPath::Operations),
            _ => return None,
        })
    }

    fn counted(self) -> HttpPath {
        match self {
            Self::Metrics => HttpPath::Metrics,
            Self::Text { counted, .. } => counted,
            Self::Health | Self::Ready => HttpPath::Health,
            Self::Page => HttpPath::Page,
        }
    }
}

/// All that one endpoint answers from.
#[derive(Debug)]
pub(super) struct Site {
    metrics: Arc<MetricsFiles>,
    access: Access,
    counts: HttpMetrics,
    pages: Mutex<Page>,
}

/// An answer before it is packed.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    more: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            more: Vec::new(),
        }
    }

    /// An error in one line.
    fn error(status: StatusCode, why: &str) -> Self {
        Self::new(status, PLAIN, format!("{why}\n"))
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.push((name, value));
        self
    }

    /// A text of a moment.
    fn given(status: StatusCode, content_type: &'static str, given: &Given) -> Self {
        let since = given.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let moment = format!("{}.{:03}", since.as_secs(), since.subsec_millis());
        let moment = HeaderValue::try_from(moment).expect("digits and a point");
        let text = given.text.clone().unwrap_or_default();
        Self::new(status, content_type, Bytes::from_owner(text)).with(MOMENT, moment)
    }
}

impl Site {
    pub(super) fn new(metrics: Arc<MetricsFiles>, access: Access) -> Self {
        Self {
            counts: metrics.http_counts(),
            metrics,
            access,
            pages: Mutex::default(),
        }
    }

    pub(super) fn counts(&self) -> &HttpMetrics {
        &self.counts
    }

    /// Answers a request, whose body nobody reads.
    pub(super) async fn answer<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let resource = Resource::at(request.uri().path());
        let answer = match resource {
            _ if request.method() != Method::GET && request.method() != Method::HEAD => {
                Answer::error(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD")
                    .with(ALLOW, HeaderValue::from_static("GET, HEAD"))
            }
            None => Answer::error(StatusCode::NOT_FOUND, "there is no such path"),
            Some(resource) => match self.may(resource, request.headers()) {
                Ok(()) => self.get(resource, request.headers()).await,
                Err(refusal) => refused(refusal),
            },
        };
        self.counts.requests.increment(HttpAnswer {
            path: resource.map_or(HttpPath::Other, Resource::counted),
            code: match answer.status.as_u16() {
                ..400 => HttpCode::Given,
                400..500 => HttpCode::Refused,
                500.. => HttpCode::Failed,
            },
        });
        Ok(response(answer, request.headers()))
    }

    fn may(&self, resource: Resource, headers: &HeaderMap) -> Result<(), Refusal> {
        match resource {
            // It holds no numbers, and a browser has no token to give before there is a page to type it into.
            Resource::Page => Ok(()),
            Resource::Text {
                counted: HttpPath::Operations,
                ..
            } => self.access.paths(headers),
            _ => self.access.numbers(headers),
        }
    }

    async fn get(&self, resource: Resource, headers: &HeaderMap) -> Answer {
        let (asked, content_type) = match resource {
            Resource::Page => return self.page(),
            Resource::Metrics if wants_open_metrics(headers) => {
                (Asked::OpenMetrics, openmetrics::CONTENT_TYPE)
            }
            Resource::Metrics => (Asked::Named(textfile::SOURCE), prometheus::CONTENT_TYPE),
            Resource::Text {
                name, content_type, ..
            } => (Asked::Named(name), content_type),
            Resource::Health => (Asked::Named("health"), PLAIN),
            Resource::Ready => (Asked::Named("ready"), PLAIN),
        };
        let Some(given) = self.ask(asked).await else {
            let why = "the mount did not come to answer in time, or is ending";
            return Answer::error(StatusCode::SERVICE_UNAVAILABLE, why);
        };
        let status = match (resource, given.text.as_deref()) {
            (Resource::Ready, None) => {
                return Answer::error(StatusCode::SERVICE_UNAVAILABLE, "not ready");
            }
            (_, None) => return Answer::error(StatusCode::NOT_FOUND, "there is no such text now"),
            (Resource::Health, Some(line)) if line.starts_with(b"failing") => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::OK,
        };
        let paths = match self.access.paths(headers) {
            Ok(()) => "told",
            Err(_) => "withheld",
        };
        Answer::given(status, content_type, &given).with(PATHS, HeaderValue::from_static(paths))
    }

    /// A text from the lane, if it comes in time.
    async fn ask(&self, asked: Asked) -> Option<Given> {
        let (done, given) = oneshot::channel();
        let taken = self
            .metrics
            .hand_over(asked, Transport::Http, move |given| {
                // Who asked may have gone.
                done.send(given).ok();
            });
        if !taken {
            return None;
        }
        in_time(given, TEXT_TIMEOUT).await
    }

    fn page(&self) -> Answer {
        let (page, policy) = self.pages.lock().next();
        let policy = HeaderValue::try_from(policy).expect("a policy is plain text");
        Answer::new(StatusCode::OK, "text/html; charset=utf-8", page)
            .with(CONTENT_SECURITY_POLICY, policy)
            .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
    }
}

/// What comes within `limit`.
async fn in_time<T>(coming: oneshot::Receiver<T>, limit: Duration) -> Option<T> {
    tokio::time::timeout(limit, coming).await.ok()?.ok()
}

fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::NoToken => Answer::error(
            StatusCode::UNAUTHORIZED,
            "give the token: Authorization: Bearer TOKEN",
        )
        .with(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"musefs\""),
        ),
        Refusal::Private => Answer::error(
            StatusCode::FORBIDDEN,
            "paths are told at a socket (--metrics-listen unix:PATH) or for a token (--metrics-token-file) alone",
        ),
        Refusal::OtherHost => Answer::error(
            StatusCode::MISDIRECTED_REQUEST,
            "ask for localhost or an address; other names need a token (--metrics-token-file)",
        ),
    }
}

/// The answer as it is sent, packed where that helps and can be read.
fn response(answer: Answer, asked: &HeaderMap) -> Response<Full<Bytes>> {
    let packed = (answer.body.len() >= PACK_MIN && takes_gzip(asked))
        .then(|| pack(&answer.body))
        .flatten();
    let is_packed = packed.is_some();
    let mut response = Response::new(Full::new(packed.unwrap_or(answer.body)));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.extend(answer.more);
    response
}

fn pack(body: &[u8]) -> Option<Bytes> {
    let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    packer.write_all(body).ok()?;
    packer.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_text_that_does_not_come() {
        let runtime = super::super::runtime().unwrap();
        let limit = Duration::from_millis(20);
        runtime.block_on(async {
            let (kept, never) = oneshot::channel::<u8>();
            assert_eq!(in_time(never, limit).await, None);
            assert!(kept.is_closed());
            let (dropped, nothing) = oneshot::channel::<u8>();
            drop(dropped);
            assert_eq!(in_time(nothing, TEXT_TIMEOUT).await, None);
            let (done, given) = oneshot::channel();
            done.send(1).unwrap();
            assert_eq!(in_time(given, TEXT_TIMEOUT).await, Some(1));
        });
    }

    #[test]
    fn what_is_small_or_cannot_be_unpacked_is_not_packed() {
        let takes = HeaderMap::from_iter([(
            hyper::header::ACCEPT_ENCODING,
            HeaderValue::from_static("gzip"),
        )]);
        for (len, asked, is_packed) in [
            (PACK_MIN - 1, &takes, false),
            (PACK_MIN, &takes, true),
            (PACK_MIN, &HeaderMap::new(), false),
        ] {
            let answer = Answer::new(StatusCode::OK, PLAIN, "x".repeat(len));
            let response = response(answer, asked);
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), is_packed);
        }
    }
}
