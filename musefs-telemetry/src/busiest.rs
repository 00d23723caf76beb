//! The values of a label that nobody knows beforehand: the busiest names of any number of them, in memory that never grows.
//!
//! The algorithm is space-saving (Metwally, Agrawal and El Abbadi, 2005). There is a fixed number of places. A name without one
//! takes that of the name that ranks last, and its rank on top of its own. So whatever has more than one part in as many as there
//! are places of all amounts has a place, and a name's rank is never below what it really had.
//!
//! What is told are not the ranks but what was added while a name had its place. What it had goes to the rest when it loses that.
//! So the series of a family always sum up to all that was added, and each but the rest is a lower bound. A name that comes back
//! counts anew.
//!
//! ```
//! use musefs_telemetry::{Engine, Family, Label};
//!
//! static CLIENT: Label = Label { name: "client", values: &["#1", "#2", "other", "unknown"] };
//! static VISITS: Family = Family::counter("shop_visits_total", "Visits, by client.")
//!     .with_labels(std::slice::from_ref(&CLIENT))
//!     .with_names();
//!
//! let engine = Engine::new();
//! let visits = engine.busiest(&[&VISITS])?;
//! for name in ["ann", "bob", "ann", "cleo"] {
//!     visits.add(name, &[1]);
//! }
//! visits.add_nameless(&[1]);
//! # #[cfg(feature = "stats")] {
//! let snapshot = engine.snapshot();
//! let visits = snapshot.find("shop_visits_total").unwrap();
//! let told = |index| visits.labels(index).next().unwrap().1;
//! assert_eq!((0..4).map(told).collect::<Vec<_>>(), ["ann", "cleo", "other", "unknown"]);
//! # }
//! # Ok::<(), musefs_telemetry::DescribeError>(())
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::clock::Clock;
use crate::describe::{DescribeError, Family, Instrument};
use crate::registry::{Engine, Source};

/// Characters of a name; what is longer is cut.
pub const NAME_LEN_MAX: usize = 64;
/// Families that share their names.
pub const MEASURES_MAX: usize = 4;

type Amounts = [u64; MEASURES_MAX];

/// What names have, in one or several families with the same label. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Busiest {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    /// The values of the label: the places, then the rest, then what has no name.
    values: &'static [&'static str],
    /// The last two of them as they are told.
    fixed: [Named; 2],
    measures: usize,
    displaced: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    places: Vec<Place>,
    rest: Amounts,
    nameless: Amounts,
    silent: bool,
}

#[derive(Debug)]
struct Place {
    name: Arc<str>,
    since_ms: u64,
    /// What it has of the first family at most.
    rank: u64,
    /// What it has had since it took the place.
    amounts: Amounts,
}

/// What a series of run time is called, and since when it counts.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) since_ms: u64,
}

/// Where the numbers of one family with names are.
#[derive(Debug, Default)]
pub(crate) struct Ranked(OnceLock<(Busiest, usize)>);

impl Ranked {
    /// Replaces the values and the names of all series.
    pub(crate) fn read(&self, values: &mut [u64], names: &mut [Option<Named>]) {
        match self.0.get() {
            Some((busiest, measure)) => busiest.read(*measure, values, names),
            None => names.fill(None),
        }
    }
}

fn add(to: &mut Amounts, amounts: &Amounts) {
    for (to, amount) in to.iter_mut().zip(amounts) {
        *to = to.wrapping_add(*amount);
    }
}

