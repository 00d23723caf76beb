//! Genres: `ID3v2` may name one by its `ID3v1` number.

use lofty::id3::v1::GENRES;

/// The genres in one value of a TCON frame: `(17)`, `(4)Eurodisco`, `17`, `(RX)`, `((free text`, or plain text (2.3 section
/// 4.2.1, 2.4 frames section 4.2.3).
pub(super) fn genres(value: &str) -> Vec<String> {
    let mut genres = Vec::new();
    let mut rest = value;
    while let Some((reference, after)) = rest
        .strip_prefix('(')
        .filter(|inner| !inner.starts_with('('))
        .and_then(|inner| inner.split_once(')'))
    {
        match named(reference) {
            Some(name) => genres.push(name.to_owned()),
            None => break,
        }
        rest = after;
    }
    // A doubled parenthesis stands for one that starts plain text.
    let text = if rest.starts_with("((") {
        &rest[1..]
    } else {
        rest
    };
    let text = named(text).unwrap_or(text);
    if genres.is_empty() || !(text.is_empty() || genres.iter().any(|genre| genre == text)) {
        genres.push(text.to_owned());
    }
    genres
}

fn named(reference: &str) -> Option<&'static str> {
    match reference {
        "RX" => Some("Remix"),
        "CR" => Some("Cover"),
        _ => Some(reference)
            .filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|number| number.parse::<usize>().ok())
            .and_then(|number| GENRES.get(number).copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::genres;

    #[test]
    fn references_become_names() {
        for (stored, expected) in [
            ("Rock", &["Rock"][..]),
            ("17", &["Rock"]),
            ("(17)", &["Rock"]),
            ("(51)(39)", &["Techno-Industrial", "Noise"]),
            ("(4)Eurodisco", &["Disco", "Eurodisco"]),
            ("(17)Rock", &["Rock"]),
            ("(RX)", &["Remix"]),
            ("((Parenthesised)", &["(Parenthesised)"]),
            ("(Live)", &["(Live)"]),
            ("(255)", &["(255)"]),
            ("", &[""]),
        ] {
            assert_eq!(genres(stored), expected, "{stored}");
        }
    }
}
