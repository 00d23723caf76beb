use super::build::{frame, id3v1, sound, tag as id3v2_tag};
use super::chunk_files::{Wav, bodies, ids, info};
use super::*;

fn id3() -> Vec<u8> {
    let body = [
        frame(4, "TIT2", 0, b"\x03From ID3"),
        frame(4, "TPE1", 0, b"\x03First\0Second"),
        frame(4, "TRCK", 0, b"\x033/9"),
        frame(4, "TXXX", 0, b"\x03Own\0value"),
        frame(4, "PRIV", 0, b"owner\0body"),
        frame(
            4,
            "APIC",
            0,
            &[&b"\0image/png\0\x03front\0"[..], &sound(700)].concat(),
        ),
    ];
    id3v2_tag(4, 0, &body.concat())
}

/// Every kind of chunk, with tags of both kinds.
pub(super) fn full() -> Vec<u8> {
    Wav::new()
        .chunk("bext", &sound(603))
        .info(&[
            ("INAM", b"From INFO\0"),
            ("IGNR", b"Polka\0"),
            ("ITRK", b"3\0"),
            ("ISRF", b"odd one\0"),
            ("IART", b"\0"),
        ])
        .data()
        .chunk("cue ", &sound(28))
        .chunk("LIST", b"adtllabl\x06\0\0\0\x01\0\0\0A\0")
        .chunk("id3 ", &id3())
        .chunk("iXML", b"<x/>!")
        .build()
}

fn edited(bytes: &[u8], edit: impl Fn(&mut Vec<Tag>)) -> (Vec<u8>, Probe) {
    let mut probe = probed(bytes, "wav");
    edit(&mut probe.tags);
    let served = served(&probe, bytes);
    let after = probed(&served, "wav");
    assert_eq!(after.failure, None);
    assert_eq!(sorted(&probe), sorted(&after));
    assert_eq!(after.properties, probe.properties);
    (served, after)
}

fn set(tags: &mut Vec<Tag>, key: &str, values: &[&str]) {
    tags.retain(|tag| tag.key != key);
    tags.extend(values.iter().map(|value| tag(key, value)));
}

#[test]
fn the_id3_chunk_counts_and_the_list_gives_the_rest() {
    let bytes = full();
    let probe = probed(&bytes, "wav");
    assert_eq!((probe.failure, &probe.warnings[..]), (None, &[][..]));
    assert_eq!(
        probe.tags,
        [
            tag("title", "From ID3"),
            tag("artist", "First"),
            tag("artist", "Second"),
            tag("track", "3"),
            tag("tracktotal", "9"),
            tag("TXXX:Own", "value"),
            tag("genre", "Polka"),
            tag("INFO:ISRF", "odd one"),
        ]
    );
    assert_eq!(source(&bytes, &probe.art[0].source), sound(700));
    assert_eq!(probe.items.len(), 1);
    assert_eq!(
        probe.properties,
        AudioProperties {
            duration_ms: Some(500),
            sample_rate_hz: Some(8000),
            channels: Some(1),
            bits_per_sample: Some(16),
            bitrate_bps: Some(128_000),
        }
    );
}

#[test]
fn untouched_rows_serve_every_chunk_as_it_was() {
    let bytes = full();
    let before = probed(&bytes, "wav");
    let served = served(&before, &bytes);
    assert_same(&before, &bytes, &probed(&served, "wav"), &served);
    assert_eq!(ids(&served, false), ids(&bytes, false));
    for id in ["fmt ", "bext", "LIST", "data", "cue ", "iXML"] {
        assert_eq!(
            bodies(&served, false, id),
            bodies(&bytes, false, id),
            "{id}"
        );
    }
    let id3 = bodies(&served, false, "id3 ");
    let has = |text: &[u8]| id3[0].windows(text.len()).any(|window| window == text);
    assert!(has(b"PRIV") && !has(b"Polka"));
}

#[test]
fn a_file_without_tags_is_served_as_it_is() {
    let bytes = Wav::new().data().build();
    let probe = probed(&bytes, "wav");
    assert_eq!(served(&probe, &bytes), bytes);
}

