//! The names of the metrics directory: its texts, and below `value` one file for each number of the catalogue.
//!
//! The names are made once, when the mount is, since the catalogue does not change after that. Whether a name is there at a
//! moment is decided by the snapshot of that moment: an unknown number has no file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use musefs_telemetry::encode::plain;
use musefs_telemetry::{Family, Snapshot};

use super::texts::TEXTS;

/// The directory below which each number has a file.
const VALUES_NAME: &str = "value";
/// The digits that a number's file is filled up to, with spaces in front: zeros would make it octal to a shell.
const VALUE_WIDTH: usize = 20;
const VALUE_MODE: u16 = 0o444;
const DIRECTORY_MODE: u16 = 0o555;

/// One name of the directory, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// The metrics directory itself.
    pub const ROOT: Self = Self(0);

    /// Its place in the table.
    pub(super) fn index(self) -> usize {
        self.0
    }
}

#[derive(Debug)]
struct Node {
    name: String,
    parent: NodeId,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Directory(Children),
    /// The text at this place of the table of texts.
    Text(usize),
    Value(Number),
}

#[derive(Debug, Default)]
struct Children {
    in_order: Vec<NodeId>,
    by_name: HashMap<String, NodeId>,
}

/// One number of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    family: &'static Family,
    series: usize,
    /// Which of the numbers of the series.
    place: usize,
}

impl Number {
    /// A line with the number as it is in `snapshot`; `None` when it is unknown.
    pub(super) fn line(&self, snapshot: &Snapshot) -> Option<String> {
        let metric = snapshot.find(self.family.name)?;
        let mut number = String::with_capacity(VALUE_WIDTH + 1);
        if !plain::push(&mut number, &metric, self.series, self.place) {
            return None;
        }
        // Only a number with a fraction can be longer, after some centuries.
        number.truncate(VALUE_WIDTH);
        Some(format!("{number:>VALUE_WIDTH$}\n"))
    }
}

/// What a file of the directory holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    Text(usize),
    Value(&'a Number),
}

