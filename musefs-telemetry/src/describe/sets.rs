//! Descriptions as types: what the macros implement, and what the compiler checks of it.

use super::fault::Fault;
use super::{Family, Instrument, Label};

/// Something that addresses one series of a family: an index, or the label values themselves.
pub trait SeriesKey: Copy {
    /// The index of the series.
    fn series(self) -> usize;
}

impl SeriesKey for usize {
    #[inline]
    fn series(self) -> usize {
        self
    }
}

/// A label as an enum: its variants are the closed list of values.
pub trait AttributeEnum: Copy + 'static {
    /// The label's name when the enum is used by itself.
    const NAME: &'static str;
    /// The label values, by position.
    const VALUES: &'static [&'static str];

    /// Which value this is.
    fn position(self) -> usize;
}

/// All labels of a family as one type: an attribute enum by itself, or a struct of them.
pub trait AttributeSet: SeriesKey + 'static {
    /// What `schema()` tells of it.
    const DESCRIPTOR: &'static AttributesDescriptor;
}

/// The labels that an attribute set stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributesDescriptor {
    /// The name of the type.
    pub name: &'static str,
    /// Its labels, the last one varying fastest.
    pub labels: &'static [Label],
}

/// One metric of a declared set.
pub type MetricsField = Family;

/// A declared set of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsDescriptor {
    /// The name of the type.
    pub name: &'static str,
    /// Its metrics, in the order of the fields.
    pub fields: &'static [MetricsField],
}

/// A closed list of metrics that are addressed by an enum, one family for each variant.
pub trait ClosedSet: Copy + 'static {
    /// All of them, by position.
    const ALL: &'static [Self];
    /// How many there are.
    const COUNT: usize = Self::ALL.len();
    /// How all of them are written.
    const INSTRUMENT: Instrument;
    /// Their families, by position.
    const DESCRIPTOR: &'static MetricsDescriptor;

    /// Which one this is.
    fn position(self) -> usize;

    /// The metric's name.
    fn name(self) -> &'static str {
        Self::DESCRIPTOR.fields[self.position()].name
    }
}

/// Stops the compiler when a metric of `fields` breaks a rule or two of them collide. The macros call it in a constant.
///
/// # Panics
/// As said: while compiling.
pub const fn assert_set(fields: &[MetricsField]) {
    let mut index = 0;
    while index < fields.len() {
        if let Err(fault) = fields[index].check() {
            refuse(fault);
        }
        let mut before = 0;
        while before < index {
            assert!(
                !fields[before].collides(&fields[index]),
                "two metrics of this set have the same name, or one could be taken for a sample of the other"
            );
            before += 1;
        }
        index += 1;
    }
}

/// Stops the compiler when labels break a rule by themselves, whatever family has them.
///
/// # Panics
/// As said: while compiling.
pub const fn assert_attributes(attributes: &AttributesDescriptor) {
    if let Err(fault) = Family::gauge("any", "Any.")
        .with_labels(attributes.labels)
        .check()
    {
        refuse(fault);
    }
}

const fn refuse(fault: Fault) -> ! {
    match fault {
        Fault::Name => panic!("a name is lower case letters, digits and `_`, a letter first"),
        Fault::Total => panic!("`_total` ends the name of every counter and of nothing else"),
        Fault::Unit => panic!("a name ends with its unit"),
        Fault::LabelName => panic!(
            "a label name is lower case letters, digits and `_`, and neither `le` nor `quantile`"
        ),
        Fault::LabelTwice => panic!("a label occurs once, and each of its values once"),
        Fault::LabelEmpty => panic!("a label has at least one value"),
        Fault::Combination => panic!("a combination has one value of each label, and occurs once"),
        Fault::Names => panic!(
            "names of run time are values of one label, with a place at least and two values beside, of a counter"
        ),
        Fault::Cardinality => panic!("a family has at most 2,000 series"),
        Fault::Buckets => panic!(
            "a histogram has a scale of 0 to 3, a text scale not above it, and a range that is not empty"
        ),
        Fault::Help => panic!("a metric says what it tells: give it a doc comment"),
    }
}

/// Stops the compiler when `base` cannot be the name of an operation.
///
/// # Panics
/// As said: while compiling.
pub const fn assert_base(base: &str) {
    assert!(
        super::is_name(base),
        "a name is lower case letters, digits and `_`, a letter first"
    );
}

/// The operation of a literal name. `register_op!("base")` is an `Option<&'static DynOp>` of the engine of the process, looked up
/// once for each call site; `register_op!(engine, "base")` is a `Result<DynOp, DescribeError>` of that engine.
#[macro_export]
macro_rules! register_op {
    ($base:literal) => {{
        const _: () = $crate::describe::assert_base($base);
        static SITE: $crate::dynamic::OpSite = $crate::dynamic::OpSite::new();
        SITE.get($base)
    }};
    ($engine:expr, $base:literal) => {{
        const _: () = $crate::describe::assert_base($base);
        $engine.register_op($base)
    }};
}
