use std::sync::mpsc;

use musefs_core::serve::WaitsFor;
use musefs_telemetry::Engine;

use super::*;

/// Two files of one device, and a file of another.
const ONE: Subject = subject(1, 1);
const SECOND: Subject = subject(1, 2);
const OTHER: Subject = subject(2, 3);

const fn subject(device: u64, file: u64) -> Subject {
    Subject {
        waits_for: WaitsFor::Device(device),
        file,
    }
}

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

impl super::Told for u32 {}

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

/// Occupies a pool thread with `ONE` until the sender is dropped.
fn stick(dispatch: &Arc<Dispatch>, told: &mpsc::Sender<Result<u32, i32>>) -> mpsc::Sender<()> {
    stick_on(ONE, dispatch, told)
}

/// Occupies a pool thread with `subject` until the sender is dropped.
fn stick_on(
    subject: Subject,
    dispatch: &Arc<Dispatch>,
    told: &mpsc::Sender<Result<u32, i32>>,
) -> mpsc::Sender<()> {
    let (release, stuck) = mpsc::channel::<()>();
    let (tell, has_begun) = mpsc::channel();
    let taken = dispatch.take(Operation::Read, Asked::default());
    let work = move || {
        tell.send(()).unwrap();
        stuck.recv().ok();
        Ok(Step::Done(0))
    };
    dispatch.hand_to_pool(taken, subject, Told(told.clone()), work, give);
    has_begun.recv().unwrap();
    release
}

#[test]
fn a_panic_is_an_error_and_the_pool_goes_on() {
    let (engine, dispatch) = dispatch(1, 10, 60_000);
    let (told, hear) = mpsc::channel();
    let panics = || -> Result<Step<u32>, Errno> { panic!("on purpose") };
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, Asked::default()),
        ONE,
        Told(told.clone()),
        panics,
        give,
    );
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, Asked::default()),
        ONE,
        Told(told.clone()),
        || Ok(Step::Done(7)),
        give,
    );
    assert_eq!(hear.recv(), Ok(Ok(7)));
    let taken = dispatch.take(Operation::Read, Asked::default());
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
        let taken = dispatch.take(Operation::Read, Asked::default());
        dispatch.hand_to_pool(
            taken,
            ONE,
            Told(told.clone()),
            move || Ok(Step::Done(value)),
            give,
        );
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
    let queued = dispatch.take(Operation::Read, Asked::default());
    dispatch.hand_to_pool(queued, ONE, Told(told.clone()), || Ok(Step::Done(9)), give);
    dispatch.sweep(Instant::now() + Duration::from_secs(1));
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    assert_eq!(count(&dispatch, Way::TimedOut), 2);
    // The thread that was started in place of the stuck one answers.
    dispatch.hand_to_pool(
        dispatch.take(Operation::Read, Asked::default()),
        ONE,
        Told(told.clone()),
        || Ok(Step::Done(3)),
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
        dispatch.take(Operation::Read, Asked::default()),
        ONE,
        Told(told),
        || Ok(Step::Done(4)),
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
        pool.submit(ONE, Box::new(|| After::Done), |admission| {
            seen.lock().push(admission);
        });
    }
    assert_eq!(
        *seen.lock(),
        [Admission::Queued, Admission::Parked, Admission::Refused]
    );
}

