//! A snapshot as the metrics of OTLP.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, exemplar, exponential_histogram_data_point,
    metric::Data, number_data_point,
};

use super::{Origin, scope, text};
use crate::buckets::Buckets;
use crate::cursor::Temporality;
use crate::describe::{Instrument, Kind, Unit};
use crate::event::fields;
use crate::histograms::Distribution;
use crate::snapshot::{Metric, Snapshot, Value};

const NS_PER_MS: u64 = 1_000_000;

/// Which kind of histogram is sent; all have every bucket of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramForm {
    /// With its bounds in the base unit, under the name that it has everywhere.
    #[default]
    Explicit,
    /// Base-2 exponential, in the unit of the cells, of which alone the bounds are powers: where that is nanoseconds, the name
    /// ends in `_nanoseconds`. What is not above the first bound is the zero bucket; what is above the last one is in the
    /// bucket that follows. Ratios stay explicit.
    Exponential,
}

/// Which time the values of a snapshot are of, and how they are told.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// What the totals are counted from.
    pub temporality: Temporality,
    /// When the last batch was taken that was delivered, in nanoseconds since 1970; 0 before the first one. Totals that are told as
    /// a difference count from then on.
    pub since_ns: u64,
    /// When the snapshot was taken, in nanoseconds since 1970.
    pub time_ns: u64,
    /// Which kind of histogram is sent.
    pub histograms: HistogramForm,
}

/// `snapshot` as a request of a collector's metrics service.
pub fn metrics(
    origin: &Origin,
    snapshot: &Snapshot,
    window: &Window,
) -> ExportMetricsServiceRequest {
    let metrics = snapshot.families();
    let metrics = metrics
        .flat_map(|metric| encode(&metric, window, origin))
        .collect();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(origin.resource()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// How many data points `request` has.
pub fn point_count(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics);
    let counts = scopes
        .flat_map(|scope| &scope.metrics)
        .map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Sum(sum)) => sum.data_points.len(),
            Some(Data::Histogram(histogram)) => histogram.data_points.len(),
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
            Some(Data::Summary(summary)) => summary.data_points.len(),
            None => 0,
        });
    counts.map(|count| count as u64).sum()
}

/// One family under way to its messages.
struct Encoding<'a> {
    metric: &'a Metric<'a>,
    window: &'a Window,
    origin: &'a Origin,
    unit: Unit,
    temporality: AggregationTemporality,
}

fn encode(metric: &Metric<'_>, window: &Window, origin: &Origin) -> Vec<otlp::Metric> {
    let encoding = Encoding {
        metric,
        window,
        origin,
        unit: metric.family().unit,
        temporality: match window.temporality {
            Temporality::Delta => AggregationTemporality::Delta,
            Temporality::Cumulative => AggregationTemporality::Cumulative,
        },
    };
    match metric.family().kind {
        Kind::Counter => vec![encoding.metric("", encoding.sum())],
        Kind::Gauge if metric.instrument() == Instrument::UpDownCounter => {
            vec![encoding.metric("", encoding.level())]
        }
        Kind::Gauge => vec![encoding.metric("", encoding.gauge())],
        Kind::MinMaxSumCount => encoding.summary(),
        Kind::Histogram(buckets) => vec![encoding.histogram(buckets)],
    }
}

