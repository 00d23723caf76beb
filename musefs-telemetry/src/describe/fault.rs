//! The rules of the namespace, as `const fn`s.

use super::{CARDINALITY_MAX, Family, Kind, Unit};

/// The rule that a description breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A metric name has a character outside `[a-z0-9_]`, or starts with none of `[a-z]`.
    #[error("a name is lower case letters, digits and `_`, a letter first")]
    Name,
    /// A counter without `_total`, or something else with it.
    #[error("`_total` ends the name of every counter and of nothing else")]
    Total,
    /// The name does not end with the unit.
    #[error("a name ends with its unit")]
    Unit,
    /// A label name with a bad character, or one that the text formats need for themselves.
    #[error(
        "a label name is lower case letters, digits and `_`, a letter first, and neither `le` nor `quantile`"
    )]
    LabelName,
    /// Two labels of one family have the same name, or a label has the same value twice.
    #[error("a label occurs once, and each of its values once")]
    LabelTwice,
    /// A label without values.
    #[error("a label has at least one value")]
    LabelEmpty,
    /// A combination of label values that cannot be, or is there twice, or none at all.
    #[error("a combination has one value of each label, and occurs once")]
    Combination,
    /// Names of run time in a family that has not one label with places for them, or that is no counter.
    #[error(
        "names of run time are values of one label, with a place at least and two values beside, of a counter"
    )]
    Names,
    /// More series than [`CARDINALITY_MAX`].
    #[error("a family has at most 2,000 series")]
    Cardinality,
    /// A histogram whose range is empty or whose scale is unknown.
    #[error(
        "a histogram has a scale of 0 to 3, a text scale not above it, and a range that is not empty"
    )]
    Buckets,
    /// The help text is empty.
    #[error("a metric says what it tells")]
    Help,
}

/// Why a family cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// The description breaks a rule.
    #[error("`{name}`: {fault}")]
    Refused {
        /// The family that was refused.
        name: String,
        /// The rule that it breaks.
        fault: Fault,
    },
    /// The name is taken by another family, or by a sample of one.
    #[error("`{name}` is already declared, as `{other}`")]
    Duplicate {
        /// The name that is taken.
        name: String,
        /// The family that has it.
        other: &'static str,
    },
    /// The name is known with another kind, unit or label set.
    #[error("`{name}` is already declared with another {what}")]
    Clash {
        /// The name that is taken.
        name: String,
        /// What differs: `kind`, `unit` or `labels`.
        what: &'static str,
    },
    /// The family is described as one kind of metric and declared as another.
    #[error("`{name}` is described as a {kind} and cannot be written as a {instrument}")]
    Kind {
        /// The family that was refused.
        name: &'static str,
        /// What it is described as.
        kind: &'static str,
        /// What it was declared as.
        instrument: &'static str,
    },
    /// The labels of the family are not those that its series are addressed with.
    #[error("`{name}` has other labels than it is addressed with")]
    Labelled {
        /// The family that was refused.
        name: &'static str,
    },
    /// There is no room for so many series.
    #[error("`{name}` needs {needed} cells and {free} are free")]
    Exhausted {
        /// The family, or the first of the set, that did not fit.
        name: String,
        /// Cells it needs.
        needed: usize,
        /// The longest run of free cells.
        free: usize,
    },
    /// The system has no thread for queued handlers.
    #[error("the system has no thread for queued event handlers")]
    Thread,
}

impl Family {
    /// The first rule that this description breaks.
    ///
    /// # Errors
    /// When it breaks one.
    pub const fn check(&self) -> Result<(), Fault> {
        if !is_name(self.name) {
            return Err(Fault::Name);
        }
        if self.help.is_empty() {
            return Err(Fault::Help);
        }
        if ends_with(self.name, "_total") != matches!(self.kind, Kind::Counter) {
            return Err(Fault::Total);
        }
        if !self.says_its_unit() {
            return Err(Fault::Unit);
        }
        if let Kind::Histogram(buckets) = self.kind
            && !buckets.is_valid()
        {
            return Err(Fault::Buckets);
        }
        let one_label = self.labels.len() == 1 && self.only.is_none();
        if self.named
            && !(one_label && self.labels[0].values.len() > 2 && matches!(self.kind, Kind::Counter))
        {
            return Err(Fault::Names);
        }
        self.check_labels()
    }

