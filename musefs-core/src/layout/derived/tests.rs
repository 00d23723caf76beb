use super::*;

mod ogg;

/// A backing file in memory.
struct Memory<'a>(&'a [u8]);

impl Origin for Memory<'_> {
    type Error = ();

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ()> {
        let start = usize::try_from(offset).map_err(|_| ())?;
        let bytes = self.0.get(start..start + into.len()).ok_or(())?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn blob(&mut self, _: BlobId, _: BlobKind, _: u64, _: &mut [u8]) -> Result<(), ()> {
        Err(())
    }
}

fn table(reads_wide: bool, writes_wide: bool) -> (Vec<u8>, Vec<u8>, Derived) {
    let places: Vec<u64> = (0..10_000).map(|index| 50 + index * 17).collect();
    let moved = |place: u64| match place {
        ..100 => place,
        100..5000 => place + 1000,
        _ => place - 40,
    };
    let entry = |place: u64, wide: bool| place.to_be_bytes()[if wide { 0 } else { 4 }..].to_vec();
    let mut backing = vec![0xee; 7];
    backing.extend(places.iter().flat_map(|&place| entry(place, reads_wide)));
    let served = places
        .iter()
        .flat_map(|&place| entry(moved(place), writes_wide))
        .collect();
    let derived = Derived::ChunkOffsets(ChunkOffsets {
        offset: 7,
        count: 10_000,
        reads_wide,
        writes_wide,
        moves: [
            Move {
                start: 100,
                by: 1000,
            },
            Move {
                start: 5000,
                by: -40,
            },
        ]
        .into(),
    });
    (backing, served, derived)
}

#[test]
fn every_chunk_offset_moves_with_what_it_points_at() {
    for (reads_wide, writes_wide) in [(false, false), (false, true), (true, true)] {
        let (backing, served, derived) = table(reads_wide, writes_wide);
        assert_eq!(derived.len(), served.len() as u64);
        assert_eq!(derived.backing_end(), backing.len() as u64);
        for (start, len) in [
            (0, served.len()),
            (0, 1),
            (3, 2),
            (5, 0),
            (7, 30_001),
            (served.len() - 5, 5),
        ] {
            let mut into = vec![0; len];
            derived
                .read(start as u64, &mut into, &mut Memory(&backing))
                .unwrap();
            assert_eq!(into, served[start..start + len], "{start} {len}");
        }
    }
}

#[test]
fn a_table_that_cannot_be_read_says_so() {
    let (backing, _, derived) = table(false, false);
    let mut into = [0; 8];
    assert_eq!(
        derived.read(0, &mut into, &mut Memory(&backing[..9])),
        Err(())
    );
}
