//! Every order of events of two threads and a reader, in a directory of four cells.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::slab::{CELLS_MAX, Directory, Slab, Span, add_to_own};
use super::sync::AtomicU64;

const SPAN: Span = Span {
    start: 0,
    target: 0,
    len: 1,
};

#[derive(Clone)]
struct Process {
    directory: Arc<Mutex<Directory>>,
    fallback: Arc<Vec<AtomicU64>>,
}

impl Process {
    fn new() -> Self {
        Self {
            directory: Arc::new(Mutex::new(Directory::new())),
            fallback: Arc::new((0..CELLS_MAX).map(|_| AtomicU64::new(0)).collect()),
        }
    }

    fn adopt(&self) -> super::sync::Arc<Slab> {
        self.directory.lock().unwrap().adopt().unwrap()
    }

    fn sum(&self) -> u64 {
        let mut sum = [0];
        self.directory
            .lock()
            .unwrap()
            .sum(&[SPAN], &self.fallback, &mut sum);
        sum[0]
    }

    /// What a counting thread does, from birth to exit.
    fn count(&self, amounts: &[u64]) {
        let slab = self.adopt();
        for amount in amounts {
            add_to_own(&slab.cells()[0], *amount);
        }
        self.directory.lock().unwrap().retire(&slab);
    }
}

#[test]
fn a_reader_sees_each_event_once_and_no_total_falls() {
    loom::model(|| {
        let process = Process::new();
        process.directory.lock().unwrap().take(1).unwrap();
        let threads = [(); 2].map(|()| {
            let process = process.clone();
            thread::spawn(move || process.count(&[1]))
        });
        let first = process.sum();
        let second = process.sum();
        assert!(first <= second && second <= 2, "{first} {second}");
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(process.sum(), 2);
    });
}

#[test]
fn a_slab_that_serves_again_starts_at_zero() {
    loom::model(|| {
        let process = Process::new();
        process.directory.lock().unwrap().take(1).unwrap();
        let other = process.clone();
        let counting = thread::spawn(move || {
            other.count(&[3]);
            other.count(&[4]);
        });
        process.count(&[5]);
        let seen = process.sum();
        assert!([5, 8, 12].contains(&seen), "{seen}");
        counting.join().unwrap();
        assert_eq!(process.sum(), 12);
    });
}

#[test]
fn a_run_that_serves_again_starts_at_zero() {
    loom::model(|| {
        let process = Process::new();
        let run = process.directory.lock().unwrap().take(1).unwrap();
        let other = process.clone();
        let counting = thread::spawn(move || {
            let slab = other.adopt();
            add_to_own(&slab.cells()[0], 7);
            slab
        });
        // The run is let go by the last of its users, after the others are done with it.
        let slab = counting.join().unwrap();
        let mut directory = process.directory.lock().unwrap();
        directory.give_back(run, &process.fallback);
        assert_eq!(directory.take(1), Ok(0..1));
        drop(directory);
        assert_eq!(process.sum(), 0);
        add_to_own(&slab.cells()[0], 2);
        assert_eq!(process.sum(), 2);
    });
}