impl Engine {
    /// Declares families of counters that have the same label with names of run time. Names rank by the first one.
    ///
    /// # Errors
    /// When a family has no such label or another one than the first, a name is taken, or there are none or more than
    /// [`MEASURES_MAX`].
    pub fn busiest(&self, families: &[&'static Family]) -> Result<Busiest, DescribeError> {
        let refused = |name| DescribeError::Labelled { name };
        let first = families.first().ok_or(refused("no family"))?;
        for (index, family) in families.iter().enumerate() {
            let same = family.labels == first.labels && family.named;
            if !same || index >= MEASURES_MAX {
                return Err(refused(family.name));
            }
        }
        let declared: Vec<_> = families
            .iter()
            .map(|&family| (family, Instrument::Busiest))
            .collect();
        let parts = self.declare_all(&declared)?;
        let values = first.labels[0].values;
        let since_ms = self.clock().wall_ms();
        let fixed = [2, 1].map(|back| Named {
            name: values[values.len() - back].into(),
            since_ms,
        });
        let busiest = Busiest {
            shared: Arc::new(Shared {
                clock: Arc::clone(self.clock()),
                values,
                fixed,
                measures: families.len(),
                displaced: AtomicU64::new(0),
                state: Mutex::default(),
            }),
        };
        for (measure, part) in parts.into_iter().enumerate() {
            if let Source::Ranked(ranked) = part.source {
                let fresh = ranked.0.set((busiest.clone(), measure));
                debug_assert!(fresh.is_ok(), "it was declared just now");
            }
        }
        Ok(busiest)
    }
}

impl Busiest {
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn place_count(&self) -> usize {
        self.shared.values.len() - 2
    }

    /// An amount for each family; what is left out is 0.
    fn amounts(&self, given: &[u64]) -> Amounts {
        let mut amounts = Amounts::default();
        let wanted = amounts.iter_mut().take(self.shared.measures);
        for (amount, given) in wanted.zip(given) {
            *amount = *given;
        }
        amounts
    }

    /// Adds an amount for each of the families to what `name` has. A name that is that of the rest, or of what has no name, is
    /// among these.
    pub fn add(&self, name: &str, amounts: &[u64]) {
        let amounts = self.amounts(amounts);
        let end = name.char_indices().nth(NAME_LEN_MAX);
        let name = &name[..end.map_or(name.len(), |(end, _)| end)];
        let mut state = self.state();
        match self.shared.values[self.place_count()..] {
            [rest, _] if rest == name => return add(&mut state.rest, &amounts),
            [_, nameless] if nameless == name => return add(&mut state.nameless, &amounts),
            _ => {}
        }
        let weight = amounts[0];
        if let Some(place) = state.places.iter_mut().find(|place| *place.name == *name) {
            place.rank = place.rank.saturating_add(weight);
            return add(&mut place.amounts, &amounts);
        }
        if weight == 0 {
            return add(&mut state.rest, &amounts);
        }
        let fresh = |rank| Place {
            name: name.into(),
            since_ms: self.shared.clock.wall_ms(),
            rank,
            amounts,
        };
        if state.places.len() < self.place_count() {
            return state.places.push(fresh(weight));
        }
        let State { places, rest, .. } = &mut *state;
        let last = places.iter_mut().min_by_key(|place| place.rank);
        let last = last.expect("there is a place at least");
        add(rest, &last.amounts);
        *last = fresh(last.rank.saturating_add(weight));
        self.shared.displaced.fetch_add(1, Relaxed);
    }

    /// Adds an amount for each of the families to what has no name.
    pub fn add_nameless(&self, amounts: &[u64]) {
        let amounts = self.amounts(amounts);
        add(&mut self.state().nameless, &amounts);
    }

    /// The families tell nothing from here on, because nobody adds to them.
    pub fn silence(&self) {
        self.state().silent = true;
    }

    /// How often a name lost its place to another one.
    pub fn displaced(&self) -> u64 {
        self.shared.displaced.load(Relaxed)
    }

    fn read(&self, measure: usize, values: &mut [u64], names: &mut [Option<Named>]) {
        let state = self.state();
        values.fill(0);
        names.fill(None);
        if state.silent {
            return;
        }
        for (index, place) in state.places.iter().enumerate() {
            values[index] = place.amounts[measure];
            names[index] = Some(Named {
                name: Arc::clone(&place.name),
                since_ms: place.since_ms,
            });
        }
        let places = self.place_count();
        for (index, amounts) in [(places, &state.rest), (places + 1, &state.nameless)] {
            values[index] = amounts[measure];
            names[index] = Some(self.shared.fixed[index - places].clone());
        }
    }
}

#[cfg(test)]
mod tests;
