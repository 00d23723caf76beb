//! What a command was given: each of its flags with its value, and where that came from.

use std::ffi::OsStr;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// One flag or argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its name, as on the command line but without dashes.
    pub name: String,
    /// Its values; empty where it has none. A secret is told as stars.
    pub values: Vec<String>,
    /// Where they came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    CommandLine,
    /// An environment variable.
    Environment,
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommandLine => "command line",
            Self::Environment => "environment",
            Self::Default => "default",
        }
    }
}

/// All of `command`, in the order of their declaration. A flag whose environment value is hidden from help is a secret.
pub(super) fn all(command: &Command, matches: &ArgMatches) -> Vec<Given> {
    const HIDDEN: &str = "********";
    command
        .get_arguments()
        .filter(|argument| argument.get_id() != "help")
        .map(|argument| {
            let id = argument.get_id().as_str();
            let values = matches.get_raw(id).into_iter().flatten();
            let tell = |value: &OsStr| {
                if argument.is_hide_env_values_set() {
                    HIDDEN.to_owned()
                } else {
                    value.to_string_lossy().into_owned()
                }
            };
            Given {
                name: argument.get_long().unwrap_or(id).to_owned(),
                values: values.map(tell).collect(),
                origin: match matches.value_source(id) {
                    Some(ValueSource::CommandLine) => Origin::CommandLine,
                    Some(ValueSource::EnvVariable) => Origin::Environment,
                    _ => Origin::Default,
                },
            }
        })
        .collect()
}