    const fn says_its_unit(&self) -> bool {
        let (unit, stem) = (self.unit.as_str(), stem(self.name));
        matches!(self.unit, Unit::None)
            || (stem.len() > unit.len()
                && stem.as_bytes()[stem.len() - unit.len() - 1] == b'_'
                && ends_with(stem, unit))
    }

    const fn check_labels(&self) -> Result<(), Fault> {
        let mut index = 0;
        let mut count: usize = 1;
        while index < self.labels.len() {
            let label = &self.labels[index];
            if !is_name(label.name) || equal(label.name, "le") || equal(label.name, "quantile") {
                return Err(Fault::LabelName);
            }
            let mut before = 0;
            while before < index {
                if equal(self.labels[before].name, label.name) {
                    return Err(Fault::LabelTwice);
                }
                before += 1;
            }
            if label.values.is_empty() {
                return Err(Fault::LabelEmpty);
            }
            count = count.saturating_mul(label.values.len());
            if count > CARDINALITY_MAX {
                return Err(Fault::Cardinality);
            }
            if has_twice(label.values) {
                return Err(Fault::LabelTwice);
            }
            index += 1;
        }
        match self.only {
            Some(only) => self.check_combinations(only),
            None => Ok(()),
        }
    }

    const fn check_combinations(&self, only: &[&[u16]]) -> Result<(), Fault> {
        if only.is_empty() {
            return Err(Fault::Combination);
        }
        let mut index = 0;
        while index < only.len() {
            let combination = only[index];
            if combination.len() != self.labels.len() {
                return Err(Fault::Combination);
            }
            let mut place = 0;
            while place < combination.len() {
                if combination[place] as usize >= self.labels[place].values.len() {
                    return Err(Fault::Combination);
                }
                place += 1;
            }
            let mut before = 0;
            while before < index {
                if same_positions(only[before], combination) {
                    return Err(Fault::Combination);
                }
                before += 1;
            }
            index += 1;
        }
        Ok(())
    }

    /// Whether a sample of one of the two could be taken for a sample of the other in any of the text formats.
    pub const fn collides(&self, other: &Self) -> bool {
        let (ours, theirs) = (stem(self.name), stem(other.name));
        equal(ours, theirs) || is_sample_of(theirs, ours) || is_sample_of(ours, theirs)
    }
}

/// Whether `name` is `stem` with an ending that the text formats give to samples.
const fn is_sample_of(name: &str, stem: &str) -> bool {
    const ENDINGS: [&str; 5] = ["_count", "_sum", "_bucket", "_created", "_info"];
    let mut index = 0;
    while index < ENDINGS.len() {
        let ending = ENDINGS[index];
        if name.len() == stem.len() + ending.len()
            && ends_with(name, ending)
            && starts_with(name, stem)
        {
            return true;
        }
        index += 1;
    }
    false
}

/// Whether `name` can be a metric or a label name.
pub(crate) const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut index = 1;
    while index < bytes.len() {
        let byte = bytes[index];
        if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return false;
        }
        index += 1;
    }
    true
}

const fn has_twice(values: &[&str]) -> bool {
    let mut index = 0;
    while index < values.len() {
        let mut before = 0;
        while before < index {
            if equal(values[before], values[index]) {
                return true;
            }
            before += 1;
        }
        index += 1;
    }
    false
}

/// Whether two combinations of the same length are one.
const fn same_positions(left: &[u16], right: &[u16]) -> bool {
    let mut place = 0;
    while place < left.len() {
        if left[place] != right[place] {
            return false;
        }
        place += 1;
    }
    true
}

const fn equal(left: &str, right: &str) -> bool {
    left.len() == right.len() && starts_with(left, right)
}

const fn starts_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut index = 0;
    while index < start.len() {
        if index == text.len() || text[index] != start[index] {
            return false;
        }
        index += 1;
    }
    true
}

const fn ends_with(text: &str, end: &str) -> bool {
    if end.len() > text.len() {
        return false;
    }
    let (_, tail) = text.as_bytes().split_at(text.len() - end.len());
    let end = end.as_bytes();
    let mut index = 0;
    while index < end.len() {
        if tail[index] != end[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// `name` without `_total`.
const fn stem(name: &str) -> &str {
    if ends_with(name, "_total") {
        name.split_at(name.len() - "_total".len()).0
    } else {
        name
    }
}
