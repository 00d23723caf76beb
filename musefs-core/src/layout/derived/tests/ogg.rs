//! What is made for Ogg: text of pictures, checksums, renumbered pages.

use std::cell::RefCell;

use proptest::prelude::*;

use super::super::*;
use super::Memory;
use crate::layout::Segment;

fn layout(segments: impl IntoIterator<Item = Segment>, backing_len: usize) -> Layout {
    Layout::new(segments, backing_len as u64).expect("ranges of the file")
}

fn made(derived: &Derived, backing: &[u8], start: usize, end: usize) -> Vec<u8> {
    let mut into = vec![0; end - start];
    derived
        .read(start as u64, &mut into, &mut Memory(backing))
        .expect("bytes of the file");
    into
}

#[test]
fn texts_are_those_of_the_specification() {
    // RFC 4648, section 10.
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        let of = Layout::whole_file(bytes.len() as u64);
        let derived = Derived::Base64Text(Base64Text { of });
        assert_eq!(derived.len(), text.len() as u64);
        let encoded = made(&derived, bytes.as_bytes(), 0, text.len());
        assert_eq!(encoded, text.as_bytes());
        assert_eq!(base64_decode(text.as_bytes()), Some(bytes.into()));
        let unpadded = text.trim_end_matches('=');
        assert_eq!(base64_decode(unpadded.as_bytes()), Some(bytes.into()));
    }
    assert_eq!(base64_decode(b"Zm9*"), None);
    assert_eq!(base64_decode(b"Zm=v"), None);
}

#[test]
fn the_checksum_is_that_of_the_polynomial() {
    // CRC-32 with this polynomial, neither reflected nor inverted, of the usual check text.
    assert_eq!(ogg_checksum(0, b"123456789"), 0x89a1_897f);
}

/// Notes what is read of the backing file.
struct Noting<'a>(Memory<'a>, &'a RefCell<Vec<(u64, usize)>>);

impl Origin for Noting<'_> {
    type Error = ();

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ()> {
        self.1.borrow_mut().push((offset, into.len()));
        self.0.backing(offset, into)
    }

    fn blob(&mut self, _: BlobId, _: BlobKind, _: u64, _: &mut [u8]) -> Result<(), ()> {
        Err(())
    }
}

#[test]
fn a_checksum_reads_its_page_once_and_neighbours_together() {
    let backing: Vec<u8> = (0..=255).cycle().take(20_000).collect();
    let run = |offset: u64, len: u64| Segment::Backing { offset, len };
    let payload = layout(
        [
            run(900, 50),
            Segment::Inline(b"inline"[..].into()),
            run(100, 600),
            run(15_000, 10),
        ],
        backing.len(),
    );
    let page = [
        b"header",
        &backing[900..950],
        b"inline",
        &backing[100..700],
        &backing[15_000..15_010],
    ]
    .concat();
    let expected = ogg_checksum(0, &page).to_le_bytes();
    let derived = Derived::OggChecksum(OggChecksum::new(b"header", payload));
    let fresh = derived.clone();
    let reads = RefCell::default();
    for (start, end) in [(0, 4), (1, 3), (3, 4)] {
        let mut into = vec![0; end - start];
        let mut origin = Noting(Memory(&backing), &reads);
        derived.read(start as u64, &mut into, &mut origin).unwrap();
        assert_eq!(into, expected[start..end]);
    }
    assert_eq!(*reads.borrow(), [(100, 850), (15_000, 10)]);
    assert_eq!(fresh, derived);
}

const SERIAL: u32 = 0x5347_674f;

fn page(serial: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"OggS\0\0\x09\0\0\0\0\0\0\0".to_vec();
    bytes.extend(serial.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend([0; 4]);
    let mut lacing = vec![255; body.len() / 255];
    lacing.push(u8::try_from(body.len() % 255).unwrap());
    bytes.push(u8::try_from(lacing.len()).unwrap());
    bytes.extend(lacing);
    bytes.extend(body);
    let sum = ogg_checksum(0, &bytes);
    bytes[22..26].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn run_of(bodies: &[Vec<u8>], first: u32) -> Vec<u8> {
    let numbers = (0..).map(|index| first.wrapping_add(index));
    let pages = numbers.zip(bodies);
    pages
        .flat_map(|(sequence, body)| page(SERIAL, sequence, body))
        .collect()
}

#[test]
fn only_pages_of_the_stream_are_renumbered() {
    // A packet may hold what looks like a page of its own stream.
    let bodies = [
        b"OggS\0 in a packet, and OggOggS".to_vec(),
        b"OggS".repeat(100),
        [page(SERIAL, 11, b"within"), vec![0; 9]].concat(),
    ];
    let other = page(SERIAL + 1, 4, b"another stream");
    let cut = &page(SERIAL, 13, &[7; 300])[..28];
    let pages = |first: u32| [run_of(&bodies, first), other.clone(), cut.to_vec()].concat();
    let (backing, expected) = (pages(10), pages(4_000_000_009));
    let derived = Derived::OggPages(OggPages {
        offset: 0,
        len: backing.len() as u64,
        serial: SERIAL,
        by: 3_999_999_999,
    });
    for start in 0..backing.len() {
        for end in start..=backing.len() {
            let part = made(&derived, &backing, start, end);
            assert_eq!(part, expected[start..end], "{start}..{end}");
        }
    }
}

proptest! {
    #[test]
    fn renumbered_pages_are_those_that_were_made_so(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..6),
        first in any::<u32>(),
        by in any::<u32>(),
        front in 0..40_usize,
        parts in proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 8),
    ) {
        let old = [vec![0xee; front], run_of(&bodies, first)].concat();
        let new = run_of(&bodies, first.wrapping_add(by));
        let derived = Derived::OggPages(OggPages {
            offset: front as u64,
            len: new.len() as u64,
            serial: SERIAL,
            by,
        });
        prop_assert_eq!(&made(&derived, &old, 0, new.len()), &new);
        for (one, other) in parts {
            let (one, other) = (one.index(new.len()), other.index(new.len()));
            let (start, end) = (one.min(other), one.max(other));
            prop_assert_eq!(&made(&derived, &old, start, end), &new[start..end]);
        }
    }

    #[test]
    fn text_stands_for_the_bytes_that_it_was_made_of(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
        skip in any::<prop::sample::Index>(),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let of = Layout::whole_file(bytes.len() as u64);
        let text = Derived::Base64Text(Base64Text { of });
        let len = usize::try_from(text.len()).unwrap();
        let whole = made(&text, &bytes, 0, len);
        let (one, other) = (one.index(len), other.index(len));
        let (start, end) = (one.min(other), one.max(other));
        prop_assert_eq!(&made(&text, &bytes, start, end), &whole[start..end]);
        // The text lies in two runs, with something between.
        let (head, tail) = whole.split_at(cut.index(len));
        let file = [head, b"between", tail].concat();
        let of = layout(
            [
                Segment::Backing { offset: 0, len: head.len() as u64 },
                Segment::Backing { offset: head.len() as u64 + 7, len: tail.len() as u64 },
            ],
            file.len(),
        );
        let skip = skip.index(bytes.len());
        let len = bytes.len() - skip;
        let back = Derived::Base64Bytes(Base64Bytes { of, skip: skip as u64, len: len as u64 });
        prop_assert_eq!(&made(&back, &file, 0, len), &bytes[skip..]);
        let half = len / 2;
        let part = Derived::Part {
            of: Arc::new(back),
            offset: half as u64,
            len: (len - half) as u64,
        };
        prop_assert_eq!(&made(&part, &file, 0, len - half), &bytes[skip + half..]);
    }
}