#[test]
fn a_file_gets_half_of_its_devices_threads_and_its_jobs_keep_their_order() {
    let (engine, dispatch) = dispatch(8, 100, 60_000);
    let (told, hear) = mpsc::channel();
    let stuck = [stick(&dispatch, &told), stick(&dispatch, &told)];
    for value in 1..=20 {
        let taken = dispatch.take(Operation::Read, Asked::default());
        dispatch.hand_to_pool(
            taken,
            ONE,
            Told(told.clone()),
            move || Ok(Step::Done(value)),
            give,
        );
    }
    let taken = dispatch.take(Operation::Read, Asked::default());
    let work = || Ok(Step::Done(99));
    dispatch.hand_to_pool(taken, SECOND, Told(told.clone()), work, give);
    assert_eq!(hear.recv(), Ok(Ok(99)), "another file has threads left");
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
fn a_device_gets_half_of_the_threads_whatever_its_files() {
    let (engine, dispatch) = dispatch(4, 100, 60_000);
    let (told, hear) = mpsc::channel();
    let stuck = [ONE, SECOND].map(|file| stick_on(file, &dispatch, &told));
    // Those of the first file wait for that, those of a third one for the device.
    for (file, value) in [(1, 1), (3, 2), (1, 3), (3, 4u32)] {
        let taken = dispatch.take(Operation::Read, Asked::default());
        let work = move || Ok(Step::Done(value));
        dispatch.hand_to_pool(taken, subject(1, file), Told(told.clone()), work, give);
    }
    for value in 90..99u32 {
        let taken = dispatch.take(Operation::Read, Asked::default());
        let work = move || Ok(Step::Done(value));
        dispatch.hand_to_pool(taken, OTHER, Told(told.clone()), work, give);
        assert_eq!(hear.recv(), Ok(Ok(value)), "another device has threads");
    }
    assert_eq!(dispatch.pool().waiting(), (4, 0));
    let [first, second] = stuck;
    drop(second);
    let mut answers: Vec<u32> = (0..3).map(|_| hear.recv().unwrap().unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, [0, 2, 4], "the first file has its one thread");
    drop(first);
    let mut answers: Vec<u32> = (0..3).map(|_| hear.recv().unwrap().unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, [0, 1, 3]);
    assert_eq!(inflight(&engine), 0);
    assert_eq!(dispatch.pool().waiting(), (0, 0));
    assert!(dispatch.stop(Instant::now() + Duration::from_secs(5)));
}

#[test]
fn work_that_waits_for_two_things_has_threads_of_one_at_a_time() {
    let (engine, dispatch) = dispatch(4, 100, 60_000);
    let (told, hear) = mpsc::channel();
    let store = Subject {
        waits_for: WaitsFor::Store,
        file: 7,
    };
    let stuck = [ONE, SECOND].map(|file| stick_on(file, &dispatch, &told));
    // The store answers; what comes then waits for the device that hangs, and holds no thread.
    for value in 1..=8u32 {
        let taken = dispatch.take(Operation::Open, Asked::default());
        let then = move || Ok(Step::Done(value));
        let work = move || Ok(Step::Next(subject(1, 10), Box::new(then) as Work<u32>));
        dispatch.hand_to_pool(taken, store, Told(told.clone()), work, give);
    }
    for value in 90..99u32 {
        let taken = dispatch.take(Operation::Open, Asked::default());
        let then = move || Ok(Step::Done(value));
        let work = move || Ok(Step::Next(OTHER, Box::new(then) as Work<u32>));
        dispatch.hand_to_pool(taken, store, Told(told.clone()), work, give);
        assert_eq!(hear.recv(), Ok(Ok(value)), "another device has threads");
    }
    assert_eq!(dispatch.pool().waiting(), (8, 0));
    // What waits longer than it may is answered, whatever step it is at.
    dispatch.sweep(Instant::now() + Duration::from_secs(61));
    for _ in 0..10 {
        assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    }
    assert_eq!(count(&dispatch, Way::TimedOut), 10);
    assert_eq!(dispatch.pool().workers(), 6);
    drop(stuck);
    while dispatch.pool().workers() > 4 || dispatch.pool().waiting() != (0, 0) {
        std::thread::yield_now();
    }
    assert!(hear.try_recv().is_err(), "no request is answered twice");
    assert_eq!(inflight(&engine), 0);
    assert!(dispatch.waiting.is_empty());
    assert!(dispatch.stop(Instant::now() + Duration::from_secs(5)));
}

#[test]
fn a_subject_that_hangs_gets_its_threads_back_when_they_are_replaced() {
    let (_engine, dispatch) = dispatch(2, 100, 10);
    let (told, hear) = mpsc::channel();
    let release = stick(&dispatch, &told);
    let later = dispatch.take(Operation::Read, Asked::default());
    dispatch.sweep(Instant::now() + Duration::from_secs(1));
    assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    dispatch.hand_to_pool(later, ONE, Told(told), || Ok(Step::Done(1)), give);
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
        dispatch.take(Operation::Getattr, Asked::default()),
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

/// Told of each operation that ended: which request it was, and how it ended.
#[derive(Default)]
struct Ended(Mutex<Vec<(u64, Completion)>>);

impl musefs_telemetry::EventHandler for Ended {
    fn on_operation_complete(&self, event: &musefs_telemetry::OperationEvent<'_>) {
        self.0.lock().push((event.request_id, event.outcome));
    }
}

#[test]
fn whatever_becomes_of_a_request_it_ends_once_under_its_own_name() {
    const THREADS: u64 = 4;
    const EACH: u64 = 300;
    let (engine, dispatch) = dispatch(4, 8, 60_000);
    let ended = Arc::new(Ended::default());
    let listening = engine.events().subscribe(Arc::clone(&ended));
    let (told, hear) = mpsc::channel();
    // What those that wait for somebody else's work are to call, and what came too late for that.
    let (later, wakes) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (dispatch, told, later) = (&dispatch, told.clone(), later.clone());
            scope.spawn(move || {
                for number in 0..EACH {
                    let asked = Asked {
                        unique: 1 + thread * EACH + number,
                        ..Asked::default()
                    };
                    let taken = dispatch.take(Operation::Read, asked);
                    let (told, later) = (Told(told.clone()), later.clone());
                    let subject = subject(number % 3, number % 5);
                    let fails = || Err::<Step<u32>, _>(Errno::EIO);
                    match number % 6 {
                        0 => dispatch.answer(taken, told, Ok(1), give),
                        1 => dispatch.refuse(taken, told, Errno::EBADF),
                        2 => dispatch.hand_to_pool(taken, subject, told, fails, give),
                        3 => dispatch.hand_to_lane(taken, told, || Ok(2), give),
                        4 => {
                            let then = || Ok(Step::Done(3u32));
                            let work = move || Ok(Step::Next(OTHER, Box::new(then) as Work<u32>));
                            dispatch.hand_to_pool(taken, subject, told, work, give);
                        }
                        _ => {
                            let waits = move |wake| later.send(wake).unwrap();
                            let then = || Ok(Step::Done(4u32));
                            let work = move || {
                                let waits = Box::new(waits) as Later;
                                Ok(Step::Later(waits, OTHER, Box::new(then) as Work<u32>))
                            };
                            dispatch.hand_to_pool(taken, subject, told, work, give);
                        }
                    }
                }
            });
        }
    });
    let waiting = THREADS * EACH / 6;
    let wakes: Vec<_> = wakes.iter().take(waiting as usize).collect();
    let answers = THREADS * EACH - waiting;
    for _ in 0..answers {
        hear.recv().unwrap().ok();
    }
    // None of those that wait has a thread.
    while dispatch.pool().active() > 0 || dispatch.pool().waiting() != (0, 0) {
        std::thread::yield_now();
    }
    // Half of those that wait get their answer, the others are too late.
    let mut wakes = wakes.into_iter();
    wakes
        .by_ref()
        .take(waiting as usize / 2)
        .for_each(|wake| wake());
    for _ in 0..waiting / 2 {
        assert_eq!(hear.recv(), Ok(Ok(4)));
    }
    dispatch.sweep(Instant::now() + Duration::from_secs(61));
    wakes.for_each(|wake| wake());
    for _ in 0..waiting - waiting / 2 {
        assert_eq!(hear.recv(), Ok(Err(libc::EIO)));
    }
    assert!(dispatch.stop(Instant::now() + Duration::from_secs(5)));
    assert!(hear.try_recv().is_err(), "no request is answered twice");
    drop(listening);
    let mut ended = ended.0.lock().clone();
    ended.sort_unstable_by_key(|(request, _)| *request);
    let requests: Vec<u64> = ended.iter().map(|(request, _)| *request).collect();
    assert_eq!(requests, (1..=THREADS * EACH).collect::<Vec<_>>());
    let ok = ended
        .iter()
        .filter(|(_, outcome)| *outcome == Completion::Ok);
    assert_eq!(ok.count() as u64, THREADS * EACH / 2 + waiting / 2);
    assert_eq!(dispatch.metrics.ops.total(Operation::Read), THREADS * EACH);
    assert_eq!(count(&dispatch, Way::TimedOut), waiting - waiting / 2);
    assert_eq!(inflight(&engine), 0);
    assert!(dispatch.waiting.is_empty());
}
