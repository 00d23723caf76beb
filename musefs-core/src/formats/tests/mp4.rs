use super::build::id3v1;
use super::*;

mod build;

use build::{
    Mp4, atom, bodies, chunk_places, chunks, data, freeform, handler, tagged as user_data, text,
};

const ITUNES: &str = "com.apple.iTunes";

const LIST: [&[u8; 4]; 4] = [b"moov", b"udta", b"meta", b"ilst"];

/// The items of the list, where it is.
fn list(bytes: &[u8]) -> &[u8] {
    let meta = bodies(bytes, &LIST[..3])[0];
    bodies(&meta[4..], &[b"ilst"])[0]
}

fn items() -> Vec<Vec<u8>> {
    vec![
        text(b"\xa9nam", "One"),
        atom(
            b"\xa9ART",
            &[data(1, b"First"), data(1, b"Second")].concat(),
        ),
        atom(b"\xa9alb", &data(1, b"caf\xe9")),
        atom(b"trkn", &data(0, &[0, 0, 0, 3, 0, 12, 0, 0])),
        atom(b"disk", &data(0, &[0, 0, 0, 1, 0, 0])),
        atom(b"gnre", &data(0, &[0, 18])),
        atom(b"cpil", &data(21, &[1])),
        atom(b"tmpo", &data(21, &[0, 120])),
        atom(b"stik", &data(21, &[2])),
        atom(b"plID", &data(21, &[0, 0, 0, 0, 0, 1, 0, 0])),
        text(b"rate", "80"),
        text(b"abcd", "unknown"),
        atom(b"\xa9wrt", &data(2, b"\0W\0o\0r\0k")),
        atom(b"binX", &data(0, b"\0\x01\x02")),
        atom(b"\0\0\0\x01", &data(1, b"keyed")),
        atom(b"empt", &[]),
        freeform(ITUNES, "LABEL", &[data(1, b"A"), data(1, b"B")]),
        freeform(ITUNES, "iTunNORM", &[data(1, b" 0001")]),
        freeform("org.example", "a:b", &[data(1, b"mine")]),
        freeform(ITUNES, "Blob", &[data(0, b"\0\xff")]),
        freeform("a:b", "c", &[data(1, b"unnamed")]),
        atom(
            b"covr",
            &[
                data(13, b"jpeg cover"),
                data(14, b"png cover"),
                data(0, b"some cover"),
            ]
            .concat(),
        ),
    ]
}

/// A small file with every kind of item.
pub(super) fn sample() -> Vec<u8> {
    Mp4::tagged(&items()).build()
}

fn full() -> Mp4 {
    Mp4 {
        tracks: 3,
        before: 1,
        behind: 1,
        ..Mp4::tagged(&items())
    }
}

fn set(probe: &mut Probe, key: &str, values: &[&str]) {
    probe.tags.retain(|tag| tag.key != key);
    probe
        .tags
        .extend(values.iter().map(|value| tag(key, value)));
}

#[test]
fn every_item_is_found() {
    let bytes = full().build();
    let probe = probed(&bytes, "m4a");
    assert_eq!((probe.format, probe.failure), (Format::Mp4, None));
    assert_eq!(
        probe.tags,
        [
            tag("title", "One"),
            tag("artist", "First"),
            tag("artist", "Second"),
            tag("album", "café"),
            tag("track", "3"),
            tag("tracktotal", "12"),
            tag("disc", "1"),
            tag("genre", "Rock"),
            tag("compilation", "1"),
            tag("bpm", "120"),
            tag("stik", "2"),
            tag("plID", "65536"),
            tag("rating", "80"),
            tag("abcd", "unknown"),
            tag("composer", "Work"),
            tag("label", "A"),
            tag("label", "B"),
            tag("----:iTunNORM", " 0001"),
            tag("----:org.example:a:b", "mine"),
        ]
    );
    let kept: Vec<(&str, &[u8])> = probe
        .items
        .iter()
        .map(|item| (item.native.as_str(), source(&bytes, &item.source)))
        .collect();
    let natives: Vec<&str> = kept.iter().map(|(native, _)| *native).collect();
    assert_eq!(natives, ["binX", "#00000001", "empt", "----:Blob", "----"]);
    assert_eq!(kept[0].1, data(0, b"\0\x01\x02"));
    let pictures: Vec<(&str, &[u8])> = probe
        .art
        .iter()
        .map(|art| (art.mime.as_str(), source(&bytes, &art.source)))
        .collect();
    assert_eq!(
        pictures,
        [
            ("image/jpeg", &b"jpeg cover"[..]),
            ("image/png", b"png cover"),
            ("image/", b"some cover"),
        ]
    );
    let field = "©alb".to_owned();
    assert_eq!(probe.warnings, [Warning::LegacyText { field }]);
}

