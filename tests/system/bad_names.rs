//! Names and values that nobody should have: they are shown all the same, and collide with nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::audio::{self, Sound};
use crate::support::library::{Library, ONE};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{files_below, python};

#[test]
fn a_file_whose_name_is_not_unicode_is_served() {
    require_fuse!();
    let library = Library::new();
    let name = OsStr::from_bytes(b"caf\xe9.flac");
    let backing = library.music().join(name);
    audio::write(&backing, Sound::TinyFlac, ONE, false);
    let below = library.music().join(OsStr::from_bytes(b"\xff\xfe"));
    audio::write(
        &below.join("other.flac"),
        Sound::TinyFlac,
        &[("title", "Other")],
        false,
    );
    library.scan();
    let mount = Mount::with(&library, &["--template", "$title", "--metrics-dir", "off"]);
    assert_eq!(files_below(mount.path()), ["Other.flac", "Ready.flac"]);
    assert_eq!(
        audio::sound_hash(&mount.join("Ready.flac")),
        audio::sound_hash(&backing)
    );
    drop(mount);
    // By its own name it is shown as text.
    let mount = Mount::with(
        &library,
        &["--template", "$filename", "--metrics-dir", "off"],
    );
    let names = files_below(mount.path());
    assert!(
        names.iter().any(|name| name.starts_with("caf")),
        "{names:?}"
    );
}

#[test]
fn a_tag_of_ten_megabytes_does_no_harm() {
    require_fuse!();
    let library = Library::new();
    library.add("one.flac", Sound::TinyFlac, ONE, false);
    for (name, sound) in [("big.flac", Sound::Flac), ("big.mp3", Sound::Mp3)] {
        let tags = library.path().join("tags.txt");
        let value = "x".repeat(10 << 20);
        std::fs::write(&tags, format!(";FFMETADATA1\ntitle=Big\nlyrics={value}\n")).unwrap();
        let mut command = Command::new("ffmpeg");
        command
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(audio::sample(sound));
        command
            .arg("-i")
            .arg(&tags)
            .args(["-map", "0:a", "-map_metadata", "1", "-c", "copy"]);
        run(command.arg(library.music().join(name))).done();
    }
    let outcome = library.try_scan(&[]);
    assert!(matches!(outcome.code, Some(0 | 2)), "{outcome:?}");
    outcome.is_calm();
    let mount = Mount::with(&library, &["--template", "$filename"]);
    for name in ["big.flac", "big.mp3"] {
        let (served, backing) = (mount.join(name), library.music().join(name));
        assert_eq!(
            audio::sound_hash(&served),
            audio::sound_hash(&backing),
            "{name}"
        );
        assert_eq!(
            std::fs::read(&served).unwrap().len() as u64,
            served.metadata().unwrap().len()
        );
        if python::has_mutagen() {
            assert_eq!(python::tags(&served), python::tags(&backing), "{name}");
        }
    }
    assert!(mount.join("one.flac").exists());
}

#[test]
fn a_title_of_ten_megabytes_makes_a_name_that_fits() {
    require_fuse!();
    let library = Library::of_two();
    for name in ["one.flac", "two.mp3"] {
        library.set_tag(name, "title", &"long ".repeat(2 << 20));
    }
    let mount = Mount::with(&library, &["--template", "$title", "--metrics-dir", "off"]);
    let names = files_below(mount.path());
    assert_eq!(names.len(), 2);
    for name in names {
        assert!(name.len() <= 255 && name.starts_with("long long"), "{name}");
        let path = mount.join(&name);
        assert_eq!(
            std::fs::read(&path).unwrap().len() as u64,
            path.metadata().unwrap().len()
        );
        let backing = if name.ends_with("mp3") {
            "two.mp3"
        } else {
            "one.flac"
        };
        assert_eq!(
            audio::sound_hash(&path),
            audio::sound_hash(&library.music().join(backing))
        );
    }
}

#[test]
fn artists_called_like_the_metrics_directory_are_numbered() {
    require_fuse!();
    let library = Library::new();
    for (name, artist) in [("a.flac", ".metrics"), ("b.flac", ".musefs-metrics")] {
        library.add(
            name,
            Sound::TinyFlac,
            &[("artist", artist), ("title", "Song")],
            false,
        );
    }
    library.scan();
    let mount = Mount::new(&library);
    for path in [
        ".metrics (2)/Unknown/Song.flac",
        ".musefs-metrics (2)/Unknown/Song.flac",
    ] {
        assert!(
            !std::fs::read(mount.join(path)).unwrap().is_empty(),
            "{path}"
        );
    }
    assert_eq!(mount.metrics().value("musefs_up"), 1);
    assert!(
        mount
            .join(".metrics")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    drop(mount);
    // Where the names are free they are theirs.
    let mount = Mount::with(&library, &["--metrics-dir", "off"]);
    assert_eq!(
        files_below(mount.path()),
        [
            ".metrics/Unknown/Song.flac",
            ".musefs-metrics/Unknown/Song.flac"
        ]
    );
}

#[test]
fn values_that_look_like_paths_stay_below_the_mount() {
    require_fuse!();
    let library = Library::new();
    let tags = [
        ("artist", "../../etc"),
        ("album", ".."),
        ("title", "a/b\u{1}c"),
    ];
    library.add("a.flac", Sound::TinyFlac, &tags, false);
    library.scan();
    let mount = Mount::with(&library, &["--metrics-dir", "off"]);
    let files = files_below(mount.path());
    assert_eq!(files.len(), 1);
    let names: Vec<&str> = files[0].split('/').collect();
    assert_eq!(names.len(), 3, "{files:?}");
    assert!(!names.contains(&".."), "{files:?}");
    assert!(!files[0].contains('\u{1}'), "{files:?}");
}

#[test]
fn a_mountpoint_whose_name_is_not_unicode() {
    require_fuse!();
    let library = Library::of_one();
    let path = library.path().join(OsStr::from_bytes(b"m\xfcsic and more"));
    std::fs::create_dir(&path).unwrap();
    let mut command = musefs(["mount", "--db"]);
    command.arg(library.db()).arg(&path);
    let mount = Mount::start(&mut command, &path).unwrap();
    let text = std::fs::read(mount.join(".musefs-metrics/metrics.prom")).unwrap();
    let metrics = Metrics::parse(&text);
    assert!(
        metrics
            .names()
            .iter()
            .all(|name| name.contains("m\\\\xfcsic and more"))
    );
    assert!(mount.join("Boards of Canada").exists());
    assert_eq!(mount.stop().done().stderr, "");
}
