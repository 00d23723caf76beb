use super::build::{frame, sound, tag as id3v2_tag};
use super::ogg_build::{KINDS, Kind, OggBuilder, SERIAL, base64, page, picture_block, read};
use super::*;
use crate::layout::Segment;
use crate::layout::derived::Derived;

fn full(kind: Kind) -> OggBuilder {
    let builder = OggBuilder::new(kind)
        .comment("Title=One")
        .comment("ARTIST=First")
        .comment("artist=Second")
        .comment("TRACKNUMBER=1/12")
        .comment("R128_TRACK_GAIN=-512")
        .comment("ODD ONE=kept=as it is")
        .comment("COVERART=AAAA")
        .comment("no equals sign")
        .picture(3, "image/jpeg", "front", &sound(2001))
        .picture(4, "image/png", "b\u{e4}ck", b"png");
    match kind {
        Kind::Flac => builder
            .block(2, b"abcdefgh")
            .block(3, &[9; 36])
            .block(1, &[0; 600]),
        Kind::Opus => builder.tail(b"\x01binary"),
        Kind::Vorbis => builder.tail(&[0; 300]),
        Kind::Speex => builder,
    }
}

/// The picture that `art` is of, whatever form the file has it in.
fn data(kind: Kind, bytes: &[u8], art: &Art) -> Vec<u8> {
    let stored = source(bytes, &art.source);
    if kind == Kind::Flac {
        return stored.to_vec();
    }
    // Without the page headers between, which only pages of this size have none of.
    let text = crate::layout::derived::base64_decode(stored).expect("base64 in one piece");
    let head = 32 + art.mime.len() + art.description.len();
    text[head..].to_vec()
}

fn is_renumbered(layout: &Layout) -> bool {
    layout.segments().iter().any(|segment| match segment {
        Segment::Derived(derived) => matches!(**derived, Derived::OggPages(_)),
        _ => false,
    })
}

/// Every range of some served bytes is that slice of the whole.
fn assert_ranges(layout: &Layout, backing: &[u8]) {
    let whole = materialised(layout, backing);
    let part = |start: usize, end: usize| -> Vec<u8> {
        let mut part = Vec::new();
        for piece in layout.pieces(start as u64..end as u64) {
            match piece {
                Piece::Inline(bytes) => part.extend(bytes),
                Piece::Backing { offset, len } => {
                    part.extend(slice(backing, ByteRange { offset, len }));
                }
                Piece::StoreBlob { len, .. } => {
                    part.resize(part.len() + usize::try_from(len).unwrap(), 0xbb);
                }
                Piece::Derived {
                    derived,
                    offset,
                    len,
                } => {
                    let mut bytes = vec![0; usize::try_from(len).unwrap()];
                    derived
                        .read(offset, &mut bytes, &mut InMemory(backing))
                        .unwrap();
                    part.extend(bytes);
                }
            }
        }
        part
    };
    for start in 0..whole.len() {
        for len in [1, 5, 26, 300] {
            let end = (start + len).min(whole.len());
            assert_eq!(part(start, end), whole[start..end], "{start}..{end}");
        }
    }
}

#[test]
fn every_item_is_found() {
    for kind in KINDS {
        let bytes = full(kind).comment(b"ALBUM=caf\xe9").build();
        let probe = probed(&bytes, "ogg");
        assert_eq!(
            (probe.failure, probe.format),
            (None, Format::Ogg),
            "{kind:?}"
        );
        assert_eq!(
            probe.tags,
            [
                tag("title", "One"),
                tag("artist", "First"),
                tag("artist", "Second"),
                tag("track", "1"),
                tag("tracktotal", "12"),
                tag("R128_TRACK_GAIN", "-512"),
                tag("ODD ONE", "kept=as it is"),
                tag("album", "café"),
            ]
        );
        let mut natives: Vec<&str> = probe
            .items
            .iter()
            .map(|item| item.native.as_str())
            .collect();
        if kind == Kind::Flac {
            assert_eq!(
                natives.drain(..2).collect::<Vec<_>>(),
                ["APPLICATION", "BLOCK:3"]
            );
        }
        assert_eq!(natives, ["COMMENT:COVERART", "COMMENT"]);
        assert_eq!(probe.art.len(), 2);
        let front = &probe.art[0];
        assert_eq!((front.picture_type, front.width, front.depth), (3, 600, 24));
        assert_eq!((&*front.mime, &*front.description), ("image/jpeg", "front"));
        assert_eq!(data(kind, &bytes, front), sound(2001));
        assert_eq!(probe.art[1].description, "b\u{e4}ck");
        assert_eq!(data(kind, &bytes, &probe.art[1]), b"png");
        assert!(probe.warnings.contains(&Warning::LegacyText {
            field: "ALBUM".to_owned()
        }));
        let (rate, ms) = match kind {
            Kind::Vorbis | Kind::Flac => (44_100, 2000),
            Kind::Opus => (48_000, 1831),
            Kind::Speex => (16_000, 5512),
        };
        assert_eq!(probe.properties.sample_rate_hz, Some(rate));
        assert_eq!(probe.properties.duration_ms, Some(ms), "{kind:?}");
    }
}

