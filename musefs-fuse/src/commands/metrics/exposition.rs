//! A text of metrics, checked as the strictest collector would, and every fault named with its line.
//!
//! Parsers of these formats stop at the first line that they cannot read and forgive what they need not know; what is wanted
//! here is the list of all that is wrong, so this one reads on. It knows two formats and nothing of musefs but the line that
//! fills a file up to its size.

mod family;
mod line;

use std::collections::HashMap;

use family::{Family, Kind};
pub use line::{Format, Line, Sample, parse};

/// The family that fills a text up to a round size: it has a HELP and nothing else.
pub const PADDING: &str = "musefs_padding";

/// Faults that are kept; further ones are counted.
const FAULTS_MAX: usize = 200;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// In the order of their lines.
    pub faults: Vec<Fault>,
    /// Faults beyond those that are kept.
    pub further_faults: usize,
    /// Families, without the one for padding.
    pub families: usize,
    /// Lines with a value.
    pub samples: usize,
}

impl Report {
    /// How many faults, families and samples there are, in words.
    pub fn counted(&self) -> String {
        let count = |count: usize, one: &str, many: &str| match count {
            0 => format!("no {one}"),
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        format!(
            "{}, {}, {}",
            count(self.families, "family", "families"),
            count(self.samples, "sample", "samples"),
            count(self.faults.len() + self.further_faults, "fault", "faults"),
        )
    }
}

/// By which rules `text` seems to be written: signs that only one format has decide, else it is Prometheus text.
pub fn looks_like(text: &str) -> Format {
    let mut counter = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            counter = match rest.split_once(' ') {
                Some((_, "info" | "stateset" | "unknown" | "gaugehistogram")) => {
                    return Format::Open;
                }
                Some((name, "counter")) => Some(name),
                _ => None,
            };
        } else if line.starts_with("# UNIT ") {
            return Format::Open;
        } else if let Some(name) = counter {
            // Only in one of the formats is a counter's family called otherwise than its samples.
            let ending = line.strip_prefix(name).unwrap_or("");
            if ["_total", "_created"]
                .iter()
                .any(|known| ending.starts_with(known))
            {
                return Format::Open;
            }
        }
    }
    Format::Text
}

/// Checks a whole text.
pub fn check(text: &[u8], format: Format) -> Report {
    let mut checker = Checker {
        format,
        faults: Vec::new(),
        further_faults: 0,
        families: Vec::new(),
        by_name: HashMap::new(),
        current: None,
        series: HashMap::new(),
        samples: 0,
    };
    let mut end = None;
    let mut last = 0;
    for (index, bytes) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        last = index + 1;
        let Some(bytes) = bytes.strip_suffix(b"\n") else {
            checker.fault(
                last,
                "the last line does not end with a line feed: the text was cut here".into(),
            );
            // What is left of a line means nothing.
            continue;
        };
        if let Some(end) = end {
            checker.fault(
                last,
                format!("the text goes on behind `# EOF` on line {end}"),
            );
            break;
        }
        let parsed = std::str::from_utf8(bytes)
            .map_err(|_| "bytes that are no UTF-8".to_owned())
            .and_then(|line| parse(line, format));
        match parsed {
            Ok(Line::End) => end = Some(last),
            Ok(line) => checker.line(last, line),
            Err(what) => checker.fault(last, what),
        }
    }
    if end.is_none() {
        checker.fault(
            last.max(1),
            "the text does not end with `# EOF`: the rest of it may be missing".into(),
        );
    }
    checker.finish()
}

struct Checker<'a> {
    format: Format,
    faults: Vec<Fault>,
    further_faults: usize,
    families: Vec<Family<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// The family of the lines that were read last.
    current: Option<usize>,
    /// The line on which each series stands.
    series: HashMap<String, usize>,
    samples: usize,
}

