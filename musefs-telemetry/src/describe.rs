//! What a metric is called, what it tells, and which series it has: said once, beside the code that counts.
//!
//! Label values are closed lists, so the number of series is known before the first event and a hot path addresses a
//! series by index. Describing a metric records nothing.

/// How a value behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only ever grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// The word that the Prometheus text format has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
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
    /// One sentence that never varies between instances.
    pub help: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// Its labels; an empty list is one series without labels.
    pub labels: &'static [Label],
}

/// Why a family cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// A metric or label name has a character outside `[a-z0-9_]`, starts with a digit, or a counter lacks `_total`.
    #[error(
        "`{name}` is not a valid name: lower case, digits and `_`, a letter first, `_total` on counters alone"
    )]
    BadName {
        /// The name that was refused.
        name: String,
    },
    /// The name is taken by another family.
    #[error("`{name}` is already declared")]
    Duplicate {
        /// The name that is taken.
        name: &'static str,
    },
    /// A metric that is one number has labels.
    #[error("`{name}` has labels and cannot be declared as one counter")]
    Labelled {
        /// The family that was refused.
        name: &'static str,
    },
    /// There is no room for so many series.
    #[error("`{name}` needs {needed} cells and {free} are free")]
    Exhausted {
        /// The family that did not fit.
        name: &'static str,
        /// Cells it needs.
        needed: usize,
        /// The longest run of free cells.
        free: usize,
    },
}

impl Family {
    /// How many series the family has: the product of its labels' value counts.
    pub fn series_count(&self) -> usize {
        self.labels.iter().map(|label| label.values.len()).product()
    }

    /// The label values of series `index`, in the order of `labels`. The last label varies fastest.
    pub fn series_labels(
        &self,
        index: usize,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let mut stride = self.series_count();
        let mut rest = index;
        self.labels.iter().map(move |label| {
            stride /= label.values.len();
            let value = label.values[rest / stride];
            rest %= stride;
            (label.name, value)
        })
    }

    pub(crate) fn check(&self) -> Result<(), DescribeError> {
        let counts = self.name.ends_with("_total");
        let bad = std::iter::once(self.name)
            .chain(self.labels.iter().map(|label| label.name))
            .find(|name| !is_name(name))
            .or((counts != (self.kind == Kind::Counter)).then_some(self.name));
        match bad {
            Some(name) => Err(DescribeError::BadName { name: name.into() }),
            None => Ok(()),
        }
    }
}

/// Whether `name` can be a metric or a label name.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_LABELS: Family = Family {
        name: "demo_total",
        help: "Demo.",
        kind: Kind::Counter,
        labels: &[
            Label {
                name: "op",
                values: &["read", "open"],
            },
            Label {
                name: "how",
                values: &["a", "b", "c"],
            },
        ],
    };

    #[test]
    fn the_last_label_varies_fastest() {
        let all: Vec<String> = (0..TWO_LABELS.series_count())
            .map(|index| {
                TWO_LABELS
                    .series_labels(index)
                    .map(|(_, value)| value)
                    .collect()
            })
            .collect();
        assert_eq!(all, ["reada", "readb", "readc", "opena", "openb", "openc"]);
    }

    #[test]
    fn a_bad_name_is_refused() {
        let named = |name, kind| {
            Family {
                name,
                kind,
                ..TWO_LABELS
            }
            .check()
        };
        assert_eq!(named("demo_total", Kind::Counter), Ok(()));
        assert_eq!(named("demo_bytes", Kind::Gauge), Ok(()));
        for (name, kind) in [
            ("demo", Kind::Counter),
            ("demo_total", Kind::Gauge),
            ("Demo_total", Kind::Counter),
            ("1_total", Kind::Counter),
            ("", Kind::Gauge),
            ("dash-ed", Kind::Gauge),
        ] {
            assert_eq!(
                named(name, kind),
                Err(DescribeError::BadName { name: name.into() }),
                "{name}"
            );
        }
    }
}
