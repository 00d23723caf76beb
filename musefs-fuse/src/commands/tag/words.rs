//! The words of `musefs tag`: which tracks, a verb, and what it is to do. Nothing is looked up but whether a path exists.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::change::{Change, pair};

/// Native names whose description follows after a colon of its own.
const NAMES_WITH_COLON: &[&str] = &[
    "TXXX", "WXXX", "COMM", "USLT", "UFID", "TIPL", "TMCL", "----",
];

/// One way to say which tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// A file or directory, in a mount or of the user's own.
    Path(PathBuf),
    /// A value of a tag. Compared without case.
    Condition {
        key: String,
        value: String,
        /// Whether a value that contains it will do.
        contains: bool,
    },
}

impl Where {
    fn parse(word: &OsString) -> Self {
        let path = || Self::Path(PathBuf::from(word));
        let Some(text) = word.to_str() else {
            return path();
        };
        let is_path = ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start));
        let Some((first, rest)) = text.split_once(':').filter(|_| !is_path) else {
            return path();
        };
        if Path::new(text).symlink_metadata().is_ok() {
            return path();
        }
        let has_colon = NAMES_WITH_COLON
            .iter()
            .any(|name| name.eq_ignore_ascii_case(first));
        let (key, value) = match rest.split_once(':').filter(|_| has_colon) {
            Some((description, value)) => (&text[..first.len() + 1 + description.len()], value),
            None => (first, rest),
        };
        let (value, contains) = match value.strip_prefix('~') {
            Some(part) => (part, true),
            None => (value, false),
        };
        Self::Condition {
            key: key.into(),
            value: value.into(),
            contains,
        }
    }
}

/// What to do with the tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Show the values of these keys; of all of them where there are none.
    Get(Vec<String>),
    /// Change tags.
    Change(Change),
    /// Show what the store has other than the file.
    Diff,
    /// Give edits up.
    Revert,
}

impl Action {
    /// The word for it.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::Change(Change::Set(_)) => "set",
            Self::Change(Change::Add(_)) => "add",
            Self::Change(Change::Remove(_)) => "rm",
            Self::Diff => "diff",
            Self::Revert => "revert",
        }
    }
}

/// All words, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) wheres: Vec<Where>,
    pub(super) action: Action,
}

impl Words {
    /// The first word that is a verb stands between the tracks and what is to be done; without one, tags are shown.
    pub(super) fn parse(words: &[OsString]) -> Result<Self> {
        let is_verb = |word: &OsString| {
            ["get", "set", "add", "rm", "diff", "revert"]
                .iter()
                .any(|verb| word == verb)
        };
        let verb_at = words.iter().position(is_verb).unwrap_or(words.len());
        let wheres = words[..verb_at].iter().map(Where::parse).collect();
        let Some((verb, rest)) = words[verb_at..].split_first() else {
            return Ok(Self {
                wheres,
                action: Action::Get(Vec::new()),
            });
        };
        let verb = verb.to_str().unwrap_or_default();
        let mut texts = Vec::new();
        for word in rest {
            match word.to_str() {
                Some(text) => texts.push(text),
                None => bail!("`{}` is not UTF-8, which tags are", word.display()),
            }
        }
        if matches!(verb, "set" | "add" | "rm") && texts.is_empty() {
            bail!("`{verb}` needs KEY=VALUE after it");
        }
        let pairs = || {
            texts
                .iter()
                .map(|text| pair(text))
                .collect::<Result<Vec<_>>>()
        };
        let action = match verb {
            "set" => Action::Change(Change::set(pairs()?)),
            "add" => Action::Change(Change::Add(pairs()?)),
            "rm" => Action::Change(Change::Remove(
                texts
                    .iter()
                    .map(|text| match text.split_once('=') {
                        Some(_) => pair(text).map(|(key, value)| (key, Some(value))),
                        None => pair(&format!("{text}=")).map(|(key, _)| (key, None)),
                    })
                    .collect::<Result<_>>()?,
            )),
            "get" => Action::Get(texts.iter().map(ToString::to_string).collect()),
            _ if !texts.is_empty() => {
                bail!("nothing comes after `{verb}`: files and conditions stand before it")
            }
            "diff" => Action::Diff,
            _ => Action::Revert,
        };
        Ok(Self { wheres, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Words> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Words::parse(&words)
    }

    fn condition(word: &str) -> (String, String, bool) {
        match Where::parse(&OsString::from(word)) {
            Where::Condition {
                key,
                value,
                contains,
            } => (key, value, contains),
            Where::Path(path) => panic!("a path: {}", path.display()),
        }
    }

    #[test]
    fn a_word_with_a_colon_is_a_condition_unless_it_says_path() {
        for (word, key, value, contains) in [
            ("artist:Abba", "artist", "Abba", false),
            ("artist:~abb", "artist", "abb", true),
            ("title:2:1", "title", "2:1", false),
            ("TXXX:My Tag:a:b", "TXXX:My Tag", "a:b", false),
            ("comm:text", "comm", "text", false),
        ] {
            assert_eq!(
                condition(word),
                (key.into(), value.into(), contains),
                "{word}"
            );
        }
        for word in ["/a:b", "./a:b", "../a:b", "plain"] {
            let found = Where::parse(&OsString::from(word));
            assert_eq!(found, Where::Path(word.into()));
        }
    }

    #[test]
    fn the_first_verb_divides_the_words() {
        let words = parse(&["artist:Abba", "./set", "set", "title=a=b", "title=set"]).unwrap();
        assert_eq!(words.wheres.len(), 2);
        let values = vec!["a=b".to_owned(), "set".to_owned()];
        let set = Change::Set(vec![("title".into(), values)]);
        assert_eq!(words.action, Action::Change(set));
        assert_eq!(parse(&["a"]).unwrap().action, Action::Get(vec![]));
        let removed = Change::Remove(vec![("a".into(), None), ("b".into(), Some(String::new()))]);
        let words = parse(&["x", "rm", "a", "b="]).unwrap();
        assert_eq!(words.action, Action::Change(removed));
        for bad in [
            &["x", "set"][..],
            &["x", "set", "title"],
            &["x", "add", "=value"],
            &["x", "diff", "y"],
            &["x", "rm", ""],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
