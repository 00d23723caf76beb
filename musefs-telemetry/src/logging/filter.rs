//! Which events there are, by level and name, as directives tell it.

use crate::logged::{Level, LoggingError};

/// The most that a name lets pass; `None` when it lets nothing pass.
type Most = Option<Level>;

#[derive(Debug)]
pub(super) struct Filter {
    /// By name, the longest first.
    named: Vec<(String, Most)>,
    rest: Most,
    /// The most that any event may pass with.
    most: Most,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            rest: Some(Level::Info),
            most: Some(Level::Info),
        }
    }
}

fn level(text: &str) -> Option<Most> {
    Some(match text.to_ascii_lowercase().as_str() {
        "off" => None,
        "error" => Some(Level::Error),
        "warn" => Some(Level::Warn),
        "info" => Some(Level::Info),
        "debug" | "trace" => Some(Level::Debug),
        _ => return None,
    })
}

/// A name with dots; `None` when it is none.
fn name(text: &str) -> Option<String> {
    let name = text.replace("::", ".");
    let part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        !part.is_empty() && part.bytes().all(allowed)
    };
    name.split('.').all(part).then_some(name)
}

impl Filter {
    pub(super) fn parse(directives: &str) -> Result<Self, LoggingError> {
        let mut filter = Self {
            named: Vec::new(),
            rest: None,
            most: None,
        };
        let directives = directives.split(',').map(str::trim);
        for directive in directives.filter(|directive| !directive.is_empty()) {
            let refused = || LoggingError::Directive(directive.to_owned());
            let (target, most) = match directive.split_once('=') {
                Some((target, most)) => (target.trim(), level(most.trim()).ok_or_else(refused)?),
                None => match level(directive) {
                    Some(most) => {
                        filter.rest = most;
                        continue;
                    }
                    None => (directive, Some(Level::Debug)),
                },
            };
            let target = name(target).ok_or_else(refused)?;
            // What is said last of a name is what counts.
            filter.named.retain(|(other, _)| *other != target);
            filter.named.push((target, most));
        }
        filter
            .named
            .sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let named = filter.named.iter().filter_map(|(_, most)| *most);
        filter.most = named.chain(filter.rest).max();
        Ok(filter)
    }

    pub(super) fn most(&self) -> Most {
        self.most
    }

    /// Whether an event of that level may pass with any name.
    #[inline]
    pub(super) fn may_pass(&self, level: Level) -> bool {
        self.most.is_some_and(|most| level <= most)
    }

    pub(super) fn passes(&self, level: Level, context: &str, name: &str) -> bool {
        let fits = |target: &str| {
            name.strip_prefix(target)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let by_name = self.named.iter().find(|(target, _)| fits(target));
        let by_context = || self.named.iter().find(|(target, _)| target == context);
        let most = by_name
            .or_else(by_context)
            .map_or(self.rest, |(_, most)| *most);
        most.is_some_and(|most| level <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(directives: &str, events: &[(Level, &str)]) -> Vec<bool> {
        let filter = Filter::parse(directives).unwrap();
        let passes = |(level, name): &(Level, &str)| {
            let passes = filter.passes(*level, "admin", name);
            assert!(!passes || filter.may_pass(*level));
            passes
        };
        events.iter().map(passes).collect()
    }

    #[test]
    fn the_longest_name_that_fits_decides() {
        let events = [
            (Level::Info, "store.scan.began"),
            (Level::Debug, "store.refresh.failed"),
            (Level::Warn, "storeroom.door.open"),
            (Level::Error, "store.refresh.deep.failed"),
        ];
        let by = |directives| passing(directives, &events);
        assert_eq!(by(""), [false; 4]);
        assert_eq!(by("warn"), [false, false, true, true]);
        assert_eq!(by("off,store=info"), [true, false, false, true]);
        assert_eq!(
            by(" warn , store::refresh = trace"),
            [false, true, true, true]
        );
        assert_eq!(
            by("store,store.refresh.deep=off"),
            [true, true, false, false]
        );
        assert_eq!(by("admin=INFO"), [true, false, true, true]);
        assert_eq!(
            by("admin=info,store=error,store=info"),
            [true, false, true, true]
        );
    }

    #[test]
    fn what_is_no_directive_is_refused_by_name() {
        for wrong in [
            "store=loud",
            "[span]=info",
            "Store=info",
            "a..b",
            "info,=warn",
        ] {
            let refused = Filter::parse(wrong).unwrap_err().to_string();
            let directive = wrong.rsplit(',').next().unwrap();
            assert!(refused.contains(directive), "{refused}");
        }
    }
}
