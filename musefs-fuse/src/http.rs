//! The metrics of a mount over HTTP, for collectors and browsers, and a page that shows them.
//!
//! One thread with a runtime of its own serves all connections, of which there is a bounded number; whoever is slow to ask or to
//! take an answer is cut off. It waits for nothing else: texts come from the lane, within a deadline, and no file is opened.

mod accept;
mod access;
mod answer;
mod listen;
mod page;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use musefs_core::stop::Stop;
use musefs_telemetry::{event_debug, event_warn, logging};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_io_timeout::TimeoutStream;

use self::access::Access;
use self::answer::Site;
use self::listen::{Duplex, Listener};
use crate::metrics::http::{HttpAnswer, HttpCode, HttpMetrics, HttpPath};
use crate::metrics_files::MetricsFiles;

pub use self::access::{Token, TokenError};
pub use self::listen::{Listen, ListenError};

/// Connections that are served at once; further ones wait until one of them ends.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to ask, and how long a connection on which nothing is asked stays.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take nothing of its answer.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nobody is heard after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long answers that are under way at the end have.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest head of a request, in bytes and in lines.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

/// A runtime for one thread.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It cannot be listened where it was asked for.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system gives no thread, or no way to wait for connections.
    #[error("no HTTP endpoint can be started")]
    Start(#[from] io::Error),
}

/// An endpoint that listens but does not answer yet. Dropped, it is gone without a trace.
#[derive(Debug)]
pub struct Endpoint {
    listener: Listener,
    access: Access,
    runtime: Runtime,
}

impl Endpoint {
    /// Listens at `listen`, for whoever has the token, if there is one.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn open(listen: &Listen, token: Option<Token>) -> Result<Self, EndpointError> {
        if !listen.is_local() && token.is_none() {
            event_warn!(
                logging::engine(),
                "http.address.open",
                message =
                    "whoever reaches this machine may read the metrics: give --metrics-token-file, or listen at a port alone",
            );
        }
        let runtime = runtime()?;
        let listener = {
            let _inside = runtime.enter();
            Listener::bind(listen)?
        };
        Ok(Self {
            listener,
            access: Access::new(listen, token),
            runtime,
        })
    }

    /// Where it listens, as people type it.
    pub fn told(&self) -> String {
        self.listener.told()
    }

    /// Answers with `metrics` from here on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(self, metrics: &Arc<MetricsFiles>) -> io::Result<Server> {
        let site = Arc::new(Site::new(Arc::clone(metrics), self.access));
        let stop = Arc::new(Stop::default());
        let (end, ended) = oneshot::channel();
        let (over, runtime, listener) = (Arc::clone(&stop), self.runtime, self.listener);
        std::thread::Builder::new()
            .name("musefs-http".into())
            .spawn(move || {
                runtime.block_on(serve(listener, site, ended));
                drop(runtime);
                over.is_over();
            })?;
        Ok(Server {
            end: parking_lot::Mutex::new(Some(end)),
            stop,
        })
    }
}

/// A running endpoint.
#[derive(Debug)]
pub struct Server {
    end: parking_lot::Mutex<Option<oneshot::Sender<()>>>,
    stop: Arc<Stop>,
}

impl Server {
    /// Takes no more connections, gives the answers that are under way a moment, and ends; whether it ended before `deadline`.
    pub fn stop(&self, deadline: Instant) -> bool {
        // Dropped, it says the same.
        drop(self.end.lock().take());
        self.stop.ask_and_wait(deadline)
    }
}

/// Serves until the end is told.
async fn serve(listener: Listener, site: Arc<Site>, ended: oneshot::Receiver<()>) {
    let graceful = Arc::new(GracefulShutdown::new());
    let accepting = tokio::spawn(accept(listener, site, Arc::clone(&graceful)));
    // Nobody sends anything: the other side is dropped.
    ended.await.ok();
    accepting.abort();
    // Its listener and its hold on the connections' end go with it.
    accepting.await.ok();
    if let Some(graceful) = Arc::into_inner(graceful) {
        // What is not taken by then is cut off.
        tokio::time::timeout(END_TIMEOUT, graceful.shutdown())
            .await
            .ok();
    }
}

async fn accept(listener: Listener, site: Arc<Site>, graceful: Arc<GracefulShutdown>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Until there is a place, the next connection waits in the system's own queue.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok(stream) => {
                let open = Open::count(&site, place);
                tokio::spawn(converse(
                    stream,
                    Arc::clone(&site),
                    graceful.watcher(),
                    open,
                ));
            }
            Err(error) => {
                event_debug!(
                    logging::engine(),
                    "http.connection.refused",
                    message = %format_args!("a connection over HTTP could not be taken: {error}"),
                );
                // Out of descriptors, it stays where it is and would be offered again at once.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection that is counted while it is open.
struct Open {
    counts: HttpMetrics,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn count(site: &Site, place: OwnedSemaphorePermit) -> Self {
        let counts = site.counts().clone();
        counts.connections.add(1);
        Self {
            counts,
            _place: place,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.connections.add(-1);
    }
}

/// Answers all that is asked on one connection.
async fn converse(stream: Box<dyn Duplex>, site: Arc<Site>, watcher: Watcher, open: Open) {
    let mut stream = TimeoutStream::new(Box::into_pin(stream));
    stream.set_write_timeout(Some(TAKE_TIMEOUT));
    let answer = service_fn(|request| {
        let site = Arc::clone(&site);
        async move { site.answer(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who says that no more comes may still wait for an answer.
        .half_close(true)
        .header_read_timeout(ASK_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer);
    if let Err(error) = watcher.watch(connection).await {
        // Hyper has answered it already.
        if error.is_parse() {
            open.counts.requests.increment(HttpAnswer {
                path: HttpPath::Other,
                code: HttpCode::Refused,
            });
        }
        event_debug!(
            logging::engine(),
            "http.connection.ended",
            message = %format_args!("a connection over HTTP ended early: {error}"),
        );
    }
}