#[test]
fn untouched_rows_serve_the_same_items_again() {
    let bytes = full().build();
    let before = probed(&bytes, "m4a");
    let served = served(&before, &bytes);
    let after = probed(&served, "m4a");
    assert_same(&before, &bytes, &after, &served);
    // But for the text that is decoded, the list is the same to the byte.
    let legacy = text(b"\xa9alb", "café");
    let stored = items();
    let expected: Vec<u8> = stored
        .iter()
        .flat_map(|item| {
            if item[4..8] == *b"\xa9alb" {
                &legacy
            } else {
                item
            }
        })
        .copied()
        .collect();
    assert_eq!(list(&served), expected);
    let again = self::served(&after, &served);
    assert_eq!(again, served, "a served file is served as it is");
}

#[test]
fn the_movie_comes_first_and_every_chunk_is_found() {
    for (before, behind) in [(0, 1), (1, 0), (2, 2), (0, 3), (3, 0)] {
        for (is_wide, is_large, is_open) in [
            (false, false, false),
            (true, false, false),
            (false, true, false),
            (false, false, behind > 0),
            (true, true, behind > 0),
        ] {
            let bytes = Mp4 {
                before,
                behind,
                is_wide,
                is_large,
                is_open,
                ..full()
            }
            .build();
            let mut probe = probed(&bytes, "m4a");
            for title in ["One", "", "a far longer title than the one it had"] {
                set(&mut probe, "title", &[title]);
                let served = served(&probe, &bytes);
                assert_eq!(served[24 + 4..][..4], *b"moov");
                assert_eq!(chunks(&served), chunks(&bytes));
                assert_eq!(chunks(&served).len(), 3);
                assert_eq!(bodies(&served, &[b"mdat"]), bodies(&bytes, &[b"mdat"]));
                let names = [b"moov", b"trak", b"udta", b"name"];
                assert_eq!(bodies(&served, &names), [b"a track"; 3]);
            }
        }
    }
}

#[test]
fn any_range_is_that_slice_of_the_whole() {
    let bytes = full().build();
    let mut probe = probed(&bytes, "m4a");
    set(&mut probe, "title", &["Edited"]);
    let layout = layout_of(&probe, bytes.len()).unwrap();
    let whole = materialised(&layout, &bytes);
    for start in 0..whole.len() {
        for len in [1, 2, 7, 300] {
            let end = (start + len).min(whole.len());
            let mut part = Vec::new();
            for piece in layout.pieces(start as u64..end as u64) {
                match piece {
                    Piece::Inline(bytes) => part.extend(bytes),
                    Piece::Backing { offset, len } => {
                        part.extend(slice(&bytes, ByteRange { offset, len }));
                    }
                    Piece::StoreBlob { .. } => panic!("there is no blob"),
                    Piece::Derived {
                        derived,
                        offset,
                        len,
                    } => {
                        let mut made = vec![0; usize::try_from(len).unwrap()];
                        derived
                            .read(offset, &mut made, &mut InMemory(&bytes))
                            .unwrap();
                        part.extend(made);
                    }
                }
            }
            assert_eq!(part, whole[start..end], "{start}..{end}");
        }
    }
}

