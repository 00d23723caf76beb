//! What is in a bag, its bounds, and the window that is under way.
//!
//! While a window is under way a change is made twice: to all that was not delivered, and to what came since the window was
//! taken. Whichever way the delivery ends, one of the two is exactly what is left to tell.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fact, FactError, Limits, Scalar};

/// Bytes of a key that a server disables.
const KEY_BYTES_MAX: usize = 256;

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Set(Scalar),
    SetNested(String, Scalar),
    Append(Scalar),
    Count(String, u64),
    Add(f64),
}

#[derive(Debug)]
pub(super) struct Bag {
    pub instance_id: String,
    limits: Limits,
    /// What the operator disabled: nobody else enables it.
    disabled_for_good: BTreeSet<String>,
    /// What a server disabled, bounded.
    disabled: BTreeSet<String>,
    /// All that was not delivered.
    window: Contents,
    /// What came since the window was taken that is under way.
    since: Option<Contents>,
    pub refused: u64,
}

impl Bag {
    pub fn new(
        limits: Limits,
        instance_id: &str,
        disabled_keys: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            instance_id: instance_id.to_owned(),
            limits,
            disabled_for_good: disabled_keys.into_iter().collect(),
            disabled: BTreeSet::new(),
            window: Contents::default(),
            since: None,
            refused: 0,
        }
    }

    pub fn change(&mut self, key: &str, change: Change) -> Result<(), FactError> {
        if self.disabled_for_good.contains(key) || self.disabled.contains(key) {
            return Ok(());
        }
        // Both or neither: they must not drift apart.
        let checked = self.window.check(key, &change, self.limits).and_then(|()| {
            self.since
                .as_ref()
                .map_or(Ok(()), |since| since.check(key, &change, self.limits))
        });
        if let Err(error) = checked {
            self.refused += u64::from(matches!(error, FactError::Full { .. }));
            return Err(error);
        }
        if let Some(since) = &mut self.since {
            since.perform(key, change.clone());
        }
        self.window.perform(key, change);
        Ok(())
    }

    pub fn known(&self) -> &BTreeMap<String, Fact> {
        &self.window.facts
    }

    pub fn begin(&mut self) -> BTreeMap<String, Fact> {
        self.since = Some(Contents::default());
        self.window.facts.clone()
    }

    pub fn delivered(&mut self) {
        if let Some(since) = self.since.take() {
            self.window = since;
        }
    }

    pub fn kept(&mut self) {
        self.since = None;
    }

    pub fn purge(&mut self, key: &str) {
        self.window.remove(key);
        if let Some(since) = &mut self.since {
            since.remove(key);
        }
    }

    pub fn steer(&mut self, enable: &[String], disable: &[String], keys_max: usize) {
        for key in enable {
            self.disabled.remove(key);
        }
        for key in disable {
            self.purge(key);
            if self.disabled.len() < keys_max && key.len() <= KEY_BYTES_MAX {
                self.disabled.insert(key.clone());
            } else if !self.disabled.contains(key) {
                self.refused += 1;
            }
        }
    }
}

/// Facts, and how much room they take.
#[derive(Debug, Default)]
struct Contents {
    facts: BTreeMap<String, Fact>,
    items: usize,
    bytes: usize,
}

impl Contents {
    /// Whether `change` can be made.
    fn check(&self, key: &str, change: &Change, limits: Limits) -> Result<(), FactError> {
        let fact = self.facts.get(key);
        let kind = |is: &'static str| FactError::Kind {
            key: key.to_owned(),
            is,
            wanted: change.wants(),
        };
        let fits = match (fact, change) {
            (None, _)
            | (Some(Fact::One(Scalar::Text(_))), Change::Set(Scalar::Text(_)))
            | (
                Some(Fact::One(Scalar::Number(_))),
                Change::Set(Scalar::Number(_)) | Change::Add(_),
            )
            | (Some(Fact::List(_)), Change::Append(_))
            | (Some(Fact::CountingSet(_)), Change::Count(..))
            | (Some(Fact::Map(_)), Change::SetNested(..)) => Ok(()),
            (Some(fact), _) => Err(kind(fact.kind())),
        };
        fits?;
        let number = match (fact, change) {
            (
                _,
                Change::Set(Scalar::Number(number))
                | Change::SetNested(_, Scalar::Number(number))
                | Change::Append(Scalar::Number(number)),
            ) => *number,
            (Some(Fact::One(Scalar::Number(before))), Change::Add(more)) => before + more,
            (_, Change::Add(more)) => *more,
            _ => 0.0,
        };
        if !number.is_finite() {
            return Err(FactError::NotFinite {
                key: key.to_owned(),
            });
        }
        let (items, bytes) = room_for(key, fact, change);
        if self.items + items > limits.items_max || self.bytes + bytes > limits.bytes_max {
            return Err(FactError::Full {
                key: key.to_owned(),
            });
        }
        Ok(())
    }

    /// Makes a change that was checked.
    fn perform(&mut self, key: &str, change: Change) {
        let mut fact = self.remove(key).unwrap_or_else(|| change.beginning());
        match (&mut fact, change) {
            (Fact::One(value), Change::Set(new)) => *value = new,
            (Fact::One(Scalar::Number(number)), Change::Add(more)) => *number += more,
            (Fact::List(list), Change::Append(value)) => list.push(value),
            (Fact::CountingSet(set), Change::Count(value, count)) => {
                let before = set.entry(value).or_default();
                *before = before.saturating_add(count);
            }
            (Fact::Map(map), Change::SetNested(sub_key, value)) => {
                map.insert(sub_key, value);
            }
            (fact, change) => unreachable!("{change:?} of {fact:?} was checked"),
        }
        self.items += fact.items();
        self.bytes += key.len() + fact.bytes();
        self.facts.insert(key.to_owned(), fact);
    }

    fn remove(&mut self, key: &str) -> Option<Fact> {
        let fact = self.facts.remove(key)?;
        self.items -= fact.items();
        self.bytes -= key.len() + fact.bytes();
        Some(fact)
    }
}

