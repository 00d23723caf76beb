//! An engine that takes every declaration and keeps none.

use std::sync::Arc;

use super::events::{EventHandler, Events};
use super::histograms::{Histogram, Histograms};
use super::metrics::{
    Counter, Counters, Gauge, Gauges, MinMaxSumCounts, ObserveCounters, ObserveGauges,
    UpDownCounter, UpDownCounters,
};
use super::run_time::dynamic::{DynCounter, DynGauge, DynHistogram, DynOp};
use super::snapshot::Snapshot;
use crate::buckets::Buckets;
use crate::clock::Clock;
use crate::describe::{DescribeError, Family, Instrument, MetricsDescriptor, Unit};

/// How long a window of extremes lasts unless the builder says otherwise.
pub const EXTREMES_WINDOW_NS: u64 = 10_000_000_000;

empty! {
    /// No families.
    Engine
}
empty! {
    /// Decides nothing.
    EngineBuilder
}
empty! {
    /// A declared family on its way to nothing.
    Part
}
empty! {
    /// The parts of a set.
    Parts
}

impl Parts {
    /// Nothing.
    pub fn take(&mut self) -> Part {
        Part
    }
}

/// A struct of instruments whose descriptions are known to the compiler; see the attribute macro of the same name.
pub trait MetricSet: Sized {
    /// What there would be.
    const DESCRIPTOR: &'static MetricsDescriptor;

    /// Declares nothing.
    ///
    /// # Errors
    /// Never.
    fn declare(engine: &Engine) -> Result<Self, DescribeError>;
}

impl EngineBuilder {
    /// Does nothing.
    pub fn attribute(self, _: impl Into<String>, _: impl Into<String>) -> Self {
        self
    }

    /// Does nothing.
    pub fn clock(self, _: Arc<dyn Clock>) -> Self {
        self
    }

    /// Drops the handler.
    pub fn event_handler(self, _: impl EventHandler + 'static) -> Self {
        self
    }

    /// Drops the handler.
    pub fn queued_event_handler(self, _: impl EventHandler + 'static) -> Self {
        self
    }

    /// Does nothing.
    pub fn operations_kept(self, _: usize, _: usize) -> Self {
        self
    }

    /// Does nothing.
    pub fn extremes_window_ns(self, _: u64) -> Self {
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// Never.
    pub fn build(self) -> Result<Engine, DescribeError> {
        Ok(Engine)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self
    }
}

type Declared<T> = Result<T, DescribeError>;

impl Engine {
    /// An engine that keeps nothing.
    pub const fn new() -> Self {
        Self
    }

    /// The same.
    pub fn builder() -> EngineBuilder {
        EngineBuilder
    }

    calls! {
        /// Nobody.
        fn events(&self) -> &Arc<Events> = Events::nobody();
        /// 0.
        fn wall_ms(&self, moment_ns: u64) -> u64 = 0;
        /// None.
        fn attributes(&self) -> &[(String, String)] = &[];
        /// Nothing.
        fn counters(&self, family: &'static Family) -> Declared<Counters> = Ok(Counters::empty());
        /// Nothing.
        fn counter(&self, family: &'static Family) -> Declared<Counter> = Ok(Counter);
        /// Nothing.
        fn up_down_counters(&self, family: &'static Family) -> Declared<UpDownCounters> = Ok(UpDownCounters::empty());
        /// Nothing.
        fn up_down_counter(&self, family: &'static Family) -> Declared<UpDownCounter> = Ok(UpDownCounter);
        /// Nothing.
        fn gauge(&self, family: &'static Family) -> Declared<Gauge> = Ok(Gauge);
        /// Nothing.
        fn gauges(&self, family: &'static Family) -> Declared<Gauges> = Ok(Gauges::empty());
        /// Nothing.
        fn min_max_sum_counts(&self, family: &'static Family) -> Declared<MinMaxSumCounts> = Ok(MinMaxSumCounts::empty());
        /// Nothing.
        fn histogram(&self, family: &'static Family) -> Declared<Histogram> = Ok(Histogram);
        /// Nothing.
        fn histograms(&self, family: &'static Family) -> Declared<Histograms> = Ok(Histograms::empty());
        /// Nothing.
        fn observe_counters(&self, family: &'static Family, callback: impl Fn(usize) -> i64 + Send + Sync + 'static) -> Declared<ObserveCounters> = Ok(ObserveCounters::empty());
        /// Nothing.
        fn observe_gauges(&self, family: &'static Family, callback: impl Fn(usize) -> i64 + Send + Sync + 'static) -> Declared<ObserveGauges> = Ok(ObserveGauges::empty());
        /// Nothing.
        fn declare_set(&self, set: &'static MetricsDescriptor, instruments: &[Instrument]) -> Declared<Parts> = Ok(Parts);
        /// Nothing.
        fn register_counter(&self, name: &str, help: &str) -> Declared<DynCounter> = Ok(DynCounter);
        /// Nothing.
        fn register_gauge(&self, name: &str, help: &str) -> Declared<DynGauge> = Ok(DynGauge);
        /// Nothing.
        fn register_histogram(&self, name: &str, help: &str, unit: Unit, buckets: Buckets) -> Declared<DynHistogram> = Ok(DynHistogram);
        /// Nothing.
        fn register_op(&self, base: &str) -> Declared<DynOp> = Ok(DynOp);
        /// 0.
        fn overflowed(&self) -> u64 = 0;
        /// None.
        fn families(&self) -> Vec<&'static Family> = Vec::new();
        /// No families.
        fn snapshot(&self) -> Snapshot = Snapshot;
        /// Does nothing.
        fn snapshot_into(&self, snapshot: &mut Snapshot);
        /// No families.
        fn schema(&self) -> String = String::from("{\"attributes\":[],\"families\":[]}\n");
    }
}
