//! One family of a text: what its lines say of it, and whether its samples fit together.

use std::collections::BTreeMap;

use super::line::{Format, Sample};
use super::{PADDING, shown};

/// The types of both formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    /// `untyped`, `unknown`, or nothing said.
    Unknown,
    Info,
    StateSet,
    GaugeHistogram,
}

impl Kind {
    /// The type that `format` has this word for.
    pub fn of(word: &str, format: Format) -> Option<Self> {
        Some(match (word, format) {
            ("counter", _) => Self::Counter,
            ("gauge", _) => Self::Gauge,
            ("histogram", _) => Self::Histogram,
            ("summary", _) => Self::Summary,
            ("untyped", Format::Text) | ("unknown", Format::Open) => Self::Unknown,
            ("info", Format::Open) => Self::Info,
            ("stateset", Format::Open) => Self::StateSet,
            ("gaugehistogram", Format::Open) => Self::GaugeHistogram,
            _ => return None,
        })
    }

    /// What samples of this type have behind the name of their family.
    fn endings(self, format: Format) -> &'static [&'static str] {
        match (self, format) {
            (Self::Counter, Format::Open) => &["_total", "_created"],
            (Self::Histogram, Format::Text) => &["_bucket", "_sum", "_count"],
            (Self::Histogram, Format::Open) => &["_bucket", "_sum", "_count", "_created"],
            (Self::Summary, Format::Text) => &["", "_sum", "_count"],
            (Self::Summary, Format::Open) => &["", "_sum", "_count", "_created"],
            (Self::Info, _) => &["_info"],
            (Self::GaugeHistogram, _) => &["_bucket", "_gsum", "_gcount"],
            (Self::Counter | Self::Gauge | Self::Unknown | Self::StateSet, _) => &[""],
        }
    }

    /// Whether samples of this type may have this ending.
    pub fn has(self, ending: &str, format: Format) -> bool {
        self.endings(format).contains(&ending)
    }
}

/// A family, while its lines are read.
#[derive(Debug)]
pub struct Family<'a> {
    pub name: &'a str,
    pub kind: Kind,
    /// Its first line, and its last so far.
    pub first: usize,
    pub last: usize,
    /// Where it is described.
    pub help: Option<usize>,
    pub typed: Option<usize>,
    pub unit: Option<usize>,
    pub first_sample: Option<usize>,
    /// Whether it was told already that other families stand between its lines.
    pub is_apart: bool,
    /// Whether it was told already that its samples have names of another type.
    is_misnamed: bool,
    /// The histograms of it, each by its labels without `le`.
    histograms: BTreeMap<String, Histogram>,
}

/// The lines of one histogram.
#[derive(Debug, Default)]
struct Histogram {
    first: usize,
    /// Line, bound and count, in the order of the text.
    buckets: Vec<(usize, f64, f64)>,
    /// Line and value.
    count: Option<(usize, f64)>,
    has_sum: bool,
}

impl<'a> Family<'a> {
    pub fn new(name: &'a str, first: usize) -> Self {
        Self {
            name,
            kind: Kind::Unknown,
            first,
            last: first,
            help: None,
            typed: None,
            unit: None,
            first_sample: None,
            is_apart: false,
            is_misnamed: false,
            histograms: BTreeMap::new(),
        }
    }

