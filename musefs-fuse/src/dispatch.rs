//! Which thread answers a request: the event loop that took it, the pool, or nobody in time.
//!
//! An event loop does only what cannot wait. What might goes to the pool with its reply; over the pool's bound it is parked,
//! and over that bound refused. Every request is answered exactly once, by whoever takes its reply first: its handler, or
//! the sweep that answers EIO after the backing timeout while the handler is still stuck. A panic in a handler is an EIO.
//! A request is timed here, by the scope that is opened when it is taken and finished just before its answer leaves.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use fuser::Errno;
use musefs_core::serve::{Ahead, Musefs, NoLongerKept, WaitsFor};
use musefs_telemetry::scope::Failures as _;
use musefs_telemetry::{Completion, Ctx, Outcome, Scope};
use parking_lot::Mutex;

use crate::clients::Clients;
use crate::metrics::{
    EdgeMetrics, ErrorNumber, Operation, OperationPhase, OperationScope, Way, is_told, nanoseconds,
};

mod inflight;
pub mod lane;
pub mod pool;
mod waiting;

pub use inflight::{Asked, Waits};
use lane::Lane;
use musefs_core::phases::{self, Phase, Spent};
use musefs_telemetry::{event_error, event_warn, logging};
use pool::{Admission, After, Job, Pool, Subject};
use waiting::{Ticket, Waiting};

/// A reply that can be carried to another thread and must be given exactly once.
pub trait OwnedReply: Send + 'static {
    /// Answers with an error.
    fn fail(self, error: Errno);
}

macro_rules! owned_replies {
    ($($reply:ident)*) => { $(
        impl OwnedReply for fuser::$reply {
            fn fail(self, error: Errno) {
                self.error(error);
            }
        }
    )* };
}

owned_replies! { ReplyAttr ReplyData ReplyDirectory ReplyDirectoryPlus ReplyEmpty ReplyEntry ReplyOpen ReplyStatfs }

/// A request that was taken and is to be answered once. Dropped unanswered, it counts as an error, which is what the kernel
/// gets then.
#[derive(Debug)]
pub struct Taken {
    operation: Operation,
    asked: Asked,
    scope: OperationScope,
}

impl Taken {
    /// The process that asks.
    pub fn process(&self) -> u32 {
        self.asked.process
    }

    /// The work of `leader` answers this request, too.
    pub fn coalesce(&mut self, leader: Ctx) {
        self.scope.coalesce(leader);
    }

    /// It went through a tier called `name`, which stood in for another one.
    pub fn note_fallback(&mut self, name: &'static str, outcome: Outcome) {
        self.scope.tier(name).fallback().finish(outcome);
    }

    /// It turned out to be about this inode.
    pub fn is_about(&mut self, inode: u64) {
        self.asked.inode = inode;
        self.scope.set_subject(inode);
    }

    /// It brings so many bytes of a file.
    pub fn brings(&mut self, bytes: usize) {
        self.scope.set_bytes(bytes as u64);
    }

    /// It went through a tier called `name`.
    pub fn note(&mut self, name: &'static str, outcome: Outcome) {
        self.scope.tier(name).finish(outcome);
    }
}

/// What the pool's work comes to.
pub trait Told {
    /// Notes on the request how it came about.
    fn tell(&self, taken: &mut Taken) {
        let _ = taken;
    }
}

/// What a step of pooled work came to.
pub enum Step<T> {
    /// All of it is done.
    Done(T),
    /// The rest may have to wait for something else.
    Next(Subject, Work<T>),
    /// The rest comes when somebody else's work is done, and waits for that without a thread. Who gets the first is to call what
    /// it is given once that is so.
    Later(Later, Subject, Work<T>),
}

/// Has a job go on when something is done.
pub type Later = Box<dyn FnOnce(Box<dyn FnOnce() + Send>) + Send>;

/// A step of pooled work, which may wait for one thing.
pub type Work<T> = Box<dyn FnOnce() -> Result<Step<T>, Errno> + Send>;

