//! What the sums come to, in words. Each sentence follows from numbers; what is not so is not said.

use std::collections::BTreeMap;

use indicatif::HumanCount;

use super::sums::{Combination, OTHER, Part, Sums};

/// From which share on, in percent, something is most of the whole.
const MOST: u64 = 50;
/// From which share on something is worth to be named.
const SOME: u64 = 10;

/// What there is to say of `sums`, a sentence each.
pub(super) fn words(sums: &Sums, watched_ns: u64) -> Vec<String> {
    let mut words = vec![whole(sums, watched_ns)];
    if let Some((part, _)) = largest(sums) {
        words.extend(advice(part).map(str::to_owned));
    }
    words.extend(failures(sums));
    words.extend(slowest(sums));
    words.extend(missed(sums));
    words
}

/// Where most of the time went, or that it went nowhere.
fn whole(sums: &Sums, watched_ns: u64) -> String {
    if sums.all.operations == 0 {
        return format!("Nothing was asked of the mount in {}.", took(watched_ns));
    }
    let whole = format!(
        "Of {} in {}",
        took(sums.all.ns),
        counted(sums.all.operations, "operation")
    );
    if let Some((part, percent)) = largest(sums) {
        let most = most_of(sums, part).map_or_else(String::new, |most| format!(", {most}"));
        return format!("{whole}, {percent} % was {}{most}.", spent_on(part));
    }
    let mut parts: Vec<(Part, u64)> = Part::ALL
        .into_iter()
        .map(|part| (part, percent(sums.parts[part as usize], sums.all.ns)))
        .filter(|(_, percent)| *percent >= SOME)
        .collect();
    parts.sort_by_key(|(_, percent)| std::cmp::Reverse(*percent));
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(part, percent)| format!("{percent} % was {}", spent_on(part)))
        .collect();
    format!("{whole}, no one thing took most: {}.", parts.join(", "))
}

/// What more than half of the time was spent on, if it was on one thing, and its share.
fn largest(sums: &Sums) -> Option<(Part, u64)> {
    let part = Part::ALL
        .into_iter()
        .max_by_key(|part| sums.parts[*part as usize])?;
    let percent = percent(sums.parts[part as usize], sums.all.ns);
    (percent > MOST).then_some((part, percent))
}

/// Which operations, where and by whom, more than half of the time of `part` was spent on: as much of that as is so of all of it
/// together.
fn most_of(sums: &Sums, part: Part) -> Option<String> {
    let all: Vec<(&Combination, u64)> = sums
        .combined
        .iter()
        .map(|(combination, parts)| (combination, parts[part as usize]))
        .collect();
    let whole = sums.parts[part as usize];
    let (operation, of_operation) = most(&all, whole, |it| Some(&it.operation))?;
    let mut kept = of_operation;
    let mut said = format!("most of it {}", named(operation));
    // First the album, and where that says too little the artist.
    let directory = most(&kept, whole, |it| Some(&it.directory))
        .or_else(|| most(&kept, whole, |it| first_level(&it.directory)));
    if let Some((directory, of_directory)) = directory {
        kept = of_directory;
        let (before, directory) = match directory {
            "." => (" at the top", ""),
            "gone" => (" of files that are gone or were edited", ""),
            directory => (" under ", directory),
        };
        said.extend([before, directory]);
    }
    if let Some((process, _)) = most(&kept, whole, |it| Some(&it.process)) {
        said.extend([" by ", process]);
    }
    Some(said)
}

fn first_level(directory: &str) -> Option<&str> {
    let end = directory.find('/')? + 1;
    Some(&directory[..end])
}