#[test]
fn an_edit_reaches_both_kinds_of_tags() {
    let (served, _) = edited(&full(), |tags| {
        set(tags, "title", &["New"]);
        set(tags, "genre", &["A", "B"]);
        set(tags, "tracktotal", &["12"]);
        set(tags, "INFO:ISRF", &["edited"]);
        set(tags, "album", &["Žluťoučký"]);
    });
    let lists = bodies(&served, false, "LIST");
    assert_eq!(
        lists[0],
        info(&[
            ("INAM", b"New\0"),
            ("IGNR", b"A; B\0"),
            ("ITRK", b"3/12\0"),
            ("ISRF", b"edited\0"),
            ("IART", b"\0"),
            ("IPRD", "Žluťoučký\0".as_bytes()),
        ])
    );
    assert_eq!(lists.len(), 2);
}

#[test]
fn a_removed_key_leaves_both_kinds_of_tags() {
    let (served, after) = edited(&full(), |tags| {
        tags.retain(|tag| !["title", "genre"].contains(&tag.key.as_str()));
    });
    assert!(values(&after, "title").is_empty());
    for text in [&b"From"[..], b"Polka", b"INAM", b"TIT2"] {
        assert!(!served.windows(text.len()).any(|window| window == text));
    }
}

#[test]
fn a_file_with_a_list_alone_keeps_to_it_until_it_cannot_say_more() {
    let texts: &[(&str, &[u8])] = &[("INAM", b"One\0"), ("IART", b"caf\xe9")];
    let bytes = Wav::new().data().info(texts).build();
    let probe = probed(&bytes, "wav");
    assert_eq!(probe.tags, [tag("title", "One"), tag("artist", "café")]);
    assert_eq!(served(&probe, &bytes), bytes);
    let (served, _) = edited(&bytes, |tags| tags.retain(|tag| tag.key != "title"));
    assert_eq!(ids(&served, false), ["fmt ", "data", "LIST"]);
    let (served, _) = edited(&bytes, |tags| set(tags, "isrc", &["x"]));
    assert_eq!(ids(&served, false), ["fmt ", "data", "LIST", "id3 "]);
    assert_eq!(bodies(&served, false, "LIST"), [info(texts)]);
    let id3 = bodies(&served, false, "id3 ")[0];
    assert!(id3.windows(5).any(|window| window == "café".as_bytes()));
}

#[test]
fn a_file_without_tags_gets_both_kinds_and_one_with_id3_keeps_to_it() {
    let bytes = Wav::new().data().build();
    let (served, _) = edited(&bytes, |tags| set(tags, "title", &["New"]));
    assert_eq!(ids(&served, false), ["fmt ", "data", "LIST", "id3 "]);
    let bytes = Wav::new().chunk("ID3 ", &id3()).data().build();
    let (served, _) = edited(&bytes, |tags| set(tags, "title", &["New"]));
    assert_eq!(ids(&served, false), ["fmt ", "id3 ", "data"]);
    let (served, _) = edited(&bytes, |tags| set(tags, "INFO:ISRF", &["New"]));
    assert_eq!(ids(&served, false), ["fmt ", "id3 ", "data", "LIST"]);
}

#[test]
fn art_from_the_store_brings_an_id3_chunk() {
    let bytes = Wav::new().info(&[("INAM", b"One\0")]).data().build();
    let mut probe = probed(&bytes, "wav");
    probe.art.push(Art {
        picture_type: 3,
        mime: "image/png".to_owned(),
        description: String::new(),
        width: 0,
        height: 0,
        depth: 0,
        colors: 0,
        source: Source::Blob {
            blob: BlobId(1),
            len: 101,
        },
    });
    let served = served(&probe, &bytes);
    let after = probed(&served, "wav");
    assert_eq!(source(&served, &after.art[0].source), [0xbb; 101]);
    assert_eq!(after.tags, [tag("title", "One")]);
    assert_eq!(ids(&served, false), ["fmt ", "LIST", "data", "id3 "]);
}

#[test]
fn sound_without_a_stated_end_stays_last() {
    for stated in [u32::MAX, 0, 100_000] {
        let bytes = Wav::new()
            .info(&[("INAM", b"One\0")])
            .chunk_stating("data", stated, &sound(7001)[..7000])
            .size(if stated == 100_000 { 100_060 } else { stated })
            .build();
        let probe = probed(&bytes, "wav");
        assert_eq!(probe.failure, None);
        assert_eq!(served(&probe, &bytes), bytes);
        let (served, _) = edited(&bytes, |tags| set(tags, "isrc", &["abc"]));
        assert!(served.ends_with(&bytes[bytes.len() - 7008..]));
        let more = u32::try_from(served.len() - bytes.len()).unwrap();
        let size = u32::from_le_bytes(served[4..8].try_into().unwrap());
        match stated {
            100_000 => assert_eq!(size, 100_060 + more),
            _ => assert_eq!(size, stated),
        }
    }
}