    /// Takes a sample on the line `at`; what is wrong with it.
    pub fn take(
        &mut self,
        at: usize,
        ending: &str,
        sample: &Sample<'_>,
        format: Format,
    ) -> Vec<String> {
        if !self.kind.has(ending, format) {
            // One word about a family is enough.
            if std::mem::replace(&mut self.is_misnamed, true) {
                return Vec::new();
            }
            let endings: Vec<String> = self
                .kind
                .endings(format)
                .iter()
                .map(|ending| format!("`{}{ending}`", self.name))
                .collect();
            return vec![format!(
                "`{}` is no name for a sample of this type: expected {}",
                sample.name,
                endings.join(", ")
            )];
        }
        let mut faults = Vec::new();
        let counts = matches!(ending, "_total" | "_bucket" | "_count" | "_gcount")
            || self.kind == Kind::Counter && format == Format::Text;
        if counts && (sample.value < 0.0 || sample.value.is_nan()) {
            faults.push(format!(
                "{} is {}: what is counted is never below 0",
                shown(sample, None),
                sample.value
            ));
        }
        if sample.has_exemplar && !matches!(ending, "_total" | "_bucket") {
            faults.push("an exemplar, which only counters and buckets have".into());
        }
        match self.kind {
            Kind::Histogram | Kind::GaugeHistogram => self.gather(at, ending, sample, &mut faults),
            Kind::Summary if ending.is_empty() => {
                let quantile = sample
                    .label("quantile")
                    .and_then(|text| text.parse::<f64>().ok());
                if !quantile.is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) {
                    faults.push(format!(
                        "{} has no label `quantile` from 0 to 1",
                        shown(sample, None)
                    ));
                }
            }
            _ => {}
        }
        faults
    }

    fn gather(&mut self, at: usize, ending: &str, sample: &Sample<'_>, faults: &mut Vec<String>) {
        let mut labels: Vec<_> = sample
            .labels
            .iter()
            .filter(|(name, _)| *name != "le")
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        labels.sort();
        let histogram = self
            .histograms
            .entry(labels.join(","))
            .or_insert_with(|| Histogram {
                first: at,
                ..Histogram::default()
            });
        match ending {
            "_bucket" => match sample.label("le").map(str::parse::<f64>) {
                Some(Ok(bound)) if !bound.is_nan() => {
                    histogram.buckets.push((at, bound, sample.value));
                }
                Some(_) => faults.push(format!(
                    "the label `le` of {} is no number",
                    shown(sample, Some("le"))
                )),
                None => faults.push(format!("{} has no label `le`", shown(sample, None))),
            },
            "_count" | "_gcount" => histogram.count = Some((at, sample.value)),
            "_sum" | "_gsum" => histogram.has_sum = true,
            _ => {}
        }
    }

    /// What is wrong with the family as a whole, each with its line.
    pub fn faults(&self, format: Format) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        if self.name != PADDING {
            let missing = [("HELP", self.help), ("TYPE", self.typed)];
            for (what, _) in missing.iter().filter(|(_, line)| line.is_none()) {
                faults.push((self.first, format!("`{}` has no {what}", self.name)));
            }
        }
        for (labels, histogram) in &self.histograms {
            let shown = if labels.is_empty() {
                format!("`{}`", self.name)
            } else {
                format!("`{}{{{labels}}}`", self.name)
            };
            histogram.check(&shown, self.kind, format, &mut faults);
        }
        faults
    }
}

/// A bound as texts have it.
fn told(bound: f64) -> String {
    if bound == f64::INFINITY {
        "+Inf".into()
    } else {
        bound.to_string()
    }
}

impl Histogram {
    fn check(&self, shown: &str, kind: Kind, format: Format, faults: &mut Vec<(usize, String)>) {
        for pair in self.buckets.windows(2) {
            let [(_, bound_before, count_before), (at, bound, count)] = [pair[0], pair[1]];
            let is_before = bound <= bound_before;
            let (bound, bound_before) = (told(bound), told(bound_before));
            if is_before {
                faults.push((
                    at,
                    format!("the bucket up to {bound} of {shown} stands behind the one up to {bound_before}"),
                ));
            } else if count < count_before {
                faults.push((
                    at,
                    format!("the bucket up to {bound} of {shown} counts {count}, fewer than {count_before} up to {bound_before}"),
                ));
            }
        }
        let last = self.buckets.last().copied();
        let Some((_, _, all)) = last.filter(|(_, bound, _)| *bound == f64::INFINITY) else {
            let at = last.map_or(self.first, |(at, ..)| at);
            faults.push((at, format!("{shown} has no bucket le=\"+Inf\" at its end")));
            return;
        };
        match self.count {
            // Equal texts are equal numbers: no sum of parts is compared here.
            Some((at, count)) if count.to_bits() != all.to_bits() => faults.push((
                at,
                format!("the count of {shown} is {count}, and its bucket le=\"+Inf\" {all}"),
            )),
            Some(_) => {}
            None => faults.push((self.first, format!("{shown} has no count"))),
        }
        if !(self.has_sum || kind == Kind::GaugeHistogram && format == Format::Open) {
            faults.push((self.first, format!("{shown} has no sum")));
        }
    }
}