#[test]
fn untouched_rows_serve_the_same_packets_in_as_many_pages() {
    for kind in KINDS {
        for segments in [255, 20, 3] {
            let bytes = full(kind).segments(segments).build();
            let before = probed(&bytes, "ogg");
            let served = served(&before, &bytes);
            let after = probed(&served, "ogg");
            assert_eq!(sorted(&before), sorted(&after));
            assert_eq!(before.properties.duration_ms, after.properties.duration_ms);
            assert_eq!(served.len(), bytes.len(), "{kind:?} by {segments}");
            let (old, new) = (read(&bytes), read(&served));
            assert_eq!(old.granules.len(), new.granules.len());
            assert_eq!(old.packets.len(), new.packets.len());
            let headers = new.packets.len() - 4;
            assert_eq!(old.packets[headers..], new.packets[headers..]);
            assert_eq!(old.packets[0], new.packets[0]);
            if kind == Kind::Vorbis || kind == Kind::Speex {
                assert_eq!(old.packets[2], new.packets[2]);
            }
            for raw in [&b"Title=One"[..], b"TRACKNUMBER=1/12", b"no equals sign"] {
                assert!(
                    new.packets[1]
                        .windows(raw.len())
                        .any(|window| window == raw)
                );
            }
            let mut text: Vec<u8> = old.packets[1..headers].concat();
            let mut other: Vec<u8> = new.packets[1..headers].concat();
            text.sort_unstable();
            other.sort_unstable();
            assert_eq!(text, other, "the same bytes in another order");
            let layout = layout_of(&before, bytes.len()).unwrap();
            assert!(!is_renumbered(&layout));
            let again = layout_of(&after, served.len()).unwrap();
            assert_eq!(
                materialised(&again, &served),
                served,
                "serving again changes nothing"
            );
        }
    }
}

#[test]
fn what_follows_the_comments_is_kept() {
    for (kind, tail) in [
        (Kind::Opus, &b"\x01binary"[..]),
        (Kind::Vorbis, &[1, 0, 0, 0]),
    ] {
        let bytes = full(kind).build();
        let mut probe = probed(&bytes, "ogg");
        probe.tags.push(tag("ADDED", "x"));
        let packets = read(&served(&probe, &bytes)).packets;
        if kind == Kind::Opus {
            assert!(packets[1].ends_with(tail));
        } else {
            assert!(packets[1].ends_with(&[0; 300]));
            assert_eq!(packets[1][packets[1].len() - 301], 1);
        }
    }
}

#[test]
fn more_pages_than_before_renumber_the_sound() {
    for kind in KINDS {
        let bytes = full(kind).build();
        let mut probe = probed(&bytes, "ogg");
        probe.tags.push(tag("LONG", &"long ".repeat(20_000)));
        let layout = layout_of(&probe, bytes.len()).unwrap();
        assert!(is_renumbered(&layout));
        let served = served(&probe, &bytes);
        let (old, new) = (read(&bytes), read(&served));
        assert!(new.granules.len() > old.granules.len());
        let sounds = old.packets.len() - 4;
        assert_eq!(old.packets[sounds..], new.packets[sounds..]);
        // The first page of sound begins with its packet: some page before ends with the last header packet.
        assert!(new.complete.contains(&sounds) && new.complete.contains(&1));
        let after = probed(&served, "ogg");
        assert_eq!(sorted(&probe), sorted(&after));
        assert_eq!(after.art.len(), 2);
    }
}

