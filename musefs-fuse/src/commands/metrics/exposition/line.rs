//! One line of a text of metrics: what it is, or what is wrong with it.
//!
//! Sources: "Exposition formats" of the Prometheus documentation, version 0.0.4; the `OpenMetrics` 1.0 specification. The
//! older format leaves room for blanks, comments and empty lines, the newer one leaves none.

/// Which rules a text keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.
    Open,
}

impl Format {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "Prometheus text",
            Self::Open => "OpenMetrics",
        }
    }
}

/// What a line is.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// An empty line, or a remark for people.
    Remark,
    /// `# EOF`.
    End,
    /// `# HELP`, with the family's name.
    Help(&'a str),
    /// `# TYPE`, with the family's name and the word for its type.
    Type(&'a str, &'a str),
    /// `# UNIT`, with the family's name and the unit.
    Unit(&'a str, &'a str),
    /// A value.
    Sample(Sample<'a>),
}

/// Names and plain values.
type Labels<'a> = Vec<(&'a str, String)>;

/// A line with a value.
#[derive(Debug, PartialEq)]
pub struct Sample<'a> {
    /// The name of the metric, with the ending that its type gives it.
    pub name: &'a str,
    /// In the order of the line.
    pub labels: Labels<'a>,
    /// The value.
    pub value: f64,
    /// As it is written.
    pub timestamp: Option<&'a str>,
    /// Whether an example stands behind the value.
    pub has_exemplar: bool,
}

impl Sample<'_> {
    /// The value of the label `name`.
    pub fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(label, _)| *label == name)
            .map(|(_, value)| &**value)
    }
}

/// What the line `text`, without its line feed, is.
///
/// # Errors
/// What is wrong with it, for people.
pub fn parse(text: &str, format: Format) -> Result<Line<'_>, String> {
    if text.ends_with('\r') {
        return Err("a carriage return ends the line: lines end with a line feed alone".into());
    }
    if text.contains('\0') {
        return Err(
            "a zero byte: the text was torn, or cut and filled up, when it was copied".into(),
        );
    }
    match format {
        Format::Text => parse_text(text.trim_start_matches(is_blank)),
        Format::Open => parse_open(text),
    }
}

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

fn parse_text(text: &str) -> Result<Line<'_>, String> {
    let Some(comment) = text.strip_prefix('#') else {
        return if text.is_empty() {
            Ok(Line::Remark)
        } else if text.ends_with(is_blank) {
            // The parser of node_exporter looks for a time there.
            Err("a blank ends the line".into())
        } else {
            sample(text, Format::Text)
        };
    };
    let (before, comment) = blanks(comment);
    if before == 0 {
        return Ok(Line::Remark);
    }
    let (keyword, rest) = word(comment);
    let (name, rest) = word(rest);
    match keyword {
        "EOF" if name.is_empty() => Ok(Line::End),
        "HELP" => {
            check_escapes(rest, "\\n", "help")?;
            Ok(Line::Help(metric_name(name)?))
        }
        "TYPE" => Ok(Line::Type(
            metric_name(name)?,
            rest.trim_end_matches(is_blank),
        )),
        _ => Ok(Line::Remark),
    }
}

fn parse_open(text: &str) -> Result<Line<'_>, String> {
    if text == "# EOF" {
        return Ok(Line::End);
    }
    let Some(comment) = text.strip_prefix('#') else {
        return if text.is_empty() {
            Err("an empty line: OpenMetrics has none".into())
        } else {
            sample(text, Format::Open)
        };
    };
    let mut words = comment.strip_prefix(' ').unwrap_or("").splitn(3, ' ');
    let mut next = || words.next().unwrap_or("");
    let (keyword, name, rest) = (next(), next(), next());
    match keyword {
        "HELP" => {
            check_escapes(rest, "\\n\"", "help")?;
            Ok(Line::Help(metric_name(name)?))
        }
        "TYPE" => Ok(Line::Type(metric_name(name)?, rest)),
        "UNIT" => Ok(Line::Unit(metric_name(name)?, rest)),
        _ => Err(
            "a comment that is none of `# HELP`, `# TYPE`, `# UNIT` and `# EOF`: OpenMetrics has no others"
                .into(),
        ),
    }
}

/// The first word, and what follows after the blanks behind it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(is_blank)
        .map_or((text, ""), |(word, rest)| {
            (word, rest.trim_start_matches(is_blank))
        })
}

fn metric_name(name: &str) -> Result<&str, String> {
    let mut bytes = name.bytes();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let starts = |byte: u8| fits(byte) && !byte.is_ascii_digit();
    if bytes.next().is_some_and(starts) && bytes.all(fits) {
        Ok(name)
    } else {
        Err(format!(
            "`{name}` is no name of a metric: letters, digits, `_` and `:`, not starting with a digit"
        ))
    }
}

/// That each backslash in `text` begins one of the `known` escapes.
fn check_escapes(text: &str, known: &str, what: &str) -> Result<(), String> {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' && !characters.next().is_some_and(|next| known.contains(next)) {
            return Err(format!(
                "a backslash in the {what} that begins no escape: write it as `\\\\`"
            ));
        }
    }
    Ok(())
}

