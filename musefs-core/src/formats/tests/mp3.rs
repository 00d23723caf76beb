use super::build::{ape, frame, id3v1, mpeg_frames, syncsafe, tag as id3v2_tag, unsynchronised};
use super::*;

fn utf16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// Every frame that the tests need, for one version of the tag.
fn frames(major: u8) -> Vec<u8> {
    let id = |three: &'static str, four: &'static str| if major == 2 { three } else { four };
    let mut body = Vec::new();
    let mut put = |name: &str, bytes: &[u8]| body.extend(frame(major, name, 0, bytes));
    put(id("TT2", "TIT2"), &[&[1][..], &utf16("Žluťoučký")].concat());
    put(id("TP1", "TPE1"), b"\0First\0Second\0");
    put(id("TRK", "TRCK"), b"\x001/12");
    put(id("TCO", "TCON"), b"\0(17)");
    put(
        id("COM", "COMM"),
        &[&b"\x01deu"[..], &utf16(""), &[0, 0], &utf16("Kommentar")].concat(),
    );
    put(id("COM", "COMM"), b"\0engiTunNORM\0 0001");
    put(id("ULT", "USLT"), b"\0eng\0line one\nline two");
    put(id("TXX", "TXXX"), b"\0MUSICBRAINZ_ALBUMID\0abc");
    put(id("TXX", "TXXX"), b"\0Own\0value");
    put(id("IPL", "IPLS"), b"\0producer\0Ann\0gaffer\0Bob\0");
    put(id("WAR", "WOAR"), b"http://example.org/");
    put(id("UFI", "UFID"), b"http://musicbrainz.org\0some-id");
    put(
        id("GEO", "GEOB"),
        b"\0text/plain\0name\0\0\xff\xf0\xff\0opaque",
    );
    put(id("POP", "POPM"), b"me@example.org\0\xff");
    let picture = [b"front\0".to_vec(), vec![0x42; 7000]].concat();
    if major == 2 {
        put("PIC", &[&b"\0JPG\x03"[..], &picture].concat());
        put("TYE", b"\x002003");
    } else {
        put("APIC", &[&b"\0image/jpeg\0\x03"[..], &picture].concat());
        put("PRIV", b"owner\0\xff\xff\0body");
        put("CHAP", &chapter(major));
        if major == 3 {
            put("TYER", b"\x002003");
            put("TDAT", b"\x003112");
        } else {
            put("TDRC", b"\x032003-12-31");
        }
    }
    body
}

fn chapter(major: u8) -> Vec<u8> {
    let title = [&b"\0"[..], &[b'c'; 200]].concat();
    let inner = [
        frame(major, "TIT2", 0, &title),
        frame(major, "TIT3", 0, b"\0x"),
    ]
    .concat();
    [&b"chp1\0"[..], &[0; 16], &inner].concat()
}

fn file(tag: Vec<u8>) -> Vec<u8> {
    [tag, mpeg_frames()].concat()
}

fn check(major: u8, probe: &Probe) {
    assert_eq!(probe.failure, None);
    assert_eq!(probe.warnings, []);
    for (key, expected) in [
        ("title", &["Žluťoučký"][..]),
        ("artist", &["First", "Second"]),
        ("track", &["1"]),
        ("tracktotal", &["12"]),
        ("genre", &["Rock"]),
        ("comment", &["Kommentar"]),
        ("COMM:eng:iTunNORM", &[" 0001"]),
        ("lyrics", &["line one\nline two"]),
        ("musicbrainz_albumid", &["abc"]),
        ("musicbrainz_trackid", &["some-id"]),
        ("TXXX:Own", &["value"]),
        ("producer", &["Ann"]),
        ("TIPL:gaffer", &["Bob"]),
        ("website", &["http://example.org/"]),
        (
            "date",
            if major == 2 {
                &["2003"]
            } else {
                &["2003-12-31"]
            },
        ),
    ] {
        assert_eq!(values(probe, key), expected, "{key} of 2.{major}");
    }
}

#[test]
fn every_version_is_read_and_served_as_2_4() {
    for major in 2..=4 {
        let bytes = file(id3v2_tag(major, 0, &[frames(major), vec![0; 50]].concat()));
        let before = probed(&bytes, "mp3");
        check(major, &before);
        assert_eq!(before.art.len(), 1);
        assert_eq!(before.art[0].mime, "image/jpeg");
        let served = served(&before, &bytes);
        assert!(served.starts_with(b"ID3\x04"));
        assert!(served.ends_with(&mpeg_frames()));
        let after = probed(&served, "mp3");
        assert_same(&before, &bytes, &after, &served);
        check(major, &after);
        if major > 2 {
            let chapter_after = after
                .items
                .iter()
                .find(|item| item.native == "CHAP")
                .unwrap();
            assert_eq!(source(&served, &chapter_after.source), chapter(4));
        }
    }
}

