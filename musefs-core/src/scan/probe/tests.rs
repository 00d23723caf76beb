//! What a probe may ask for, and what becomes of one that goes wrong.

use std::cell::RefCell;
use std::io::Write;

use musefs_telemetry::{Engine, MetricSet as _};

use super::*;

fn metrics() -> Metrics {
    Metrics::declare(&Engine::new()).expect("a new engine")
}

/// A file of `len` bytes that says of each block which it is, and nothing fetched of it.
fn file(len: u64) -> (File, Fetched) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    for at in 0..len {
        let block = u8::try_from(at / BLOCK_BYTES % 256).expect("at most 255");
        file.write_all(&[block]).expect("written");
    }
    (file, Fetched::new(len))
}

fn need(fetched: &Fetched, range: Range<u64>) -> Result<Vec<u8>, Range<u64>> {
    let len = usize::try_from(range.end - range.start).expect("small");
    match fetched.get(range.start, len) {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(Stop::NeedMore(range)) => Err(range),
        Err(Stop::Broken(failure)) => panic!("{failure:?}"),
    }
}

#[test]
fn ranges_are_read_as_whole_blocks_within_the_file() {
    let (file, mut fetched) = file(10_000);
    let cost = metrics();
    let seen = RefCell::new(Vec::new());
    let answer = ask::<Probe>(&file, &mut fetched, &PROBE_BOUNDS, &cost, |fetched| {
        let across = need(fetched, 4090..4100)?;
        let end = need(fetched, 9990..10_000)?;
        *seen.borrow_mut() = [across, end].concat();
        Ok(as_it_is(Failure::Malformed))
    });
    assert!(matches!(answer, Ok(Answer::Given(_))));
    assert_eq!(
        seen.into_inner(),
        [[0; 6].as_slice(), &[1; 4], &[2; 10]].concat()
    );
    // Two blocks as one piece, then the rest of the last one.
    assert_eq!(
        (cost.scan_preads.value(), cost.scan_bytes.value()),
        (2, 8192 + 10_000 - 8192)
    );
}

#[test]
fn a_probe_that_asks_for_too_much_is_over_the_limit() {
    let sparse = tempfile::tempfile().expect("a temporary file");
    let len = 4 * PROBE_BOUNDS.bytes_max;
    sparse.set_len(len).expect("a sparse file");
    let cost = metrics();
    let mut fetched = Fetched::new(len);
    let answer = ask::<Probe>(&sparse, &mut fetched, &PROBE_BOUNDS, &cost, |fetched| {
        need(fetched, 0..len).map(|_| as_it_is(Failure::Malformed))
    });
    assert!(matches!(answer, Ok(Answer::OverLimit)));
    assert_eq!(cost.scan_preads.value(), 0, "nothing was read for it");
    // In small steps, too, and the same range for ever.
    let step = 1 << 20;
    let answer = ask::<Probe>(&sparse, &mut fetched, &PROBE_BOUNDS, &cost, |fetched| {
        let at = fetched.bytes();
        Err(at..at + step)
    });
    assert!(matches!(answer, Ok(Answer::OverLimit)));
    assert!(cost.scan_bytes.value() <= PROBE_BOUNDS.bytes_max + 2 * step);
    let mut fetched = Fetched::new(len);
    let cost = metrics();
    let answer = ask::<Probe>(&sparse, &mut fetched, &PROBE_BOUNDS, &cost, |_| Err(0..1));
    assert!(matches!(answer, Ok(Answer::OverLimit)));
    assert!(cost.scan_preads.value() <= u64::from(PROBE_BOUNDS.rounds_max));
}

#[test]
fn a_probe_that_panics_costs_its_own_file() {
    let (file, mut fetched) = file(10);
    let answer = ask::<Probe>(&file, &mut fetched, &PROBE_BOUNDS, &metrics(), |_| {
        panic!("a fault in the probe")
    });
    assert!(matches!(answer, Ok(Answer::Panicked)));
}

#[test]
fn a_file_that_shrinks_has_changed() {
    let (file, mut fetched) = file(10_000);
    file.set_len(5000).expect("shorter");
    let answer = ask::<Probe>(&file, &mut fetched, &PROBE_BOUNDS, &metrics(), |fetched| {
        need(fetched, 6000..6001).map(|_| as_it_is(Failure::Malformed))
    });
    assert!(matches!(answer, Err(Miss::Changed)));
}