/// All names.
#[derive(Debug)]
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    /// The names for a catalogue with these families.
    pub(super) fn of(families: impl Iterator<Item = &'static Family>) -> Self {
        let mut nodes = Self(vec![Node {
            name: String::new(),
            parent: NodeId::ROOT,
            kind: Kind::Directory(Children::default()),
        }]);
        for (index, text) in TEXTS.iter().enumerate() {
            nodes.add(NodeId::ROOT, text.name.into(), Kind::Text(index));
        }
        let directory = || Kind::Directory(Children::default());
        let values = nodes.add(NodeId::ROOT, VALUES_NAME.into(), directory());
        for family in families {
            for (place, suffix) in plain::suffixes(family.kind).iter().enumerate() {
                let name = format!("{}{suffix}", family.name);
                let number = |series| {
                    Kind::Value(Number {
                        family,
                        series,
                        place,
                    })
                };
                if family.labels.is_empty() {
                    nodes.add(values, name, number(0));
                    continue;
                }
                let parent = nodes.add(values, name, directory());
                // What has its name from run time has none here.
                for series in family.place_count()..family.series_count() {
                    nodes.add(parent, series_name(family, series), number(series));
                }
            }
        }
        nodes
    }

    fn add(&mut self, parent: NodeId, name: String, kind: Kind) -> NodeId {
        let id = NodeId(self.0.len());
        let Kind::Directory(children) = &mut self.0[parent.0].kind else {
            unreachable!("only directories are given as parents");
        };
        children.in_order.push(id);
        children.by_name.insert(name.clone(), id);
        self.0.push(Node { name, parent, kind });
        id
    }

    /// The node at place `index` of the table.
    pub(super) fn at(&self, index: u64) -> Option<NodeId> {
        let index = usize::try_from(index).ok()?;
        (index < self.0.len()).then_some(NodeId(index))
    }

    /// The node called `name` in the directory `parent`.
    pub(super) fn child(&self, parent: NodeId, name: &OsStr) -> Option<NodeId> {
        let name = std::str::from_utf8(name.as_bytes()).ok()?;
        match &self.0[parent.0].kind {
            Kind::Directory(children) => children.by_name.get(name).copied(),
            Kind::Text(_) | Kind::Value(_) => None,
        }
    }

    /// The nodes in the directory `parent`, with their names.
    pub(super) fn children(&self, parent: NodeId) -> impl Iterator<Item = (NodeId, &str)> {
        let in_order = match &self.0[parent.0].kind {
            Kind::Directory(children) => children.in_order.as_slice(),
            Kind::Text(_) | Kind::Value(_) => &[],
        };
        in_order.iter().map(|&id| (id, &*self.0[id.0].name))
    }

    /// The path of `node` below the metrics directory, with a `/` before each name; that of the directory itself is empty.
    pub(super) fn path_of(&self, node: NodeId) -> String {
        if node == NodeId::ROOT {
            return String::new();
        }
        let Node { name, parent, .. } = &self.0[node.0];
        format!("{}/{name}", self.path_of(*parent))
    }

    /// The directory that `node` is in; the metrics directory is in itself.
    pub(super) fn parent(&self, node: NodeId) -> NodeId {
        self.0[node.0].parent
    }

    /// What the file `node` holds; `None` for a directory.
    pub(super) fn content(&self, node: NodeId) -> Option<Content<'_>> {
        match &self.0[node.0].kind {
            Kind::Directory(_) => None,
            Kind::Text(index) => Some(Content::Text(*index)),
            Kind::Value(number) => Some(Content::Value(number)),
        }
    }

    /// Permission bits of `node`.
    pub(super) fn mode(&self, node: NodeId) -> u16 {
        match &self.0[node.0].kind {
            Kind::Directory(_) => DIRECTORY_MODE,
            Kind::Text(index) => TEXTS[*index].mode,
            Kind::Value(_) => VALUE_MODE,
        }
    }

    /// Directories in the directory `node`.
    pub(super) fn subdirectories(&self, node: NodeId) -> u32 {
        let directories = self
            .children(node)
            .filter(|(child, _)| self.content(*child).is_none());
        u32::try_from(directories.count()).unwrap_or(u32::MAX)
    }
}

/// `op=read,errno=EIO`
fn series_name(family: &Family, series: usize) -> String {
    let mut name = String::new();
    for (label, value) in family.series_labels(series) {
        if !name.is_empty() {
            name.push(',');
        }
        name.push_str(label);
        name.push('=');
        name.push_str(&value.replace(['/', '\0'], "_"));
    }
    name
}

#[cfg(test)]
mod tests {
    use musefs_telemetry::{Engine, Label};

    use super::*;

    #[test]
    fn a_number_is_a_line_of_one_width_and_gone_when_nobody_knows_it() {
        static LEVELS: Family = Family::gauge("levels", "Levels.").with_labels(&[
            Label {
                name: "tank",
                values: &["left", "right"],
            },
            Label {
                name: "depth",
                values: &["1"],
            },
        ]);
        let engine = Engine::new();
        let levels = engine.gauges(&LEVELS).unwrap();
        levels.set(1, -7);
        let nodes = Nodes::of([&LEVELS].into_iter());
        let find = |parent, name: &str| nodes.child(parent, OsStr::new(name));
        let values = find(NodeId::ROOT, "value").unwrap();
        let family = find(values, "levels").unwrap();
        let right = find(family, "tank=right,depth=1").unwrap();
        let line = |node| match nodes.content(node) {
            Some(Content::Value(number)) => number.line(&engine.snapshot()),
            _ => unreachable!("it is a number"),
        };
        assert_eq!(line(right).unwrap(), format!("{:>20}\n", -7));
        levels.clear(1);
        assert_eq!(line(right), None);
        assert_eq!(nodes.parent(right), family);
        assert!(find(family, "tank=middle").is_none());
        assert!(find(NodeId::ROOT, "metrics").is_some());
    }
}
