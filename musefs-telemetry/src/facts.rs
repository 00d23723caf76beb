//! A small bag of facts under names: what a program may tell of itself, and no more than fits into one message.
//!
//! The bag is an instance that its clones share; there is no bag of the process, so two programs in one process never mix what
//! they tell. Until [`Facts::init`] every call does nothing, so code may note facts whether anybody wanted them or not.
//!
//! What was noted stays until it was delivered: [`crate::emitter`] takes a window, and only its delivery empties the bag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use thiserror::Error;

mod bag;
#[cfg(test)]
mod tests;

use bag::{Bag, Change};

/// A value that is not made of others.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Words.
    Text(String),
    /// A number, never infinite and never NaN. Whole ones are written without a fraction.
    Number(#[serde(serialize_with = "number")] f64),
}

/// What is known under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// One value.
    One(Scalar),
    /// Values in the order in which they came.
    List(Vec<Scalar>),
    /// How often each text came. Written as a list of objects with `value` and `count`, which databases can ask for.
    CountingSet(BTreeMap<String, u64>),
    /// Values under names of their own.
    Map(BTreeMap<String, Scalar>),
}

/// Why something was not noted. Nothing changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FactError {
    /// The bag was initialised before.
    #[error("the facts were initialised already")]
    AlreadyInitialised,
    /// What is known under this name is of another kind.
    #[error("the fact `{key}` is {is}, not {wanted}")]
    Kind {
        /// The name.
        key: String,
        /// What it is.
        is: &'static str,
        /// What the call is for.
        wanted: &'static str,
    },
    /// The number is infinite or none, or would become so.
    #[error("the fact `{key}` would not be a finite number")]
    NotFinite {
        /// The name.
        key: String,
    },
    /// There is no room for it.
    #[error("there is no room for the fact `{key}`")]
    Full {
        /// The name.
        key: String,
    },
}

/// What a bag does not go beyond.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Names, and the members of lists, sets and maps, together.
    pub items_max: usize,
    /// Bytes of all of them; a number is 8.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            items_max: 1_000,
            bytes_max: 1 << 16,
        }
    }
}

/// Keys that a server may disable; it sends strings of its choice.
const SERVER_KEYS_MAX: usize = 256;

/// A bag of facts, shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    limits: Limits,
    bag: OnceLock<Mutex<Bag>>,
    emitting: AtomicBool,
}

impl Facts {
    /// A bag with bounds of its own.
    pub fn within(limits: Limits) -> Self {
        Self {
            inner: Arc::new(Inner {
                limits,
                ..Inner::default()
            }),
        }
    }

    /// From here on facts are noted, as those of the instance `instance_id`. What is noted under one of `disabled_keys` is
    /// forgotten at once, whatever a server says.
    ///
    /// # Errors
    /// When it was initialised before.
    pub fn init(
        &self,
        instance_id: &str,
        disabled_keys: impl IntoIterator<Item = String>,
    ) -> Result<(), FactError> {
        let bag = Bag::new(self.inner.limits, instance_id, disabled_keys);
        let set = self.inner.bag.set(Mutex::new(bag));
        set.map_err(|_| FactError::AlreadyInitialised)
    }

    /// `key` is `value`, in place of what it was.
    ///
    /// # Errors
    /// When it is of another kind, not finite, or there is no room.
    pub fn set(&self, key: &str, value: impl Into<Scalar>) -> Result<(), FactError> {
        self.change(key, || Change::Set(value.into()))
    }

    /// `sub_key` in the map `key` is `value`, in place of what it was.
    ///
    /// # Errors
    /// When `key` is no map, the value not finite, or there is no room.
    pub fn set_nested(
        &self,
        key: &str,
        sub_key: &str,
        value: impl Into<Scalar>,
    ) -> Result<(), FactError> {
        self.change(key, || Change::SetNested(sub_key.to_owned(), value.into()))
    }

    /// Adds `value` at the end of the list `key`.
    ///
    /// # Errors
    /// When `key` is no list, the value not finite, or there is no room.
    pub fn append(&self, key: &str, value: impl Into<Scalar>) -> Result<(), FactError> {
        self.change(key, || Change::Append(value.into()))
    }

    /// Counts `value` once more in the counting set `key`.
    ///
    /// # Errors
    /// When `key` is no counting set, or there is no room.
    pub fn append_unique(&self, key: &str, value: &str) -> Result<(), FactError> {
        self.append_counted(key, value, 1)
    }

