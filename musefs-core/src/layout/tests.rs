use super::*;
use proptest::prelude::*;

const BACKING_LEN: u64 = 4096;

fn backing_bytes() -> Vec<u8> {
    (0..BACKING_LEN).map(|i| (i % 251) as u8).collect()
}

fn blob_bytes() -> Vec<u8> {
    (0..=255u8).rev().cycle().take(512).collect()
}

fn gather(layout: &Layout, range: Range<u64>) -> Vec<u8> {
    let (backing, blob) = (backing_bytes(), blob_bytes());
    let slice = |bytes: &[u8], offset: u64, len: u64| {
        bytes[usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap()].to_vec()
    };
    layout
        .pieces(range)
        .flat_map(|piece| match piece {
            Piece::Inline(bytes) => bytes.to_vec(),
            Piece::Backing { offset, len } => slice(&backing, offset, len),
            Piece::StoreBlob { offset, len, .. } => slice(&blob, offset, len),
            Piece::Derived { .. } => unreachable!("no segment here is made"),
        })
        .collect()
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Segment::Inline(bytes.into())),
        (0..BACKING_LEN, 0..200u64).prop_map(|(offset, len)| Segment::Backing {
            offset,
            len: len.min(BACKING_LEN - offset),
        }),
        (0..512u64, 0..100u64).prop_map(|(offset, len)| Segment::StoreBlob {
            blob: BlobId(7),
            kind: BlobKind::Art,
            offset,
            len: len.min(512 - offset),
        }),
    ]
}

proptest! {
    #[test]
    fn any_range_equals_that_slice_of_the_whole(
        segments in proptest::collection::vec(segment(), 0..12),
        start in 0..1500u64,
        len in 0..1500u64,
    ) {
        let layout = Layout::new(segments.clone(), BACKING_LEN).unwrap();
        let total: u64 = segments.iter().map(Segment::len).sum();
        prop_assert_eq!(layout.len(), total);
        let whole = gather(&layout, 0..u64::MAX);
        prop_assert_eq!(whole.len() as u64, total);
        let part = gather(&layout, start..start + len);
        let from = usize::try_from(start.min(total)).unwrap();
        let to = usize::try_from((start + len).min(total)).unwrap();
        prop_assert_eq!(&part[..], &whole[from..to]);
        let an_empty_piece = layout.pieces(start..start + len).any(|piece| match piece {
            Piece::Inline(bytes) => bytes.is_empty(),
            Piece::Backing { len, .. }
            | Piece::StoreBlob { len, .. }
            | Piece::Derived { len, .. } => len == 0,
        });
        prop_assert!(!an_empty_piece);
    }
}

#[test]
fn neighbours_in_the_backing_file_become_one_range() {
    let layout = Layout::new(
        [
            Segment::Backing { offset: 0, len: 10 },
            Segment::Backing { offset: 10, len: 5 },
            Segment::Inline(Arc::from(&b"x"[..])),
            Segment::Backing { offset: 15, len: 5 },
        ],
        20,
    )
    .unwrap();
    assert_eq!(layout.segments().len(), 3);
    assert_eq!(layout.len(), 21);
    assert_eq!(layout.inline_bytes(), 1);
}

#[test]
fn a_range_past_the_backing_file_is_refused() {
    let past = Segment::Backing { offset: 8, len: 5 };
    assert_eq!(
        Layout::new([past], 12),
        Err(LayoutError::PastBackingEnd {
            offset: 8,
            end: 13,
            backing_len: 12
        })
    );
    let wraps = Segment::Backing {
        offset: u64::MAX,
        len: 2,
    };
    assert_eq!(Layout::new([wraps], u64::MAX), Err(LayoutError::TooLong));
}

#[test]
fn an_empty_file_has_no_pieces() {
    let layout = Layout::whole_file(0);
    assert!(layout.is_empty());
    assert_eq!(layout.pieces(0..100).count(), 0);
}
