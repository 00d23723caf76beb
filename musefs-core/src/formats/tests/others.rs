use super::build::{ape, frame, id3v1, sound, tag as id3v2_tag};
use super::*;

#[test]
fn ape_tagged_files_give_their_tags_and_are_served_as_they_are() {
    let items = ape(&[("Title", b"One", 0), ("Track", b"3/9", 0)]);
    let bytes = [b"MPCK".to_vec(), sound(300), items, id3v1("other")].concat();
    let probe = probed(&bytes, "mpc");
    assert_eq!(probe.format, Format::Musepack);
    assert_eq!(
        probe.tags,
        [
            tag("title", "One"),
            tag("track", "3"),
            tag("tracktotal", "9")
        ]
    );
    assert_eq!(served(&probe, &bytes), bytes);
}

#[test]
fn true_audio_tells_its_length() {
    let header = b"TTA1\x01\0\x02\0\x10\0\x44\xac\0\0\x88\x58\x01\0\0\0\0\0";
    let front = id3v2_tag(3, 0, &frame(3, "TIT2", 0, b"\0One"));
    let bytes = [front, header.to_vec(), sound(100)].concat();
    let probe = probed(&bytes, "tta");
    assert_eq!(values(&probe, "title"), ["One"]);
    let sound = sound_of(&bytes, "tta").expect("a header");
    assert_eq!(sound.duration_ms, Some(2000));
    assert_eq!(sound.channels, Some(2));
}

#[test]
fn a_wave_file_gives_its_list_chunk() {
    let format = b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0";
    let list = b"LIST\x10\0\0\0INFOINAM\x04\0\0\0One\0";
    let data = [b"data\x80\x3e\0\0".to_vec(), vec![0; 16_000]].concat();
    let body = [&b"WAVE"[..], format, list, &data].concat();
    let size = u32::try_from(body.len()).unwrap().to_le_bytes();
    let bytes = [&b"RIFF"[..], &size, &body].concat();
    let probe = probed(&bytes, "wav");
    assert_eq!(probe.failure, None);
    assert_eq!(probe.tags, [tag("title", "One")]);
    assert_eq!(
        sound_of(&bytes, "wav").expect("a header").duration_ms,
        Some(1000)
    );
    assert_eq!(served(&probe, &bytes), bytes);
}