/// Bounds of the dispatch.
#[derive(Clone, Copy, Debug)]
pub struct DispatchConfig {
    /// Pool threads.
    pub workers: usize,
    /// Requests that may wait for the pool before further ones are parked.
    pub queue_len_max: usize,
    /// How long a request may take before it is answered EIO.
    pub backing_timeout: Duration,
}

/// Requests that may be parked; beyond that they are refused.
pub const PARKED_MAX: usize = 65_536;

/// Sends each request to the thread that answers it.
#[derive(Debug)]
pub struct Dispatch {
    metrics: EdgeMetrics,
    pool: Arc<Pool>,
    lane: Arc<Lane>,
    /// Requests that the pool is to answer.
    waiting: Waiting<Arc<dyn Expire>>,
    backing_timeout: Duration,
    /// What the ids of requests begin with; 0 before the mount is there.
    instance: AtomicU32,
    /// Who asks, where that is noted.
    clients: OnceLock<Arc<Clients>>,
}

/// A waiting request, as the sweep sees it.
trait Expire: Send + Sync + std::fmt::Debug {
    /// Answers EIO unless the request is answered already.
    fn expire(&self, metrics: &EdgeMetrics);

    /// Replaces the pool thread that is stuck on it, if one is.
    fn replace_stuck(&self, pool: &Arc<Pool>);
}

/// A request that another thread is to answer.
struct Pending<R> {
    state: Mutex<PendingState<R>>,
    operation: Operation,
    /// Beyond the pool's bound, so not among the reads in flight.
    parked: AtomicBool,
    /// What the thread that is at work on it does, as the place of that among the phases.
    phase: AtomicUsize,
}

struct PendingState<R> {
    /// Gone once somebody answers.
    unanswered: Option<(Taken, R)>,
    /// What a thread is at work on, and since when.
    running: Option<(Subject, Instant)>,
    /// How long it waited for threads so far.
    queued: Duration,
    /// Where the time of the steps that are over went.
    spent: Spent,
    /// Since when it waits for a thread, while none is at work on it.
    queued_since: Instant,
    /// Another thread was started in place of the one that is stuck on this.
    replaced: bool,
}

impl<R> Pending<R> {
    fn unpark(&self, metrics: &EdgeMetrics) {
        if self.parked.swap(false, Relaxed) && self.operation == Operation::Read {
            metrics.reads_inflight.add(1);
        }
    }

    fn park(&self, metrics: &EdgeMetrics) {
        self.parked.store(true, Relaxed);
        if self.operation == Operation::Read {
            metrics.reads_inflight.add(-1);
        }
    }

    /// Whether the work is to be begun: not when nobody waits for it any more.
    fn begin(&self, metrics: &EdgeMetrics, subject: Subject) -> bool {
        self.unpark(metrics);
        let mut state = self.state.lock();
        if state.unanswered.is_none() {
            return false;
        }
        let since = state.queued_since;
        let waited = since.elapsed();
        state.running = Some((subject, since + waited));
        state.queued += waited;
        drop(state);
        metrics.add_phase(self.operation, OperationPhase::Queue, waited);
        true
    }

    /// Notes where the time of a step went.
    fn spend(&self, spent: Spent) {
        let mut state = self.state.lock();
        state.spent.store += spent.store;
        state.spent.layout += spent.layout;
        state.spent.backing += spent.backing;
    }

    /// Ends a step that is not the last; whether the thread was replaced.
    fn pause(&self) -> bool {
        let mut state = self.state.lock();
        state.running = None;
        state.queued_since = Instant::now();
        state.replaced
    }

    /// The request, unless it was answered, and whether the thread was replaced.
    fn end(&self) -> (Option<(Taken, R)>, bool) {
        let mut state = self.state.lock();
        state.running = None;
        let mut unanswered = state.unanswered.take();
        if let Some((taken, _)) = &mut unanswered {
            taken.spent(state.queued, state.spent);
        }
        (unanswered, state.replaced)
    }
}