    /// Counts `value` so many times more in the counting set `key`; 0 times makes it known.
    ///
    /// # Errors
    /// When `key` is no counting set, or there is no room.
    pub fn append_counted(&self, key: &str, value: &str, count: u64) -> Result<(), FactError> {
        self.change(key, || Change::Count(value.to_owned(), count))
    }

    /// Adds `more` to the number `key`, which begins at 0.
    ///
    /// # Errors
    /// When `key` is no number, the sum not finite, or there is no room.
    pub fn add(&self, key: &str, more: f64) -> Result<(), FactError> {
        self.change(key, || Change::Add(more))
    }

    /// Adds 1 to the number `key`.
    ///
    /// # Errors
    /// As [`Facts::add`].
    pub fn increment(&self, key: &str) -> Result<(), FactError> {
        self.add(key, 1.0)
    }

    /// Forgets what is known under `key` and was not delivered.
    pub fn reset(&self, key: &str) {
        if let Some(mut bag) = self.bag() {
            bag.purge(key);
        }
    }

    /// Whether anything is noted.
    pub fn is_initialised(&self) -> bool {
        self.inner.bag.get().is_some()
    }

    /// How many calls were refused for want of room.
    pub fn refused(&self) -> u64 {
        self.bag().map_or(0, |bag| bag.refused)
    }

    fn change(&self, key: &str, change: impl FnOnce() -> Change) -> Result<(), FactError> {
        self.bag()
            .map_or(Ok(()), |mut bag| bag.change(key, change()))
    }

    fn bag(&self) -> Option<MutexGuard<'_, Bag>> {
        let bag = self.inner.bag.get()?;
        Some(bag.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What an emitter does with a bag.
impl Facts {
    /// The id it was initialised with; empty before.
    pub(crate) fn instance_id(&self) -> String {
        self.bag()
            .map_or_else(String::new, |bag| bag.instance_id.clone())
    }

    /// All that is known and was not delivered.
    pub(crate) fn known(&self) -> BTreeMap<String, Fact> {
        self.bag()
            .map_or_else(BTreeMap::new, |bag| bag.known().clone())
    }

    /// The same, as a window that is under way. Until [`Facts::delivered`] or [`Facts::kept`] says what became of it, what
    /// comes is noted apart.
    pub(crate) fn window(&self) -> BTreeMap<String, Fact> {
        self.bag().map_or_else(BTreeMap::new, |mut bag| bag.begin())
    }

    /// The window is with somebody who has it: it is forgotten, and what came since is the next.
    pub(crate) fn delivered(&self) {
        if let Some(mut bag) = self.bag() {
            bag.delivered();
        }
    }

    /// The window was not delivered: it is part of the next.
    pub(crate) fn kept(&self) {
        if let Some(mut bag) = self.bag() {
            bag.kept();
        }
    }

    /// Does what a server asked for: nothing is noted under the keys in `disable` from here on, and what was is forgotten.
    /// Those in `enable` that it disabled earlier are noted again; never those that `init` disabled, nor those in `disable`.
    pub(crate) fn steer(&self, enable: &[String], disable: &[String]) {
        if let Some(mut bag) = self.bag() {
            bag.steer(enable, disable, SERVER_KEYS_MAX);
        }
    }

    /// Takes the place of the one emitter that there may be; whether it was free.
    pub(crate) fn begin_emitting(&self) -> bool {
        !self.inner.emitting.swap(true, Ordering::AcqRel)
    }

    /// Gives it back.
    pub(crate) fn end_emitting(&self) {
        self.inner.emitting.store(false, Ordering::Release);
    }
}

/// A short name for long text: FNV-1a of 32 bits in hexadecimal, without zeros in front.
///
/// It hides nothing: who can guess the text can check the guess.
pub fn fast_hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:x}")
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Scalar {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Scalar {
    /// Exact up to 2⁵³.
    #[expect(
        clippy::cast_precision_loss,
        reason = "readers of JSON have no more precision"
    )]
    fn from(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Counted<'a> {
            value: &'a str,
            count: u64,
        }
        match self {
            Self::One(scalar) => scalar.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
            Self::CountingSet(set) => {
                let mut list = serializer.serialize_seq(Some(set.len()))?;
                for (value, &count) in set {
                    list.serialize_element(&Counted { value, count })?;
                }
                list.end()
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::trivially_copy_pass_by_ref,
    reason = "a whole number below 2^53 fits, and serde passes references"
)]
fn number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}
