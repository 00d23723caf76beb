use super::*;

const WINDOW: u64 = WINDOW_BYTES as u64;

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

/// Reads ten bytes from `offset`, after which a window is filled if the stream is given one; whether it was.
fn read(stream: &Arc<Stream>, offset: u64, budget: &Arc<Budget>, now: Moment) -> bool {
    if stream.take(offset, &mut [0; 10], now) == 10 {
        return false;
    }
    let Some(filling) = stream.begin(offset, 10, u64::MAX, Some(budget), now) else {
        return false;
    };
    filling.keep(vec![7; WINDOW_BYTES]);
    true
}

/// A stream that has proved sequential up to 20.
fn sequential(budget: &Arc<Budget>, now: Moment) -> Arc<Stream> {
    let stream = Arc::<Stream>::default();
    for offset in [0, 10] {
        assert!(!read(&stream, offset, budget, now));
    }
    stream
}

#[test]
fn only_what_follows_counts_as_sequential() {
    let mut state = State::default();
    assert!(!state.note(0, 10));
    assert!(!state.note(10, 10));
    assert!(state.note(20, 10));
    assert!(!state.note(500, 10));
    assert!(!state.note(100, 10));
}

#[test]
fn windows_answer_what_they_hold_and_are_given_back() {
    let budget = Arc::new(Budget::new(2 * WINDOW));
    let stream = sequential(&budget, at(0));
    assert!(read(&stream, 20, &budget, at(0)));
    assert_eq!(budget.charged(), WINDOW);
    let mut ten = [0; 10];
    assert_eq!(stream.take(1000, &mut ten, at(0)), 10);
    assert_eq!(stream.take(19, &mut ten, at(0)), 0);
    // The end of one window, and the next that begins there.
    assert_eq!(stream.take(20 + WINDOW - 4, &mut ten, at(0)), 4);
    assert!(read(&stream, 20 + WINDOW, &budget, at(0)));
    assert_eq!(stream.take(20 + WINDOW - 4, &mut ten, at(0)), 10);
    assert_eq!(budget.charged(), 2 * WINDOW);
    // The budget has room for no third: older ones go.
    assert!(read(&stream, 20 + 2 * WINDOW, &budget, at(0)));
    assert_eq!(budget.charged(), WINDOW);
    assert!(!read(&stream, 5, &budget, at(0)));
    assert_eq!(budget.charged(), 0);
}

#[test]
fn a_window_is_charged_for_what_it_can_hold_and_a_fast_device_gets_none() {
    let budget = Arc::new(Budget::new(1000));
    let stream = sequential(&budget, at(0));
    assert!(stream.begin(20, 10, 5000, Some(&budget), at(0)).is_none());
    assert!(stream.begin(30, 10, 1030, None, at(0)).is_none());
    let filling = stream.begin(40, 10, 1040, Some(&budget), at(0)).unwrap();
    assert_eq!((filling.range.clone(), budget.charged()), (40..1040, 1000));
    drop(filling);
    assert_eq!(budget.charged(), 0);
}

#[test]
fn the_window_that_nobody_has_read_for_longest_makes_room_for_another_stream() {
    let budget = Arc::new(Budget::new(2 * WINDOW));
    let [first, second] = [0, 1].map(|now| {
        let stream = sequential(&budget, at(now));
        assert!(read(&stream, 20, &budget, at(now)));
        stream
    });
    // The first is read again, the second not.
    assert_eq!(first.take(1000, &mut [0; 10], at(5)), 10);
    let third = sequential(&budget, at(5));
    assert!(read(&third, 20, &budget, at(5)));
    assert_eq!(budget.charged(), 2 * WINDOW);
    assert_eq!(second.take(1000, &mut [0; 10], at(5)), 0, "it is gone");
    assert_eq!(first.take(1000, &mut [0; 10], at(5)), 10);
    assert_eq!(third.take(1000, &mut [0; 10], at(5)), 10);
    // Now all are being read: nothing would be won by taking from one of them.
    assert!(!read(&second, 10, &budget, at(5)));
    for offset in [20, 30, 40] {
        assert!(!read(&second, offset, &budget, at(5)));
    }
    assert!(read(&second, 50, &budget, at(7)), "they stand still");
    drop((first, second, third));
    assert_eq!(budget.charged(), 0);
}

#[test]
fn who_needs_what_is_being_read_waits_for_it() {
    let budget = Arc::new(Budget::new(2 * WINDOW));
    let stream = sequential(&budget, at(0));
    let begin = |offset| stream.begin(offset, 10, u64::MAX, Some(&budget), at(0));
    let filling = begin(20).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stream.take(500, &mut [0; 10], at(0)));
        filling.keep(vec![7; WINDOW_BYTES]);
        assert_eq!(waiting.join().unwrap(), 10);
    });
    let filling = begin(20 + WINDOW);
    let beyond = 100 + WINDOW;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stream.take(beyond, &mut [0; 10], at(0)));
        drop(filling);
        assert_eq!(waiting.join().unwrap(), 0, "it could not be read");
    });
}
