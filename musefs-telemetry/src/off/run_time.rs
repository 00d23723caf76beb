//! Metrics of run time and closed sets that count nothing.

/// Metrics that are named at run time.
pub mod dynamic {
    use crate::buckets::Buckets;
    use crate::registry::Engine;

    /// The most metrics that an engine takes at run time.
    pub const DYNAMIC_MAX: usize = 512;
    /// From a microsecond to about a minute.
    pub const DURATION_BUCKETS: Buckets = Buckets::powers_of_two(1 << 10, 1 << 36);
    /// The number of the metrics that found no room.
    pub const OVERFLOW_ID: u32 = u32::MAX;

    empty! {
        /// A counter that was named at run time.
        DynCounter
    }
    empty! {
        /// A gauge that was named at run time.
        DynGauge
    }
    empty! {
        /// A histogram that was named at run time.
        DynHistogram
    }
    empty! {
        /// An operation that was named at run time.
        DynOp
    }

    impl DynCounter {
        calls! {
            /// 0.
            fn id(&self) -> u32 = 0;
            /// Does nothing.
            fn increment(&self);
            /// Does nothing.
            fn add(&self, amount: u64);
            /// 0.
            fn value(&self) -> u64 = 0;
        }
    }

    impl DynGauge {
        calls! {
            /// 0.
            fn id(&self) -> u32 = 0;
            /// Does nothing.
            fn set(&self, value: i64);
            /// Does nothing.
            fn add(&self, amount: i64);
            /// 0.
            fn value(&self) -> i64 = 0;
        }
    }

    impl DynHistogram {
        calls! {
            /// 0.
            fn id(&self) -> u32 = 0;
            /// Does nothing.
            fn record(&self, value: u64);
            /// 0.
            fn count(&self) -> u64 = 0;
            /// None.
            fn buckets(&self) -> Vec<(Option<u64>, u64)> = Vec::new();
            /// Nothing.
            fn quantile(&self, q: f64) -> Option<u64> = None;
        }
    }

    impl DynOp {
        calls! {
            /// Does nothing.
            fn record(&self, duration_ns: u64, failed: bool);
            /// 0.
            fn id(&self) -> u32 = 0;
            /// 0.
            fn total(&self) -> u64 = 0;
            /// 0.
            fn errors(&self) -> u64 = 0;
            /// None.
            fn durations(&self) -> &DynHistogram = &DynHistogram;
        }
    }

    /// The engine of the process.
    #[inline]
    pub fn engine() -> &'static Engine {
        &Engine
    }

    /// Where a call of `register_op!` keeps nothing.
    #[derive(Debug, Default)]
    pub struct OpSite;

    impl OpSite {
        /// A call.
        pub const fn new() -> Self {
            Self
        }

        calls! {
            /// An operation that counts nothing.
            fn get(&self, base: &str) -> Option<&DynOp> = Some(&DynOp);
        }
    }
}

/// Closed sets.
pub mod stats {
    use std::marker::PhantomData;
    use std::sync::Arc;

    use crate::SeriesKey;
    use crate::describe::{AttributeEnum, ClosedSet, DescribeError};
    use crate::registry::Engine;
    use crate::scope::{Completion, Failure, Failures, Ops};
    use crate::snapshot::Snapshot;

    empty! {
        /// The numbers of nothing.
        Stats<O, C, G, E = Failure>
    }

    impl<O, C, G, E> Stats<O, C, G, E>
    where
        O: AttributeEnum + SeriesKey,
        C: ClosedSet,
        G: ClosedSet,
        E: Failures,
    {
        /// Declares nothing.
        ///
        /// # Errors
        /// Never.
        pub fn declare(_: &Engine, _: &str) -> Result<Self, DescribeError> {
            Ok(Self(PhantomData))
        }

        calls! {
            /// The operations.
            fn ops(&self) -> Arc<Ops<O, E>> = Arc::new(Ops::empty());
            /// Does nothing.
            fn record_op(&self, operation: O, duration_ns: u64, completion: Completion);
            /// Does nothing.
            fn tick_counter(&self, counter: C);
            /// Does nothing.
            fn add_counter(&self, counter: C, amount: u64);
            /// Does nothing.
            fn set_gauge(&self, gauge: G, value: i64);
            /// Does nothing.
            fn incr_gauge(&self, gauge: G);
            /// Does nothing.
            fn decr_gauge(&self, gauge: G);
            /// 0.
            fn op_total(&self, operation: O) -> u64 = 0;
            /// 0.
            fn op_errors(&self, operation: O) -> u64 = 0;
            /// None.
            fn op_buckets(&self, operation: O) -> Vec<(Option<u64>, u64)> = Vec::new();
            /// Nothing.
            fn op_quantile_ns(&self, operation: O, q: f64) -> Option<u64> = None;
            /// 0.
            fn counter(&self, counter: C) -> u64 = 0;
            /// 0.
            fn gauge(&self, gauge: G) -> i64 = 0;
        }
    }

    /// Appends nothing.
    pub fn dump_text(_: &mut String, _: &Snapshot) {}
}

/// Names of run time.
pub mod busiest {
    use crate::describe::{DescribeError, Family};
    use crate::registry::Engine;

    /// Characters of a name.
    pub const NAME_LEN_MAX: usize = 64;
    /// Families that share their names.
    pub const MEASURES_MAX: usize = 4;

    empty! {
        /// No names.
        Busiest
    }

    impl Engine {
        calls! {
            /// Nothing.
            fn busiest(&self, families: &[&'static Family]) -> Result<Busiest, DescribeError> = Ok(Busiest);
        }
    }

    impl Busiest {
        calls! {
            /// Does nothing.
            fn add(&self, name: &str, amounts: &[u64]);
            /// Does nothing.
            fn add_nameless(&self, amounts: &[u64]);
            /// Does nothing.
            fn silence(&self);
            /// 0.
            fn displaced(&self) -> u64 = 0;
        }
    }
}
