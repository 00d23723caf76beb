//! One namespace of families, and the cells behind them.
//!
//! An [`Engine`] is an instance: two of them in one process share neither names nor numbers.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cells::{Counter, Counters, Run, UpDownCounters, read_runs};
use crate::describe::{DescribeError, Family, Kind};
use crate::snapshot::Snapshot;

/// A set of declared families and their live values. Cloning gives another handle to the same set.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    declared: Arc<Mutex<Vec<Declared>>>,
}

#[derive(Clone, Debug)]
struct Declared {
    family: &'static Family,
    run: Arc<Run>,
}

impl Engine {
    /// An engine without families.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a family of counters.
    ///
    /// # Errors
    /// When the family is no counter by name and kind, the name is taken, or there is no room.
    pub fn counters(&self, family: &'static Family) -> Result<Counters, DescribeError> {
        self.declare(family, Kind::Counter).map(Counters::new)
    }

    /// Declares a counter without labels.
    ///
    /// # Errors
    /// When the family has labels or is no counter by name and kind, the name is taken, or there is no room.
    pub fn counter(&self, family: &'static Family) -> Result<Counter, DescribeError> {
        if !family.labels.is_empty() {
            return Err(DescribeError::Labelled { name: family.name });
        }
        self.declare(family, Kind::Counter).map(Counter::new)
    }

    /// Declares a family of gauges that go up and down by amounts.
    ///
    /// # Errors
    /// When the family is no gauge by name and kind, the name is taken, or there is no room.
    pub fn up_down_counters(
        &self,
        family: &'static Family,
    ) -> Result<UpDownCounters, DescribeError> {
        self.declare(family, Kind::Gauge).map(UpDownCounters::new)
    }

    fn declare(&self, family: &'static Family, kind: Kind) -> Result<Arc<Run>, DescribeError> {
        family.check()?;
        if family.kind != kind {
            return Err(DescribeError::BadName {
                name: family.name.into(),
            });
        }
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        if declared
            .iter()
            .any(|known| known.family.name == family.name)
        {
            return Err(DescribeError::Duplicate { name: family.name });
        }
        let needed = family.series_count();
        let run = Run::take(needed).map_err(|free| DescribeError::Exhausted {
            name: family.name,
            needed,
            free,
        })?;
        let run = Arc::new(run);
        declared.push(Declared {
            family,
            run: Arc::clone(&run),
        });
        Ok(run)
    }

    /// The values of all families at one moment, in the order of their declaration.
    pub fn snapshot(&self) -> Snapshot {
        let declared = self
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let values = read_runs(declared.iter().map(|known| &*known.run));
        Snapshot::new(declared.iter().map(|known| known.family), values)
    }
}
