use std::sync::mpsc;

use musefs_telemetry::Engine;

use super::*;

const ONE: Subject = Subject(1);
const OTHER: Subject = Subject(2);

/// A reply that tells a channel what it was given.
struct Told(mpsc::Sender<Result<u32, i32>>);

impl OwnedReply for Told {
    fn fail(self, error: Errno) {
        self.0.send(Err(error.code())).unwrap();
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a reply is given once, and gone"
)]
fn give(reply: Told, value: u32) {
    reply.0.send(Ok(value)).unwrap();
}

fn dispatch(workers: usize, queue_len_max: usize, timeout_ms: u64) -> (Engine, Arc<Dispatch>) {
    let engine = Engine::new();
    let metrics = EdgeMetrics::declare(&engine).unwrap();
    let config = DispatchConfig {
        workers,
        queue_len_max,
        backing_timeout: Duration::from_millis(timeout_ms),
    };
    (engine, Dispatch::start(config, metrics).unwrap())
}

fn count(dispatch: &Dispatch, way: Way) -> u64 {
    dispatch.metrics.counters.requests.value(way)
}

fn inflight(engine: &Engine) -> u64 {
    let snapshot = engine.snapshot();
    snapshot
        .value(&musefs_core::telemetry::READS_INFLIGHT, 0)
        .unwrap()
}

/// Occupies a pool thread until the sender is dropped.
fn stick(dispatch: &Arc<Dispatch>, told: &mpsc::Sender<Result<u32, i32>>) -> mpsc::Sender<()> {
    let (release, stuck) = mpsc::channel::<()>();
    let (tell, has_begun) = mpsc::channel();
    let taken = dispatch.take(Operation::Read, 0);
    let work = move || {
        tell.send(()).unwrap();
        stuck.recv().ok();
        Ok(0)
    };
    dispatch.hand_to_pool(taken, ONE, Told(told.clone()), work, give);
    has_begun.recv().unwrap();
    release
}

#[test]
fn a_panic_is_an_error_and_the_pool_goes_on() {
    let (engine, dispatch) = dispatch(1, 10, 60_000);
    let (told, hear) = mpsc::channel();
    let panics = || -> Result<u32, Errno> { panic!("on purpose") };
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, 0),
        ONE,
        Told(told.clone()),
        panics,
        give,
    );
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, 0),
        ONE,
        Told(told.clone()),
        || Ok(7),
        give,
    );
    assert_eq!(hear.recv(), Ok(Ok(7)));
    let taken = dispatch.take(Operation::Read, 0);
    let result = dispatch.guard(|| -> Result<u32, Errno> { panic!("inline") });
    dispatch.answer(taken, Told(told), result, give);
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    assert_eq!(count(&dispatch, Way::Panicked), 2);
    assert_eq!(count(&dispatch, Way::Inline), 1);
    assert_eq!(inflight(&engine), 0);
    assert_eq!(dispatch.metrics.read_errors.value(), 2);
    assert!(dispatch.stop(Instant::now() + Duration::from_secs(5)));
}

