//! A part of a text of metrics: the families whose name matches, whole, and none of the padding.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use glob::Pattern;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exposition::{Format, Line, PADDING, parse};

/// Which families are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a>(pub Option<&'a Pattern>);

/// Of a family in JSON, what tells whether it is wanted.
#[derive(Deserialize)]
struct Named<'a> {
    name: &'a str,
}

/// What the names of samples have behind the name of their family.
const ENDINGS: [&str; 9] = [
    "", "_total", "_bucket", "_sum", "_count", "_created", "_info", "_gsum", "_gcount",
];

/// Whether a text that was filtered has nothing left but what every text has.
pub fn holds_nothing(kept: &str) -> bool {
    // Inside of a string of JSON the quotes would be escaped.
    kept.contains("\"families\":[]") || kept.lines().all(|line| line == "# EOF")
}

impl Filter<'_> {
    /// Whether the family called `name` is wanted.
    fn takes(self, name: &str) -> bool {
        name != PADDING && self.0.is_none_or(|pattern| pattern.matches(name))
    }

    /// The lines of the wanted families, and the end mark where there is one.
    ///
    /// # Errors
    /// When a line is none of the format's, with its number.
    pub fn text(self, text: &[u8], format: Format) -> Result<String> {
        let text = std::str::from_utf8(text).context("not UTF-8")?;
        let mut kept = String::new();
        let mut family = None;
        for (index, line) in text.lines().enumerate() {
            let parsed =
                parse(line, format).map_err(|what| anyhow!("line {}: {what}", index + 1))?;
            let name = match parsed {
                Line::Remark => continue,
                Line::End => {
                    kept.push_str("# EOF\n");
                    continue;
                }
                Line::Help(name) | Line::Type(name, _) | Line::Unit(name, _) => name,
                Line::Sample(sample) => {
                    let current = family.filter(|family| {
                        let ending = sample.name.strip_prefix(family);
                        ending.is_some_and(|ending| ENDINGS.contains(&ending))
                    });
                    current.unwrap_or(sample.name)
                }
            };
            family = Some(name);
            // `OpenMetrics` calls counters without their `_total`, which may be asked for all the same.
            let takes = self.takes(name)
                || format == Format::Open
                    && self.takes(&format!("{name}_total"))
                    && name != PADDING;
            if takes {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        Ok(kept)
    }

    /// The object with the wanted families alone, each as it is written.
    ///
    /// # Errors
    /// When it is no such object.
    pub fn json(self, text: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(text).context("not UTF-8")?.trim_end();
        if self.0.is_none() {
            return Ok(format!("{text}\n"));
        }
        let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(text)?;
        let families = members
            .get("families")
            .ok_or_else(|| anyhow!("there are no `families` in it"))?;
        let families: Vec<&RawValue> = serde_json::from_str(families.get())?;
        let mut wanted = Vec::new();
        for family in families {
            let Named { name } = serde_json::from_str(family.get())?;
            if self.takes(name) {
                wanted.push(family.get());
            }
        }
        let wanted = RawValue::from_string(format!("[{}]", wanted.join(",")))?;
        members.insert("families", &wanted);
        Ok(serde_json::to_string(&members)? + "\n")
    }

    /// The lines of the wanted families, without remarks. Which family a variable belongs to is told by `families`, their
    /// names: the longest one that begins it.
    ///
    /// # Errors
    /// When a line is none of `NAME=VALUE`.
    pub fn env(self, text: &[u8], families: &[&str]) -> Result<String> {
        let text = std::str::from_utf8(text).context("not UTF-8")?;
        let mut kept = String::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (variable, _) = line
                .split_once('=')
                .ok_or_else(|| anyhow!("line {}: expected NAME=VALUE", index + 1))?;
            let family = families
                .iter()
                .filter(|family| {
                    variable
                        .strip_prefix(**family)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                })
                .max_by_key(|family| family.len());
            if self.takes(family.unwrap_or(&variable)) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        Ok(kept)
    }
}

/// The names of the families in a Prometheus text.
pub fn families(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP a_total Things.
# TYPE a_total counter
a_total{op=\"read\"} 1
# HELP h_seconds Time.
# TYPE h_seconds histogram
h_seconds_bucket{le=\"+Inf\"} 1
h_seconds_sum 1
h_seconds_count 1
# HELP h_seconds_max Bound.
# TYPE h_seconds_max gauge
h_seconds_max 9
# HELP musefs_padding Fills.
# EOF
";

    fn pattern(glob: &str) -> Pattern {
        Pattern::new(glob).unwrap()
    }

    #[test]
    fn families_are_kept_whole() {
        let all = Filter(None).text(TEXT.as_bytes(), Format::Text).unwrap();
        assert_eq!(all, TEXT.replace("# HELP musefs_padding Fills.\n", ""));
        let glob = pattern("h_seconds");
        let one = Filter(Some(&glob))
            .text(TEXT.as_bytes(), Format::Text)
            .unwrap();
        let lines: Vec<&str> = TEXT.lines().collect();
        assert_eq!(
            one.lines().collect::<Vec<_>>(),
            [&lines[3..8], &lines[12..]].concat()
        );
        let glob = pattern("nothing*");
        let none = Filter(Some(&glob))
            .text(TEXT.as_bytes(), Format::Text)
            .unwrap();
        assert_eq!(none, "# EOF\n");
    }

    #[test]
    fn counters_of_the_newer_format_are_found_under_both_names() {
        let text = "# TYPE a counter\n# HELP a Things.\na_total 1\n# EOF\n";
        for name in ["a", "a_total", "a*"] {
            let glob = pattern(name);
            let kept = Filter(Some(&glob))
                .text(text.as_bytes(), Format::Open)
                .unwrap();
            assert_eq!(kept, text, "{name}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let error = Filter(None).text(b"# EOF\n{}\n", Format::Text).unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }

    #[test]
    fn objects_keep_their_families_as_they_are_written() {
        let text = "{\"attributes\":{},\"families\":[{\"name\":\"a_total\",\"value\":0.10},{\"name\":\"b\"}]}\n   \n";
        let glob = pattern("a_*");
        let kept = Filter(Some(&glob)).json(text.as_bytes()).unwrap();
        assert_eq!(
            kept,
            "{\"attributes\":{},\"families\":[{\"name\":\"a_total\",\"value\":0.10}]}\n"
        );
        let all = Filter(None).json(text.as_bytes()).unwrap();
        assert_eq!(all, text.trim_end().to_owned() + "\n");
        assert!(Filter(Some(&glob)).json(b"{}").is_err());
    }

    #[test]
    fn variables_belong_to_the_longest_family_that_begins_them() {
        let text = "a_total_op_read=1\nh_seconds_sum=1\nh_seconds_max=9\n# padding\n";
        let families = families(TEXT);
        assert_eq!(families, ["a_total", "h_seconds", "h_seconds_max"]);
        let env = |glob: &str| {
            let glob = pattern(glob);
            Filter(Some(&glob)).env(text.as_bytes(), &families).unwrap()
        };
        assert_eq!(env("h_seconds"), "h_seconds_sum=1\n");
        assert_eq!(env("h_*"), "h_seconds_sum=1\nh_seconds_max=9\n");
        assert_eq!(env("a_total"), "a_total_op_read=1\n");
        assert!(Filter(None).env(b"nothing\n", &families).is_err());
    }
}
