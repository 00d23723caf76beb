//! What an expression of `PromQL` refers to: series and labels. Whether it is a good expression is for Prometheus to say; here
//! a name is told from a function, an operator and a label by what stands around it.

use std::collections::BTreeSet;

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: String,
    pub value: String,
}

/// A metric with conditions on its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// As an expression of its own.
    pub fn text(&self) -> String {
        let matchers: Vec<String> = self
            .matchers
            .iter()
            .map(|matcher| format!("{}{}{:?}", matcher.label, matcher.operator, matcher.value))
            .collect();
        format!("{}{{{}}}", self.metric, matchers.join(","))
    }
}

/// What an expression refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    pub selectors: Vec<Selector>,
    /// Labels that results are grouped or matched by.
    pub labels: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

/// Words before a list of labels in parentheses.
const BEFORE_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Words that stand between expressions, and numbers.
const BETWEEN: [&str; 8] = [
    "and", "or", "unless", "bool", "offset", "atan2", "inf", "nan",
];

/// Reads an expression.
///
/// # Panics
/// When a string or a parenthesis does not end, or a condition is none.
#[track_caller]
pub fn references(expression: &str) -> References {
    let tokens = tokens(expression);
    let mut found = References::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let sign_after = tokens.get(at).and_then(|next| match next {
            Token::Sign(sign) => Some(sign.as_str()),
            _ => None,
        });
        let aggregates = matches!(tokens.get(at), Some(Token::Word(next)) if BEFORE_LABELS[..2].contains(&next.as_str()));
        match token {
            Token::Word(word) if BEFORE_LABELS.contains(&word.as_str()) => {
                if sign_after == Some("(") {
                    let end = end_of(&tokens, at, ")");
                    found.labels.extend(words(&tokens[at..end]));
                    at = end;
                }
            }
            Token::Word(word) if BETWEEN.contains(&word.to_lowercase().as_str()) => {}
            // A function, or an aggregation whose labels come first.
            Token::Word(_) if sign_after == Some("(") || aggregates => {}
            Token::Word(metric) => {
                let mut matchers = Vec::new();
                if sign_after == Some("{") {
                    let end = end_of(&tokens, at, "}");
                    matchers = conditions(&tokens[at + 1..end], expression);
                    at = end + 1;
                }
                found.selectors.push(Selector {
                    metric: metric.clone(),
                    matchers,
                });
            }
            Token::Sign(sign) if sign == "[" => at = end_of(&tokens, at, "]"),
            Token::Sign(_) | Token::Text(_) => {}
        }
    }
    found
}

#[track_caller]
fn end_of(tokens: &[Token], from: usize, sign: &str) -> usize {
    let rest = &tokens[from..];
    let is_end = |token: &Token| matches!(token, Token::Sign(other) if other == sign);
    let len = rest.iter().position(is_end);
    from + len.unwrap_or_else(|| panic!("no {sign} after {rest:?}"))
}

fn words(tokens: &[Token]) -> impl Iterator<Item = String> {
    tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        _ => None,
    })
}

#[track_caller]
fn conditions(tokens: &[Token], expression: &str) -> Vec<Matcher> {
    tokens
        .split(|token| *token == Token::Sign(",".into()))
        .filter(|condition| !condition.is_empty())
        .map(|condition| match condition {
            [
                Token::Word(label),
                Token::Sign(operator),
                Token::Text(value),
            ] => Matcher {
                label: label.clone(),
                operator: operator.clone(),
                value: value.clone(),
            },
            other => panic!("no condition: {other:?} in {expression}"),
        })
        .collect()
}

#[track_caller]
fn tokens(expression: &str) -> Vec<Token> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let len = if first == '"' || first == '\'' {
            let inside = &rest[1..];
            let len = inside.find(first);
            let len = len.unwrap_or_else(|| panic!("a string without an end: {expression}"));
            tokens.push(Token::Text(inside[..len].to_owned()));
            len + 2
        } else if first.is_ascii_digit() {
            // Also a duration; neither refers to anything.
            rest.find(|c| !is_word(c) && c != '.').unwrap_or(rest.len())
        } else if is_word(first) {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..len].to_owned()));
            len
        } else if first.is_whitespace() {
            first.len_utf8()
        } else {
            let two = ["=~", "!~", "!=", "==", ">=", "<="];
            let len = two
                .iter()
                .find(|sign| rest.starts_with(**sign))
                .map_or(first.len_utf8(), |sign| sign.len());
            tokens.push(Token::Sign(rest[..len].to_owned()));
            len
        };
        rest = &rest[len..];
    }
    tokens
}

#[test]
fn names_are_told_from_what_is_around_them() {
    let found = references(
        r#"histogram_quantile(0.99, sum by (op, le) (rate(one_bucket{op=~"read|open", le!=""}[5m]))) > bool 1e3
           and on (job) group_left (who) (two offset 5m unless max without (x) (three{}[1h:1m])) or vector(NaN)"#,
    );
    let texts: Vec<String> = found.selectors.iter().map(Selector::text).collect();
    assert_eq!(
        texts,
        [r#"one_bucket{op=~"read|open",le!=""}"#, "two{}", "three{}"]
    );
    let labels: Vec<&str> = found.labels.iter().map(String::as_str).collect();
    assert_eq!(labels, ["job", "le", "op", "who", "x"]);
}