#[test]
fn over_the_bound_requests_are_parked_and_still_answered() {
    let (engine, dispatch) = dispatch(1, 2, 60_000);
    let (told, hear) = mpsc::channel();
    let release = stick(&dispatch, &told);
    for value in 1..=5 {
        let taken = dispatch.take(Operation::Read, 0);
        dispatch.hand_to_pool(taken, ONE, Told(told.clone()), move || Ok(value), give);
    }
    assert_eq!(dispatch.pool().waiting(), (2, 3));
    assert_eq!(inflight(&engine), 3, "one runs and two are queued");
    drop(release);
    let answers: Vec<u32> = (0..6).map(|_| hear.recv().unwrap().unwrap()).collect();
    assert_eq!(answers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(count(&dispatch, Way::Pooled), 6);
    assert_eq!(count(&dispatch, Way::Parked), 3);
    assert_eq!(inflight(&engine), 0);
    assert_eq!(dispatch.pool().waiting(), (0, 0));
}

#[test]
fn an_overdue_request_is_answered_once_and_its_thread_replaced() {
    let (engine, dispatch) = dispatch(1, 10, 10);
    let (told, hear) = mpsc::channel();
    let release = stick(&dispatch, &told);
    let queued = dispatch.take(Operation::Read, 0);
    dispatch.hand_to_pool(queued, ONE, Told(told.clone()), || Ok(9), give);
    dispatch.sweep(Instant::now() + Duration::from_secs(1));
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    assert_eq!(count(&dispatch, Way::TimedOut), 2);
    // The thread that was started in place of the stuck one answers.
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, 0),
        ONE,
        Told(told.clone()),
        || Ok(3),
        give,
    );
    assert_eq!(hear.recv(), Ok(Ok(3)));
    assert_eq!(inflight(&engine), 0);
    assert_eq!(dispatch.pool().workers(), 2);
    drop(release);
    while dispatch.pool().workers() > 1 {
        std::thread::yield_now();
    }
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, 0),
        ONE,
        Told(told),
        || Ok(4),
        give,
    );
    assert_eq!(hear.recv(), Ok(Ok(4)));
    assert!(
        hear.try_recv().is_err(),
        "the released request was answered before"
    );
    assert!(dispatch.waiting.is_empty());
}

#[test]
fn past_every_bound_a_request_is_refused() {
    let pool = Pool::start(0, 1, 1).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        pool.submit(ONE, Box::new(|| false), |admission| {
            seen.lock().push(admission);
        });
    }
    assert_eq!(
        *seen.lock(),
        [Admission::Queued, Admission::Parked, Admission::Refused]
    );
}

#[test]
fn a_subject_gets_half_of_the_threads_and_its_jobs_keep_their_order() {
    let (engine, dispatch) = dispatch(4, 100, 60_000);
    let (told, hear) = mpsc::channel();
    let stuck = [stick(&dispatch, &told), stick(&dispatch, &told)];
    for value in 1..=20 {
        let taken = dispatch.take(Operation::Read, 0);
        dispatch.hand_to_pool(taken, ONE, Told(told.clone()), move || Ok(value), give);
    }
    let taken = dispatch.take(Operation::Read, 0);
    dispatch.hand_to_pool(taken, OTHER, Told(told.clone()), || Ok(99), give);
    assert_eq!(hear.recv(), Ok(Ok(99)), "another subject has threads left");
    assert_eq!(dispatch.pool().waiting(), (20, 0));
    let [first, second] = stuck;
    drop(first);
    let answers: Vec<u32> = (0..21).map(|_| hear.recv().unwrap().unwrap()).collect();
    assert!(answers.is_sorted(), "{answers:?}");
    drop(second);
    assert_eq!(hear.recv(), Ok(Ok(0)));
    assert_eq!(inflight(&engine), 0);
    assert_eq!(dispatch.pool().waiting(), (0, 0));
    assert!(dispatch.stop(Instant::now() + Duration::from_secs(5)));
}

#[test]
fn a_subject_that_hangs_gets_its_threads_back_when_they_are_replaced() {
    let (_engine, dispatch) = dispatch(2, 100, 10);
    let (told, hear) = mpsc::channel();
    let release = stick(&dispatch, &told);
    let later = dispatch.take(Operation::Read, 0);
    dispatch.sweep(Instant::now() + Duration::from_secs(1));
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    dispatch.hand_to_pool(later, ONE, Told(told), || Ok(1), give);
    assert_eq!(hear.recv(), Ok(Ok(1)));
    drop(release);
    assert!(dispatch.stop(Instant::now() + Duration::from_secs(5)));
}

#[test]
fn the_lane_answers_while_every_pool_thread_is_stuck() {
    let (_engine, dispatch) = dispatch(1, 10, 60_000);
    let (told, hear) = mpsc::channel();
    let release = stick(&dispatch, &told);
    dispatch.hand_to_lane(
        dispatch.take(Operation::Getattr, 0),
        Told(told),
        || Ok(5),
        give,
    );
    assert_eq!(hear.recv(), Ok(Ok(5)));
    assert_eq!(count(&dispatch, Way::Lane), 1);
    assert!(
        !dispatch.stop(Instant::now() + Duration::from_millis(50)),
        "a thread is stuck"
    );
    drop(release);
}
