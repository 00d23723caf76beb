//! Descriptions that are made at run time.
//!
//! A description lives as long as the process, whoever made it, so that a snapshot can point to it. The same one is kept
//! once, and there is a bound on how many there can be.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::{Family, Label};

/// The most descriptions of run time in a process.
const INTERNED_MAX: usize = 4_096;

static FAMILIES: LazyLock<Mutex<HashSet<&'static Family>>> = LazyLock::new(Mutex::default);

/// The family of that name, with these combinations of label values if not with all; `None` when there are too many already.
pub(crate) fn intern(
    name: &str,
    help: &str,
    family: Family,
    labels: &[Label],
    only: Option<&[[u16; 2]]>,
) -> Option<&'static Family> {
    let mut families = FAMILIES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = families.iter().find(|known| {
        known.name == name
            && known.help == help
            && known.labels == labels
            && are_same(known.only, only)
            && known.named == family.named
            && (known.kind, known.unit, known.stability)
                == (family.kind, family.unit, family.stability)
    });
    if let Some(known) = known {
        return Some(known);
    }
    if families.len() >= INTERNED_MAX {
        return None;
    }
    let family: &Family = Box::leak(Box::new(Family {
        name: name.to_owned().leak(),
        help: help.to_owned().leak(),
        labels: labels.to_owned().leak(),
        only: only.map(|only| {
            let only = only.iter().map(|positions| &*positions.to_vec().leak());
            &*only.collect::<Vec<&[u16]>>().leak()
        }),
        ..family
    }));
    families.insert(family);
    Some(family)
}

fn are_same(known: Option<&[&[u16]]>, only: Option<&[[u16; 2]]>) -> bool {
    match (known, only) {
        (None, None) => true,
        (Some(known), Some(only)) => {
            known.len() == only.len() && known.iter().zip(only).all(|(known, one)| known == one)
        }
        _ => false,
    }
}