#[test]
fn fewer_pages_than_before_renumber_the_sound() {
    for kind in KINDS {
        let bytes = OggBuilder::new(kind)
            .comment("TITLE=One")
            .picture(3, "image/png", "", &sound(30_000))
            .segments(1)
            .build();
        let mut probe = probed(&bytes, "ogg");
        probe.art.clear();
        assert!(is_renumbered(&layout_of(&probe, bytes.len()).unwrap()));
        let served = served(&probe, &bytes);
        let (old, new) = (read(&bytes), read(&served));
        assert!(new.granules.len() < old.granules.len());
        assert_eq!(
            old.packets[old.packets.len() - 4..],
            new.packets[new.packets.len() - 4..]
        );
        let after = probed(&served, "ogg");
        assert_eq!((after.failure, after.art.len()), (None, 0));
    }
}

#[test]
fn any_range_is_that_slice_of_the_whole() {
    for kind in KINDS {
        let long = "LONG=".to_owned() + &"long ".repeat(300);
        let bytes = full(kind).comment(long).segments(1).build();
        let mut probe = probe_within(&bytes, Some("ogg"), 4096, 256).0;
        probe.tags.retain(|tag| tag.key != "LONG");
        probe.art[0].description = "edited".to_owned();
        probe.art[1].source = Source::Blob {
            blob: BlobId(1),
            len: 70,
        };
        let layout = layout_of(&probe, bytes.len()).unwrap();
        assert!(is_renumbered(&layout));
        assert_ranges(&layout, &bytes);
        read(&materialised(&layout, &bytes));
    }
}

#[test]
fn an_edit_changes_its_key_alone() {
    for kind in KINDS {
        let bytes = full(kind).build();
        let mut probe = probed(&bytes, "ogg");
        probe.tags.retain(|tag| tag.key != "artist");
        probe.tags.push(tag("genre", "A"));
        probe.tags.push(tag("genre", "B"));
        for tag in &mut probe.tags {
            if tag.key == "tracktotal" {
                tag.value = "15".to_owned();
            }
        }
        let served = served(&probe, &bytes);
        read(&served);
        let after = probed(&served, "ogg");
        assert_eq!(sorted(&after), sorted(&probe));
        assert_eq!(values(&after, "genre"), ["A", "B"]);
        assert!(values(&after, "artist").is_empty());
    }
}

#[test]
fn pictures_of_the_store_and_edited_fields_are_encoded() {
    for kind in KINDS {
        for len in [0, 1, 2, 3, 20] {
            let bytes = full(kind).build();
            let mut probe = probed(&bytes, "ogg");
            probe.art[0].description = "another description".to_owned();
            probe.art[0].picture_type = 6;
            probe.art[1].source = Source::Blob {
                blob: BlobId(1),
                len,
            };
            let served = served(&probe, &bytes);
            read(&served);
            let after = probed(&served, "ogg");
            let front = &after.art[0];
            assert_eq!(
                (front.picture_type, &*front.description),
                (6, "another description"),
                "{kind:?}"
            );
            assert_eq!(data(kind, &served, front), sound(2001), "{kind:?}");
            let expected = vec![0xbb; usize::try_from(len).unwrap()];
            // One of the store is a comment in every codec.
            assert_eq!(data(Kind::Opus, &served, &after.art[1]), expected);
            assert_eq!(after.art[1].mime, "image/png");
        }
    }
}

#[test]
fn flac_has_pictures_as_blocks_and_in_comments() {
    let text = base64(&picture_block(5, "image/gif", "", b"comment"));
    let bytes = full(Kind::Flac)
        .comment([b"metadata_block_picture=".to_vec(), text].concat())
        .build();
    let probe = probed(&bytes, "oga");
    let types =
        |probe: &Probe| -> Vec<u32> { probe.art.iter().map(|art| art.picture_type).collect() };
    assert_eq!(types(&probe), [3, 4, 5]);
    assert_eq!(data(Kind::Opus, &bytes, &probe.art[2]), b"comment");
    let served = served(&probe, &bytes);
    assert_eq!(read(&served).packets.len(), read(&bytes).packets.len());
    assert_eq!(types(&probed(&served, "oga")), [3, 4, 5]);
    assert_eq!(served.len(), bytes.len());
}