/// What most of `whole` has in common by `key`, and what of `among` has it. Nothing when there is no such thing, or it is what was
/// not told apart.
fn most<'a>(
    among: &[(&'a Combination, u64)],
    whole: u64,
    key: impl Fn(&'a Combination) -> Option<&'a str>,
) -> Option<(&'a str, Vec<(&'a Combination, u64)>)> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for (combination, ns) in among {
        if let Some(key) = key(combination) {
            *sums.entry(key).or_default() += ns;
        }
    }
    let (name, sum) = sums.into_iter().max_by_key(|(_, sum)| *sum)?;
    let is_most = name != OTHER && percent(sum, whole) > MOST;
    is_most.then(|| {
        let having = among.iter().copied();
        (
            name,
            having
                .filter(|(combination, _)| key(combination) == Some(name))
                .collect(),
        )
    })
}

/// What the time of a part is.
fn spent_on(part: Part) -> &'static str {
    match part {
        Part::Queue => "waiting for a free thread",
        Part::Store => "reading the store, or waiting for it",
        Part::Layout => "computing what is served",
        Part::Backing => "waiting for backing files",
        Part::Reply => "giving the answer to the kernel",
        Part::Memory => "answering from memory",
    }
}

/// What helps, where something does.
fn advice(part: Part) -> Option<&'static str> {
    match part {
        Part::Queue => Some("More `--workers` would let more of it be done at once."),
        Part::Store => Some(
            "A scan or an edit that goes on holds the store up; if none does, put it on a faster disk.",
        ),
        Part::Layout => Some("A larger `--header-cache-mib` keeps more of it."),
        Part::Backing => Some("That is the disk or network that the music is on."),
        Part::Reply | Part::Memory => None,
    }
}

fn failures(sums: &Sums) -> Option<String> {
    let failed = sums.all.failed;
    let (name, count) = sums.errors.iter().max_by_key(|(_, count)| **count)?;
    let which = match (*count == failed, percent(*count, failed) > MOST) {
        (true, _) => format!(" with {name}"),
        (false, true) => format!(", most of them with {name}"),
        (false, false) => format!(", most often with {name}"),
    };
    Some(format!("{} failed{which}.", HumanCount(failed)))
}

/// Worth to be said when it stands out: one operation in most of the time, or a second of somebody's.
fn slowest(sums: &Sums) -> Option<String> {
    const LONG_NS: u64 = 1_000_000_000;
    let slowest = sums.slowest.as_ref()?;
    let ns = slowest.duration_ns;
    let is_most = sums.all.operations > 1 && percent(ns, sums.all.ns) > MOST;
    if !is_most && ns < LONG_NS {
        return None;
    }
    let by = slowest.command.as_deref();
    let by = by.map_or_else(String::new, |by| format!(" by {by}"));
    Some(format!(
        "The slowest took {}: {} of {}{by} (request {}).",
        took(ns),
        slowest.operation,
        slowest.path,
        slowest.request
    ))
}

fn missed(sums: &Sums) -> Option<String> {
    (sums.missed > 0).then(|| {
        format!(
            "{} came too fast to be told and {} in none of this.",
            counted(sums.missed, "more operation"),
            if sums.missed == 1 { "is" } else { "are" }
        )
    })
}

/// `operation` as many of them are called.
fn named(operation: &str) -> String {
    match operation {
        "readdir" | "readlink" | "opendir" | "releasedir" | "getattr" | "statfs" => {
            format!("{operation} calls")
        }
        _ => format!("{operation}s"),
    }
}

fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", HumanCount(count))
}

/// A share in percent, rounded.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    if whole == 0 {
        return 0;
    }
    u64::try_from((part * 100 + whole / 2) / whole).unwrap_or(u64::MAX)
}

/// A duration with a unit that fits it.
#[expect(clippy::cast_precision_loss, reason = "two digits of it are told")]
pub(super) fn took(ns: u64) -> String {
    let ns = ns as f64;
    if ns >= 1e9 {
        format!("{:.1} s", ns / 1e9)
    } else if ns >= 1e7 {
        format!("{:.0} ms", ns / 1e6)
    } else if ns >= 1e4 {
        format!("{:.2} ms", ns / 1e6)
    } else {
        format!("{:.1} µs", ns / 1e3)
    }
}

#[cfg(test)]
mod tests;