#[test]
fn sound_that_its_chunk_does_not_count_is_never_parted_from_the_rest() {
    let all = sound(8001);
    for (stated, size) in [
        (1000, None),
        (1001, None),
        (1000, Some(1036)),
        (1000, Some(u32::MAX)),
    ] {
        let file = Wav::new().chunk_stating("data", stated, &all[..8000]);
        let bytes = size.into_iter().fold(file, Wav::size).build();
        let probe = probed(&bytes, "wav");
        assert_eq!(probe.failure, None);
        assert_eq!(served(&probe, &bytes), bytes, "{stated} {size:?}");
        let (served, after) = edited(&bytes, |tags| set(tags, "title", &["New"]));
        assert_eq!(values(&after, "title"), ["New"]);
        assert_eq!(served[36..40], *b"LIST");
        assert!(served.ends_with(&bytes[36..]), "{stated} {size:?}");
        let more = u32::try_from(served.len() - bytes.len()).unwrap();
        let old = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        let new = u32::from_le_bytes(served[4..8].try_into().unwrap());
        assert_eq!(new, old.saturating_add(more));
    }
}

#[test]
fn empty_sound_is_followed_by_nothing_new() {
    let bytes = Wav::new()
        .chunk("data", b"")
        .chunk("JUNK", &[0; 10])
        .build();
    let (served, _) = edited(&bytes, |tags| set(tags, "title", &["New"]));
    assert_eq!(
        ids(&served, false),
        ["fmt ", "LIST", "id3 ", "data", "JUNK"]
    );
}

#[test]
fn wide_sizes_are_put_right_and_the_rest_of_their_chunk_kept() {
    let whole = Wav::wide(0, 8000).data().build().len() as u64 - 8;
    let bytes = Wav::wide(whole, 8000)
        .chunk_stating("data", u32::MAX, &sound(8000))
        .build();
    let probe = probed(&bytes, "wav");
    assert_eq!(probe.failure, None);
    assert_eq!(probe.properties.duration_ms, Some(500));
    assert_eq!(served(&probe, &bytes), bytes);
    let (served, _) = edited(&bytes, |tags| set(tags, "title", &["New"]));
    assert!(served.starts_with(b"RF64\xff\xff\xff\xff"));
    let stated = u64::from_le_bytes(served[20..28].try_into().unwrap());
    assert_eq!(stated, served.len() as u64 - 8);
    assert_eq!(served[28..48], bytes[28..48]);
    let data = [b"data\xff\xff\xff\xff".to_vec(), sound(8000)].concat();
    assert!(served.windows(data.len()).any(|window| window == data));
}

/// What a probe says of a file of `len` bytes that is `head`, zeros, and `tail`.
fn probed_sparse(head: &[u8], len: u64, tail: &[u8]) -> Probe {
    let mut fetched = Fetched::new(len);
    for _ in 0..ROUNDS_MAX {
        let Range { start, end } = match probe(&fetched, Some("wav")) {
            Ok(probe) => return probe,
            Err(range) => range,
        };
        let byte = |at: u64| {
            let from = |bytes: &[u8], at: u64| bytes.get(usize::try_from(at).unwrap()).copied();
            let tail_at = len - tail.len() as u64;
            let end = at.checked_sub(tail_at).and_then(|at| from(tail, at));
            end.or_else(|| from(head, at)).unwrap_or(0)
        };
        assert!(end - start < 1 << 16);
        fetched.insert(start, (start..end).map(byte).collect());
    }
    panic!("probing did not end");
}