fn sample(text: &str, format: Format) -> Result<Line<'_>, String> {
    let end = text
        .find(|character| character == '{' || is_blank(character))
        .ok_or_else(|| format!("`{text}` has no value: expected NAME VALUE"))?;
    let (name, rest) = (metric_name(&text[..end])?, &text[end..]);
    let (blanks_before, behind) = blanks(rest);
    let (labels, rest) = match behind.strip_prefix('{') {
        Some(_) if blanks_before > 0 && format == Format::Open => {
            return Err("a blank between the name and its labels".into());
        }
        Some(inside) => labels(inside, format)?,
        None => (Labels::new(), rest),
    };
    let (blanks_before, mut values) = blanks(rest);
    let mut has_exemplar = false;
    if format == Format::Open {
        if blanks_before != 1 || values.starts_with('\t') {
            return Err("the value is separated by one blank".into());
        }
        if let Some((before, exemplar)) = values.split_once(" # ") {
            check_exemplar(exemplar)?;
            (values, has_exemplar) = (before, true);
        }
    }
    let (value, rest) = word(values);
    let (timestamp, more) = word(rest);
    if !more.is_empty() {
        return Err(format!(
            "`{more}` behind the value and its time: nothing may stand there"
        ));
    }
    let timestamp = (!timestamp.is_empty()).then_some(timestamp);
    if let Some(time) = timestamp {
        check_timestamp(time, format)?;
    }
    Ok(Line::Sample(Sample {
        name,
        labels,
        value: number(value)?,
        timestamp,
        has_exemplar,
    }))
}

/// How many blanks `text` begins with, and what follows.
fn blanks(text: &str) -> (usize, &str) {
    let rest = text.trim_start_matches(is_blank);
    (text.len() - rest.len(), rest)
}

fn number(text: &str) -> Result<f64, String> {
    if text.is_empty() {
        return Err("there is no value".into());
    }
    text.parse()
        .map_err(|_| format!("`{text}` is no number: expected digits, +Inf, -Inf or NaN"))
}

fn check_timestamp(text: &str, format: Format) -> Result<(), String> {
    match format {
        Format::Text if text.parse::<i64>().is_err() => Err(format!(
            "`{text}` is no time: expected milliseconds since 1970"
        )),
        Format::Open if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
            Err(format!("`{text}` is no time: expected seconds since 1970"))
        }
        _ => Ok(()),
    }
}

/// `{LABELS} VALUE [TIME]`.
fn check_exemplar(text: &str) -> Result<(), String> {
    const CHARACTERS_MAX: usize = 128;
    let inside = text
        .strip_prefix('{')
        .ok_or("an exemplar begins with its labels in braces")?;
    let (labels, rest) = labels(inside, Format::Open)?;
    let characters = labels
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count());
    if characters.sum::<usize>() > CHARACTERS_MAX {
        return Err(format!(
            "the labels of an exemplar are longer than {CHARACTERS_MAX} characters"
        ));
    }
    let mut words = rest
        .strip_prefix(' ')
        .ok_or("an exemplar has a value behind its labels")?
        .splitn(3, ' ');
    number(words.next().unwrap_or(""))?;
    words
        .next()
        .map_or(Ok(()), |time| check_timestamp(time, Format::Open))?;
    match words.next() {
        Some(more) => Err(format!("`{more}` behind an exemplar")),
        None => Ok(()),
    }
}

/// Labels up to the closing brace, and what stands behind that.
fn labels(mut rest: &str, format: Format) -> Result<(Labels<'_>, &str), String> {
    let skip = |text| match format {
        Format::Text => blanks(text).1,
        Format::Open => text,
    };
    let mut labels = Labels::new();
    loop {
        rest = skip(rest);
        // Behind a comma a brace is one too early, but the older format lets it pass.
        if (labels.is_empty() || format == Format::Text)
            && let Some(behind) = rest.strip_prefix('}')
        {
            return Ok((labels, behind));
        }
        let (name, behind) = rest
            .split_once('=')
            .ok_or("labels do not end: expected NAME=\"VALUE\" and `}`")?;
        let name = label_name(if format == Format::Text {
            name.trim_end_matches(is_blank)
        } else {
            name
        })?;
        if labels.iter().any(|(known, _)| *known == name) {
            return Err(format!("the label `{name}` stands twice"));
        }
        let quoted = skip(behind)
            .strip_prefix('"')
            .ok_or_else(|| format!("the value of the label `{name}` is not in quotes"))?;
        let (value, behind) = quoted_value(name, quoted)?;
        labels.push((name, value));
        rest = skip(behind);
        if let Some(behind) = rest.strip_prefix('}') {
            return Ok((labels, behind));
        }
        rest = rest.strip_prefix(',').ok_or_else(|| {
            format!("neither `,` nor `}}` follows the value of the label `{name}`")
        })?;
    }
}

fn label_name(name: &str) -> Result<&str, String> {
    let mut bytes = name.bytes();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = |byte: u8| fits(byte) && !byte.is_ascii_digit();
    if !(bytes.next().is_some_and(starts) && bytes.all(fits)) {
        return Err(format!(
            "`{name}` is no name of a label: letters, digits and `_`, not starting with a digit"
        ));
    }
    if name.starts_with("__") {
        return Err(format!(
            "the label `{name}` begins with `__`, which Prometheus keeps for itself"
        ));
    }
    Ok(name)
}

/// The plain value up to the closing quote, and what stands behind that.
fn quoted_value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                _ => {
                    return Err(format!(
                        "a backslash in the label `{name}` that begins no escape: write it as `\\\\`"
                    ));
                }
            }),
            plain => value.push(plain),
        }
    }
    Err(format!(
        "the value of the label `{name}` has no closing quote"
    ))
}
