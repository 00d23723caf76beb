//! How families come to an engine: each is checked and its name taken, then it gets its cells; a set as a whole or not at all.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};

use super::table::{Part, Source};
use super::{Engine, Parts};
use crate::cells::Slot;
use crate::describe::{DescribeError, Family, Fault, Instrument, Label, MetricsDescriptor, intern};
use crate::histograms::{Exemplars, Histogram, Histograms};
use crate::metrics::{
    Counter, Counters, Extremes, Gauge, Gauges, MetricField, MinMaxSumCounts, ObserveCounters,
    ObserveGauges, Observed, UpDownCounter, UpDownCounters, shared,
};

impl Engine {
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

    /// Declares a gauge without labels that goes up and down by amounts.
    ///
    /// # Errors
    /// When the family has labels or is no gauge by name and kind, the name is taken, or there is no room.
    pub fn up_down_counter(&self, family: &'static Family) -> Result<UpDownCounter, DescribeError> {
        self.single(family)
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

    /// The same with a name of run time, and numbers that are never negative.
    pub(crate) fn observe_total(
        &self,
        name: String,
        help: &str,
        labels: &[Label],
        callback: impl Fn(usize) -> u64 + Send + Sync + 'static,
    ) -> Result<(), DescribeError> {
        let family = intern(&name, help, Family::counter("", ""), labels, None).ok_or(
            DescribeError::Exhausted {
                name,
                needed: 1,
                free: 0,
            },
        )?;
        let value = move |index| i64::try_from(callback(index)).unwrap_or(i64::MAX);
        self.observe_counters(family, value).map(drop)
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
            Instrument::Gauge
            | Instrument::ObserveCounter
            | Instrument::ObserveGauge
            | Instrument::Busiest => 0,
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
        if !instrument.writes(family.kind) || family.named != (instrument == Instrument::Busiest) {
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
            Instrument::Histogram => {
                Source::Histogram(slot, Arc::new(Exemplars::new(family.kind, series)))
            }
            Instrument::Busiest => Source::Ranked(Arc::default()),
        }
    }
}
