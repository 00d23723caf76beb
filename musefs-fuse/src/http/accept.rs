//! What a client can take: a format of metrics, and a packed answer.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

/// One entry of a list such as `text/plain;version=0.0.4;q=0.5, */*;q=0.1`.
struct Range<'h> {
    name: &'h str,
    version: Option<&'h str>,
    /// How much it is liked, from 0 to 1000.
    weight: u16,
}

/// The entries of all headers of this name. What is not understood is left out.
fn ranges(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Range<'_>> {
    let values = headers.get_all(name).into_iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut range = Range {
            name,
            version: None,
            weight: 1000,
        };
        for part in parts {
            let (key, value) = part.split_once('=')?;
            match key.trim_end().to_ascii_lowercase().as_str() {
                "q" => range.weight = weight(value.trim())?,
                "version" => range.version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        Some(range)
    })
}

/// A weight such as `0.75` in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_part = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" if is_part => Some(thousandths),
        "1" if is_part && thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// Whether `OpenMetrics` 1.0.0 is liked at least as much as plain text. Who asks for neither gets plain text, which people read.
pub(super) fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open, mut plain, mut any) = (None, None, None);
    for range in ranges(headers, ACCEPT) {
        let is_version = |known: &str| range.version.is_none_or(|version| version == known);
        let place = match range.name.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if is_version("1.0.0") => &mut open,
            "text/plain" if is_version("0.0.4") => &mut plain,
            "text/*" | "*/*" => &mut any,
            _ => continue,
        };
        *place = (*place).max(Some(range.weight));
    }
    // What is named counts, not what falls under it as well.
    open.is_some_and(|open| open > 0 && open >= plain.or(any).unwrap_or(0))
}

/// Whether a packed answer can be read.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any) = (None, None);
    for range in ranges(headers, ACCEPT_ENCODING) {
        match range.name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(range.weight),
            "*" => any = Some(range.weight),
            _ => {}
        }
    }
    gzip.or(any).is_some_and(|weight| weight > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn open_metrics_is_for_who_likes_it_no_less_than_text() {
        for (accept, open) in [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                true,
            ),
            ("application/openmetrics-text", true),
            (
                "APPLICATION/OPENMETRICS-TEXT ; Version=\"1.0.0\" ; Q=0.5, text/plain;q=0.4",
                true,
            ),
            (
                "application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.9",
                false,
            ),
            (
                "application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.5",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.9",
                false,
            ),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/openmetrics-text;version=2.0.0", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=2", false),
            ("application/openmetrics-text;q=", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("text/plain", false),
            (",;,=;q=,q", false),
            ("", false),
        ] {
            assert_eq!(
                wants_open_metrics(&headers(ACCEPT, accept)),
                open,
                "{accept}"
            );
        }
        assert!(!wants_open_metrics(&HeaderMap::new()));
        let mut two = headers(ACCEPT, "text/plain;q=0.5");
        two.append(ACCEPT, "application/openmetrics-text".parse().unwrap());
        assert!(wants_open_metrics(&two));
    }

    #[test]
    fn packed_answers_are_for_who_says_so() {
        for (accept, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.1", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("gzip;q=0.000", false),
            ("br", false),
            ("identity", false),
        ] {
            assert_eq!(
                takes_gzip(&headers(ACCEPT_ENCODING, accept)),
                takes,
                "{accept}"
            );
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
