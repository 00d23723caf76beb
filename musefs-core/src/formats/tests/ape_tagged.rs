use super::build::{ape, frame, id3v1, sound, tag as id3v2_tag};
use super::*;

/// What stands for the sound of each format.
pub(super) fn audio(extension: &str) -> Vec<u8> {
    let mark: &[u8] = match extension {
        "ape" => b"MAC \x96\x0f",
        "wv" => b"wvpk",
        "mpc" => b"MPCK",
        "mp+" => b"MP+\x07",
        _ => b"TTA1\x01\0\x02\0\x10\0\x44\xac\0\0\x88\x58\x01\0\0\0\0\0",
    };
    [mark, &sound(300)].concat()
}

const EXTENSIONS: [&str; 5] = ["ape", "wv", "mpc", "mp+", "tta"];

/// An `APEv2` tag with every kind of item.
pub(super) fn items() -> Vec<u8> {
    let picture = [&b"front.png\0"[..], &sound(600)].concat();
    ape(&[
        ("Title", b"One", 0),
        ("artist", b"First\0Second", 1),
        ("Track", b"3/9", 0),
        ("Own", b"value", 0),
        ("File", b"http://example.org", 4),
        ("Cover Art (Front)", &picture, 2),
        ("Blob", b"\x01\0\x02", 2),
        ("Year", b"caf\xe9", 0),
    ])
}