#[test]
fn the_number_of_header_packets_of_flac_follows() {
    let bytes = full(Kind::Flac).build();
    let mut probe = probed(&bytes, "oga");
    assert_eq!(bytes[28 + 7..28 + 9], [0, 6]);
    probe.art.clear();
    let served = served(&probe, &bytes);
    read(&served);
    assert_eq!(served[28 + 7..28 + 9], [0, 4]);
    assert_eq!(probed(&served, "oga").failure, None);
}

#[test]
fn a_flac_that_does_not_tell_its_header_packets_is_read_to_the_last_block() {
    let mut bytes = full(Kind::Flac).build();
    bytes[28 + 7..28 + 9].fill(0);
    let probe = probed(&bytes, "oga");
    assert_eq!((probe.failure, probe.art.len()), (None, 2));
    let mut fewer = probe.clone();
    fewer.art.pop();
    let served = served(&fewer, &bytes);
    assert_eq!(served[28 + 7..28 + 9], [0, 0]);
    assert_eq!(probed(&served, "oga").art.len(), 1);
}

#[test]
fn a_checksum_that_was_wrong_stays_wrong_by_the_same_difference() {
    let builder = full(Kind::Opus);
    let good = builder.build();
    let mut bad = good.clone();
    let last = bad
        .windows(5)
        .rposition(|window| window == b"OggS\0")
        .unwrap();
    bad[last + 22] ^= 0x5a;
    let mut probe = probed(&good, "opus");
    probe.tags.push(tag("LONG", &"long ".repeat(20_000)));
    let (good, bad) = (served(&probe, &good), served(&probe, &bad));
    let differences: Vec<u8> = good
        .iter()
        .zip(&bad)
        .filter(|(good, bad)| good != bad)
        .map(|(good, bad)| good ^ bad)
        .collect();
    assert_eq!(differences, [0x5a]);
}

#[test]
fn junk_in_front_is_dropped_and_what_is_behind_stays() {
    let front = id3v2_tag(4, 0, &frame(4, "TIT2", 0, b"\x03From ID3"));
    let behind = b"junk behind the last page";
    for junk in [front, b"some junk".to_vec()] {
        let bytes = OggBuilder::new(Kind::Vorbis)
            .front(&junk)
            .comment("ARTIST=A")
            .back(behind)
            .build();
        let mut probe = probed(&bytes, "ogg");
        assert_eq!(probe.failure, None);
        assert_eq!(probe.tags, [tag("artist", "A")]);
        probe.tags.push(tag("LONG", &"long ".repeat(20_000)));
        let served = served(&probe, &bytes);
        let pages = served.strip_suffix(behind).unwrap();
        assert_eq!(read(pages).packets.len(), 7);
    }
    let front = id3v2_tag(4, 0, &frame(4, "TIT2", 0, b"\x03From ID3"));
    let bytes = OggBuilder::new(Kind::Vorbis).front(&front).build();
    let probe = probed(&bytes, "ogg");
    assert_eq!(values(&probe, "title"), ["From ID3"]);
    assert_eq!(
        values(&probed(&served(&probe, &bytes), "ogg"), "title"),
        ["From ID3"]
    );
}

#[test]
fn a_last_page_that_was_cut_stays_cut() {
    let whole = full(Kind::Speex).build();
    let bytes = &whole[..whole.len() - 17];
    let mut probe = probed(bytes, "spx");
    assert_eq!(probe.failure, None);
    probe.tags.push(tag("LONG", &"long ".repeat(20_000)));
    let served = served(&probe, bytes);
    assert!(served.ends_with(&sound(40)[..23]));
}

