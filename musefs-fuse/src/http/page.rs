//! The page: one file with all that it needs, which a browser lets ask its own server for numbers and do nothing else.

use std::hash::{BuildHasher as _, RandomState};

/// It has the marker in place of what its script and style are told by.
const PAGE: &str = include_str!("page.html");
const MARKER: &str = "{{nonce}}";

/// Makes pages.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Keyed by the system, at random.
    secret: RandomState,
    served: u64,
}

impl Page {
    /// A page, and the policy that a browser shall keep while it shows it.
    pub(super) fn next(&mut self) -> (String, String) {
        self.served += 1;
        // Both halves depend on a key that nobody is told.
        let [first, second] = ["a", "b"].map(|half| self.secret.hash_one((half, self.served)));
        let nonce = format!("{first:016x}{second:016x}");
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        (PAGE.replace(MARKER, &nonce), policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_a_policy_that_fits_it_alone() {
        let mut pages = Page::default();
        let (page, policy) = pages.next();
        assert!(!page.contains(MARKER));
        let nonce = policy.split("'nonce-").nth(1).unwrap();
        let nonce = &nonce[..32];
        for tag in ["<script", "<style"] {
            let whole = format!("{tag} nonce=\"{nonce}\"");
            assert_eq!(page.matches(&whole).count(), 1, "{tag}");
            assert_eq!(page.matches(tag).count(), 1, "{tag}");
        }
        assert!(!pages.next().1.contains(nonce));
    }

    #[test]
    fn the_page_refers_to_nothing_elsewhere() {
        let elsewhere = PAGE.replace("http://www.w3.org/2000/svg", "");
        for sign in [
            "http:",
            "https:",
            "//cdn",
            "@import",
            "url(",
            " style=\"",
            " onclick",
        ] {
            assert!(!elsewhere.contains(sign), "{sign}");
        }
    }
}
