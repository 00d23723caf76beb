use super::build::{FlacBuilder, id3v1, sound, tag as id3v2_tag};
use super::*;

fn full() -> Vec<u8> {
    let picture = sound(9000);
    FlacBuilder::new()
        .comment("Title=One")
        .comment("ARTIST=First")
        .comment("artist=Second")
        .comment("TRACKNUMBER=1/12")
        .comment("ODD ONE=kept=as it is")
        .comment(b"ALBUM=caf\xe9")
        .comment("METADATA_BLOCK_PICTURE=AAAA")
        .comment("no equals sign")
        .block(3, &[7; 36])
        .block(2, b"abcdefgh")
        .block(5, &[9; 400])
        .block(99, b"unknown block")
        .picture(3, "image/jpeg", "front", &picture)
        .picture(4, "image/png", "back", b"png")
        .build()
}

#[test]
fn every_item_is_found() {
    let bytes = full();
    let probe = probed(&bytes, "flac");
    assert_eq!(probe.failure, None);
    assert_eq!(
        probe.tags,
        [
            tag("title", "One"),
            tag("artist", "First"),
            tag("artist", "Second"),
            tag("track", "1"),
            tag("tracktotal", "12"),
            tag("ODD ONE", "kept=as it is"),
            tag("album", "café"),
        ]
    );
    let natives: Vec<&str> = probe
        .items
        .iter()
        .map(|item| item.native.as_str())
        .collect();
    assert_eq!(
        natives,
        [
            "APPLICATION",
            "CUESHEET",
            "BLOCK:99",
            "COMMENT:METADATA_BLOCK_PICTURE",
            "COMMENT"
        ]
    );
    assert_eq!(probe.art.len(), 2);
    assert_eq!((probe.art[0].width, probe.art[0].depth), (600, 24));
    assert_eq!(source(&bytes, &probe.art[1].source), b"png");
    assert_eq!(
        probe.properties,
        AudioProperties {
            duration_ms: Some(2000),
            sample_rate_hz: Some(44_100),
            channels: Some(2),
            bits_per_sample: Some(16),
            bitrate_bps: Some(502 * 8 / 2),
        }
    );
    assert!(probe.warnings.contains(&Warning::LegacyText {
        field: "ALBUM".to_owned()
    }));
}

#[test]
fn untouched_rows_serve_the_same_file_again() {
    let bytes = full();
    let before = probed(&bytes, "flac");
    let served = served(&before, &bytes);
    let after = probed(&served, "flac");
    assert_same(&before, &bytes, &after, &served);
    assert!(served.ends_with(&sound(500)));
    for raw in [
        &b"Title=One"[..],
        b"artist=Second",
        b"TRACKNUMBER=1/12",
        b"no equals sign",
    ] {
        assert!(served.windows(raw.len()).any(|window| window == raw));
    }
}

#[test]
fn an_edit_changes_its_key_alone() {
    let bytes = full();
    let mut probe = probed(&bytes, "flac");
    probe.tags.retain(|tag| tag.key != "artist");
    probe.tags.push(tag("tracktotal2", "x"));
    for tag in &mut probe.tags {
        if tag.key == "tracktotal" {
            tag.value = "15".to_owned();
        }
    }
    probe.art[0].source = Source::Blob {
        blob: BlobId(1),
        len: 20,
    };
    let served = served(&probe, &bytes);
    let after = probed(&served, "flac");
    assert_eq!(sorted(&after), {
        let mut tags = sorted(&probe);
        for tag in tags.iter_mut().filter(|tag| tag.key == "tracktotal2") {
            tag.key = "TRACKTOTAL2".to_owned();
        }
        tags.sort_by(|left, right| left.key.cmp(&right.key));
        tags
    });
    assert_eq!(source(&served, &after.art[0].source), [0xbb; 20]);
    assert_eq!(values(&after, "track"), ["1"]);
    assert!(values(&after, "artist").is_empty());
}

#[test]
fn leading_and_trailing_id3_are_not_audio() {
    let front = id3v2_tag(4, 0, &build::frame(4, "TIT2", 0, b"\x03From ID3"));
    let bytes = FlacBuilder::new().front(&front).back(&id3v1("x")).build();
    let probe = probed(&bytes, "flac");
    assert_eq!(values(&probe, "title"), ["From ID3"]);
    let served = served(&probe, &bytes);
    assert!(served.starts_with(b"fLaC"));
    assert!(served.ends_with(&sound(500)));
    assert_eq!(values(&probed(&served, "flac"), "title"), ["From ID3"]);
}

#[test]
fn pictures_and_kept_bodies_are_not_read() {
    let picture = vec![1; 3 << 20];
    let bytes = FlacBuilder::new()
        .comment("TITLE=One")
        .block(2, &vec![2; 1 << 20])
        .picture(3, "image/jpeg", "", &picture)
        .build();
    let (probe, read) = probe_by(&bytes, Some("flac"), 4096);
    assert_eq!(probe.art.len(), 1);
    assert!(read <= 6 * 4096, "{read} bytes read");
}

#[test]
fn a_text_of_ten_megabytes_is_kept_unread() {
    let huge = [b"LYRICS=".to_vec(), vec![b'x'; 10 << 20]].concat();
    let bytes = FlacBuilder::new()
        .comment(&huge)
        .comment("TITLE=One")
        .build();
    let (probe, read) = probe_by(&bytes, Some("flac"), 4096);
    assert_eq!(probe.tags, [tag("title", "One")]);
    assert!(read < 1 << 20, "{read} bytes read");
    assert_eq!(probe.warnings.len(), 1);
    let served = served(&probe, &bytes);
    assert!(served.windows(8).any(|window| window == b"LYRICS=x"));
    assert_eq!(probed(&served, "flac").items, {
        let mut items = probe.items.clone();
        let Source::Backing(range) = probed(&served, "flac").items[0].source else {
            panic!("a range");
        };
        items[0].source = Source::Backing(range);
        items
    });
}

#[test]
fn a_picture_over_the_limit_of_a_block_is_refused() {
    let bytes = full();
    let mut probe = probed(&bytes, "flac");
    probe.art[0].source = Source::Blob {
        blob: BlobId(1),
        len: 1 << 24,
    };
    let refused = layout_of(&probe, bytes.len());
    assert!(matches!(refused, Err(SynthesisError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        tags in proptest::collection::vec(("[A-Z]{1,6}", "\\PC{0,12}"), 0..8),
    ) {
        let bytes = full();
        let mut probe = probed(&bytes, "flac");
        probe.tags = tags
            .iter()
            .map(|(key, value)| tag(&format!("X{key}"), value))
            .collect();
        let after = probed(&served(&probe, &bytes), "flac");
        prop_assert_eq!(sorted(&probe), sorted(&after));
    }
}