#[test]
fn chained_and_multiplexed_files_give_their_tags_and_are_served_as_they_are() {
    let one = full(Kind::Vorbis).build();
    let mut other = page(77, 0, 2, 0, &[4], b"more");
    let chained = [one.clone(), other.clone(), page(77, 1, 4, 9, &[3], b"end")].concat();
    // Another stream begins first, and goes on within the headers of this one.
    other.extend(&one);
    let behind = other.len() - one.len() + 28 + 30;
    other.splice(behind..behind, page(77, 1, 0, 0, &[2], b"xy"));
    for bytes in [chained, other] {
        let probe = probed(&bytes, "ogg");
        assert_eq!(probe.failure, Some(Failure::Unsupported));
        assert_eq!(values(&probe, "title"), ["One"]);
        assert_eq!(values(&probe, "track"), ["1"]);
        assert_eq!(probe.structure, Structure::AsIs);
        assert_eq!(served(&probe, &bytes), bytes);
    }
    let unknown = page(SERIAL, 0, 2, 0, &[7], b"\x80theora");
    assert_eq!(probed(&unknown, "ogg").failure, Some(Failure::Unsupported));
}

#[test]
fn headers_that_share_a_page_with_the_sound_are_left_alone() {
    let bytes = full(Kind::Opus).segments(255).build();
    let start = bytes
        .windows(5)
        .skip(1)
        .position(|window| window == b"OggS\0")
        .unwrap()
        + 1;
    let mut shared = bytes.clone();
    let segments = usize::from(shared[start + 26]);
    shared[start + 26] += 1;
    shared.insert(start + 27 + segments, 2);
    let end = start
        + 28
        + segments
        + shared[start + 27..start + 27 + segments]
            .iter()
            .map(|&len| usize::from(len))
            .sum::<usize>();
    shared.splice(end..end, *b"so");
    let probe = probed(&shared, "opus");
    assert_eq!(probe.failure, Some(Failure::Malformed));
    assert_eq!(values(&probe, "title"), ["One"]);
}

#[test]
fn a_picture_comment_without_a_picture_is_kept() {
    let truncated = base64(&picture_block(3, "image/png", "", b"data")[..20]);
    let claims = base64(&picture_block(3, "image/png", "", b"data")[..33]);
    for text in [&b"!!not base64!!"[..], b"", &truncated, &claims] {
        let bytes = OggBuilder::new(Kind::Opus)
            .comment([&b"METADATA_BLOCK_PICTURE="[..], text].concat())
            .comment("TITLE=One")
            .build();
        let probe = probed(&bytes, "opus");
        assert_eq!(
            (probe.failure, probe.art.len(), probe.items.len()),
            (None, 0, 1)
        );
        assert_eq!(probe.warnings.len(), 1);
        let served = served(&probe, &bytes);
        assert_eq!(probed(&served, "opus").items.len(), 1);
        assert!(
            served
                .windows(text.len().max(1))
                .any(|window| window == text || text.is_empty())
        );
    }
}

#[test]
fn a_cover_of_five_megabytes_costs_a_few_page_headers() {
    let cover = vec![1; 5 << 20];
    for kind in KINDS {
        // As long as pages can be, and as short as libogg makes them.
        for segments in [255, 17] {
            let mut builder = OggBuilder::new(kind)
                .comment("TITLE=One")
                .picture(3, "image/jpeg", "", &cover)
                .comment("ARTIST=Two")
                .segments(segments);
            builder.sounds = vec![sound(4000); 8];
            let bytes = builder.build();
            let (probe, fetched) = probe_by(&bytes, Some("ogg"), 4096);
            assert_eq!(
                (probe.failure, probe.art.len(), probe.tags.len()),
                (None, 1, 2)
            );
            assert!(
                fetched <= 64 << 10,
                "{kind:?} by {segments}: {fetched} bytes"
            );
            let structure = probe.structure.to_bytes().len();
            assert!(structure < 400, "{structure} bytes of structure");
            if (kind, segments) == (Kind::Opus, 17) {
                read(&served(&probe, &bytes));
            }
        }
    }
}