#[test]
fn a_file_that_passes_four_gigabytes_gets_wide_tables() {
    const GIGABYTE: u64 = 1 << 30;
    let small = Mp4 {
        is_large: true,
        ..full()
    };
    let small = Mp4 { before: 0, ..small }.build();
    let mdat = small
        .windows(4)
        .rposition(|bytes| bytes == b"mdat")
        .unwrap();
    for gigabytes in [3, 5] {
        let mut head = small.clone();
        let len = mdat as u64 - 4 + gigabytes * GIGABYTE;
        head[mdat + 4..mdat + 12].copy_from_slice(&(gigabytes * GIGABYTE).to_be_bytes());
        let mut fetched = Fetched::new(len);
        fetched.insert(0, head.clone().into());
        let probe = probe(&fetched, Some("m4a")).unwrap();
        assert_eq!(probe.failure, None);
        let layout = layout_of(&probe, usize::try_from(len).unwrap()).unwrap();
        let grown = layout.len() - len;
        let mut start = Vec::new();
        for piece in layout.pieces(0..mdat as u64 + 200) {
            match piece {
                Piece::Inline(bytes) => start.extend(bytes),
                Piece::Backing { offset, len } => {
                    let len = len.min(head.len() as u64 - offset);
                    start.extend(slice(&head, ByteRange { offset, len }));
                }
                Piece::StoreBlob { .. } => panic!("there is no blob"),
                Piece::Derived { derived, len, .. } => {
                    let mut made = vec![0; usize::try_from(len).unwrap()];
                    derived.read(0, &mut made, &mut InMemory(&head)).unwrap();
                    start.extend(made);
                }
            }
        }
        // The sound is not there, but all that stands in front of it is.
        let served = start.windows(4).position(|bytes| bytes == b"mdat").unwrap() - 4;
        let moved: Vec<Vec<u64>> = chunk_places(&small)
            .into_iter()
            .map(|places| places.into_iter().map(|place| place + grown).collect())
            .collect();
        assert_eq!(chunk_places(&start[..served]), moved);
        let path = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"co64"];
        let wide = bodies(&start[..served], &path).len();
        assert_eq!(wide, if gigabytes == 5 { 3 } else { 0 });
    }
}

#[test]
fn an_edit_changes_its_key_alone() {
    let bytes = full().build();
    let mut probe = probed(&bytes, "m4a");
    set(&mut probe, "title", &["New"]);
    set(&mut probe, "artist", &[]);
    set(&mut probe, "label", &["A", "C", "D"]);
    set(&mut probe, "genre", &["Own", "Other"]);
    set(&mut probe, "tracktotal", &["15"]);
    set(&mut probe, "disctotal", &["2"]);
    set(&mut probe, "isrc", &["ABC"]);
    set(&mut probe, "MyField", &["mine"]);
    set(&mut probe, "desc", &["described"]);
    set(&mut probe, "bpm", &["121.5"]);
    set(&mut probe, "stik", &["10"]);
    probe.items.retain(|item| item.native != "binX");
    let served = served(&probe, &bytes);
    let after = probed(&served, "m4a");
    let mut expected = sorted(&probe);
    for tag in &mut expected {
        if tag.key == "MyField" {
            tag.key = "----:MyField".to_owned();
        }
    }
    expected.sort();
    let mut found = sorted(&after);
    found.sort();
    assert_eq!(found, expected);
    let natives: Vec<&str> = after
        .items
        .iter()
        .map(|item| item.native.as_str())
        .collect();
    assert_eq!(natives, ["#00000001", "empt", "----:Blob", "----"]);
    assert_eq!(after.art.len(), 3);
    let list = list(&served);
    for raw in [
        text(b"\xa9nam", "New"),
        atom(b"trkn", &data(0, &[0, 0, 0, 3, 0, 15, 0, 0])),
        atom(b"disk", &data(0, &[0, 0, 0, 1, 0, 2])),
        atom(b"stik", &data(21, &[10])),
        atom(b"\xa9gen", &[data(1, b"Own"), data(1, b"Other")].concat()),
        freeform(ITUNES, "BPM", &[data(1, b"121.5")]),
        freeform(ITUNES, "ISRC", &[data(1, b"ABC")]),
        text(b"desc", "described"),
    ] {
        assert!(
            list.windows(raw.len()).any(|window| window == raw),
            "{raw:?}"
        );
    }
    for gone in [&b"tmpo"[..], b"gnre", b"binX", b"\xa9ART"] {
        assert!(!list.windows(4).any(|window| window == gone), "{gone:?}");
    }
}

