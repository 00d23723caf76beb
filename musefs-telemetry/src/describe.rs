//! What a metric is called, what it tells, and which series it has: said once, beside the code that counts.
//!
//! Label values are closed lists, so the number of series is known before the first event and a hot path addresses a
//! series by index. Describing a metric records nothing. Every rule about names is a `const fn` here, so that a declared set
//! is refused by the compiler and a metric of run time by an error, for the same reasons.

mod fault;
#[cfg(feature = "stats")]
mod intern;
mod sets;

pub(crate) use fault::is_name;
pub use fault::{DescribeError, Fault};
#[cfg(feature = "stats")]
pub(crate) use intern::intern;
pub use sets::{
    AttributeEnum, AttributeSet, AttributesDescriptor, ClosedSet, MetricsDescriptor, MetricsField,
    SeriesKey, assert_attributes, assert_base, assert_set,
};

use crate::buckets::Buckets;

/// The most series one family may have.
pub const CARDINALITY_MAX: usize = 2_000;

/// How a value behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only ever grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sum and count since the start, smallest and largest of the last windows.
    MinMaxSumCount,
    /// How many values fell into each bucket, and their sum.
    Histogram(Buckets),
}

impl Kind {
    /// The word that the Prometheus text format has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::MinMaxSumCount => "summary",
            Self::Histogram(_) => "histogram",
        }
    }

    /// How many numbers one series of it holds.
    #[cfg(feature = "stats")]
    pub(crate) const fn stride(self) -> usize {
        match self {
            Self::Counter | Self::Gauge => 1,
            Self::MinMaxSumCount => 4,
            Self::Histogram(buckets) => buckets.len() + 1,
        }
    }
}

/// How the values of a family are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instrument {
    /// Amounts are added.
    Counter,
    /// Amounts are added and taken away, by any thread.
    UpDownCounter,
    /// A value replaces the last one.
    Gauge,
    /// A callback tells a total when somebody reads.
    ObserveCounter,
    /// A callback tells a value when somebody reads.
    ObserveGauge,
    /// Values are summed, counted, and their extremes kept.
    MinMaxSumCount,
    /// Values are sorted into buckets.
    Histogram,
    /// Amounts are added to names of run time, of which the busiest are told.
    Busiest,
}

impl Instrument {
    /// The word that `schema()` has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "up_down_counter",
            Self::Gauge => "gauge",
            Self::ObserveCounter => "observe_counter",
            Self::ObserveGauge => "observe_gauge",
            Self::MinMaxSumCount => "min_max_sum_count",
            Self::Histogram => "histogram",
            Self::Busiest => "busiest",
        }
    }

    /// The kind of a family that is written this way; `buckets` are those of a histogram.
    pub const fn kind(self, buckets: Buckets) -> Kind {
        match self {
            Self::Counter | Self::ObserveCounter | Self::Busiest => Kind::Counter,
            Self::UpDownCounter | Self::Gauge | Self::ObserveGauge => Kind::Gauge,
            Self::MinMaxSumCount => Kind::MinMaxSumCount,
            Self::Histogram => Kind::Histogram(buckets),
        }
    }

    /// Whether a family of `kind` can be written this way.
    pub const fn writes(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (
                Self::Counter | Self::ObserveCounter | Self::Busiest,
                Kind::Counter
            ) | (
                Self::UpDownCounter | Self::Gauge | Self::ObserveGauge,
                Kind::Gauge
            ) | (Self::MinMaxSumCount, Kind::MinMaxSumCount)
                | (Self::Histogram, Kind::Histogram(_))
        )
    }
}

/// What a number counts. Cells hold integers of a fine unit; encoders write the base unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Things; written as they are.
    #[default]
    None,
    /// Cells hold nanoseconds, encoders write seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Cells hold millionths, encoders write the ratio.
    Ratio,
}

impl Unit {
    /// The end of the name of a metric with this unit; empty for [`Unit::None`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }

    /// How many decimal places a cell's integer has in the base unit.
    pub const fn decimals(self) -> u32 {
        match self {
            Self::None | Self::Bytes => 0,
            Self::Seconds => 9,
            Self::Ratio => 6,
        }
    }
}

/// Whether a script may rely on a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stability {
    /// Keeps its name and its meaning.
    #[default]
    Stable,
    /// May change with any release.
    Experimental,
}

impl Stability {
    /// The word that `schema()` has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Experimental => "experimental",
        }
    }
}

/// A label with all the values it can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Label name: `[a-z][a-z0-9_]*`.
    pub name: &'static str,
    /// The closed list of values; a series is addressed by its index here.
    pub values: &'static [&'static str],
}

/// A metric family: one name, one help text, one series per combination of label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    /// Metric name: `[a-z][a-z0-9_]*`, base unit last, `_total` on counters.
    pub name: &'static str,
    /// What its numbers count; when it is not [`Unit::None`], the name says it.
    pub unit: Unit,
    /// One sentence that never varies between instances.
    pub help: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// Whether a script may rely on it.
    pub stability: Stability,
    /// Its labels; an empty list is one series without labels.
    pub labels: &'static [Label],
    /// The combinations of label values that can occur, each as the position of one value of each label; `None` is all.
    pub only: Option<&'static [&'static [u16]]>,
    /// Whether the values of its one label but for the last two are places, which get names at run time; the last two are what
    /// has no place, and what has no name. See [`Busiest`](crate::busiest::Busiest).
    pub named: bool,
}

impl Family {
    /// A counter without labels and without a unit.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::of(name, help, Kind::Counter)
    }

    /// A gauge without labels and without a unit.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::of(name, help, Kind::Gauge)
    }

    /// A family of `kind` without labels and without a unit.
    pub const fn of(name: &'static str, help: &'static str, kind: Kind) -> Self {
        Self {
            name,
            unit: Unit::None,
            help,
            kind,
            stability: Stability::Stable,
            labels: &[],
            only: None,
            named: false,
        }
    }

    /// The same with these labels.
    pub const fn with_labels(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    /// The same with series for these combinations of label values alone.
    pub const fn with_only(self, only: &'static [&'static [u16]]) -> Self {
        Self {
            only: Some(only),
            ..self
        }
    }

    /// The same with names of run time for its one label.
    pub const fn with_names(self) -> Self {
        Self {
            named: true,
            ..self
        }
    }

    /// The same in this unit.
    pub const fn with_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The same with this stability.
    pub const fn with_stability(self, stability: Stability) -> Self {
        Self { stability, ..self }
    }

    /// How many series the family has: the product of its labels' value counts, unless it has only some combinations.
    pub const fn series_count(&self) -> usize {
        if let Some(only) = self.only {
            return only.len();
        }
        let mut count = 1;
        let mut index = 0;
        while index < self.labels.len() {
            count *= self.labels[index].values.len();
            index += 1;
        }
        count
    }

    /// How many of its series, the first ones, are places for names of run time.
    pub const fn place_count(&self) -> usize {
        if self.named {
            self.series_count().saturating_sub(2)
        } else {
            0
        }
    }

    /// How many numbers all its series hold.
    #[cfg(feature = "stats")]
    pub(crate) const fn value_count(&self) -> usize {
        self.series_count() * self.kind.stride()
    }

    /// The label values of series `index`, in the order of `labels`. The last label varies fastest; where there are only
    /// some combinations, series have their order.
    pub fn series_labels(
        &self,
        index: usize,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let positions = self.only.map(|only| only[index]);
        let mut stride = self.series_count();
        let mut rest = index;
        self.labels.iter().enumerate().map(move |(place, label)| {
            if let Some(positions) = positions {
                return (label.name, label.values[usize::from(positions[place])]);
            }
            stride /= label.values.len();
            let value = label.values[rest / stride];
            rest %= stride;
            (label.name, value)
        })
    }

    /// The name without the `_total` of a counter, which is what `OpenMetrics` calls the family.
    pub fn stem(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            _ => self.name,
        }
    }
}

#[cfg(test)]
mod tests;