#[test]
fn a_comment_that_lies_about_its_length_costs_a_few_reads_more() {
    let mut builder = OggBuilder::new(Kind::Opus)
        .comment([b"TITLE=One".to_vec(), vec![b' '; 40_000]].concat())
        .comment("ARTIST=Two")
        .segments(4);
    builder.sounds = vec![sound(60_000); 40];
    let mut bytes = builder.build();
    let list = 28 + 19 + 27 + 4 + 8 + 10 + 4;
    assert_eq!(bytes[list..list + 4], 40_009_u32.to_le_bytes());
    bytes[list..list + 4].copy_from_slice(&2_000_000_u32.to_le_bytes());
    let (probe, fetched) = probe_by(&bytes, Some("opus"), 512);
    assert_eq!(probe.failure, Some(Failure::Malformed));
    assert!(fetched < 96 << 10, "{fetched} bytes");
}

#[test]
fn an_ordinary_file_costs_two_small_reads() {
    let mut builder = OggBuilder::new(Kind::Vorbis)
        .comment("TITLE=One")
        .comment("ARTIST=Two");
    builder.sounds = vec![sound(3000); 100];
    let bytes = builder.build();
    let (_, fetched) = probe_by(&bytes, Some("ogg"), 4096);
    assert!(fetched <= 4 * 4096, "{fetched} bytes");
}

/// Counts what is read of the backing file.
struct Counting<'a>(&'a [u8], u64);

impl Origin for Counting<'_> {
    type Error = ();

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ()> {
        self.1 += into.len() as u64;
        InMemory(self.0).backing(offset, into)
    }

    fn blob(&mut self, _: BlobId, _: BlobKind, _: u64, _: &mut [u8]) -> Result<(), ()> {
        Err(())
    }
}

#[test]
fn a_seek_reads_what_is_asked_for_and_a_page_header_at_either_end() {
    let mut builder = OggBuilder::new(Kind::Opus);
    builder.sounds = vec![sound(65_000); 160];
    let bytes = builder.build();
    let mut probe = probed(&bytes, "opus");
    probe.tags.push(tag("LONG", &"long ".repeat(20_000)));
    let layout = layout_of(&probe, bytes.len()).unwrap();
    let whole = materialised(&layout, &bytes);
    read(&whole);
    for start in (0..whole.len() - 5000).step_by(999_983) {
        let mut counting = Counting(&bytes, 0);
        let mut part = Vec::new();
        for piece in layout.pieces(start as u64..start as u64 + 5000) {
            if let Piece::Derived {
                derived,
                offset,
                len,
            } = piece
            {
                let mut made = vec![0; usize::try_from(len).unwrap()];
                derived.read(offset, &mut made, &mut counting).unwrap();
                part.extend(made);
            }
        }
        if part.len() == 5000 {
            assert_eq!(part, whole[start..start + 5000]);
            assert!(
                counting.1 <= 5000 + 2 * (282 + 5) + 25,
                "{} bytes",
                counting.1
            );
        }
    }
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        kind in prop::sample::select(&KINDS[..]),
        segments in 1..40_usize,
        tags in proptest::collection::vec(("[A-Z]{1,6}", "\\PC{0,400}"), 0..8),
    ) {
        let bytes = full(kind).segments(segments).build();
        let mut probe = probe_within(&bytes, Some("ogg"), 4096, 256).0;
        probe.tags = tags
            .iter()
            .map(|(key, value)| tag(&format!("X{key}"), value))
            .collect();
        let served = served(&probe, &bytes);
        let (old, new) = (read(&bytes), read(&served));
        prop_assert_eq!(&old.packets[old.packets.len() - 4..], &new.packets[new.packets.len() - 4..]);
        let after = probe_within(&served, Some("ogg"), 4096, 256).0;
        prop_assert_eq!(sorted(&probe), sorted(&after));
    }

    #[test]
    fn a_damaged_stored_structure_of_ogg_is_survived(
        kind in prop::sample::select(&KINDS[..]),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = full(kind).segments(20).build();
        let probe = probed(&bytes, "ogg");
        let mut stored = probe.structure.to_bytes();
        for (index, byte) in flips {
            let at = index.index(stored.len());
            stored[at] ^= byte;
        }
        if let Ok(structure) = Structure::from_bytes(&stored) {
            let layout = layout_of(&Probe { structure, ..probe }, bytes.len());
            if let Ok(layout) = layout {
                prop_assume!(layout.len() < 1 << 24);
                materialised(&layout, &bytes);
            }
        }
    }
}
