//! The pass for the sound: it comes after the tags, and costs them nothing.

use super::*;
use crate::formats::AudioProperties;

/// An empty True Audio file of one second with a title in `APEv2`; only the first version of the format tells its sound.
fn true_audio(version: u8) -> Vec<u8> {
    let header = [
        &[b'T', b'T', b'A', version][..],
        b"\x01\0\x02\0\x10\0\x44\xac\0\0\x44\xac\0\0\0\0\0\0",
    ]
    .concat();
    let item = b"\x03\0\0\0\0\0\0\0Title\0One";
    let size = u32::try_from(item.len() + 32).expect("small");
    let footer = [2000, size, 1, 0, 0, 0].map(u32::to_le_bytes).concat();
    [&header[..], item, b"APETAGEX", &footer].concat()
}

/// An empty `WavPack` file of one second, one block, without tags. Only the pass tells its sound.
fn wavpack() -> Vec<u8> {
    const SAMPLES: u32 = 44_100;
    // 16 bits, the first and last block of its sound, 44,100 Hz.
    const FLAGS: u32 = 1 | 0x1800 | 9 << 23;
    let numbers = [SAMPLES, 0, SAMPLES, FLAGS, 0].map(u32::to_le_bytes);
    [b"wvpk\x18\0\0\0\x10\x04\0\0", &numbers.concat()[..]].concat()
}

#[test]
fn a_file_that_does_not_tell_its_sound_keeps_its_tags() {
    let mut library = Library::new();
    library.file("told.tta", true_audio(b'1'));
    library.file("untold.tta", true_audio(b'2'));
    let report = library.scan();
    assert_eq!(report.failed(), 0);
    let told = library.row("told.tta");
    assert_eq!(told.properties.duration_ms, Some(1000));
    assert_eq!(told.properties.channels, Some(2));
    let untold = library.row("untold.tta");
    assert_eq!(untold.properties, AudioProperties::default());
    assert_eq!(library.title(untold.id).as_deref(), Some("One"));
    let named = &report.warnings[&ScanWarning::NoProperties];
    assert_eq!(named.count, 1);
    assert_eq!(named.places[0].path, library.path("untold.tta"));
}

#[test]
fn a_scan_without_the_pass_leaves_the_sound_open_until_one_with_it() {
    let mut library = Library::new();
    library.file("one.wv", wavpack());
    library.options.skip_properties = true;
    let report = library.scan();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let before = library.row("one.wv");
    assert_eq!(before.properties, AudioProperties::default());
    library.options = ScanOptions {
        force: true,
        ..ScanOptions::default()
    };
    assert_eq!(counts(&library.scan()), (1, 0, 1, 0, 0));
    let after = library.row("one.wv");
    assert_eq!(after.properties.sample_rate_hz, Some(44_100));
    assert!(after.change_seq > before.change_seq, "a mount hears of it");
    assert_eq!(
        after.content_seq, before.content_seq,
        "no byte of it is new"
    );
}
