//! The thread that sends: when, what, and what comes of it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use prost::Message as _;

use super::post::{Answer, Post};
use super::queue::Waiting;
use super::{Ending, ExportOutcome, Moment, Notice, Settings, Signal, Stats};
use crate::cursor::Cursor;
use crate::encode::otlp::{Anchor, Window, metrics, point_count, spans, unix_ns};
use crate::events::Quiet;
use crate::logging::Exporting;
use crate::registry::Engine;

/// Operations wait no longer than this for others to go with them.
const SPANS_DELAY_MAX: Duration = Duration::from_secs(5);

/// What a sender works with beside its settings.
pub(super) struct Parts {
    pub(super) metrics: Box<dyn FnMut() -> Option<Moment> + Send>,
    pub(super) waiting: Option<Waiting>,
    pub(super) stats: Arc<Stats>,
    pub(super) notice: Box<dyn Fn(Notice) + Send>,
    pub(super) ending: Arc<Ending>,
}

/// When a signal is sent, and how it went so far.
struct Course {
    signal: Signal,
    every: Duration,
    due: Instant,
    failures: u32,
    failing_since: Option<Instant>,
    /// The last refusal that was told.
    refused: Option<String>,
}

/// Operations that are on their way.
struct Batch {
    body: Vec<u8>,
    operations: u64,
}

pub(super) struct Sender {
    engine: Engine,
    settings: Settings,
    parts: Parts,
    post: Post,
    cursor: Cursor,
    /// When the last batch of metrics was taken that was delivered.
    since_ns: u64,
    /// The batch that is tried until it is taken, refused or too old.
    batch: Option<Batch>,
    of_metrics: Course,
    of_spans: Course,
}

/// What is to be done with what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// It is gone, one way or another.
    Over,
    /// It is to be sent again.
    Again,
}

impl Sender {
    pub(super) fn new(engine: &Engine, settings: Settings, parts: Parts) -> Self {
        let course = |signal, every| Course {
            signal,
            every,
            due: Instant::now(),
            failures: 0,
            failing_since: None,
            refused: None,
        };
        Self {
            cursor: engine.cursor(settings.temporality),
            of_metrics: course(Signal::Metrics, settings.interval),
            of_spans: course(Signal::Spans, settings.interval.min(SPANS_DELAY_MAX)),
            engine: engine.clone(),
            settings,
            parts,
            post: Post::new(),
            since_ns: 0,
            batch: None,
        }
    }

    pub(super) fn run(mut self) {
        let _exporting = Exporting::begin();
        let _quiet = Quiet::begin();
        loop {
            if let Some(deadline) = self.parts.ending.deadline() {
                self.send_last(deadline);
                break;
            }
            let timeout = self.settings.timeout;
            if Instant::now() >= self.of_metrics.due {
                self.send_metrics(timeout);
            }
            if self.spans_are_due() {
                self.send_spans(timeout);
            }
            self.wait();
        }
        self.parts.ending.is_over();
    }

    /// Until something is due, or somebody wakes this thread.
    fn wait(&self) {
        if self.spans_are_due() || self.parts.ending.deadline().is_some() {
            return;
        }
        let mut due = self.of_metrics.due;
        if self.parts.waiting.is_some() {
            due = due.min(self.of_spans.due);
        }
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
    }

    fn spans_are_due(&self) -> bool {
        let Some(waiting) = &self.parts.waiting else {
            return false;
        };
        let hurries = self.of_spans.failures == 0 && waiting.fills_a_batch();
        hurries || Instant::now() >= self.of_spans.due
    }

    /// What there is, once, whatever came of it before.
    fn send_last(&mut self, deadline: Instant) {
        let left = |limit: Duration| limit.min(deadline.saturating_duration_since(Instant::now()));
        if !left(self.settings.timeout).is_zero() {
            self.send_metrics(left(self.settings.timeout));
        }
        while self.parts.waiting.is_some() {
            let timeout = left(self.settings.timeout);
            if timeout.is_zero() || self.send_batch(timeout) != Some(Done::Over) {
                break;
            }
        }
    }

    fn send_metrics(&mut self, timeout: Duration) {
        let moment = (self.parts.metrics)();
        let done = moment.map(|moment| self.deliver(&moment, timeout));
        // Nothing new to tell is no failure.
        if done.flatten().is_none() {
            self.of_metrics.due = Instant::now() + self.of_metrics.every;
        }
    }

