//! The values of one moment: plain data, detached from the cells.

use crate::cells::clamp;
use crate::describe::{Family, Kind};

/// What an engine's families held at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    families: Vec<(&'static Family, usize)>,
    values: Vec<u64>,
}

impl Snapshot {
    /// `values` are those of all series of all `families`, one after the other.
    pub(crate) fn new(families: impl Iterator<Item = &'static Family>, values: Vec<u64>) -> Self {
        let mut start = 0;
        let families = families
            .map(|family| {
                let at = start;
                start += family.series_count();
                (family, at)
            })
            .collect();
        Self { families, values }
    }

    /// The families, each with the values of its series by series index.
    pub fn families(&self) -> impl Iterator<Item = (&'static Family, impl Iterator<Item = u64>)> {
        self.families.iter().map(|&(family, start)| {
            let values = &self.values[start..start + family.series_count()];
            (family, values.iter().map(|&value| read(family.kind, value)))
        })
    }

    /// The value of series `index` of `family`; `None` when the engine never declared it.
    pub fn value(&self, family: &Family, index: usize) -> Option<u64> {
        let &(known, start) = self
            .families
            .iter()
            .find(|(known, _)| known.name == family.name)?;
        (index < known.series_count()).then(|| read(known.kind, self.values[start + index]))
    }
}

fn read(kind: Kind, value: u64) -> u64 {
    match kind {
        Kind::Counter => value,
        Kind::Gauge => clamp(value),
    }
}
