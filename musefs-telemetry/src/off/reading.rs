//! Readers that find nothing.

/// The values of one moment.
pub mod snapshot {
    use crate::describe::Family;

    empty! {
        /// No families.
        #[derive(Default)]
        Snapshot
    }

    /// A family that there is not.
    #[derive(Clone, Copy, Debug)]
    pub enum Metric {}

    impl Metric {
        /// Its description.
        pub fn family(&self) -> &'static Family {
            match *self {}
        }
    }

    impl Snapshot {
        /// None.
        pub fn families(&self) -> impl Iterator<Item = Metric> {
            std::iter::empty()
        }

        calls! {
            /// Nothing.
            fn find(&self, name: &str) -> Option<Metric> = None;
            /// Nothing.
            fn value(&self, family: &Family, index: usize) -> Option<u64> = None;
        }
    }
}

/// A reader's place.
pub mod cursor {
    use super::snapshot::Snapshot;
    use crate::describe::Family;
    use crate::registry::Engine;

    /// What the totals of a batch are counted from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Temporality {
        /// From the last committed batch.
        Delta,
        /// From the declaration.
        Cumulative,
    }

    /// What one reader has taken.
    #[derive(Debug)]
    pub struct Cursor;

    /// What a reader can take.
    #[derive(Debug)]
    pub struct Batch<'a>(std::marker::PhantomData<&'a mut Cursor>);

    impl Engine {
        calls! {
            /// A reader that finds nothing.
            fn cursor(&self, temporality: Temporality) -> Cursor = Cursor;
        }
    }

    impl Cursor {
        /// The same.
        pub fn sparse(self) -> Self {
            self
        }

        /// The same.
        pub fn filter(self, _: impl Fn(&Family) -> bool + Send + 'static) -> Self {
            self
        }

        /// Nothing.
        pub fn batch(&mut self) -> Batch<'_> {
            Batch(std::marker::PhantomData)
        }
    }

    impl Batch<'_> {
        calls! {
            /// No families.
            fn snapshot(&self) -> &Snapshot = &Snapshot;
            /// Always.
            fn is_empty(&self) -> bool = true;
        }

        /// Does nothing.
        pub fn commit(self) {}
    }
}

/// Periodic batches.
pub mod report {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::cursor::Cursor;
    use super::snapshot::Snapshot;

    /// What became of a batch.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Offered {
        /// It is in the queue.
        Queued,
        /// There was nothing to tell.
        Nothing,
        /// The queue was full.
        Full,
        /// Nobody listens.
        Closed,
    }

    /// Makes no batches.
    #[derive(Debug)]
    pub struct Collector;

    /// No thread.
    #[derive(Debug)]
    pub struct Reporter;

    impl Collector {
        /// A collector, and a queue that is closed.
        pub fn new(_: Cursor, _: usize) -> (Self, Receiver<Snapshot>) {
            (Self, channel().1)
        }

        /// Nothing.
        pub fn collect(&mut self) -> Offered {
            Offered::Nothing
        }
    }

    impl Reporter {
        /// Starts nothing.
        ///
        /// # Errors
        /// Never.
        pub fn start(_: Collector, _: Duration) -> std::io::Result<Self> {
            Ok(Self)
        }

        /// Nothing.
        pub fn stop(self) -> Option<Snapshot> {
            None
        }
    }
}
