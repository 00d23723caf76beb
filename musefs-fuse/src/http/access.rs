//! Who may ask for what.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;

use super::listen::{Listen, names_this_machine};

/// Longest file that a token is read from, in bytes.
const TOKEN_FILE_MAX: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("--metrics-token-file {}: cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it is no token.
    #[error("--metrics-token-file {}: expected one line of up to 4096 letters, digits and signs, without blanks", .path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

/// A secret that whoever asks has to know.
pub struct Token(Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

impl Token {
    /// The only line of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(TOKEN_FILE_MAX + 1).read_to_end(&mut text))
            .map_err(|source| TokenError::Unreadable {
                path: path.into(),
                source,
            })?;
        let token = text.trim_ascii();
        let is_one = token.iter().all(u8::is_ascii_graphic);
        if token.is_empty() || !is_one || text.len() as u64 > TOKEN_FILE_MAX {
            return Err(TokenError::NoToken { path: path.into() });
        }
        Ok(Self(token.to_vec()))
    }

    /// Whether the headers of a request have it. Takes as long whether they nearly do or not at all.
    fn is_given(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        given
            .and_then(|value| value.split_at_checked("Bearer ".len()))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
            .is_some_and(|(_, token)| token.trim_ascii().ct_eq(&self.0).into())
    }
}

/// What somebody may not have, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The token is missing or wrong.
    NoToken,
    /// Only for who has a token or asks at a socket.
    Private,
    /// Meant for another machine.
    OtherHost,
}

/// The rules of one endpoint.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<Token>,
    is_socket: bool,
    /// Without a token, a browser here must not ask on behalf of a page from elsewhere.
    checks_host: bool,
}

impl Access {
    pub(super) fn new(listen: &Listen, token: Option<Token>) -> Self {
        let is_socket = matches!(listen, Listen::Unix(_));
        Self {
            checks_host: !is_socket && token.is_none() && listen.is_local(),
            is_socket,
            token,
        }
    }

    /// Whether a request with these headers may have numbers.
    pub(super) fn numbers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if let Some(token) = &self.token {
            return if token.is_given(headers) {
                Ok(())
            } else {
                Err(Refusal::NoToken)
            };
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        // Programs that say no name are no browsers.
        if self.checks_host && host.is_some_and(|host| !names_this_machine(host)) {
            return Err(Refusal::OtherHost);
        }
        Ok(())
    }

    /// Whether it may have paths and names of processes.
    pub(super) fn paths(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.numbers(headers)?;
        if self.token.is_some() || self.is_socket {
            Ok(())
        } else {
            Err(Refusal::Private)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: hyper::header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_token_is_one_line_without_blanks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(matches!(
            Token::read(&path),
            Err(TokenError::Unreadable { .. })
        ));
        for text in ["", "\n", "two words", "two\nlines", "ü", &"x".repeat(4097)] {
            std::fs::write(&path, text).unwrap();
            assert!(
                matches!(Token::read(&path), Err(TokenError::NoToken { .. })),
                "{text}"
            );
        }
        std::fs::write(&path, " s3cret\n").unwrap();
        let token = Token::read(&path).unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
        for (value, is_given) in [
            ("Bearer s3cret", true),
            ("bearer s3cret ", true),
            ("Bearer s3cre", false),
            ("Bearer s3crets", false),
            ("Basic s3cret", false),
            ("Bearer", false),
            ("", false),
        ] {
            assert_eq!(
                token.is_given(&headers(AUTHORIZATION, value)),
                is_given,
                "{value}"
            );
        }
        assert!(!token.is_given(&HeaderMap::new()));
    }

    #[test]
    fn paths_are_for_who_has_a_token_or_asks_at_a_socket() {
        let local = Listen::Address(([127, 0, 0, 1], 1).into());
        let open = Access::new(&local, None);
        assert_eq!(open.numbers(&headers(HOST, "localhost:1")), Ok(()));
        assert_eq!(open.numbers(&HeaderMap::new()), Ok(()));
        assert_eq!(
            open.numbers(&headers(HOST, "evil.example")),
            Err(Refusal::OtherHost)
        );
        assert_eq!(
            open.paths(&headers(HOST, "localhost:1")),
            Err(Refusal::Private)
        );

        let anywhere = Listen::Address(([0, 0, 0, 0], 1).into());
        let wide = Access::new(&anywhere, None);
        assert_eq!(wide.numbers(&headers(HOST, "nas.example")), Ok(()));

        let guarded = Access::new(&anywhere, Some(Token(b"t".to_vec())));
        assert_eq!(guarded.numbers(&HeaderMap::new()), Err(Refusal::NoToken));
        assert_eq!(guarded.paths(&headers(AUTHORIZATION, "Bearer t")), Ok(()));

        let socket = Access::new(&Listen::Unix("/s".into()), None);
        assert_eq!(socket.paths(&headers(HOST, "any")), Ok(()));
    }
}
