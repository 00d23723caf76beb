use std::borrow::Cow;
use std::fmt::Write as _;

use super::*;
use crate::formats::{AudioProperties, Tag};
use crate::names::{PATH_BYTES_MAX, extension_of, tests::assert_valid_name};
use proptest::prelude::*;

/// A case is a file: lines of input, `---`, the expected output.
///
/// `template: …` comes first; then `fallback: FIELD=VALUE`, `default: …`, `skip-on-missing`; then for each track
/// `track: path of the backing file` and its tags as `key=value`. The output has a line for each unknown field and each
/// track, or is the template's error.
fn run(input: &str) -> String {
    let mut lines = input.lines();
    let template = lines
        .next()
        .and_then(|line| line.strip_prefix("template: "));
    let template = match Template::parse(template.expect("a template first")) {
        Ok(template) => template,
        Err(error) => return format!("{error}\n"),
    };
    let mut fallbacks = Fallbacks::default();
    let mut tracks: Vec<(&str, Vec<Tag>)> = Vec::new();
    for line in lines {
        if let Some(path) = line.strip_prefix("track: ") {
            tracks.push((path, Vec::new()));
        } else if let Some(fallback) = line.strip_prefix("fallback: ") {
            let (field, value) = fallback.split_once('=').expect("FIELD=VALUE");
            fallbacks.set(field, value);
        } else if let Some(default) = line.strip_prefix("default: ") {
            default.clone_into(&mut fallbacks.default);
        } else if line == "skip-on-missing" {
            fallbacks.skip_on_missing = true;
        } else {
            let (key, value) = line.split_once('=').expect("key=value");
            let (_, tags) = tracks.last_mut().expect("a track before its tags");
            tags.push(Tag {
                key: key.to_owned(),
                value: value.replace("\\n", "\n"),
            });
        }
    }
    let mut output = String::new();
    for field in template.unknown_fields() {
        let hint = field
            .nearest
            .map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
        writeln!(
            output,
            "unknown field {} at column {}{hint}",
            field.name, field.column
        )
        .unwrap();
    }
    let mut widths = NumberWidths::default();
    let drafts: Vec<_> = tracks
        .iter()
        .map(|(path, tags)| {
            let values = TrackValues {
                tags,
                path: path.as_bytes(),
                format: "flac",
                properties: AudioProperties {
                    duration_ms: Some(185_999),
                    sample_rate_hz: Some(44_100),
                    channels: Some(2),
                    bits_per_sample: Some(16),
                    bitrate_bps: Some(320_000),
                },
            };
            template.draft(&values, &fallbacks, &mut widths)
        })
        .collect();
    for (draft, (path, _)) in drafts.into_iter().zip(&tracks) {
        match draft {
            Ok(draft) => {
                let extension = extension_of(path.as_bytes());
                let path = draft.finish(&widths, extension.as_deref(), &fallbacks);
                writeln!(output, "{}", path.as_str()).unwrap();
            }
            Err(skipped) => writeln!(output, "skipped: {skipped}").unwrap(),
        }
    }
    output
}

#[test]
fn cases() {
    assert!(crate::kept::cases("template", run) > 0, "no cases");
}

#[test]
fn the_store_is_asked_for_what_a_field_is_made_of() {
    let template = Template::parse("${AlbumArtist|artist}/$year/[$track ]$title").unwrap();
    assert_eq!(
        template.fields(),
        ["albumartist", "artist", "year", "track", "title"]
    );
    assert_eq!(
        template.tag_keys(),
        [
            "albumartist",
            "artist",
            "date",
            "track",
            "title",
            "album",
            "tracktotal",
            "disc",
            "disctotal"
        ]
    );
    let unnumbered = Template::parse(DEFAULT_TEMPLATE).unwrap();
    assert_eq!(
        unnumbered.tag_keys(),
        ["albumartist", "artist", "album", "title"]
    );
}

#[test]
fn nesting_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}$title{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Template::parse(&nested(SECTION_DEPTH_MAX)).is_ok());
    let error = Template::parse(&nested(SECTION_DEPTH_MAX + 1)).unwrap_err();
    assert_eq!(error.problem, TemplateProblem::TooDeep);
    assert_eq!(error.column, SECTION_DEPTH_MAX + 1);
    let error = Template::parse(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.problem, TemplateProblem::TooLong);
    let error = Template::parse("a\u{7}$title").unwrap_err();
    assert_eq!(error.problem, TemplateProblem::ControlCharacter);
    assert!(!error.to_string().contains('\u{7}'));
}

/// Every field has this value.
struct Same(Option<String>);

impl Values for Same {
    fn value(&self, _field: &str) -> Option<Cow<'_, str>> {
        self.0.as_deref().map(Cow::Borrowed)
    }
}

fn some_template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("$title".to_owned()),
        Just("$!{artist}".to_owned()),
        Just("$track".to_owned()),
        Just("[$disc".to_owned()),
        Just("]".to_owned()),
        Just("${x|y z}".to_owned()),
        Just("/".to_owned()),
        "[a-z .$]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn some_value() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![
        any::<String>(),
        "[./ a\u{0}]{0,6}",
        "[0-9]{1,12}(/[0-9]{1,3})?",
        ("[a-zä/ ]{1,9}", 1..300usize).prop_map(|(text, times)| text.repeat(times)),
    ])
}

proptest! {
    #[test]
    fn any_values_become_a_valid_path(
        template in some_template(),
        values in proptest::collection::vec(some_value(), 1..4),
        skip_on_missing: bool,
        default in any::<String>(),
    ) {
        let template = match Template::parse(&template) {
            Ok(template) => template,
            Err(error) => {
                prop_assert!(error.column <= template.chars().count().max(1));
                prop_assert_eq!(error.to_string().lines().count(), 4);
                return Ok(());
            }
        };
        let fallbacks = Fallbacks { default, skip_on_missing, ..Fallbacks::default() };
        let mut widths = NumberWidths::default();
        for values in values {
            if let Ok(draft) = template.draft(&Same(values), &fallbacks, &mut widths) {
                let path = draft.finish(&widths, Some("flac"), &fallbacks);
                for name in path.directories().chain([path.file_name()]) {
                    assert_valid_name(name);
                }
                prop_assert!(path.as_str().len() <= PATH_BYTES_MAX);
                let extension = extension_of(path.file_name().as_bytes());
                prop_assert_eq!(extension.as_deref(), Some("flac"));
            }
        }
    }
}