#[test]
fn sound_over_four_gigabytes_keeps_its_sizes() {
    let sound: u64 = 5 << 30;
    let head = Wav::wide(sound + 100, sound)
        .chunk_stating("data", u32::MAX, b"")
        .build();
    let tail = &Wav::new().info(&[("INAM", b"One\0")]).build()[36..];
    let len = head.len() as u64 + sound + tail.len() as u64;
    let mut probe = probed_sparse(&head, len, tail);
    assert_eq!(probe.failure, None);
    assert_eq!(values(&probe, "title"), ["One"]);
    assert_eq!(probe.properties.duration_ms, Some(sound * 1000 / 16_000));
    probe.tags.push(tag("isrc", "x"));
    let desired = Desired {
        structure: &probe.structure,
        backing_len: len,
        tags: &probe.tags,
        art: &[],
        items: &[],
    };
    let layout = synthesize(&desired).unwrap();
    assert!(layout.len() > len && layout.inline_bytes() < 1000);
    let start: Vec<u8> = layout
        .pieces(0..28)
        .flat_map(|piece| match piece {
            Piece::Inline(bytes) => bytes.to_vec(),
            Piece::Backing { offset, len } => slice(&head, ByteRange { offset, len }).to_vec(),
            _ => panic!("neither new nor old"),
        })
        .collect();
    assert_eq!(start[..20], head[..20]);
    assert_eq!(start[20..], (layout.len() - 8).to_le_bytes());

    // Without 64-bit sizes nothing tells where such sound ends.
    let head = Wav::new()
        .chunk_stating("data", u32::MAX, b"")
        .size(u32::MAX)
        .build();
    let probe = probed_sparse(&head, sound, b"");
    assert_eq!(
        probe.properties.duration_ms,
        Some((sound - 44) * 1000 / 16_000)
    );
    assert_eq!(
        layout_of(&probe, usize::try_from(sound).unwrap()),
        Ok(Layout::whole_file(sound))
    );
}

#[test]
fn what_follows_the_stated_end_is_kept_but_for_tags_of_other_formats() {
    let bytes = Wav::new()
        .data()
        .back(b"\0garbage")
        .back(&id3v1("From ID3v1"))
        .build();
    let probe = probed(&bytes, "wav");
    assert_eq!(values(&probe, "title"), ["From ID3v1"]);
    let (served, _) = edited(&bytes, |_| {});
    assert!(served.ends_with(b"\0garbage"));
    // A chunk that some tagger put there without counting it is one.
    let bytes = Wav::new().data().back(b"id3 ").back(
        &[
            &u32::try_from(id3().len()).unwrap().to_le_bytes()[..],
            &id3(),
        ]
        .concat(),
    );
    let bytes = bytes.build();
    let (served, after) = edited(&bytes, |_| {});
    assert_eq!(values(&after, "title"), ["From ID3"]);
    assert_eq!(ids(&served, false), ["fmt ", "data", "id3 "]);
}

#[test]
fn a_missing_last_pad_byte_is_added_where_more_follows() {
    let mut bytes = Wav::new().chunk("data", &sound(801)).build();
    bytes.pop();
    let (served, _) = edited(&bytes, |tags| set(tags, "title", &["New"]));
    assert_eq!(bodies(&served, false, "data"), [sound(801)]);
    assert_eq!(ids(&served, false), ["fmt ", "data", "LIST", "id3 "]);
}

#[test]
fn leading_id3_is_read_and_left_out() {
    let bytes = Wav::new().data().front(&id3()).build();
    let (served, after) = edited(&bytes, |_| {});
    assert!(served.starts_with(b"RIFF"));
    assert_eq!(values(&after, "title"), ["From ID3"]);
}

#[test]
fn texts_without_pad_bytes_and_cut_ones_are_read() {
    let list = b"INFOINAM\x03\0\0\0OneIART\x04\0\0\0Two\0ICMT\x50\0\0\0Three";
    let bytes = Wav::new().chunk("LIST", list).data().build();
    let probe = probed(&bytes, "wav");
    assert_eq!(
        probe.tags,
        [
            tag("title", "One"),
            tag("artist", "Two"),
            tag("comment", "Three")
        ]
    );
    assert_eq!(probe.warnings.len(), 1);
    let (served, _) = edited(&bytes, |_| {});
    let expected = info(&[("INAM", b"One"), ("IART", b"Two\0"), ("ICMT", b"Three\0")]);
    assert_eq!(bodies(&served, false, "LIST"), [expected]);
}