#[test]
fn numbers_that_a_pair_cannot_hold_are_kept_as_text() {
    let bytes = full().build();
    for (track, total, item) in [
        ("A1", "12", Some([0, 0, 0, 0, 0, 12, 0, 0])),
        ("70000", "x", None),
        ("3", "many", Some([0, 0, 0, 3, 0, 0, 0, 0])),
    ] {
        let mut probe = probed(&bytes, "m4a");
        set(&mut probe, "track", &[track]);
        set(&mut probe, "tracktotal", &[total]);
        let served = served(&probe, &bytes);
        let after = probed(&served, "m4a");
        assert_eq!(values(&after, "track"), [track]);
        assert_eq!(values(&after, "tracktotal"), [total]);
        let found = bodies(list(&served), &[b"trkn", b"data"]);
        let expected: Vec<Vec<u8>> = item
            .into_iter()
            .map(|item| [&[0; 8], &item[..]].concat())
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_total_may_ride_on_its_number() {
    let bytes = Mp4::default().build();
    let mut probe = probed(&bytes, "m4a");
    set(&mut probe, "track", &["3/12"]);
    let after = probed(&served(&probe, &bytes), "m4a");
    assert_eq!(after.tags, [tag("track", "3"), tag("tracktotal", "12")]);
}

#[test]
fn totals_of_their_own_stay_where_they_are() {
    let own = freeform(ITUNES, "TRACKTOTAL", &[data(1, b"12")]);
    let pair = |total| atom(b"trkn", &data(0, &[0, 0, 0, 3, 0, total, 0, 0]));
    let bytes = Mp4::tagged(&[pair(0), own.clone()]).build();
    let mut probe = probed(&bytes, "m4a");
    assert_eq!(probe.tags, [tag("track", "3"), tag("tracktotal", "12")]);
    set(&mut probe, "track", &["4"]);
    let served = served(&probe, &bytes);
    let expected = [
        atom(b"trkn", &data(0, &[0, 0, 0, 4, 0, 0, 0, 0])),
        own.clone(),
    ]
    .concat();
    assert_eq!(list(&served), expected);
    let both = probed(&Mp4::tagged(&[pair(13), own]).build(), "m4a");
    assert_eq!(values(&both, "tracktotal"), ["13"]);
    assert_eq!(values(&both, "----:TRACKTOTAL"), ["12"]);
}

#[test]
fn of_two_items_for_one_field_the_better_one_speaks() {
    let number = atom(b"gnre", &data(0, &[0, 18]));
    let stored = [text(b"\xa9gen", "Own"), number.clone()];
    let bytes = Mp4::tagged(&stored).build();
    let mut probe = probed(&bytes, "m4a");
    assert_eq!(values(&probe, "genre"), ["Own"]);
    assert_eq!(probe.items[0].native, "gnre");
    assert_eq!(list(&served(&probe, &bytes)), stored.concat());
    set(&mut probe, "genre", &["New"]);
    let expected = [text(b"\xa9gen", "New"), number].concat();
    assert_eq!(list(&served(&probe, &bytes)), expected);
}

#[test]
fn a_file_without_a_list_gets_one() {
    let quicktime = [handler(b"mdir"), atom(b"ilst", &text(b"\xa9nam", "Own"))].concat();
    let keyed = [vec![0; 4], handler(b"mdta"), atom(b"ilst", &[7; 9])].concat();
    for (in_movie, old) in [
        (Vec::new(), None),
        (atom(b"udta", &[]), None),
        (atom(b"udta", b"\0\0\0\0"), None),
        (atom(b"udta", &atom(b"name", b"x")), None),
        (
            atom(
                b"udta",
                &atom(b"meta", &[vec![0; 4], handler(b"mdir")].concat()),
            ),
            None,
        ),
        (atom(b"udta", &atom(b"meta", &quicktime)), Some("Own")),
        (atom(b"udta", &atom(b"meta", &keyed)), None),
        (atom(b"meta", &keyed), None),
        (
            [
                atom(b"udta", &atom(b"name", b"x")),
                user_data(&[text(b"\xa9nam", "Own")]),
            ]
            .concat(),
            Some("Own"),
        ),
    ] {
        let bytes = Mp4 {
            in_movie: in_movie.clone(),
            ..Mp4::default()
        }
        .build();
        let mut probe = probed(&bytes, "m4a");
        assert_eq!(probe.failure, None);
        assert_eq!(values(&probe, "title"), old.as_slice());
        let untouched = served(&probe, &bytes);
        assert_eq!(chunks(&untouched), chunks(&bytes));
        if old.is_none() {
            let kept = bodies(&untouched, &[b"moov"])[0];
            assert!(kept.ends_with(&in_movie), "nothing is written for no tags");
        }
        set(&mut probe, "title", &["New"]);
        let served = served(&probe, &bytes);
        assert_eq!(chunks(&served), chunks(&bytes));
        assert_eq!(probed(&served, "m4a").tags, [tag("title", "New")]);
        for kept in [&b"mdta"[..], b"name\x78"] {
            let is_in = |bytes: &[u8]| bytes.windows(kept.len()).any(|window| window == kept);
            assert_eq!(is_in(&served), is_in(&bytes));
        }
    }
}

#[test]
fn text_of_quicktime_moves_into_a_list() {
    let texts = [
        atom(b"\xa9nam", b"\0\x03\x15\xc7One\0\x04\0\0Eins"),
        atom(b"\xa9ART", b"\0\x03\x15\xc7Ann"),
        atom(b"\xa9fmt", b"\0\x09\0\0no list"),
        atom(b"WLOC", b"place"),
        vec![0; 4],
    ];
    let bytes = Mp4 {
        in_movie: atom(b"udta", &texts.concat()),
        ..Mp4::default()
    }
    .build();
    let mut probe = probed(&bytes, "mp4");
    let found = [
        tag("title", "One"),
        tag("title", "Eins"),
        tag("artist", "Ann"),
    ];
    assert_eq!(probe.tags, found);
    set(&mut probe, "artist", &["Bob"]);
    let served = served(&probe, &bytes);
    let names: Vec<[u8; 4]> = {
        let user = bodies(&served, &[b"moov", b"udta"])[0];
        assert!(user.ends_with(&texts[2..].concat()));
        [b"meta", b"\xa9nam", b"\xa9ART", b"\xa9fmt"]
            .into_iter()
            .filter(|kind| !bodies(&user[..user.len() - 4], &[kind]).is_empty())
            .copied()
            .collect()
    };
    assert_eq!(names, [*b"meta", *b"\xa9fmt"]);
    assert_eq!(sorted(&probed(&served, "mp4")), sorted(&probe));
}

#[test]
fn pictures_are_replaced_added_and_removed() {
    let bytes = full().build();
    let mut probe = probed(&bytes, "m4a");
    let first = probe.art[0].clone();
    probe.art.remove(1);
    probe.art.push(Art {
        mime: "image/PNG".to_owned(),
        source: Source::Blob {
            blob: BlobId(1),
            len: 20,
        },
        ..first
    });
    let served = served(&probe, &bytes);
    assert_eq!(chunks(&served), chunks(&bytes));
    let expected = [
        data(13, b"jpeg cover"),
        data(0, b"some cover"),
        data(14, &[0xbb; 20]),
    ];
    assert_eq!(bodies(list(&served), &[b"covr"]), [expected.concat()]);
    probe.art.clear();
    let served = self::served(&probe, &bytes);
    assert!(bodies(list(&served), &[b"covr"]).is_empty());
    // And into a file that has no list.
    let bare = Mp4::default().build();
    let mut other = probed(&bare, "m4a");
    let layout = layout_of(&other, bare.len()).unwrap();
    assert!(layout.len() <= bare.len() as u64);
    other.art.push(Art {
        source: Source::Blob {
            blob: BlobId(1),
            len: 20,
        },
        ..probed(&bytes, "m4a").art[0].clone()
    });
    let served = self::served(&other, &bare);
    assert_eq!(list(&served), atom(b"covr", &data(13, &[0xbb; 20])));
    other.art[0].source = Source::Blob {
        blob: BlobId(1),
        len: 5 << 30,
    };
    let refused = layout_of(&other, bare.len());
    assert!(matches!(refused, Err(SynthesisError::TooLarge { .. })));
}

#[test]
fn a_kept_item_may_be_replaced() {
    let bytes = full().build();
    let mut probe = probed(&bytes, "m4a");
    for item in &mut probe.items {
        item.source = Source::Blob {
            blob: BlobId(1),
            len: 24,
        };
    }
    let served = served(&probe, &bytes);
    for kind in [b"binX", b"\0\0\0\x01", b"empt"] {
        assert_eq!(bodies(list(&served), &[kind]), [[0xbb; 24]]);
    }
    assert!(bodies(list(&served), &[b"----"]).contains(&&[0xbb; 24][..]));
    probe.items[0].native = "too long".to_owned();
    let refused = layout_of(&probe, bytes.len());
    assert!(matches!(refused, Err(SynthesisError::BadItem { .. })));
}

#[test]
fn what_cannot_be_moved_is_served_as_it_is_with_its_tags() {
    let with = |change: fn(&mut Mp4)| {
        let mut file = Mp4::tagged(&[text(b"\xa9nam", "One")]);
        change(&mut file);
        file.build()
    };
    let elsewhere = atom(
        b"dinf",
        &atom(
            b"dref",
            &[&[0; 8][..], &atom(b"alis", b"\0\0\0\0elsewhere")].concat(),
        ),
    );
    let mut in_another_file = with(|_| {});
    let here = in_another_file
        .windows(4)
        .position(|bytes| bytes == b"dinf")
        .unwrap()
        - 4;
    in_another_file[here..here + 36].copy_from_slice(&atom(b"free", &[0; 28]));
    assert_eq!(probed(&in_another_file, "m4a").failure, None);
    for (name, bytes) in [
        ("fragments", with(|file| file.end = atom(b"moof", &[0; 30]))),
        ("an index", with(|file| file.end = atom(b"sidx", &[0; 30]))),
        (
            "to be fragmented",
            with(|file| file.in_movie.extend(atom(b"mvex", &[0; 30]))),
        ),
        (
            "compressed",
            with(|file| file.in_movie.extend(atom(b"cmov", &[0; 30]))),
        ),
        ("FairPlay", with(|file| file.codec = *b"drms")),
        ("encrypted", with(|file| file.codec = *b"enca")),
        (
            "places of auxiliary data",
            with(|file| file.in_table = atom(b"saio", &[0; 12])),
        ),
        (
            "places of items",
            with(|file| file.end = atom(b"meta", &[&[0; 4][..], &atom(b"iloc", &[0; 8])].concat())),
        ),
        (
            "places of items of the movie",
            with(|file| {
                file.in_movie.extend(atom(
                    b"meta",
                    &[&[0; 4][..], &atom(b"iloc", &[0; 8])].concat(),
                ));
            }),
        ),
        (
            "ID3v2 in front",
            [super::build::tag(4, 0, &[0; 10]), with(|_| {})].concat(),
        ),
    ] {
        let probe = probed(&bytes, "m4a");
        assert_eq!(probe.failure, Some(Failure::Unsupported), "{name}");
        assert_eq!(probe.tags, [tag("title", "One")], "{name}");
        assert_eq!(served(&probe, &bytes), bytes, "{name}");
        assert!(probe.art.is_empty() && probe.items.is_empty());
    }
    assert_eq!(elsewhere.len(), 45);
}

#[test]
fn tables_that_lie_cost_the_file_its_edits_and_not_its_tags() {
    let built = Mp4::tagged(&[text(b"\xa9nam", "One")]).build();
    let count = built.windows(4).position(|bytes| bytes == b"stco").unwrap() + 8;
    for (claim, failure) in [(2_u32, Failure::Malformed), (u32::MAX, Failure::OverLimit)] {
        let mut bytes = built.clone();
        bytes[count..count + 4].copy_from_slice(&claim.to_be_bytes());
        let probe = probed(&bytes, "m4a");
        assert_eq!(probe.failure, Some(failure));
        assert_eq!(probe.tags, [tag("title", "One")]);
    }
}

#[test]
fn what_ends_a_file_is_kept() {
    for end in [&b"\0"[..], &id3v1("x"), b"\0\0\x10\0mdat cut short"] {
        let bytes = Mp4 {
            end: end.to_vec(),
            ..full()
        }
        .build();
        let probe = probed(&bytes, "m4a");
        assert_eq!(probe.failure, None);
        assert!(served(&probe, &bytes).ends_with(end));
    }
    let no_movie = [
        &atom(b"ftyp", b"M4A \0\0\0\0"),
        &b"\0\0\x10\0mdat cut short"[..],
    ]
    .concat();
    assert_eq!(probed(&no_movie, "m4a").failure, Some(Failure::Truncated));
}

#[test]
fn a_list_that_ends_in_other_bytes_keeps_them() {
    let bytes = Mp4::tagged(&[text(b"\xa9nam", "One"), b"\0\0\xff\xffjunk".to_vec()]).build();
    let mut probe = probed(&bytes, "m4a");
    assert_eq!(probe.tags, [tag("title", "One")]);
    assert_eq!(probe.warnings.len(), 1);
    set(&mut probe, "album", &["New"]);
    assert!(list(&served(&probe, &bytes)).ends_with(b"\0\0\xff\xffjunk"));
}

#[test]
fn pictures_and_tables_are_not_read() {
    let mut stored = items();
    stored.insert(3, atom(b"covr", &data(13, &vec![5; 5 << 20])));
    stored.push(freeform(ITUNES, "Binary", &[data(0, &vec![0; 1 << 20])]));
    for (before, behind) in [(0, 1), (1, 0)] {
        let file = Mp4 {
            before,
            behind,
            in_table: atom(b"stss", &vec![1; 1 << 20]),
            ..Mp4::tagged(&stored)
        };
        let (probe, read) = probe_by(&file.build(), Some("m4a"), 4096);
        assert_eq!(probe.failure, None);
        assert_eq!(probe.art.len(), 4);
        assert!(read <= 10 * 4096, "{read} bytes read");
        // Without blocks, what is asked for comes to little more than the text.
        let bytes = file.build();
        let mut fetched = Fetched::new(bytes.len() as u64);
        for _ in 0..300 {
            let Err(Range { start, end }) = super::probe(&fetched, Some("m4a")) else {
                break;
            };
            let len = end - start;
            fetched.insert(
                start,
                slice(&bytes, ByteRange { offset: start, len }).into(),
            );
        }
        assert!(super::probe(&fetched, Some("m4a")).is_ok());
        assert!(
            fetched.bytes() <= 8192,
            "{} bytes asked for",
            fetched.bytes()
        );
    }
}

#[test]
fn a_text_of_ten_megabytes_is_kept_unread() {
    let lyrics = "x".repeat(10 << 20);
    let bytes = Mp4::tagged(&[text(b"\xa9lyr", &lyrics), text(b"\xa9nam", "last")]).build();
    let (probe, read) = probe_by(&bytes, Some("m4a"), 4096);
    assert_eq!(probe.tags, [tag("title", "last")]);
    assert_eq!(probe.items[0].native, "©lyr");
    assert!(read < 1 << 20);
    let served = served(&probe, &bytes);
    assert_same(&probe, &bytes, &probed(&served, "m4a"), &served);
}

#[test]
fn a_film_of_the_first_quicktime_needs_no_file_type() {
    let built = full().build();
    let bytes = [atom(b"wide", &[0; 16]), built[24..].to_vec()].concat();
    let mut probe = probed(&bytes, "m4a");
    assert_eq!((probe.format, probe.failure), (Format::Mp4, None));
    set(&mut probe, "title", &["New"]);
    let served = served(&probe, &bytes);
    assert_eq!(served[4..8], *b"moov");
    assert_eq!(chunks(&served), chunks(&built));
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        tags in proptest::collection::vec(("[A-Za-z]{1,6}", "\\PC{0,12}"), 0..8),
        title in "\\PC{0,20}",
        track in "\\PC{1,3}|[0-9]{1,6}",
        bpm in "\\PC{1,3}|-?[0-9]{1,20}",
    ) {
        let bytes = full().build();
        let mut probe = probed(&bytes, "m4a");
        probe.tags = tags
            .iter()
            .map(|(key, value)| tag(&format!("----:x{key}"), value))
            .collect();
        probe.tags.push(tag("title", &title));
        probe.tags.push(tag("bpm", &bpm));
        if !track.contains('/') {
            probe.tags.push(tag("track", &track));
        }
        let after = probed(&served(&probe, &bytes), "m4a");
        let mut expected = sorted(&probe);
        for tag in expected.iter_mut().filter(|tag| tag.key == "track") {
            if let Ok(number @ 1..) = tag.value.parse::<u16>() {
                tag.value = number.to_string();
            }
        }
        prop_assert_eq!(expected, sorted(&after));
    }
}
