//! No damage makes a probe panic, go on for ever, or read more than there is.

use super::build::{FlacBuilder, ape, frame, id3v1, mpeg_frames, tag as id3v2_tag, unsynchronised};
use super::chunk_files::{Aiff, Wav};
use super::ogg_build::{KINDS, OggBuilder};
use super::*;

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let flac = FlacBuilder::new()
        .comment("TITLE=One")
        .comment("TRACKNUMBER=1/2")
        .block(2, b"appl")
        .picture(3, "image/png", "d", b"picture")
        .build();
    let body = |major| {
        [
            frame(major, "TIT2", 0, b"\x01\xff\xfea\0b\0\0\0c\0"),
            frame(major, "COMM", 0, b"\0eng\0comment"),
            frame(major, "APIC", 0, b"\0image/png\0\x03d\0picture\xff\0"),
            frame(major, "PRIV", 0x0020, b"gowner\0body"),
            frame(
                major,
                "CHAP",
                0,
                b"a\0aaaabbbbccccddddTIT2\0\0\0\x02\0\0\0x",
            ),
            frame(major, "TIPL", 0, b"\0mix\0Ann"),
            vec![0; 20],
        ]
        .concat()
    };
    let behind = [ape(&[("Year", b"2001", 0), ("Blob", b"\0", 2)]), id3v1("t")].concat();
    let mp3 = |tag: Vec<u8>| [tag, mpeg_frames(), behind.clone()].concat();
    let ogg = KINDS.map(|kind| {
        let mut builder = OggBuilder::new(kind)
            .comment("TITLE=One")
            .comment("TRACKNUMBER=1/2")
            .picture(3, "image/png", "d", &[7; 100]);
        builder.sounds = vec![build::sound(40); 2];
        ("ogg", builder.segments(2).build())
    });
    let mut samples = vec![
        ("flac", flac),
        ("m4a", mp4::sample()),
        ("mp3", mp3(id3v2_tag(4, 0, &body(4)))),
        ("mp3", mp3(id3v2_tag(3, 0x80, &unsynchronised(&body(3))))),
        ("mp3", mp3(id3v2_tag(3, 0, &body(3)))),
        ("wav", wav()),
        (
            "wav",
            [&Wav::wide(0, 0).build()[..], b"data\xff\xff\xff\xffsound"].concat(),
        ),
        ("aiff", aiff()),
        (
            "ape",
            [ape_tagged::audio("ape"), ape_tagged::items(), id3v1("t")].concat(),
        ),
        (
            "tta",
            [id3v2_tag(3, 0, &body(3)), ape_tagged::audio("tta"), behind].concat(),
        ),
        ("aac", [id3v2_tag(4, 0, &body(4)), adts::frames()].concat()),
    ];
    samples.extend(ogg);
    samples
}

fn wav() -> Vec<u8> {
    let id3 = id3v2_tag(4, 0, &frame(4, "TIT2", 0, b"\x03One"));
    Wav::new()
        .chunk("fact", b"\0\x01\0\0")
        .info(&[("IART", b"A\0"), ("ITRK", b"1/2\0"), ("ISRF", b"odd")])
        .chunk("data", b"sound")
        .chunk("id3 ", &id3)
        .back(&id3v1("t"))
        .build()
}

fn aiff() -> Vec<u8> {
    let id3 = id3v2_tag(4, 0, &frame(4, "TIT2", 0, b"\x03One"));
    Aiff::new()
        .chunk("NAME", b"One")
        .chunk("SSND", b"\0\0\0\0\0\0\0\0sound")
        .chunk("ANNO", b"note")
        .chunk("ID3 ", &id3)
        .back(&id3v1("t"))
        .build()
}

/// Probes, and lays out what came of it; the layout's total must be readable from what is there.
fn survive(bytes: &[u8], extension: &str) {
    let (probe, read) = probe_by(bytes, Some(extension), 64);
    assert!(read <= 64 * bytes.len() as u64 + 64);
    if probe.failure.is_some() {
        assert_eq!(probe.structure, Structure::AsIs);
    }
    if let Ok(layout) = layout_of(&probe, bytes.len()) {
        materialised(&layout, bytes);
    }
}

#[test]
fn files_cut_anywhere_are_survived() {
    for (extension, bytes) in samples() {
        for len in 0..bytes.len() {
            survive(&bytes[..len], extension);
        }
    }
}

#[test]
fn any_flipped_byte_is_survived() {
    for (extension, bytes) in samples() {
        for at in 0..bytes.len() {
            for mask in [0xff, 0x80, 0x01] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                survive(&damaged, extension);
            }
        }
    }
}

const MARKS: &[&[u8]] = &[
    b"fLaC",
    b"ID3\x04\0\0\0\0\x01\0",
    b"ID3\x03\0\x80\0\0\x01\0",
    b"OggS",
    b"RIFF\0\0\x01\0WAVE",
    b"\0\0\0\x10ftyp",
    b"MAC ",
    b"wvpk",
    b"FORM\0\0\x01\0AIFF",
    b"MPCK",
    b"TTA1",
    b"\xff\xf1",
];

proptest! {
    #[test]
    fn several_damages_are_survived(
        sample in any::<prop::sample::Index>(),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let all = samples();
        let (extension, mut bytes) = all[sample.index(all.len())].clone();
        for (at, byte) in damages {
            let at = at.index(bytes.len().min(700));
            bytes[at] = byte;
        }
        survive(&bytes, extension);
    }

    #[test]
    fn any_bytes_behind_a_mark_are_survived(
        mark in prop::sample::select(MARKS),
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        survive(&[mark, &bytes].concat(), "mp3");
    }
}
