//! Where the time of a piece of work goes: into the store, the backing files, or what is computed in memory.
//!
//! Each thread has a clock that runs only while somebody measures; then it always runs for exactly one phase, so that the
//! phases add up to the whole. Nothing here knows who measures, or what for.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading the store, or waiting for a connection to it or for the tree to be refreshed from it.
    Store,
    /// Everything that is computed in memory, above all layouts.
    Layout,
    /// Opening, looking at and reading backing files.
    Backing,
}

/// How long a piece of work was in each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In [`Phase::Store`].
    pub store: Duration,
    /// In [`Phase::Layout`].
    pub layout: Duration,
    /// In [`Phase::Backing`].
    pub backing: Duration,
}

/// Told of each phase of a piece of work when it begins.
pub type Watcher = Box<dyn Fn(Phase)>;

struct Clock {
    /// `None` while nobody measures.
    phase: Cell<Option<(Phase, Instant)>>,
    spent: Cell<Spent>,
    watcher: RefCell<Option<Watcher>>,
}

thread_local! {
    static CLOCK: Clock = const {
        Clock {
            phase: Cell::new(None),
            spent: Cell::new(Spent {
                store: Duration::ZERO,
                layout: Duration::ZERO,
                backing: Duration::ZERO,
            }),
            watcher: RefCell::new(None),
        }
    };
}

impl Clock {
    /// Ends the phase that is running and begins the next one, if any.
    fn turn(&self, next: Option<Phase>) {
        let now = Instant::now();
        if let Some((phase, since)) = self.phase.get() {
            let mut spent = self.spent.get();
            *match phase {
                Phase::Store => &mut spent.store,
                Phase::Layout => &mut spent.layout,
                Phase::Backing => &mut spent.backing,
            } += now - since;
            self.spent.set(spent);
        }
        self.phase.set(next.map(|phase| (phase, now)));
        if let (Some(phase), Some(watcher)) = (next, &*self.watcher.borrow()) {
            watcher(phase);
        }
    }
}

/// Does `work`, and tells how long each phase of it took. What is marked as nothing else is [`Phase::Layout`].
pub fn clocked<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    clocked_by(None, work)
}

/// The same, with somebody who is told what is being done. The watcher must not measure anything itself.
pub fn watched<T>(watcher: Watcher, work: impl FnOnce() -> T) -> (T, Spent) {
    clocked_by(Some(watcher), work)
}

fn clocked_by<T>(watcher: Option<Watcher>, work: impl FnOnce() -> T) -> (T, Spent) {
    struct Running;
    impl Drop for Running {
        fn drop(&mut self) {
            CLOCK.with(|clock| {
                clock.turn(None);
                clock.watcher.take();
            });
        }
    }
    CLOCK.with(|clock| {
        clock.spent.take();
        clock.watcher.replace(watcher);
        clock.turn(Some(Phase::Layout));
    });
    let running = Running;
    let result = work();
    drop(running);
    (result, CLOCK.with(|clock| clock.spent.get()))
}

/// A phase under way, until this is dropped.
#[derive(Debug)]
#[must_use = "a phase ends when this is dropped"]
pub(crate) struct Entered(Option<Phase>);

/// Begins a phase within the one that is running, which goes on afterwards. Costs next to nothing while nobody measures.
pub(crate) fn enter(phase: Phase) -> Entered {
    CLOCK.with(|clock| {
        let before = clock.phase.get().map(|(before, _)| before);
        let before = before.filter(|before| *before != phase);
        if before.is_some() {
            clock.turn(Some(phase));
        }
        Entered(before)
    })
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            CLOCK.with(|clock| clock.turn(Some(before)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(2);

    fn pass() {
        std::thread::sleep(STEP);
    }

    #[test]
    fn nested_phases_count_once_and_add_up_to_the_whole() {
        let start = Instant::now();
        let ((), spent) = clocked(|| {
            let _store = enter(Phase::Store);
            pass();
            {
                let _backing = enter(Phase::Backing);
                let _same = enter(Phase::Backing);
                pass();
            }
            let _layout = enter(Phase::Layout);
            pass();
        });
        let whole = start.elapsed();
        let Spent {
            store,
            layout,
            backing,
        } = spent;
        for phase in [store, layout, backing] {
            assert!(phase >= STEP, "{spent:?}");
        }
        assert!(store + layout + backing <= whole);
    }

    #[test]
    fn a_watcher_is_told_of_each_phase_and_of_none_afterwards() {
        let told = std::rc::Rc::new(RefCell::new(Vec::new()));
        let tell = std::rc::Rc::clone(&told);
        let watcher = Box::new(move |phase| tell.borrow_mut().push(phase));
        let ((), _) = watched(watcher, || drop(enter(Phase::Backing)));
        let ((), _) = clocked(|| drop(enter(Phase::Store)));
        assert_eq!(
            *told.borrow(),
            [Phase::Layout, Phase::Backing, Phase::Layout]
        );
    }

    #[test]
    fn a_panic_leaves_the_phase_and_no_clock_runs_on() {
        let (caught, spent) = clocked(|| {
            let caught = std::panic::catch_unwind(|| {
                let _backing = enter(Phase::Backing);
                panic!("on purpose");
            });
            pass();
            caught
        });
        assert!(caught.is_err() && spent.layout >= STEP);
        drop(enter(Phase::Store));
        let ((), spent) = clocked(|| ());
        assert_eq!((spent.store, spent.backing), Default::default());
    }
}
