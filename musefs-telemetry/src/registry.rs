//! One namespace of families, and the cells behind them.
//!
//! An [`Engine`] is an instance: two of them in one process share neither names nor numbers.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cells::{Slot, Span};
use crate::clock::{Clock, SystemClock};
use crate::describe::{DescribeError, Family, Fault, Instrument, MetricsDescriptor};
use crate::dynamic::Dynamic;
use crate::histograms::{Exemplars, Histogram, Histograms};
use crate::metrics::{
    Counter, Counters, Extremes, Gauge, Gauges, MetricField, MinMaxSumCounts, ObserveCounters,
    ObserveGauges, Observed, UpDownCounters, Windows, shared,
};
use crate::snapshot::Snapshot;

/// How long a window of extremes lasts unless the builder says otherwise.
pub const EXTREMES_WINDOW_NS: u64 = 10_000_000_000;

/// A set of declared families and their live values. Cloning gives another handle to the same set.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dynamic: Mutex<Dynamic>,
    table: Mutex<Arc<Table>>,
    identity: Box<[(String, String)]>,
    clock: Arc<dyn Clock>,
    windows: Arc<Windows>,
}

/// All families, in the order of their declaration, and where their values go in a snapshot. Only ever grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
    pub(crate) spans: Vec<Span>,
    pub(crate) values: usize,
    pub(crate) series: usize,
}

/// One declared family.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) family: &'static Family,
    pub(crate) instrument: Instrument,
    pub(crate) source: Source,
    /// The place of its first value in a snapshot.
    pub(crate) target: usize,
    /// The place of its first series among all series.
    pub(crate) series: usize,
    pub(crate) created_ms: u64,
}

/// Where the values of a family are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Cells(Slot),
    Shared(Arc<[AtomicU64]>),
    Observed(Arc<Observed>),
    Extremes(Slot, Arc<Extremes>),
    Histogram(Slot, Arc<Exemplars>),
}

/// A declared family on its way to the handle that counts in it.
#[derive(Debug)]
pub struct Part {
    pub(crate) family: &'static Family,
    pub(crate) source: Source,
}

/// The parts of a set, in the order of its fields.
#[derive(Debug)]
pub struct Parts(std::vec::IntoIter<Part>);

impl Parts {
    /// The part of the next field.
    ///
    /// # Panics
    /// When there are no fields left.
    pub fn take(&mut self) -> Part {
        self.0.next().expect("one part for each field")
    }
}

/// A struct of instruments whose descriptions are known to the compiler; see the attribute macro of the same name.
pub trait MetricSet: Sized {
    /// What `schema()` tells of it.
    const DESCRIPTOR: &'static MetricsDescriptor;

    /// Declares all of its metrics with `engine`, or none.
    ///
    /// # Errors
    /// When a name is taken, or there is no room.
    fn declare(engine: &Engine) -> Result<Self, DescribeError>;
}

impl Part {
    pub(crate) fn slot(self) -> Slot {
        match self.source {
            Source::Cells(slot) => slot,
            _ => unreachable!("a counter is declared with cells"),
        }
    }
}

/// Decides what cannot be changed later: the instance's labels, the clock, the windows of extremes.
#[derive(Debug)]
pub struct EngineBuilder {
    identity: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
    window_ns: u64,
}

