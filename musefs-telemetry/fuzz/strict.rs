//! A reader of the two Prometheus formats that forgives nothing: it takes what the encoders may write, and no more.
//!
//! Sources: "Exposition formats" of the Prometheus documentation; the `OpenMetrics` 1.0 specification.

/// A line with a value.
#[derive(Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// The one family of a text.
#[derive(Debug, Default, PartialEq)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// The family of a text in the classic format.
///
/// # Errors
/// The first line that breaks a rule.
pub fn classic(text: &str) -> Result<Family, String> {
    parse(text, false)
}

/// The family of an `OpenMetrics` text.
///
/// # Errors
/// The first line that breaks a rule.
pub fn open(text: &str) -> Result<Family, String> {
    let text = text.strip_suffix("# EOF\n").ok_or("no end mark")?;
    parse(text, true)
}

fn parse(text: &str, quotes_in_help: bool) -> Result<Family, String> {
    let text = text.strip_suffix('\n').ok_or("no line feed at the end")?;
    let mut family = Family::default();
    for line in text.split('\n') {
        let read = match line.strip_prefix("# ") {
            Some(comment) if family.samples.is_empty() => {
                metadata(&mut family, comment, quotes_in_help)
            }
            Some(_) => None,
            None => sample(line).map(|sample| family.samples.push(sample)),
        };
        read.ok_or_else(|| format!("{line:?} in {text:?}"))?;
    }
    let endings: &[&str] = match (family.kind.as_str(), quotes_in_help) {
        ("counter", false) | ("gauge", _) => &[""],
        ("counter", true) => &["_total", "_created"],
        ("summary", false) => &["", "_sum", "_count"],
        ("summary", true) => &["", "_sum", "_count", "_created"],
        ("histogram", false) => &["_bucket", "_sum", "_count"],
        ("histogram", true) => &["_bucket", "_sum", "_count", "_created"],
        _ => return Err(format!("a type that is none: {text:?}")),
    };
    for sample in &family.samples {
        let ending = sample.name.strip_prefix(&family.name);
        if !ending.is_some_and(|ending| endings.contains(&ending)) {
            return Err(format!("{sample:?} is no sample of {}", family.name));
        }
    }
    Ok(family)
}

fn metadata(family: &mut Family, comment: &str, quotes_in_help: bool) -> Option<()> {
    let (keyword, rest) = comment.split_once(' ')?;
    let (name, value) = rest.split_once(' ')?;
    if family.name.is_empty() {
        name.clone_into(&mut family.name);
    }
    let escapes = if quotes_in_help { "\\n\"" } else { "\\n" };
    let (place, value) = match keyword {
        "HELP" => (&mut family.help, unescape(value, escapes)?),
        "TYPE" => (&mut family.kind, value.to_owned()),
        "UNIT" if quotes_in_help && name.ends_with(value) => (&mut family.unit, value.to_owned()),
        _ => return None,
    };
    let first = place.is_empty() && name == family.name && is_name(name);
    *place = value;
    first.then_some(())
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"")?;
            let end = end_of_value(value)?;
            if !is_name(label) || labels.iter().any(|(known, _)| known == label) {
                return None;
            }
            labels.push((label.to_owned(), unescape(&value[..end], "\\n\"")?));
            rest = &value[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let number = rest.strip_prefix(' ')?;
    let digits = number.strip_prefix('-').unwrap_or(number);
    let plain = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = number.parse().ok()?;
    (is_name(name) && plain && value.is_finite()).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Where the quote is that ends a label value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// `text` without its escapes; `None` when it has another one than `escapes`, or a character that needs one.
fn unescape(text: &str, escapes: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next().filter(|next| escapes.contains(*next))? {
                'n' => '\n',
                other => other,
            },
            '"' if escapes.contains('"') => return None,
            other => other,
        });
    }
    Some(plain)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
