use super::build::{ape, frame, id3v1, sound, tag as id3v2_tag};
use super::*;

/// Four ADTS frames of 44,100 Hz and two channels, 200 bytes each.
pub(super) fn frames() -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..4 {
        bytes.extend([0xff, 0xf1, 0x50, 0x80, 25, 0x1f, 0xfc]);
        bytes.extend(sound(193));
    }
    bytes
}

#[test]
fn tags_stand_in_front_of_the_frames() {
    let front = id3v2_tag(3, 0, &frame(3, "TIT2", 0, b"\0One"));
    let items = ape(&[("Artist", b"Two", 0)]);
    let bytes = [front, frames(), items, id3v1("other")].concat();
    let mut probe = probed(&bytes, "aac");
    assert_eq!((probe.format, probe.failure), (Format::Adts, None));
    assert_eq!(values(&probe, "title"), ["One"]);
    assert_eq!(values(&probe, "artist"), ["Two"]);
    probe.tags.push(tag("album", "Three"));
    let served = served(&probe, &bytes);
    assert!(served.starts_with(b"ID3\x04"));
    assert!(served.ends_with(&frames()));
    let after = probed(&served, "aac");
    assert_same(&probe, &bytes, &after, &served);
}

#[test]
fn a_file_without_tags_is_served_as_it_is() {
    let probe = probed(&frames(), "aac");
    assert_eq!(probe.properties.sample_rate_hz, Some(44_100));
    assert_eq!(probe.properties.channels, Some(2));
    assert_eq!(probe.properties.duration_ms, Some(4 * 1024 * 1000 / 44_100));
    assert_eq!(served(&probe, &frames()), frames());
}

#[test]
fn pictures_are_not_read() {
    let picture = [&b"\0image/jpeg\0\x03\0"[..], &vec![5; 5 << 20]].concat();
    let front = id3v2_tag(4, 0, &frame(4, "APIC", 0, &picture));
    let bytes = [front, frames()].concat();
    let (probe, read) = probe_by(&bytes, Some("aac"), 4096);
    assert_eq!(probe.art.len(), 1);
    assert!(read <= 16 * 4096, "{read} bytes read");
}
