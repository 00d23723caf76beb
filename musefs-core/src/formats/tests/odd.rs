//! The odd files of the test data: what is made of each, as a file beside them. With `UPDATE` set, that file is written
//! anew, for a look at what has changed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data")
}

/// The odd files by name.
pub(super) fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(data().join("odd"))
        .expect("the odd files are there")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str());
            (
                name.expect("a name").to_owned(),
                fs::read(&path).expect("a file"),
            )
        })
        .collect();
    files.sort();
    files
}

pub(super) fn extension(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// What is made of a file, a line each for what it is, its tags, pictures, kept items and warnings.
fn told(name: &str, bytes: &[u8]) -> String {
    let probe = probed(bytes, extension(name));
    let layout = layout_of(&probe, bytes.len()).expect("a layout");
    let mut told = format!(
        "{name}: {}, {}, {} bytes, {} served\n",
        probe.format.as_str(),
        probe.failure.map_or("whole", Failure::as_str),
        bytes.len(),
        layout.len(),
    );
    for tag in &probe.tags {
        writeln!(told, "  tag {}={:?}", tag.key, tag.value).unwrap();
    }
    for art in &probe.art {
        writeln!(
            told,
            "  art {} {} {} bytes",
            art.picture_type,
            art.mime,
            art.source.len()
        )
        .unwrap();
    }
    for item in &probe.items {
        writeln!(told, "  item {:?} {} bytes", item.native, item.source.len()).unwrap();
    }
    for warning in &probe.warnings {
        writeln!(told, "  {warning:?}").unwrap();
    }
    let sound = probe.properties;
    let sound = if sound == AudioProperties::default() {
        sound_of(bytes, extension(name))
    } else {
        Ok(sound)
    };
    match sound {
        Ok(sound) => writeln!(
            told,
            "  sound {:?} ms, {:?} Hz, {:?} channels",
            sound.duration_ms, sound.sample_rate_hz, sound.channels
        ),
        Err(failure) => writeln!(told, "  sound {}", failure.as_str()),
    }
    .unwrap();
    told
}

#[test]
fn odd_files_are_taken_as_they_were_before() {
    let kept_at = data().join("odd.txt");
    let told: String = files()
        .iter()
        .map(|(name, bytes)| told(name, bytes))
        .collect();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&kept_at, &told).expect("written");
    }
    let kept = fs::read_to_string(&kept_at).expect("what was made of them");
    for (kept, told) in kept.lines().zip(told.lines()) {
        assert_eq!(kept, told, "UPDATE=1 writes tests/data/odd.txt anew");
    }
    assert_eq!(kept.len(), told.len());
}