impl<'a> Checker<'a> {
    fn fault(&mut self, line: usize, what: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { line, what });
        } else {
            self.further_faults += 1;
        }
    }

    fn line(&mut self, at: usize, line: Line<'a>) {
        match line {
            Line::Remark | Line::End => {}
            Line::Help(name) => self.help(at, name),
            Line::Type(name, word) => self.kind(at, name, word),
            Line::Unit(name, unit) => self.unit(at, name, unit),
            Line::Sample(sample) => self.sample(at, &sample),
        }
    }

    /// The family called `name`, as the one that the line `at` belongs to.
    fn enter(&mut self, at: usize, name: &'a str) -> usize {
        let index = *self.by_name.entry(name).or_insert_with(|| {
            self.families.push(Family::new(name, at));
            self.families.len() - 1
        });
        let family = &mut self.families[index];
        if self.current != Some(index) && family.last < at && family.first < at {
            let (first, told) = (family.first, std::mem::replace(&mut family.is_apart, true));
            if !told {
                self.fault(
                    at,
                    format!("`{name}` goes on after other families: it began on line {first}, and all of it stands together"),
                );
            }
        }
        self.families[index].last = at;
        self.current = Some(index);
        index
    }

    /// Notes that the family `index` has a line of this kind, and that it stands where it may.
    fn described(&mut self, at: usize, index: usize, what: &str, before: Option<usize>) {
        let family = &self.families[index];
        let (name, first_sample) = (family.name, family.first_sample);
        if let Some(before) = before {
            self.fault(
                at,
                format!("a second {what} of `{name}`: the first is on line {before}"),
            );
        } else if let Some(first_sample) = first_sample {
            self.fault(
                at,
                format!("the {what} of `{name}` comes after its samples, which begin on line {first_sample}"),
            );
        }
    }

    fn help(&mut self, at: usize, name: &'a str) {
        let index = self.enter(at, name);
        let before = self.families[index].help;
        self.described(at, index, "HELP", before);
        self.families[index].help.get_or_insert(at);
    }

    fn kind(&mut self, at: usize, name: &'a str, word: &'a str) {
        let index = self.enter(at, name);
        let before = self.families[index].typed;
        self.described(at, index, "TYPE", before);
        if before.is_some() {
            return;
        }
        let kind = Kind::of(word, self.format);
        let family = &mut self.families[index];
        family.typed = Some(at);
        family.kind = kind.unwrap_or(Kind::Unknown);
        let total = name.ends_with("_total");
        match (kind, self.format) {
            (None, format) => self.fault(
                at,
                format!("`{word}` is no type of {}", format.name()),
            ),
            (Some(Kind::Counter), Format::Text) if !total => self.fault(
                at,
                format!("`{name}` is a counter, and its name does not end in `_total`"),
            ),
            (Some(Kind::Counter), Format::Open) if total => self.fault(
                at,
                format!("`{name}` is a counter: its family is called without `_total`, which its samples have"),
            ),
            _ => {}
        }
    }

    fn unit(&mut self, at: usize, name: &'a str, unit: &str) {
        let index = self.enter(at, name);
        let before = self.families[index].unit;
        self.described(at, index, "UNIT", before);
        self.families[index].unit.get_or_insert(at);
        let ends = name
            .strip_suffix(unit)
            .is_some_and(|stem| stem.ends_with('_'));
        if !unit.is_empty() && !ends {
            self.fault(
                at,
                format!("the unit of `{name}` is {unit}, and the name does not end in `_{unit}`"),
            );
        }
    }

    fn sample(&mut self, at: usize, sample: &Sample<'a>) {
        self.samples += 1;
        let (name, ending) = self.family_of(sample.name);
        let index = self.enter(at, name);
        let series = key(sample);
        if let Some(first) = self.series.insert(series, at) {
            self.fault(
                at,
                format!(
                    "the series {} stands twice: first on line {first}",
                    shown(sample, None)
                ),
            );
            // The first is the one that counts.
            return;
        }
        let family = &mut self.families[index];
        family.first_sample.get_or_insert(at);
        let faults = family.take(at, ending, sample, self.format);
        for what in faults {
            self.fault(at, what);
        }
    }

    /// The family that a sample of this name belongs to, and the ending that makes its name of the family's.
    fn family_of(&self, name: &'a str) -> (&'a str, &'a str) {
        let current = self.current.map(|index| &self.families[index]);
        let ending_of = |family: &Family<'a>| {
            name.strip_prefix(family.name)
                .filter(|ending| family.kind.has(ending, self.format))
        };
        if let Some((family, ending)) =
            current.and_then(|family| Some((family, ending_of(family)?)))
        {
            return (family.name, ending);
        }
        if self.by_name.contains_key(name) {
            return (name, "");
        }
        // From the longest base to the shortest.
        for (at, _) in name.rmatch_indices('_') {
            let (base, ending) = name.split_at(at);
            if let Some(&index) = self.by_name.get(base)
                && self.families[index].kind.has(ending, self.format)
            {
                return (base, ending);
            }
        }
        (name, "")
    }

    fn finish(mut self) -> Report {
        let families = std::mem::take(&mut self.families);
        for family in &families {
            for (line, what) in family.faults(self.format) {
                self.fault(line, what);
            }
        }
        self.faults.sort_by_key(|fault| fault.line);
        Report {
            faults: self.faults,
            further_faults: self.further_faults,
            families: families
                .iter()
                .filter(|family| family.name != PADDING)
                .count(),
            samples: self.samples,
        }
    }
}

/// What tells a series from any other, whatever the order of its labels.
fn key(sample: &Sample<'_>) -> String {
    let mut labels: Vec<_> = sample.labels.iter().collect();
    labels.sort();
    // Quotes and escapes keep two different lists apart.
    format!(
        "{} {labels:?} {}",
        sample.name,
        sample.timestamp.unwrap_or("")
    )
}

/// A series as people know it, without the label `but`.
fn shown(sample: &Sample<'_>, but: Option<&str>) -> String {
    let labels: Vec<String> = sample
        .labels
        .iter()
        .filter(|(name, _)| Some(*name) != but)
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if labels.is_empty() {
        format!("`{}`", sample.name)
    } else {
        format!("`{}{{{}}}`", sample.name, labels.join(","))
    }
}

#[cfg(test)]
mod tests;
