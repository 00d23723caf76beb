//! Where a collector is, and what it wants to be told beside the data.

use std::fmt;

use ureq::http::{HeaderName, HeaderValue, Uri};

use super::Signal;

/// The address of a collector: what comes before `/v1/metrics` and `/v1/traces`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
}

/// Why something cannot be the address of a collector, or a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no address at all.
    #[error("`{0}` is no URL; expected http://HOST:PORT or https://HOST:PORT")]
    NoUrl(String),
    /// Another protocol.
    #[error("expected http:// or https://, and `{0}` begins with neither")]
    Scheme(String),
    /// A user or a password, which would end up in logs.
    #[error(
        "a URL with a password is shown to too many; give a header `Authorization=Basic …` instead"
    )]
    Password,
    /// A query, behind which no path can be.
    #[error("`{0}` has a `?`: the paths /v1/metrics and /v1/traces are put behind it")]
    Query(String),
    /// No header.
    #[error("expected NAME=VALUE, and NAME without blanks")]
    Header,
    /// A header that belongs to the protocol.
    #[error("the header `{0}` is set by the protocol")]
    OwnHeader(String),
}

impl Endpoint {
    /// The collector at `url`, such as `http://localhost:4318`.
    ///
    /// # Errors
    /// When it is no URL of `http` or `https`, or has a user or a query in it.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| EndpointError::NoUrl(url.to_owned()))?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            _ => return Err(EndpointError::Scheme(url.to_owned())),
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(EndpointError::Password);
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(EndpointError::NoUrl(url.to_owned()));
        }
        if url.contains(['?', '#']) {
            return Err(EndpointError::Query(url.to_owned()));
        }
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn url(&self, signal: Signal) -> String {
        let path = match signal {
            Signal::Metrics => "/v1/metrics",
            Signal::Spans => "/v1/traces",
        };
        format!("{}{path}", self.base)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A header of each request. Its value is a secret, and shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Header {
    /// A header out of `NAME=VALUE`.
    ///
    /// # Errors
    /// When a header cannot be called so or hold that, or it is one that the protocol sets.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let (name, value) = text.split_once('=').ok_or(EndpointError::Header)?;
        let name: HeaderName = name.trim().parse().map_err(|_| EndpointError::Header)?;
        let own = ["content-type", "content-length", "content-encoding", "host"];
        if own.contains(&name.as_str()) {
            return Err(EndpointError::OwnHeader(name.to_string()));
        }
        let mut value: HeaderValue = value.trim().parse().map_err(|_| EndpointError::Header)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}=********", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_or_refused_with_the_way_out() {
        let endpoint = Endpoint::parse("https://collector.example:4318/otlp/").unwrap();
        assert_eq!(
            endpoint.url(Signal::Metrics),
            "https://collector.example:4318/otlp/v1/metrics"
        );
        assert_eq!(
            endpoint.url(Signal::Spans),
            "https://collector.example:4318/otlp/v1/traces"
        );
        for (url, part) in [
            ("", "no URL"),
            ("localhost:4318", "http://"),
            ("grpc://localhost:4317", "begins with neither"),
            ("/v1/metrics", "begins with neither"),
            ("http://", "no URL"),
            ("http://me:secret@localhost", "Authorization"),
            ("http://localhost?a=b", "`?`"),
            ("http://local host", "no URL"),
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_header_shows_its_value_to_nobody() {
        let header = Header::parse("Authorization=Bearer a=b").unwrap();
        assert_eq!(header.value, "Bearer a=b");
        assert!(!format!("{header:?}").contains("Bearer"));
        for text in ["", "novalue", "a b=c", "a=b\nc", "=x"] {
            assert_eq!(Header::parse(text), Err(EndpointError::Header), "{text}");
        }
        assert!(Header::parse("Content-Type=text/plain").is_err());
    }
}
