//! Who gets which name in a directory.
//!
//! The same wants give the same names in whatever order they come. Directories choose before files. Of several files that
//! want one name, the one of the lowest track gets it and the others are numbered in the order of their tracks; a number
//! never takes a name that anything else in the directory wants.

use std::borrow::Cow;
use std::collections::HashSet;

use super::directory::{ChildKind, Placed, Want};
use crate::names;

/// What is in a directory under its final name, sorted by name. `reserved` names are left free.
pub(super) fn arrange<'a>(mut wants: Vec<Want<'a>>, reserved: &[&'a [u8]]) -> Vec<Placed<'a>> {
    let order = |want: &Want<'_>| match want.kind {
        ChildKind::Directory(_) => None,
        ChildKind::File { track, .. } => Some(track),
    };
    wants.sort_unstable_by(|a, b| {
        let (first, second) = (order(a), order(b));
        (first.is_some(), a.name, first).cmp(&(second.is_some(), b.name, second))
    });
    let is_plain = reserved.is_empty()
        && wants
            .first()
            .is_none_or(|want| order(want).is_some() || order(&wants[wants.len() - 1]).is_none())
        && wants.windows(2).all(|pair| pair[0].name != pair[1].name);
    if is_plain {
        // Of one kind and all different: everything has its wish, in the order it stands in.
        return wants
            .into_iter()
            .map(|want| Placed {
                name: Cow::Borrowed(want.name),
                want,
            })
            .collect();
    }
    let mut names = Names {
        wanted: wants.iter().map(|want| want.name).collect(),
        // A name that is no Unicode cannot be wanted by anybody.
        taken: reserved
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .map(Cow::Borrowed)
            .collect(),
        last: None,
    };
    let mut placed: Vec<Placed<'a>> = wants
        .into_iter()
        .map(|want| Placed {
            name: names.take(want.name, usize::from(want.extension_len)),
            want,
        })
        .collect();
    placed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    placed
}

/// The names of one directory.
struct Names<'a> {
    wanted: HashSet<&'a str>,
    taken: HashSet<Cow<'a, str>>,
    /// The name that was asked for last, and the number to try next for it. Equal names are asked for one after the other.
    last: Option<(&'a str, u32)>,
}

impl<'a> Names<'a> {
    /// `name` if it is free, else `name` with the first number that makes a free one.
    fn take(&mut self, name: &'a str, extension_len: usize) -> Cow<'a, str> {
        if self.taken.insert(Cow::Borrowed(name)) {
            return Cow::Borrowed(name);
        }
        let mut number = match self.last {
            Some((last, next)) if last == name => next,
            _ => 2,
        };
        loop {
            let numbered: Cow<'a, str> = names::numbered(name, extension_len, number).into();
            number += 1;
            if !self.wanted.contains(&*numbered) && self.taken.insert(numbered.clone()) {
                self.last = Some((name, number));
                return numbered;
            }
        }
    }
}
