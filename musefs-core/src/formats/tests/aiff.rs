use super::build::{frame, id3v1, sound, tag as id3v2_tag};
use super::chunk_files::{Aiff, bodies, ids};
use super::*;

fn id3() -> Vec<u8> {
    let body = [
        frame(4, "TPE1", 0, b"\x03From ID3"),
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
    Aiff::new()
        .chunk("NAME", b"One")
        .chunk("AUTH", b"From AUTH")
        .chunk("MARK", &sound(20))
        .chunk("ID3 ", &id3())
        .sound()
        .chunk("ANNO", b"first")
        .chunk("ANNO", b"second")
        .chunk("APPL", b"stocodd")
        .build()
}

fn edited(bytes: &[u8], edit: impl Fn(&mut Vec<Tag>)) -> (Vec<u8>, Probe) {
    let mut probe = probed(bytes, "aiff");
    edit(&mut probe.tags);
    let served = served(&probe, bytes);
    let after = probed(&served, "aiff");
    assert_eq!(after.failure, None);
    assert_eq!(sorted(&probe), sorted(&after));
    assert_eq!(after.properties, probe.properties);
    (served, after)
}

#[test]
fn the_id3_chunk_counts_and_text_chunks_give_the_rest() {
    let bytes = full();
    let probe = probed(&bytes, "aif");
    assert_eq!((probe.failure, &probe.warnings[..]), (None, &[][..]));
    assert_eq!(
        probe.tags,
        [
            tag("artist", "From ID3"),
            tag("title", "One"),
            tag("comment", "first"),
            tag("comment", "second"),
        ]
    );
    assert_eq!(
        probe.properties,
        AudioProperties {
            duration_ms: Some(1000),
            sample_rate_hz: Some(44_100),
            channels: Some(2),
            bits_per_sample: Some(16),
            bitrate_bps: Some(8008 * 8),
        }
    );
}

#[test]
fn untouched_rows_serve_every_chunk_as_it_was() {
    let bytes = full();
    let before = probed(&bytes, "aiff");
    let served = served(&before, &bytes);
    assert_same(&before, &bytes, &probed(&served, "aiff"), &served);
    let kept = ["COMM", "NAME", "AUTH", "MARK", "SSND", "ANNO", "APPL"];
    for id in kept {
        assert_eq!(bodies(&served, true, id), bodies(&bytes, true, id), "{id}");
    }
    assert_eq!(ids(&served, true).last().unwrap(), "ID3 ");
}

#[test]
fn an_edit_reaches_the_text_chunks_that_are_there() {
    let (served, _) = edited(&full(), |tags| {
        tags.retain(|tag| tag.key != "comment");
        for (key, value) in [("comment", "a"), ("comment", "b"), ("comment", "c")] {
            tags.push(tag(key, value));
        }
        tags[0].value = "New".to_owned();
        tags.push(tag("copyright", "nobody"));
    });
    assert_eq!(bodies(&served, true, "ANNO"), [b"a", b"b", b"c"]);
    assert_eq!(bodies(&served, true, "AUTH"), [b"New"]);
    assert_eq!(bodies(&served, true, "NAME"), [b"One"]);
    assert!(bodies(&served, true, "(c) ").is_empty());
}

#[test]
fn a_file_with_text_chunks_alone_keeps_to_them_until_they_cannot_say_more() {
    let bytes = Aiff::new().chunk("NAME", b"One").sound().build();
    let probe = probed(&bytes, "aiff");
    assert_eq!(served(&probe, &bytes), bytes);
    let (served, _) = edited(&bytes, Vec::clear);
    assert_eq!(ids(&served, true), ["COMM", "SSND"]);
    let (served, _) = edited(&bytes, |tags| tags.push(tag("album", "Two")));
    assert_eq!(ids(&served, true), ["COMM", "NAME", "SSND", "ID3 "]);
    let id3 = bodies(&served, true, "ID3 ")[0];
    assert!(id3.windows(4).any(|window| window == b"TIT2"));
}

#[test]
fn sound_without_its_end_stays_last() {
    let bytes = Aiff::new()
        .chunk_stating("SSND", 90_000, &sound(7000))
        .size(90_100)
        .build();
    let probe = probed(&bytes, "aiff");
    let (edited, _) = edited(&bytes, |tags| tags.push(tag("title", "One")));
    assert!(edited.ends_with(&bytes[bytes.len() - 7008..]));
    assert_eq!(served(&probe, &bytes)[8..], bytes[8..]);
}

#[test]
fn what_follows_the_stated_end_is_kept_but_for_tags_of_other_formats() {
    let bytes = Aiff::new()
        .sound()
        .back(b"\0garbage")
        .back(&id3v1("From ID3v1"))
        .build();
    let (served, after) = edited(&bytes, |_| {});
    assert_eq!(values(&after, "title"), ["From ID3v1"]);
    assert!(served.ends_with(b"\0garbage"));
}

#[test]
fn pictures_and_sound_are_not_read() {
    let picture = [&b"\0image/jpeg\0\x03\0"[..], &vec![5; 5 << 20]].concat();
    let bytes = Aiff::new()
        .chunk("SSND", &vec![9; 3 << 20])
        .chunk("ID3 ", &id3v2_tag(3, 0, &frame(3, "APIC", 0, &picture)))
        .chunk("NAME", b"One")
        .build();
    let (probe, read) = probe_by(&bytes, Some("aif"), 4096);
    assert_eq!((probe.art.len(), probe.tags.len()), (1, 1));
    assert!(read <= 8 * 4096, "{read} bytes read");
}

proptest! {
    #[test]
    fn any_tags_are_served_as_they_are_stored(
        tags in proptest::collection::vec(("[A-Za-z]{1,6}", "\\PC{1,12}"), 0..8),
        title in "\\PC{1,20}",
        comments in proptest::collection::vec("\\PC{1,20}", 0..4),
    ) {
        edited(&full(), |all| {
            *all = tags.iter().map(|(key, value)| tag(&format!("TXXX:x{key}"), value)).collect();
            all.push(tag("title", &title));
            all.extend(comments.iter().map(|comment| tag("comment", comment)));
        });
    }
}