/// How many items and bytes more there may be after `change`; fewer than before count as
/// none.
fn room_for(key: &str, fact: Option<&Fact>, change: &Change) -> (usize, usize) {
    let (mut items, mut bytes) = match fact {
        None => (1, key.len()),
        Some(_) => (0, 0),
    };
    let (inner, new) = match (fact, change) {
        (Some(Fact::One(before)), Change::Set(value)) => {
            (0, value.bytes().saturating_sub(before.bytes()))
        }
        (_, Change::Set(value)) => (0, value.bytes()),
        (Some(Fact::One(_)), Change::Add(_)) => (0, 0),
        (_, Change::Add(_)) => (0, NUMBER_BYTES),
        (_, Change::Append(value)) => (1, value.bytes()),
        (Some(Fact::CountingSet(set)), Change::Count(value, _)) if set.contains_key(value) => {
            (0, 0)
        }
        (_, Change::Count(value, _)) => (1, value.len() + NUMBER_BYTES),
        (Some(Fact::Map(map)), Change::SetNested(sub_key, value)) => map.get(sub_key).map_or_else(
            || (1, sub_key.len() + value.bytes()),
            |before| (0, value.bytes().saturating_sub(before.bytes())),
        ),
        (_, Change::SetNested(sub_key, value)) => (1, sub_key.len() + value.bytes()),
    };
    items += inner;
    bytes += new;
    (items, bytes)
}

const NUMBER_BYTES: usize = 8;

impl Scalar {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) => NUMBER_BYTES,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
        }
    }
}

impl Fact {
    fn kind(&self) -> &'static str {
        match self {
            Self::One(scalar) => scalar.kind(),
            Self::List(_) => "a list",
            Self::CountingSet(_) => "a counting set",
            Self::Map(_) => "a map",
        }
    }

    /// Itself and its members.
    fn items(&self) -> usize {
        1 + match self {
            Self::One(_) => 0,
            Self::List(list) => list.len(),
            Self::CountingSet(set) => set.len(),
            Self::Map(map) => map.len(),
        }
    }

    /// Without its name.
    fn bytes(&self) -> usize {
        match self {
            Self::One(scalar) => scalar.bytes(),
            Self::List(list) => list.iter().map(Scalar::bytes).sum(),
            Self::CountingSet(set) => set.keys().map(|value| value.len() + NUMBER_BYTES).sum(),
            Self::Map(map) => map
                .iter()
                .map(|(sub_key, value)| sub_key.len() + value.bytes())
                .sum(),
        }
    }
}

impl Change {
    fn wants(&self) -> &'static str {
        match self {
            Self::Set(scalar) => scalar.kind(),
            Self::Add(_) => "a number",
            Self::SetNested(..) => "a map",
            Self::Append(_) => "a list",
            Self::Count(..) => "a counting set",
        }
    }

    /// What the first change of its kind is made to.
    fn beginning(&self) -> Fact {
        match self {
            Self::Set(scalar) => Fact::One(scalar.clone()),
            Self::Add(_) => Fact::One(Scalar::Number(0.0)),
            Self::SetNested(..) => Fact::Map(BTreeMap::new()),
            Self::Append(_) => Fact::List(Vec::new()),
            Self::Count(..) => Fact::CountingSet(BTreeMap::new()),
        }
    }
}