impl Taken {
    /// Notes where the time of the pool's work went.
    fn spent(&mut self, queued: Duration, spent: Spent) {
        self.phase(OperationPhase::Queue, queued);
        self.phase(OperationPhase::Store, spent.store);
        self.phase(OperationPhase::Layout, spent.layout);
        self.phase(OperationPhase::Backing, spent.backing);
    }

    fn phase(&mut self, phase: OperationPhase, took: Duration) {
        if !took.is_zero() {
            self.scope.phase(phase.name(), nanoseconds(took));
        }
    }
}

impl<R> std::fmt::Debug for Pending<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pending")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl<R: OwnedReply> Expire for Pending<R> {
    fn expire(&self, metrics: &EdgeMetrics) {
        let mut state = self.state.lock();
        let Some((mut taken, reply)) = state.unanswered.take() else {
            return;
        };
        let (mut queued, spent) = (state.queued, state.spent);
        let stuck_since = state.running.map(|(_, since)| since);
        if stuck_since.is_none() {
            let waited = state.queued_since.elapsed();
            queued += waited;
            metrics.add_phase(self.operation, OperationPhase::Queue, waited);
        }
        drop(state);
        self.unpark(metrics);
        taken.spent(queued, spent);
        if let Some(since) = stuck_since {
            // How the step that goes on divides up is known when it ends; what it hangs in is known.
            let phase = OperationPhase::ALL[self.phase.load(Relaxed)];
            taken.phase(phase, since.elapsed());
        }
        metrics.counters.requests.increment(Way::TimedOut);
        tell_overdue(&taken);
        answer_error(metrics, taken, reply, Errno::EIO);
    }

    fn replace_stuck(&self, pool: &Arc<Pool>) {
        let mut state = self.state.lock();
        if let Some((subject, _)) = state.running {
            state.replaced = pool.replace_stuck(subject);
        }
    }
}

/// Says in the log which request a disk or network left without an answer.
fn tell_overdue(taken: &Taken) {
    let _about = taken.scope.ctx().enter();
    event_warn!(
        logging::engine(),
        "request.answer.overdue",
        message = "a disk or network did not answer in time; whoever asked gets an error",
        operation = taken.operation.name(),
    );
}

fn answer_error<R: OwnedReply>(metrics: &EdgeMetrics, taken: Taken, reply: R, error: Errno) {
    settle(metrics, taken, Some(error));
    reply.fail(error);
}

/// Counts an answer. Before the reply leaves: whoever saw the answer sees it counted.
fn settle(metrics: &EdgeMetrics, taken: Taken, error: Option<Errno>) {
    let completion = error.map_or(Completion::Ok, |error| Completion::Errno(error.code()));
    debug_assert!(
        ErrorNumber::of(completion).is_none_or(|failure| is_told(taken.operation, failure)),
        "{error:?} is not told of {:?}",
        taken.operation
    );
    taken.scope.finish(completion);
    if taken.operation == Operation::Read {
        metrics.reads_inflight.add(-1);
        if error.is_some() {
            metrics.read_errors.increment();
        }
    }
}