#[test]
fn what_is_no_text_in_a_list_is_kept_behind_its_texts() {
    let tail = b"\x01\x02junk\x03\x04IART\x04\0\0\0Two\0odd";
    let list = [&info(&[("INAM", b"One")])[..], tail].concat();
    let bytes = Wav::new().chunk("LIST", &list).data().build();
    let probe = probed(&bytes, "wav");
    assert_eq!(probe.tags, [tag("title", "One")]);
    assert_eq!(probe.warnings.len(), 1);
    assert_eq!(served(&probe, &bytes), bytes);
    let (served_anew, _) = edited(&bytes, |tags| set(tags, "title", &["Other"]));
    let expected = [&info(&[("INAM", b"Other\0")])[..], tail].concat();
    assert_eq!(bodies(&served_anew, false, "LIST")[0], expected);
    let (served_anew, after) = edited(&bytes, Vec::clear);
    assert_eq!(after.tags, []);
    assert_eq!(
        bodies(&served_anew, false, "LIST"),
        [[&b"INFO"[..], tail].concat()]
    );

    // Of several lists, the short rest of the first is not read together with what follows it.
    let first = [&info(&[("INAM", b"One\0")])[..], b"IART"].concat();
    let second = [&info(&[("IGNR", b"Polka\0")])[..], &[0; 12]].concat();
    let bytes = Wav::new()
        .chunk("LIST", &first)
        .chunk("LIST", &second)
        .data()
        .build();
    let (served, _) = edited(&bytes, |_| {});
    let texts = info(&[("INAM", b"One\0"), ("IGNR", b"Polka\0")]);
    let expected = [&texts[..], &[0; 12], b"IART"].concat();
    assert_eq!(bodies(&served, false, "LIST"), [expected]);
}

#[test]
fn a_file_without_sound_is_served_as_it_is() {
    for bytes in [
        Wav::new().build(),
        Wav::new().chunk("JUNK", &[0; 8]).raw(&[0; 40]).build(),
    ] {
        let probe = probed(&bytes, "wav");
        assert!(probe.failure.is_some());
        assert_eq!(served(&probe, &bytes), bytes);
    }
}

#[test]
fn thousands_of_chunks_are_walked_in_few_rounds_and_more_are_refused() {
    let of = |count: usize| {
        let junk = (0..count).fold(Wav::new(), |file, index| {
            file.chunk("JUNK", &[0; 30][..index % 30])
        });
        junk.data().info(&[("INAM", b"One\0")]).build()
    };
    // A block of 64 bytes holds few chunks: the walk itself has to ask ahead.
    let (probe, _) = probe_by(&of(4000), Some("wav"), 64);
    assert_eq!(probe.tags, [tag("title", "One")]);
    let bytes = of(4100);
    let probe = probed(&bytes, "wav");
    assert_eq!(probe.failure, Some(Failure::OverLimit));
    assert_eq!(served(&probe, &bytes), bytes);
}

#[test]
fn pictures_and_sound_are_not_read() {
    let picture = [&b"\0image/jpeg\0\x03\0"[..], &vec![5; 5 << 20]].concat();
    let id3 = id3v2_tag(
        4,
        0,
        &[
            frame(4, "APIC", 0, &picture),
            frame(4, "TIT2", 0, b"\x03last"),
        ]
        .concat(),
    );
    let bytes = Wav::new()
        .chunk("data", &vec![9; 3 << 20])
        .chunk("bext", &vec![1; 1 << 20])
        .chunk("id3 ", &id3)
        .info(&[("IART", b"One\0")])
        .build();
    let (probe, read) = probe_by(&bytes, Some("wav"), 4096);
    assert_eq!(values(&probe, "title"), ["last"]);
    assert_eq!(values(&probe, "artist"), ["One"]);
    assert!(read <= 10 * 4096, "{read} bytes read");
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        tags in proptest::collection::vec(("[A-Za-z]{1,6}", "\\PC{1,12}"), 0..8),
        title in proptest::collection::vec("\\PC{1,20}", 0..3),
        comment in "\\PC{1,20}",
        has_both in any::<bool>(),
    ) {
        let bytes = if has_both { full() } else { Wav::new().data().build() };
        edited(&bytes, |all| {
            *all = tags.iter().map(|(key, value)| tag(&format!("TXXX:x{key}"), value)).collect();
            all.extend(title.iter().map(|title| tag("title", title)));
            all.push(tag("comment", &comment));
        });
    }
}