impl Encoding<'_> {
    fn metric(&self, ending: &str, data: Data) -> otlp::Metric {
        let family = self.metric.family();
        let unit = match self.unit {
            Unit::None => "",
            Unit::Seconds => "s",
            Unit::Bytes => "By",
            Unit::Ratio => "1",
        };
        otlp::Metric {
            name: format!("{}{ending}", family.name),
            description: family.help.into(),
            unit: unit.into(),
            data: Some(data),
            ..otlp::Metric::default()
        }
    }

    /// Since when series `series` counts in all.
    fn created_ns(&self, series: usize) -> u64 {
        let created_ns = self.metric.since_ms(series).saturating_mul(NS_PER_MS);
        // It is told to the millisecond, and a start after its end would be refused.
        created_ns.min(self.window.time_ns)
    }

    /// What the total of series `series` counts from.
    fn start_ns(&self, series: usize) -> u64 {
        let created_ns = self.created_ns(series);
        match self.window.temporality {
            Temporality::Delta => created_ns.max(self.window.since_ns),
            Temporality::Cumulative => created_ns,
        }
    }

    fn attributes(&self, series: usize) -> Vec<KeyValue> {
        let labels = self.metric.labels(series);
        labels.map(|(name, value)| text(name, value)).collect()
    }

    /// What a cell's integer is in the base unit.
    #[expect(
        clippy::cast_precision_loss,
        reason = "above 2^53 a floating-point number has no room for all digits, and the protocol has no other"
    )]
    fn scaled(&self, value: u64) -> f64 {
        match self.unit.decimals() {
            0 => value as f64,
            decimals => value as f64 / 10_f64.powi(decimals.cast_signed()),
        }
    }

    fn point(&self, series: usize, start_ns: u64, value: i128) -> NumberDataPoint {
        let value = if self.unit.decimals() == 0 {
            let whole = i64::try_from(value).unwrap_or(i64::MAX);
            number_data_point::Value::AsInt(whole)
        } else {
            let size = self.scaled(u64::try_from(value.unsigned_abs()).unwrap_or(u64::MAX));
            number_data_point::Value::AsDouble(if value < 0 { -size } else { size })
        };
        NumberDataPoint {
            attributes: self.attributes(series),
            start_time_unix_nano: start_ns,
            time_unix_nano: self.window.time_ns,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    /// The points of counters and gauges.
    fn points(&self, start_ns: impl Fn(usize) -> u64) -> Vec<NumberDataPoint> {
        let series = self.metric.series();
        let points = series.filter_map(|(index, value)| match value {
            Value::Counter(value) => Some(self.point(index, start_ns(index), value.into())),
            Value::Gauge(value) => Some(self.point(index, start_ns(index), value.into())),
            Value::MinMaxSumCount { .. } | Value::Histogram(_) => None,
        });
        points.collect()
    }

    fn sum(&self) -> Data {
        Data::Sum(otlp::Sum {
            data_points: self.points(|index| self.start_ns(index)),
            aggregation_temporality: self.temporality.into(),
            is_monotonic: true,
        })
    }

    /// What goes up and down is a level, which no difference tells.
    fn level(&self) -> Data {
        Data::Sum(otlp::Sum {
            data_points: self.points(|index| self.created_ns(index)),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: false,
        })
    }

    fn gauge(&self) -> Data {
        Data::Gauge(otlp::Gauge {
            data_points: self.points(|_| 0),
        })
    }

    /// A histogram of one bucket, and the extremes as gauges: they are those of the last windows, and a histogram's would be those
    /// of all that it counts.
    fn summary(&self) -> Vec<otlp::Metric> {
        let (mut points, mut least, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for (index, value) in self.metric.series() {
            let Value::MinMaxSumCount {
                sum,
                count,
                extremes,
            } = value
            else {
                continue;
            };
            points.push(HistogramDataPoint {
                attributes: self.attributes(index),
                start_time_unix_nano: self.start_ns(index),
                time_unix_nano: self.window.time_ns,
                count,
                sum: Some(self.scaled(sum)),
                bucket_counts: vec![count],
                ..HistogramDataPoint::default()
            });
            if let Some((smallest, largest)) = extremes {
                least.push(self.point(index, 0, smallest.into()));
                most.push(self.point(index, 0, largest.into()));
            }
        }
        let mut metrics = vec![self.metric("", self.explicit(points))];
        for (ending, data_points) in [("_min", least), ("_max", most)] {
            if !data_points.is_empty() {
                metrics.push(self.metric(ending, Data::Gauge(otlp::Gauge { data_points })));
            }
        }
        metrics
    }

    fn explicit(&self, data_points: Vec<HistogramDataPoint>) -> Data {
        Data::Histogram(otlp::Histogram {
            data_points,
            aggregation_temporality: self.temporality.into(),
        })
    }

    fn distributions(&self) -> impl Iterator<Item = (usize, Distribution<'_>)> {
        self.metric
            .series()
            .filter_map(|(index, value)| match value {
                Value::Histogram(distribution) => Some((index, distribution)),
                _ => None,
            })
    }

    fn histogram(&self, buckets: Buckets) -> otlp::Metric {
        let exponential = self.window.histograms == HistogramForm::Exponential;
        if !exponential || self.unit == Unit::Ratio {
            let points = self.distributions();
            let points = points.map(|(index, distribution)| self.bounded(index, &distribution));
            return self.metric("", self.explicit(points.collect()));
        }
        let points = self.distributions();
        let points = points.map(|(index, distribution)| self.powers(index, &distribution, buckets));
        let data = Data::ExponentialHistogram(otlp::ExponentialHistogram {
            data_points: points.collect(),
            aggregation_temporality: self.temporality.into(),
        });
        let mut metric = self.metric("", data);
        if self.unit == Unit::Seconds {
            let stem = metric.name.strip_suffix("seconds").unwrap_or(&metric.name);
            metric.name = format!("{stem}nanoseconds");
            metric.unit = "ns".into();
        }
        metric
    }

    /// A series with its bounds.
    fn bounded(&self, index: usize, distribution: &Distribution<'_>) -> HistogramDataPoint {
        let (mut bounds, mut counts) = (Vec::new(), Vec::<u64>::new());
        let mut known = None;
        for (bound, count) in distribution.buckets() {
            // Between 1 and 4 several bounds are the same integer.
            if let (Some(last), true) = (counts.last_mut(), bound.is_some() && bound == known) {
                *last += count;
                continue;
            }
            bounds.extend(bound.map(|bound| self.scaled(bound)));
            counts.push(count);
            known = bound;
        }
        HistogramDataPoint {
            attributes: self.attributes(index),
            start_time_unix_nano: self.start_ns(index),
            time_unix_nano: self.window.time_ns,
            count: counts.iter().sum(),
            sum: Some(self.scaled(distribution.sum())),
            bucket_counts: counts,
            explicit_bounds: bounds,
            exemplars: self.exemplars(index, |value| self.scaled(value)),
            ..HistogramDataPoint::default()
        }
    }

    /// A series in powers of two, in the unit of the cells.
    #[expect(
        clippy::cast_precision_loss,
        reason = "above 2^53 a floating-point number has no room for all digits, and the protocol has no other"
    )]
    fn powers(
        &self,
        index: usize,
        distribution: &Distribution<'_>,
        buckets: Buckets,
    ) -> ExponentialHistogramDataPoint {
        let counts: Vec<u64> = distribution.buckets().map(|(_, count)| count).collect();
        let (zero_count, above) = (counts[0], &counts[1..]);
        let empty_first = above.iter().take_while(|count| **count == 0).count();
        let empty_last = above.iter().rev().take_while(|count| **count == 0).count();
        let filled = above.len().saturating_sub(empty_last);
        let positive = (empty_first < filled).then(|| exponential_histogram_data_point::Buckets {
            // The bucket `i` of the protocol is above the bound with the exponent `i`, up to the next one.
            offset: i32::try_from(buckets.first() as usize + empty_first)
                .expect("an exponent is at most 512"),
            bucket_counts: above[empty_first..filled].to_vec(),
        });
        let zero_threshold = buckets.bound(0).expect("the first bucket has a bound");
        ExponentialHistogramDataPoint {
            attributes: self.attributes(index),
            start_time_unix_nano: self.start_ns(index),
            time_unix_nano: self.window.time_ns,
            count: counts.iter().sum(),
            sum: Some(distribution.sum() as f64),
            scale: buckets.scale.into(),
            zero_count,
            zero_threshold: zero_threshold as f64,
            positive,
            exemplars: self.exemplars(index, |value| value as f64),
            ..ExponentialHistogramDataPoint::default()
        }
    }

    /// The examples of a series that are of this window, at most one for each bucket of classic text.
    fn exemplars(&self, index: usize, scaled: impl Fn(u64) -> f64) -> Vec<otlp::Exemplar> {
        let window = self.start_ns(index)..=self.window.time_ns;
        let kept = self.metric.exemplars(index).map(|(_, kept)| kept);
        let timed = kept.map(|kept| (kept, kept.wall_ms.saturating_mul(NS_PER_MS)));
        let of_window = timed.filter(|(_, time_ns)| window.contains(time_ns));
        let exemplars = of_window.map(|(kept, time_unix_nano)| otlp::Exemplar {
            filtered_attributes: vec![text(fields::REQUEST_ID, kept.request.to_string())],
            time_unix_nano,
            span_id: kept.request.number.to_be_bytes().to_vec(),
            trace_id: self.origin.trace_id(kept.request.number).to_vec(),
            value: Some(exemplar::Value::AsDouble(scaled(kept.value))),
        });
        exemplars.collect()
    }
}