#[test]
fn unsynchronised_tags_keep_their_bodies() {
    for major in [2, 3] {
        let bytes = file(id3v2_tag(major, 0x80, &unsynchronised(&frames(major))));
        let before = probed(&bytes, "mp3");
        check(major, &before);
        assert_eq!(before.art.len(), 1, "nothing was stuffed into the picture");
        let served = served(&before, &bytes);
        let after = probed(&served, "mp3");
        check(major, &after);
        let object = after
            .items
            .iter()
            .find(|item| item.native == "GEOB")
            .unwrap();
        assert_eq!(object.flags, 0x0003);
        let plain = b"\0text/plain\0name\0\0\xff\xf0\xff\0opaque";
        let stored = source(&served, &object.source);
        assert_eq!(stored[..4], syncsafe(u32::try_from(plain.len()).unwrap()));
        assert_eq!(stored[4..], unsynchronised(plain));
    }
}

#[test]
fn a_picture_that_is_stored_unsynchronised_is_kept_as_a_frame() {
    let picture = frame(3, "APIC", 0, b"\0image/jpeg\0\x03\0\xff\xd8\xff\xe0jpeg");
    let bytes = file(id3v2_tag(3, 0x80, &unsynchronised(&picture)));
    let before = probed(&bytes, "mp3");
    assert_eq!((before.art.len(), before.items.len()), (0, 1));
    let served = served(&before, &bytes);
    let after = probed(&served, "mp3");
    assert_eq!(after.items[0].native, "APIC");
    let stored = source(&served, &after.items[0].source);
    assert_eq!(stored[..4], syncsafe(22));
    assert_eq!(
        stored[4..],
        unsynchronised(b"\0image/jpeg\0\x03\0\xff\xd8\xff\xe0jpeg")
    );
}

#[test]
fn frames_of_2_3_with_flags_get_those_of_2_4() {
    let compressed = frame(3, "GEOB", 0x40a0, b"\0\0\x01\x00Gzlib");
    let bytes = file(id3v2_tag(3, 0, &compressed));
    let before = probed(&bytes, "mp3");
    let served = served(&before, &bytes);
    let after = probed(&served, "mp3");
    assert_eq!(after.items[0].flags, 0x2049);
    assert_eq!(source(&served, &after.items[0].source), b"G\0\0\x02\0zlib");
}

#[test]
fn frames_of_2_4_keep_their_transformations_and_their_text_is_read() {
    let text = [&syncsafe(8)[..], b"\x00a\xff\x00\xe0b\xff\x00\x00c"].concat();
    let body = [
        frame(4, "TIT2", 0x0003, &text),
        frame(4, "PRIV", 0x0008, b"zlib body"),
    ]
    .concat();
    let bytes = file(id3v2_tag(4, 0, &body));
    let probe = probed(&bytes, "mp3");
    assert_eq!(values(&probe, "title"), ["aÿàbÿ", "c"]);
    assert_eq!(probe.items[0].flags, 0x0008);
}

#[test]
fn plain_sizes_in_2_4_are_told_by_what_follows() {
    let long = vec![b'x'; 300];
    let mut first = frame(4, "TXXX", 0, &[b"\x03d\0", &long[..]].concat());
    first[4..8].copy_from_slice(&303_u32.to_be_bytes());
    let body = [first, frame(4, "TIT2", 0, b"\x03after")].concat();
    let probe = probed(&file(id3v2_tag(4, 0, &body)), "mp3");
    assert_eq!(values(&probe, "title"), ["after"]);
    assert_eq!(values(&probe, "TXXX:d")[0].len(), 300);
}

#[test]
fn tags_behind_the_audio_fill_the_gaps() {
    let body = frame(3, "TPE1", 0, b"\0From ID3v2");
    let binary = 1 << 1;
    let items = ape(&[
        ("Artist", b"From APE", 0),
        ("Album", b"APE album", 0),
        ("MP3GAIN_MINMAX", b"100,200", 0),
        ("Cover Art (Front)", b"cover.png\0picture", binary),
        ("Blob", b"\0\x01", binary),
    ]);
    let lyrics = b"LYRICSBEGININD0000200LYR00005words000034LYRICS200";
    let bytes = [
        id3v2_tag(3, 0, &body),
        vec![0; 700],
        mpeg_frames(),
        items,
        lyrics.to_vec(),
        id3v1("ID3v1 title"),
    ]
    .concat();
    let before = probed(&bytes, "mp3");
    for (key, expected) in [
        ("artist", "From ID3v2"),
        ("album", "APE album"),
        ("TXXX:MP3GAIN_MINMAX", "100,200"),
        ("lyrics", "words"),
        ("title", "ID3v1 title"),
        ("genre", "Rock"),
    ] {
        assert_eq!(values(&before, key), [expected], "{key}");
    }
    assert_eq!(source(&bytes, &before.art[0].source), b"picture");
    let served = served(&before, &bytes);
    assert!(
        served.ends_with(&mpeg_frames()),
        "nothing but frames at the end"
    );
    assert_same(&before, &bytes, &probed(&served, "mp3"), &served);
}