fn edited(bytes: &[u8], extension: &str, edit: impl Fn(&mut Vec<Tag>)) -> (Vec<u8>, Probe) {
    let mut probe = probed(bytes, extension);
    edit(&mut probe.tags);
    let served = served(&probe, bytes);
    let after = probed(&served, extension);
    assert_eq!(after.failure, None);
    assert_eq!(sorted(&probe), sorted(&after));
    (served, after)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn every_item_comes_out_again_behind_the_same_sound() {
    for extension in EXTENSIONS {
        let bytes = [audio(extension), items(), id3v1("other")].concat();
        let before = probed(&bytes, extension);
        assert_eq!(before.failure, None);
        let tags = [
            tag("title", "One"),
            tag("artist", "First"),
            tag("artist", "Second"),
            tag("track", "3"),
            tag("tracktotal", "9"),
            tag("Own", "value"),
            tag("File", "http://example.org"),
            tag("date", "café"),
        ];
        assert_eq!(before.tags[..8], tags);
        // What ID3v1 has besides.
        assert_eq!(before.tags[8..], [tag("genre", "Rock")]);
        assert_eq!(source(&bytes, &before.art[0].source), sound(600));
        assert_eq!(before.items.len(), 1);
        let served = served(&before, &bytes);
        assert!(served.starts_with(&audio(extension)));
        assert_eq!(&served[served.len() - 32..][..8], b"APETAGEX");
        assert!(served[audio(extension).len()..].starts_with(b"APETAGEX"));
        let after = probed(&served, extension);
        assert_same(&before, &bytes, &after, &served);
        for raw in [
            &b"\x01\0\0\0artist\0First\0Second"[..],
            b"Track\x003/9",
            b"\x04\0\0\0File\0http",
            "Year\0café".as_bytes(),
            b"\x02\0\0\0Blob\0\x01\0\x02",
        ] {
            assert!(has(&served, raw), "{raw:?}");
        }
        // A second time nothing changes any more.
        assert_eq!(super::served(&after, &served), served);
    }
}

#[test]
fn a_file_without_tags_is_served_as_it_is() {
    for extension in EXTENSIONS {
        let bytes = audio(extension);
        let probe = probed(&bytes, extension);
        assert_eq!(served(&probe, &bytes), bytes);
        let (served, _) = edited(&bytes, extension, |tags| tags.push(tag("title", "One")));
        if extension == "tta" {
            assert!(served.starts_with(b"ID3\x04") && served.ends_with(&bytes));
        } else {
            assert!(served.starts_with(&bytes));
        }
    }
}

#[test]
fn edits_take_the_place_of_what_was_there() {
    let bytes = [audio("wv"), items()].concat();
    let (served, after) = edited(&bytes, "wv", |tags| {
        tags.retain(|tag| !["title", "Own", "tracktotal"].contains(&tag.key.as_str()));
        for (key, value) in [
            ("tracktotal", "12"),
            ("title", "A"),
            ("title", "B"),
            ("genre", "Märchen"),
            ("disctotal", "2"),
            ("disc", "1"),
        ] {
            tags.push(tag(key, value));
        }
    });
    for raw in [
        &b"Title\0A\0B"[..],
        b"Track\x003/12",
        "Genre\0Märchen".as_bytes(),
        b"Disc\x001/2",
    ] {
        assert!(has(&served, raw), "{raw:?}");
    }
    assert!(!has(&served, b"Own"));
    assert_eq!(after.items.len(), 1);
}

#[test]
fn keys_that_no_item_can_have_are_made_ones() {
    let mut probe = probed(&audio("ape"), "ape");
    probe.tags = vec![tag("id3", "a"), tag("x", "b"), tag("ключ", "c")];
    let served = served(&probe, &audio("ape"));
    let keys: Vec<String> = probed(&served, "ape")
        .tags
        .into_iter()
        .map(|tag| tag.key)
        .collect();
    assert_eq!(keys, ["id3_", "x_", "____"]);
}

#[test]
fn pictures_of_one_kind_are_numbered_and_art_from_the_store_is_named() {
    let bytes = [audio("mpc"), items()].concat();
    let mut probe = probed(&bytes, "mpc");
    let blob = Source::Blob {
        blob: BlobId(1),
        len: 50,
    };
    for (picture_type, description) in [(3, ""), (4, "back")] {
        probe.art.push(Art {
            picture_type,
            mime: "image/webp".to_owned(),
            description: description.to_owned(),
            source: blob,
            ..probe.art[0].clone()
        });
    }
    let served = served(&probe, &bytes);
    let after = probed(&served, "mpc");
    let told: Vec<(u32, &str, &str, u64)> = after
        .art
        .iter()
        .map(|art| {
            let Art {
                picture_type, mime, ..
            } = art;
            (
                *picture_type,
                mime.as_str(),
                art.description.as_str(),
                art.source.len(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (3, "image/png", "front.png", 600),
            (3, "image/webp", "Cover Art (Front).webp", 50),
            (4, "image/webp", "back.webp", 50),
        ]
    );
    assert!(has(&served, b"Cover Art (Front) 2\0"));
}

#[test]
fn id3v2_in_front_is_read_and_left_out_but_for_true_audio() {
    let frames = [
        frame(3, "TIT2", 0, b"\0From ID3"),
        frame(3, "TALB", 0, b"\0Album"),
        frame(3, "TXXX", 0, b"\0Own\0other"),
        frame(3, "PRIV", 0, b"owner\0body"),
    ];
    let front = id3v2_tag(3, 0, &frames.concat());
    let bytes = [front.clone(), audio("ape"), items()].concat();
    let (served, after) = edited(&bytes, "ape", |_| {});
    assert!(served.starts_with(&audio("ape")));
    assert_eq!(values(&after, "title"), ["One"]);
    assert_eq!(values(&after, "album"), ["Album"]);
    assert_eq!(values(&after, "Own"), ["value"]);
    let warned = probed(&bytes, "ape").warnings;
    assert!(
        warned.iter().any(|warning| {
            matches!(warning, Warning::BadField { field, .. } if field == "PRIV")
        })
    );

    let bytes = [front, audio("tta")].concat();
    let before = probed(&bytes, "tta");
    assert_eq!(before.properties.duration_ms, Some(2000));
    let served = super::served(&before, &bytes);
    assert!(served.starts_with(b"ID3\x04"));
    assert!(served.ends_with(&audio("tta")));
    assert_same(&before, &bytes, &probed(&served, "tta"), &served);
}

#[test]
fn pictures_and_kept_items_are_not_read() {
    let picture = [&b"front.jpg\0"[..], &vec![7; 5 << 20]].concat();
    let behind = ape(&[
        ("Title", b"One", 0),
        ("Cover Art (Front)", &picture, 2),
        ("Blob", &vec![1; 2 << 20], 2),
        ("Artist", b"Two", 0),
    ]);
    for extension in ["ape", "tta"] {
        let bytes = [audio(extension), vec![3; 2 << 20], behind.clone()].concat();
        let (probe, read) = probe_by(&bytes, Some(extension), 4096);
        assert_eq!((probe.tags.len(), probe.art.len()), (2, 1));
        assert!(read <= 16 * 4096, "{extension}: {read} bytes read");
    }
}

#[test]
fn too_many_items_are_refused() {
    let mut probe = probed(&audio("ape"), "ape");
    probe.tags = (0..5000).map(|n| tag(&format!("Key{n}"), "x")).collect();
    let refused = layout_of(&probe, audio("ape").len());
    assert!(matches!(refused, Err(SynthesisError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        tags in proptest::collection::btree_map("[A-Z][a-z]{1,6}x", "\\PC{0,12}", 0..8),
        title in proptest::collection::vec("\\PC{0,20}", 0..3),
    ) {
        let bytes = [audio("wv"), items()].concat();
        edited(&bytes, "wv", |all| {
            *all = tags.iter().map(|(key, value)| tag(key, value)).collect();
            all.extend(title.iter().map(|title| tag("title", title)));
        });
    }
}
