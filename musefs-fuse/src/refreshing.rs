//! The thread that keeps the tree in step with the store, and whether it is still there: a mount whose thread died serves on,
//! but shows no edits.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use musefs_core::refresh::Refresher;
use musefs_core::serve::Musefs;
use musefs_core::stop::Stop;
use musefs_telemetry::{event_error, logging};

use crate::allocator;
use crate::dispatch::message_of;
use crate::invalidate::Invalidator;

/// Names that one refresh changes from which on the memory that it took is given back at once.
const LARGE_CHANGE: usize = 1_000;

/// What is known of the thread.
#[derive(Debug, Default)]
pub struct Refreshing {
    died: AtomicBool,
}

impl Refreshing {
    /// Whether the thread ended without being asked to.
    pub fn died(&self) -> bool {
        self.died.load(Relaxed)
    }

    /// Starts the thread, which polls at intervals of `interval`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        self: &Arc<Self>,
        refresher: Refresher,
        musefs: &Arc<Musefs>,
        interval: Duration,
        invalidator: Arc<Invalidator>,
    ) -> io::Result<()> {
        let (musefs, own) = (Arc::clone(musefs), Arc::clone(self));
        std::thread::Builder::new()
            .name("musefs-refresh".into())
            .spawn(move || {
                let turns = Arc::clone(musefs.turns());
                own.work(&turns, || {
                    refresher.run(&musefs, interval, &turns, |changes| {
                        let is_large = changes.names.len() >= LARGE_CHANGE;
                        invalidator.tell(changes);
                        if is_large {
                            allocator::give_back();
                        }
                    });
                });
            })?;
        Ok(())
    }

    /// Does the thread's work, and notes when that ends although `turns` go on.
    fn work(&self, turns: &Stop, work: impl FnOnce()) {
        let ended = catch_unwind(AssertUnwindSafe(work));
        if turns.is_asked() {
            return;
        }
        self.died.store(true, Relaxed);
        let why = match &ended {
            Ok(()) => "it ended",
            Err(panic) => message_of(&**panic),
        };
        event_error!(
            logging::engine(),
            "refresh.thread.gone",
            message = %format_args!(
                "the refresh thread is gone ({why}); what is mounted is served on, but edits show only after mounting again"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_or_ends_by_itself_is_noted_and_one_that_was_asked_is_not() {
        type Way = fn(&Stop);
        let ways: [(Way, bool); 4] = [
            (|_| panic!("on purpose"), true),
            (|_| {}, true),
            (Stop::ask, false),
            (
                |turns| {
                    turns.ask();
                    panic!("on purpose, at its end");
                },
                false,
            ),
        ];
        for (way, died) in ways {
            let (refreshing, turns) = (Refreshing::default(), Stop::default());
            refreshing.work(&turns, || way(&turns));
            assert_eq!(refreshing.died(), died);
        }
    }
}