    /// Sends the metrics of a moment; `None` when it is the one that was sent last.
    fn deliver(&mut self, moment: &Moment, timeout: Duration) -> Option<Done> {
        let time_ns = unix_ns(moment.time);
        if time_ns == self.since_ns {
            return None;
        }
        // A clock that was set back makes a window without length, not one that ends before it begins.
        let since_ns = self.since_ns.min(time_ns);
        let batch = self.cursor.batch_of(&moment.snapshot);
        let window = Window {
            temporality: self.settings.temporality,
            since_ns,
            time_ns,
            histograms: self.settings.histograms,
        };
        let request = metrics(&self.settings.origin, batch.snapshot(), &window);
        let points = point_count(&request);
        let body = request.encode_to_vec();
        let answer = self
            .post
            .send(&self.settings, Signal::Metrics, &body, timeout);
        let done = conclude(
            &self.parts,
            &self.settings,
            &mut self.of_metrics,
            points,
            answer,
        );
        if done == Done::Over {
            batch.commit();
            self.since_ns = time_ns;
        }
        Some(done)
    }

    fn send_spans(&mut self, timeout: Duration) {
        match self.send_batch(timeout) {
            Some(Done::Over) => {}
            Some(Done::Again) => self.give_up_on_what_is_old(),
            None => self.of_spans.due = Instant::now() + self.of_spans.every,
        }
    }

    /// Sends the operations that were not taken yet, or the next ones; `None` when there are none.
    fn send_batch(&mut self, timeout: Duration) -> Option<Done> {
        if self.batch.is_none() {
            let waiting = self.parts.waiting.as_ref()?;
            let operations = waiting.take();
            if operations.is_empty() {
                return None;
            }
            let anchor = Anchor::of(&**self.engine.clock());
            let origin = &self.settings.origin;
            let request = spans(origin, &operations, anchor, &waiting.attributes);
            self.batch = Some(Batch {
                body: request.encode_to_vec(),
                operations: operations.len() as u64,
            });
        }
        let batch = self.batch.as_ref()?;
        let answer = self
            .post
            .send(&self.settings, Signal::Spans, &batch.body, timeout);
        let course = &mut self.of_spans;
        let done = conclude(
            &self.parts,
            &self.settings,
            course,
            batch.operations,
            answer,
        );
        if done == Done::Over {
            self.batch = None;
        }
        Some(done)
    }

    fn give_up_on_what_is_old(&mut self) {
        let since = self.of_spans.failing_since;
        if since.is_some_and(|since| since.elapsed() >= self.settings.backoff.patience)
            && let Some(batch) = self.batch.take()
        {
            self.parts.stats.drop_some(Signal::Spans, batch.operations);
        }
    }
}

/// Counts and tells what became of `items`, and decides when it goes on.
fn conclude(
    parts: &Parts,
    settings: &Settings,
    course: &mut Course,
    items: u64,
    answer: Answer,
) -> Done {
    let (signal, stats) = (course.signal, &parts.stats);
    let refusal = match answer {
        Answer::Later { why, asked } => {
            stats.count(signal, ExportOutcome::Retried);
            course.failures = course.failures.saturating_add(1);
            course.due = Instant::now() + settings.backoff.next(course.failures, asked);
            if course.failing_since.is_none() {
                course.failing_since = Some(Instant::now());
                (parts.notice)(Notice::Failing { signal, why });
            }
            return Done::Again;
        }
        Answer::Taken { rejected: 0, why } => {
            stats.count(signal, ExportOutcome::Sent);
            // Without a number it is advice.
            (!why.is_empty()).then_some(why)
        }
        Answer::Taken { rejected, why } => {
            stats.count(signal, ExportOutcome::Partial);
            stats.drop_some(signal, rejected);
            Some(format!("{rejected} of {items}: {why}"))
        }
        Answer::Refused { why } => {
            stats.count(signal, ExportOutcome::Refused);
            stats.drop_some(signal, items);
            Some(why)
        }
    };
    course.failures = 0;
    course.due = Instant::now() + course.every;
    if course.failing_since.take().is_some() && refusal.is_none() {
        (parts.notice)(Notice::Recovered { signal });
    }
    if let Some(why) = refusal.clone().filter(|_| course.refused != refusal) {
        (parts.notice)(Notice::Refused { signal, why });
    }
    course.refused = refusal;
    Done::Over
}
