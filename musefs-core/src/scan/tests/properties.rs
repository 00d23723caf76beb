//! The pass for the sound: it comes after the tags, and costs them nothing.

use super::*;
use crate::formats::AudioProperties;

/// `WavPack` of one second at 44,100 Hz in a block without data, with a title in `APEv2`; readers know major version 4 alone.
fn wavpack(version: u16) -> Vec<u8> {
    const STEREO_16_BIT_44100_HZ_WHOLE: u32 = 1 | 9 << 23 | 0x1800;
    let numbers = [44_100, 0, 44_100, STEREO_16_BIT_44100_HZ_WHOLE, 0].map(u32::to_le_bytes);
    let header = [
        &b"wvpk"[..],
        &24_u32.to_le_bytes(),
        &version.to_le_bytes(),
        b"\0\0",
        &numbers.concat(),
    ]
    .concat();
    let item = b"\x03\0\0\0\0\0\0\0Title\0One";
    let size = u32::try_from(item.len() + 32).expect("small");
    let footer = [2000, size, 1, 0, 0, 0].map(u32::to_le_bytes).concat();
    [&header[..], item, b"APETAGEX", &footer].concat()
}

#[test]
fn a_file_that_does_not_tell_its_sound_keeps_its_tags() {
    let mut library = Library::new();
    library.file("told.wv", wavpack(0x410));
    library.file("untold.wv", wavpack(0x910));
    let report = library.scan();
    assert_eq!(report.failed(), 0);
    let told = library.row("told.wv");
    assert_eq!(told.properties.duration_ms, Some(1000));
    assert_eq!(told.properties.channels, Some(2));
    let untold = library.row("untold.wv");
    assert_eq!(untold.properties, AudioProperties::default());
    assert_eq!(library.title(untold.id).as_deref(), Some("One"));
    let named = &report.warnings[&ScanWarning::NoProperties];
    assert_eq!(named.count, 1);
    assert_eq!(named.places[0].path, library.path("untold.wv"));
}

#[test]
fn a_scan_without_the_pass_leaves_the_sound_open_until_one_with_it() {
    let mut library = Library::new();
    library.file("one.wv", wavpack(0x410));
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
