//! How operations and their tiers end: plain data, the same whether anybody counts it or not.

use std::fmt;

use crate::buckets::Buckets;
use crate::describe::AttributeEnum;

/// The most tiers that a scope keeps.
pub const TIERS_MAX: usize = 8;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It did what it was asked to.
    Ok,
    /// It failed with this error number.
    Errno(i32),
    /// Nobody finished it.
    Cancelled,
    /// It was left by a panic.
    Panicked,
}

impl Completion {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Errno(_) => "errno",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

impl fmt::Display for Completion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(number) => write!(formatter, "errno {number}"),
            _ => formatter.write_str(self.name()),
        }
    }
}

/// How a tier answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It had what was asked for.
    Hit,
    /// It had not.
    Miss,
    /// It did its part.
    Ok,
    /// It failed.
    Error,
    /// Nobody said.
    Cancelled,
}

impl Outcome {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A label whose values are the ways in which an operation can fail.
pub trait Failures: AttributeEnum {
    /// The value for `completion`; `None` when that is no failure.
    fn of(completion: Completion) -> Option<Self>;
}

/// The ways to fail, for those who do not tell error numbers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, crate::AttributeEnum)]
pub enum Failure {
    /// With an error number.
    Errno,
    /// Nobody finished it.
    Cancelled,
    /// A panic left it.
    Panicked,
}

impl Failures for Failure {
    fn of(completion: Completion) -> Option<Self> {
        match completion {
            Completion::Ok => None,
            Completion::Errno(_) => Some(Self::Errno),
            Completion::Cancelled => Some(Self::Cancelled),
            Completion::Panicked => Some(Self::Panicked),
        }
    }
}

/// Which series the numbers of operations have.
#[derive(Clone, Copy, Debug)]
pub struct OpsSeries<O: 'static, E: 'static> {
    /// What durations are sorted into, in nanoseconds.
    pub buckets: Buckets,
    /// How many of the operations have durations: the first ones.
    pub timed: usize,
    /// How each operation can fail, operations in their order; `None` is in every way. A failure that is not among those of
    /// its operation counts as the last one of them.
    pub failures: Option<&'static [(O, E)]>,
}

impl<O: AttributeEnum, E: AttributeEnum> OpsSeries<O, E> {
    /// All operations have durations, and fail in every way.
    pub const fn all(buckets: Buckets) -> Self {
        Self {
            buckets,
            timed: O::VALUES.len(),
            failures: None,
        }
    }
}