impl Dispatch {
    /// Starts the pool and the lane.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(config: DispatchConfig, metrics: EdgeMetrics) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            pool: Pool::start(config.workers, config.queue_len_max, PARKED_MAX)?,
            lane: Lane::start()?,
            metrics,
            waiting: Waiting::new(),
            backing_timeout: config.backing_timeout,
            instance: AtomicU32::new(0),
            clients: OnceLock::new(),
        }))
    }

    /// Takes a request.
    pub fn take(&self, operation: Operation, asked: Asked) -> Taken {
        if operation == Operation::Read {
            self.metrics.reads_inflight.add(1);
        }
        if let Some(clients) = self.clients.get() {
            clients.asked(asked.process);
        }
        let ctx = Ctx::request(self.instance.load(Relaxed), asked.unique);
        // Until it is answered or handed on, what the event loop says is about it.
        ctx.stay();
        let mut scope = Scope::begin(Arc::clone(&self.metrics.ops), operation, ctx);
        scope.set_subject(asked.inode);
        scope.set_process(asked.process);
        Taken {
            operation,
            asked,
            scope,
        }
    }

    /// From here on, ids of requests begin with `instance`.
    pub fn mounted_as(&self, instance: u32) {
        self.instance.store(instance, Relaxed);
    }

    /// From here on, `clients` is told who asks.
    pub fn tell_clients(&self, clients: Arc<Clients>) {
        // It is set once, by the one who mounts.
        self.clients.set(clients).ok();
    }

    /// Bytes of a file go to `process`.
    pub fn gives(&self, process: u32, bytes: usize) {
        if let Some(clients) = self.clients.get() {
            clients.given(process, bytes as u64);
        }
    }

    /// Counts what was noted of who asks. To be called before a snapshot is taken.
    pub fn count_clients(&self, now: Instant) {
        if let Some(clients) = self.clients.get() {
            clients.count(now);
        }
    }

    /// Runs `work` within the panic boundary.
    ///
    /// # Errors
    /// That of `work`; EIO when it panics.
    pub fn guard<T>(&self, work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            self.metrics.counters.requests.increment(Way::Panicked);
            event_error!(
                logging::engine(),
                "request.handler.panicked",
                message = %format_args!(
                    "a request's handler panicked ({}); answered EIO",
                    message_of(&*panic)
                ),
            );
            Err(Errno::EIO)
        })
    }

    /// Answers a request on the event loop that took it.
    pub fn answer<R: OwnedReply, T>(
        &self,
        taken: Taken,
        reply: R,
        result: Result<T, Errno>,
        give: impl FnOnce(R, T),
    ) {
        self.metrics.counters.requests.increment(Way::Inline);
        self.give(taken, reply, result, give);
        Ctx::BACKGROUND.stay();
    }

    /// Answers a request with `error` on the event loop that took it.
    pub fn refuse<R: OwnedReply>(&self, taken: Taken, reply: R, error: Errno) {
        self.metrics.counters.requests.increment(Way::Inline);
        answer_error(&self.metrics, taken, reply, error);
        Ctx::BACKGROUND.stay();
    }

    /// Answers a request on the event loop that took it: it failed with `error`, which `give` says in a way of its own.
    pub fn answer_as(&self, taken: Taken, error: Errno, give: impl FnOnce()) {
        self.metrics.counters.requests.increment(Way::Inline);
        settle(&self.metrics, taken, Some(error));
        give();
        Ctx::BACKGROUND.stay();
    }

    fn give<R: OwnedReply, T>(
        &self,
        taken: Taken,
        reply: R,
        result: Result<T, Errno>,
        give: impl FnOnce(R, T),
    ) {
        match result {
            Ok(value) => {
                settle(&self.metrics, taken, None);
                give(reply, value);
            }
            Err(error) => answer_error(&self.metrics, taken, reply, error),
        }
    }

    /// Answers a request on another thread than the event loop that took it.
    fn give_elsewhere<R: OwnedReply, T>(
        &self,
        taken: Taken,
        reply: R,
        result: Result<T, Errno>,
        give: impl FnOnce(R, T),
    ) {
        let operation = taken.operation;
        settle(&self.metrics, taken, result.as_ref().err().copied());
        let begun = Instant::now();
        match result {
            Ok(value) => give(reply, value),
            Err(error) => reply.fail(error),
        }
        self.metrics
            .add_phase(operation, OperationPhase::Reply, begun.elapsed());
    }

    /// Has the pool do `work`, the first step of which is about `subject`, and give its result.
    pub fn hand_to_pool<R: OwnedReply, T>(
        self: &Arc<Self>,
        taken: Taken,
        subject: Subject,
        reply: R,
        work: impl FnOnce() -> Result<Step<T>, Errno> + Send + 'static,
        give: impl FnOnce(R, T) + Send + 'static,
    ) where
        T: Told + 'static,
    {
        let (operation, asked) = (taken.operation, taken.asked);
        let ctx = taken.scope.ctx();
        let handed_in = Instant::now();
        let pending = Arc::new(Pending {
            state: Mutex::new(PendingState {
                unanswered: Some((taken, reply)),
                running: None,
                queued: Duration::ZERO,
                spent: Spent::default(),
                queued_since: handed_in,
                replaced: false,
            }),
            operation,
            parked: AtomicBool::new(false),
            phase: AtomicUsize::new(OperationPhase::Queue as usize),
        });
        let expires = Arc::clone(&pending) as Arc<dyn Expire>;
        let ticket = self.waiting.add(operation, handed_in, asked, expires);
        let answered = {
            let (dispatch, pending) = (Arc::clone(self), Arc::clone(&pending));
            move |result: Result<T, Errno>| {
                dispatch.waiting.remove(ticket);
                let (unanswered, replaced) = pending.end();
                if let Some((mut taken, reply)) = unanswered {
                    if let Ok(value) = &result {
                        T::tell(value, &mut taken);
                    }
                    dispatch.give_elsewhere(taken, reply, result, give);
                }
                replaced
            }
        };
        let job = self.job(
            Arc::clone(&pending),
            (ctx, ticket),
            subject,
            Box::new(work),
            answered,
        );
        let requests = &self.metrics.counters.requests;
        self.pool.submit(subject, job, |admission| match admission {
            Admission::Queued => requests.increment(Way::Pooled),
            Admission::Parked => {
                requests.increment(Way::Pooled);
                requests.increment(Way::Parked);
                pending.park(&self.metrics);
            }
            Admission::Refused => {
                requests.increment(Way::Refused);
                self.waiting.remove(ticket);
                if let (Some((taken, reply)), _) = pending.end() {
                    answer_error(&self.metrics, taken, reply, Errno::EIO);
                }
            }
        });
        Ctx::BACKGROUND.stay();
    }

    /// A job that does `work` of a request, and what comes after it; `answered` is told the result of the last step and
    /// says whether the thread was replaced.
    fn job<R: OwnedReply, T: 'static>(
        self: &Arc<Self>,
        pending: Arc<Pending<R>>,
        (ctx, ticket): (Ctx, Ticket),
        subject: Subject,
        work: Work<T>,
        answered: impl FnOnce(Result<T, Errno>) -> bool + Send + 'static,
    ) -> Job {
        let dispatch = Arc::clone(self);
        Box::new(move || {
            if !pending.begin(&dispatch.metrics, subject) {
                return After::Done;
            }
            let _entered = ctx.enter();
            let watcher = {
                let (dispatch, pending) = (Arc::clone(&dispatch), Arc::clone(&pending));
                move |phase| {
                    let phase = phase_of(phase);
                    pending.phase.store(phase as usize, Relaxed);
                    dispatch.waiting.enter(ticket, phase);
                }
            };
            let (step, spent) = phases::watched(Box::new(watcher), || dispatch.guard(work));
            pending.spend(spent);
            dispatch.metrics.add_work(pending.operation, spent);
            let result = match step {
                Ok(Step::Next(..) | Step::Later(..)) if pending.pause() => return After::Replaced,
                Ok(Step::Next(next, work)) => {
                    dispatch.waiting.enter(ticket, OperationPhase::Queue);
                    let job = dispatch.job(pending, (ctx, ticket), next, work, answered);
                    return After::Next(next, job);
                }
                Ok(Step::Later(later, next, work)) => {
                    dispatch.waiting.enter(ticket, OperationPhase::Queue);
                    let pool = Arc::clone(&dispatch.pool);
                    let job = dispatch.job(pending, (ctx, ticket), next, work, answered);
                    later(Box::new(move || pool.resume(next, job)));
                    return After::Done;
                }
                Ok(Step::Done(value)) => Ok(value),
                Err(error) => Err(error),
            };
            if answered(result) {
                After::Replaced
            } else {
                After::Done
            }
        })
    }

    /// Has the pool do `work`, which nobody waits for the answer of. Where too much waits for the pool already, it is dropped.
    pub fn leave_to_pool(&self, subject: Subject, work: impl FnOnce() + Send + 'static) {
        let job = Box::new(move || {
            work();
            After::Done
        });
        self.pool.submit(subject, job, |_| {});
    }

    /// Has the pool resolve what may be opened next, unless much else waits for it: then that is dropped.
    pub fn resolve_ahead(self: &Arc<Self>, musefs: &Arc<Musefs>, ahead: Ahead) {
        let (queued, parked) = self.pool.waiting();
        if parked > 0 || queued > self.pool.workers() {
            return;
        }
        let (waits_for, file) = ahead.subject();
        let (dispatch, musefs) = (Arc::clone(self), Arc::clone(musefs));
        let subject = Subject {
            waits_for,
            file: file.0,
        };
        self.leave_to_pool(subject, move || {
            let next = dispatch.guard(|| Ok(musefs.ahead_step(ahead)));
            if let Ok(Some(ahead)) = next {
                dispatch.resolve_ahead(&musefs, ahead);
            }
        });
    }

    /// Has the pool close backing files that are kept open no longer.
    pub fn close_kept(&self, files: NoLongerKept) {
        if let Some(device) = files.device() {
            let waits_for = WaitsFor::Device(device);
            self.leave_to_pool(Subject { waits_for, file: 0 }, move || drop(files));
        }
    }

    /// Has the lane do `work`, which never waits for a file or a store, and give its result.
    pub fn hand_to_lane<R: OwnedReply, T>(
        self: &Arc<Self>,
        taken: Taken,
        reply: R,
        work: impl FnOnce() -> Result<T, Errno> + Send + 'static,
        give: impl FnOnce(R, T) + Send + 'static,
    ) {
        let dispatch = Arc::clone(self);
        let handed_in = Instant::now();
        let job = Box::new(move || {
            let (metrics, operation) = (&dispatch.metrics, taken.operation);
            metrics.add_phase(operation, OperationPhase::Queue, handed_in.elapsed());
            let _entered = taken.scope.ctx().enter();
            let result = dispatch.guard(work);
            metrics.counters.requests.increment(Way::Lane);
            dispatch.give_elsewhere(taken, reply, result, give);
        });
        if let Err(job) = self.lane.submit(job) {
            // Over the lane's bound the request is answered late rather than lost: nothing that the lane does waits.
            job();
        }
        Ctx::BACKGROUND.stay();
    }

    /// Answers EIO to every request that has waited longer than the backing timeout at `now`. A pool thread that is stuck
    /// on one is replaced.
    pub fn sweep(&self, now: Instant) {
        let overdue = self.waiting.take_overdue(now, self.backing_timeout);
        // All are answered before a new thread takes up one of them: which are overdue is a matter of `now` alone.
        for request in &overdue {
            request.expire(&self.metrics);
        }
        for request in &overdue {
            request.replace_stuck(&self.pool);
        }
    }

    /// How long the oldest `operation` that the pool has not answered yet has been under way at `now`; nothing when there is
    /// none. Takes no lock.
    pub fn oldest_inflight(&self, operation: Operation, now: Instant) -> Duration {
        self.waiting.oldest(operation, now)
    }

    /// The requests that the pool has not answered yet at `now`, the oldest first, as many as can be seen, and how many more
    /// there are. Takes no lock.
    pub fn inflight(&self, now: Instant) -> (Vec<Waits>, u64) {
        let (mut waits, more) = self.waiting.seen(now);
        for request in &mut waits {
            request.id.instance = self.instance.load(Relaxed);
        }
        (waits, more)
    }

    /// The lane, for work at intervals.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// What the edge counts.
    pub fn metrics(&self) -> &EdgeMetrics {
        &self.metrics
    }

    /// Sizes of the pool at this moment.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Ends pool and lane; whether all their threads ended before `deadline`.
    pub fn stop(&self, deadline: Instant) -> bool {
        let lane = self.lane.stop(deadline);
        self.pool.stop(deadline) && lane
    }
}

fn phase_of(phase: Phase) -> OperationPhase {
    match phase {
        Phase::Store => OperationPhase::Store,
        Phase::Layout => OperationPhase::Layout,
        Phase::Backing => OperationPhase::Backing,
    }
}

/// What a panic said.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