impl EngineBuilder {
    /// A label that every sample of this engine carries, such as the name of the mount.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.identity.push((name.into(), value.into()));
        self
    }

    /// Another source of time.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long a window of extremes lasts, in nanoseconds.
    pub fn extremes_window_ns(self, window_ns: u64) -> Self {
        Self { window_ns, ..self }
    }

    /// The engine.
    ///
    /// # Errors
    /// When an attribute's name cannot be that of a label, or occurs twice.
    pub fn build(self) -> Result<Engine, DescribeError> {
        for (index, (name, _)) in self.identity.iter().enumerate() {
            let twice = self.identity[..index]
                .iter()
                .any(|(other, _)| other == name);
            let bad = !crate::encode::prometheus::is_label_name(name)
                || ["le", "quantile"].contains(&name.as_str());
            let fault = match (bad, twice) {
                (true, _) => Fault::LabelName,
                (_, true) => Fault::LabelTwice,
                _ => continue,
            };
            return Err(DescribeError::Refused {
                name: name.clone(),
                fault,
            });
        }
        let windows = Arc::new(Windows::new(self.window_ns, self.clock.now_ns()));
        Ok(Engine {
            inner: Arc::new(Inner {
                dynamic: Mutex::default(),
                table: Mutex::default(),
                identity: self.identity.into(),
                clock: self.clock,
                windows,
            }),
        })
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine without families, without labels of its own, on the system's clock.
    pub fn new() -> Self {
        Self::builder()
            .build()
            .expect("there is no label to be refused")
    }

    /// An engine with labels of its own, or another clock.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            identity: Vec::new(),
            clock: Arc::new(SystemClock::default()),
            window_ns: EXTREMES_WINDOW_NS,
        }
    }

    /// The labels that every sample carries.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.inner.identity
    }

    /// The engine's source of time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Declares a family of counters.
    ///
    /// # Errors
    /// When the family is no counter by name and kind, the name is taken, or there is no room.
    pub fn counters(&self, family: &'static Family) -> Result<Counters, DescribeError> {
        let part = self.declare(family, Instrument::Counter)?;
        Ok(Counters::new(part.slot()))
    }

    /// Declares a counter without labels.
    ///
    /// # Errors
    /// When the family has labels or is no counter by name and kind, the name is taken, or there is no room.
    pub fn counter(&self, family: &'static Family) -> Result<Counter, DescribeError> {
        self.single(family)
    }

    /// Declares a family of gauges that go up and down by amounts.
    ///
    /// # Errors
    /// When the family is no gauge by name and kind, the name is taken, or there is no room.
    pub fn up_down_counters(
        &self,
        family: &'static Family,
    ) -> Result<UpDownCounters, DescribeError> {
        let part = self.declare(family, Instrument::UpDownCounter)?;
        Ok(UpDownCounters::new(part.slot()))
    }

    /// Declares a gauge without labels.
    ///
    /// # Errors
    /// When the family has labels or is no gauge by name and kind, or the name is taken.
    pub fn gauge(&self, family: &'static Family) -> Result<Gauge, DescribeError> {
        self.single(family)
    }

    /// Declares a family of gauges that are set.
    ///
    /// # Errors
    /// When the family is no gauge by name and kind, or the name is taken.
    pub fn gauges(&self, family: &'static Family) -> Result<Gauges, DescribeError> {
        let part = self.declare(family, Instrument::Gauge)?;
        Ok(Gauges::new(shared(part)))
    }

    /// Declares a family of totals that `callback` tells, by series index.
    ///
    /// # Errors
    /// When the family is no counter by name and kind, or the name is taken.
    pub fn observe_counters(
        &self,
        family: &'static Family,
        callback: impl Fn(usize) -> i64 + Send + Sync + 'static,
    ) -> Result<ObserveCounters, DescribeError> {
        let part = self.declare(family, Instrument::ObserveCounter)?;
        let observed = ObserveCounters::from_part(part);
        observed.observe(callback);
        Ok(observed)
    }

    /// Declares a family of gauges that `callback` tells, by series index.
    ///
    /// # Errors
    /// When the family is no gauge by name and kind, or the name is taken.
    pub fn observe_gauges(
        &self,
        family: &'static Family,
        callback: impl Fn(usize) -> i64 + Send + Sync + 'static,
    ) -> Result<ObserveGauges, DescribeError> {
        let part = self.declare(family, Instrument::ObserveGauge)?;
        let observed = ObserveGauges::from_part(part);
        observed.observe(callback);
        Ok(observed)
    }

    /// Declares a family of sums, counts and extremes.
    ///
    /// # Errors
    /// When the family is described as another kind, the name is taken, or there is no room.
    pub fn min_max_sum_counts(
        &self,
        family: &'static Family,
    ) -> Result<MinMaxSumCounts, DescribeError> {
        let part = self.declare(family, Instrument::MinMaxSumCount)?;
        Ok(MinMaxSumCounts::from_part(part))
    }

    /// Declares a histogram without labels.
    ///
    /// # Errors
    /// When the family has labels or is described as another kind, the name is taken, or there is no room.
    pub fn histogram(&self, family: &'static Family) -> Result<Histogram, DescribeError> {
        self.single(family)
    }

    /// Declares a family of histograms.
    ///
    /// # Errors
    /// When the family is described as another kind, the name is taken, or there is no room.
    pub fn histograms(&self, family: &'static Family) -> Result<Histograms, DescribeError> {
        let part = self.declare(family, Instrument::Histogram)?;
        Ok(Histograms::from_part(part))
    }

    pub(crate) fn single<F: MetricField>(
        &self,
        family: &'static Family,
    ) -> Result<F, DescribeError> {
        if family.labels != F::LABELS {
            return Err(DescribeError::Labelled { name: family.name });
        }
        self.declare(family, F::INSTRUMENT).map(F::attach)
    }

    fn declare(
        &self,
        family: &'static Family,
        instrument: Instrument,
    ) -> Result<Part, DescribeError> {
        let mut parts = self.declare_all(&[(family, instrument)])?;
        Ok(parts.pop().expect("one part for each family"))
    }

    /// Declares all metrics of a set, or none of them. The macro's way in.
    ///
    /// # Errors
    /// When a description is refused, a name is taken, or there is no room.
    ///
    /// # Panics
    /// When there is not one instrument for each field.
    pub fn declare_set(
        &self,
        set: &'static MetricsDescriptor,
        instruments: &[Instrument],
    ) -> Result<Parts, DescribeError> {
        assert_eq!(
            set.fields.len(),
            instruments.len(),
            "an instrument for each field"
        );
        let families: Vec<_> = set.fields.iter().zip(instruments.iter().copied()).collect();
        let parts = self.declare_all(&families)?;
        Ok(Parts(parts.into_iter()))
    }

    pub(crate) fn declare_all(
        &self,
        families: &[(&'static Family, Instrument)],
    ) -> Result<Vec<Part>, DescribeError> {
        let created_ms = self.inner.clock.wall_ms();
        let mut shared_table = self
            .inner
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (index, &(family, instrument)) in families.iter().enumerate() {
            self.check(family, instrument)?;
            let declared = shared_table.entries.iter().map(|entry| entry.family);
            let before = families[..index].iter().map(|&(family, _)| family);
            if let Some(other) = declared.chain(before).find(|known| known.collides(family)) {
                return Err(DescribeError::Duplicate {
                    name: family.name.to_owned(),
                    other: other.name,
                });
            }
        }
        let cells = |&(family, instrument): &(&'static Family, Instrument)| match instrument {
            Instrument::Counter
            | Instrument::UpDownCounter
            | Instrument::MinMaxSumCount
            | Instrument::Histogram => family.value_count(),
            Instrument::Gauge | Instrument::ObserveCounter | Instrument::ObserveGauge => 0,
        };
        let needed = families.iter().map(cells).sum();
        let run = Slot::take(needed).map_err(|free| DescribeError::Exhausted {
            name: families[0].0.name.to_owned(),
            needed,
            free,
        })?;
        let table = Arc::make_mut(&mut shared_table);
        let mut at = 0;
        let parts = families.iter().map(|declared| {
            let len = cells(declared);
            let slot = run.part(at, len);
            at += len;
            let &(family, instrument) = declared;
            let source = self.source(family, instrument, slot);
            table.push(family, instrument, source.clone(), created_ms);
            Part { family, source }
        });
        Ok(parts.collect())
    }

    fn check(&self, family: &'static Family, instrument: Instrument) -> Result<(), DescribeError> {
        family.check().map_err(|fault| DescribeError::Refused {
            name: family.name.to_owned(),
            fault,
        })?;
        if !instrument.writes(family.kind) {
            return Err(DescribeError::Kind {
                name: family.name,
                kind: family.kind.as_str(),
                instrument: instrument.as_str(),
            });
        }
        let ours = |name: &str| self.inner.identity.iter().any(|(own, _)| own == name);
        if family.labels.iter().any(|label| ours(label.name)) {
            return Err(DescribeError::Refused {
                name: family.name.to_owned(),
                fault: Fault::LabelTwice,
            });
        }
        Ok(())
    }

    fn source(&self, family: &Family, instrument: Instrument, slot: Slot) -> Source {
        let series = family.series_count();
        match instrument {
            Instrument::Counter | Instrument::UpDownCounter => Source::Cells(slot),
            Instrument::Gauge => Source::Shared((0..series).map(|_| AtomicU64::new(0)).collect()),
            Instrument::ObserveCounter => Source::Observed(Arc::new(Observed::new(series, true))),
            Instrument::ObserveGauge => Source::Observed(Arc::new(Observed::new(series, false))),
            Instrument::MinMaxSumCount => {
                let extremes = Extremes::new(Arc::clone(&self.inner.windows), series);
                Source::Extremes(slot, Arc::new(extremes))
            }
            Instrument::Histogram => Source::Histogram(slot, Arc::new(Exemplars::new(series))),
        }
    }

    pub(crate) fn dynamic(&self) -> MutexGuard<'_, Dynamic> {
        let dynamic = self.inner.dynamic.lock();
        dynamic.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        let table = self.inner.table.lock();
        Arc::clone(&table.unwrap_or_else(PoisonError::into_inner))
    }

    /// The values of all families at one moment, in the order of their declaration.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.snapshot_into(&mut snapshot);
        snapshot
    }

    /// The same into a snapshot that is already there, whose memory serves again.
    pub fn snapshot_into(&self, snapshot: &mut Snapshot) {
        snapshot.read(self.table());
        self.inner.windows.advance(self.inner.clock.now_ns());
    }
}

impl Table {
    fn push(
        &mut self,
        family: &'static Family,
        instrument: Instrument,
        source: Source,
        created_ms: u64,
    ) {
        let target = self.values;
        if let Source::Cells(slot) | Source::Extremes(slot, _) | Source::Histogram(slot, _) =
            &source
        {
            let span = slot.span(target);
            match self.spans.last_mut() {
                Some(last)
                    if last.start + last.len == span.start
                        && last.target + last.len == span.target =>
                {
                    last.len += span.len;
                }
                _ => self.spans.push(span),
            }
        }
        self.entries.push(Entry {
            family,
            instrument,
            source,
            target,
            series: self.series,
            created_ms,
        });
        self.values += family.value_count();
        self.series += family.series_count();
    }
}
