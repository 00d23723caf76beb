use std::collections::HashSet;
use std::path::Path;

use super::*;

fn of_the_repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// With `UPDATE` set, the page is written anew.
#[test]
fn the_page_about_formats_is_what_the_program_prints() {
    crate::kept::page("docs/formats.md", "musefs formats --markdown", &markdown());
}

#[test]
fn every_loss_has_its_sample() {
    for format in descriptions() {
        for loss in format.losses {
            let sample = of_the_repository("tests/data/odd").join(loss.sample);
            assert!(sample.is_file(), "{}: {}", format.name, loss.sample);
        }
    }
}

#[test]
fn names_and_extensions_stand_once() {
    let mut seen = HashSet::new();
    for format in descriptions() {
        assert!(seen.insert(format.name), "{}", format.name);
        for extension in format.extensions {
            assert!(
                seen.insert(extension) || *extension == format.name,
                "{extension}"
            );
        }
    }
}

#[test]
fn programs_get_every_format_and_every_key() {
    let all: serde_json::Value = serde_json::from_str(&json().expect("plain data")).expect("JSON");
    let listed = all["formats"].as_array().expect("a list");
    assert_eq!(listed.len(), Format::ALL.len());
    let flac = listed
        .iter()
        .find(|format| format["name"] == "flac")
        .expect("FLAC");
    assert_eq!(flac["extensions"][0], "flac");
    let title = &all["keys"][0];
    assert_eq!(
        (&title["key"], &title["id3v2"][0]),
        (&"title".into(), &"TIT2".into())
    );
}

#[test]
fn people_read_every_format_and_every_loss() {
    let text = plain();
    for format in descriptions() {
        assert!(text.contains(format.title));
        for loss in format.losses {
            assert!(text.contains(loss.what) && text.contains(loss.why));
        }
    }
}