#[test]
fn an_info_frame_is_kept_whatever_follows_it() {
    let mut info = mpeg_frames()[..417].to_vec();
    info[36..40].copy_from_slice(b"Info");
    info[40..48].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 100]);
    info.truncate(300);
    let tag = id3v2_tag(4, 0x40, &frame(4, "TIT2", 0, b"\x03no extended header"));
    let bytes = [tag, info.clone(), mpeg_frames()].concat();
    let probe = probed(&bytes, "mp3");
    assert_eq!(values(&probe, "title"), ["no extended header"]);
    assert_eq!(probe.properties.duration_ms, Some(2612));
    assert!(served(&probe, &bytes).ends_with(&[info, mpeg_frames()].concat()));
}

#[test]
fn an_edit_changes_its_key_alone() {
    let bytes = file(id3v2_tag(3, 0, &frames(3)));
    let mut probe = probed(&bytes, "mp3");
    for edited in probe.tags.iter_mut().filter(|tag| tag.key == "title") {
        edited.value = "New title".to_owned();
    }
    probe.tags.retain(|tag| tag.key != "genre");
    probe.tags.push(tag("MyField", "mine"));
    probe.items.retain(|item| item.native != "PRIV");
    let after = probed(&served(&probe, &bytes), "mp3");
    assert_eq!(values(&after, "title"), ["New title"]);
    assert_eq!(values(&after, "TXXX:MyField"), ["mine"]);
    assert_eq!(values(&after, "comment"), ["Kommentar"]);
    assert!(values(&after, "genre").is_empty());
    assert!(after.items.iter().all(|item| item.native != "PRIV"));
}

#[test]
fn legacy_text_is_decoded_and_told() {
    let bytes = file(id3v2_tag(4, 0, &frame(4, "TIT2", 0, b"\x03caf\xe9")));
    let probe = probed(&bytes, "mp3");
    assert_eq!(values(&probe, "title"), ["café"]);
    let field = "TIT2".to_owned();
    assert_eq!(probe.warnings, [Warning::LegacyText { field }]);
}

#[test]
fn a_tag_longer_than_the_file_is_truncated() {
    let mut bytes = file(id3v2_tag(4, 0, &frames(4)));
    bytes.truncate(2000);
    let probe = probed(&bytes, "mp3");
    assert_eq!(
        (probe.format, probe.failure),
        (Format::Mp3, Some(Failure::Truncated))
    );
    assert_eq!(probe.structure, Structure::AsIs);
}

#[test]
fn pictures_and_kept_bodies_are_not_read() {
    let body = [
        frame(
            4,
            "APIC",
            0,
            &[&b"\0image/jpeg\0\x03\0"[..], &vec![5; 2 << 20]].concat(),
        ),
        frame(4, "PRIV", 0, &vec![6; 1 << 20]),
        frame(4, "TIT2", 0, b"\x03last"),
    ]
    .concat();
    let (probe, read) = probe_by(&file(id3v2_tag(4, 0, &body)), Some("mp3"), 4096);
    assert_eq!(values(&probe, "title"), ["last"]);
    assert!(read <= 8 * 4096, "{read} bytes read");
}

#[test]
fn a_text_of_ten_megabytes_is_kept_unread() {
    let huge = [&b"\x03eng\0"[..], &vec![b'x'; 10 << 20]].concat();
    let body = [frame(4, "USLT", 0, &huge), frame(4, "TIT2", 0, b"\x03last")].concat();
    let bytes = file(id3v2_tag(4, 0, &body));
    let (probe, read) = probe_by(&bytes, Some("mp3"), 4096);
    assert_eq!(probe.tags, [tag("title", "last")]);
    assert!(read < 1 << 20);
    let served = served(&probe, &bytes);
    assert_same(&probe, &bytes, &probed(&served, "mp3"), &served);
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        tags in proptest::collection::vec(("[A-Za-z]{1,6}", "\\PC{1,12}"), 0..8),
        title in "\\PC{0,20}",
        comment in "\\PC{0,20}",
    ) {
        let bytes = file(id3v2_tag(3, 0, &frames(3)));
        let mut probe = probed(&bytes, "mp3");
        probe.tags = tags
            .iter()
            .map(|(key, value)| tag(&format!("TXXX:x{key}"), value))
            .collect();
        probe.tags.push(tag("title", &title));
        probe.tags.push(tag("comment", &comment));
        let after = probed(&served(&probe, &bytes), "mp3");
        prop_assert_eq!(sorted(&probe), sorted(&after));
    }
}
