//! The chunk offsets of an MP4 track (ISO/IEC 14496-12, section 8.7.5): big-endian places in the file, of 4 bytes (`stco`)
//! or 8 bytes (`co64`) each. In a served file the sound lies elsewhere than in the backing file, so each place moves.

use super::Origin;

/// How many entries are looked at in one go; bounds the memory of a read.
const ENTRIES_PER_READ: u64 = 4096;

/// From `start` of the backing file on, up to the next move's start, everything is served `by` bytes further on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Bytes from the backing file's start.
    pub start: u64,
    /// Bytes from there to where it is served; negative towards the file's start.
    pub by: i64,
}

/// The entries of one table, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkOffsets {
    /// Where the entries lie in the backing file.
    pub offset: u64,
    /// Number of entries.
    pub count: u64,
    /// Whether the entries of the backing file have 8 bytes instead of 4.
    pub reads_wide: bool,
    /// Whether the served entries have 8 bytes instead of 4. An entry that does not fit 4 bytes loses its upper half: who
    /// makes the table asks for wide ones when the served file is longer than 4 bytes can say.
    pub writes_wide: bool,
    /// What moves where, by rising start. Places before the first start stay.
    pub moves: Box<[Move]>,
}

fn width(wide: bool) -> u64 {
    if wide { 8 } else { 4 }
}

impl ChunkOffsets {
    pub(super) fn len(&self) -> u64 {
        self.count.saturating_mul(width(self.writes_wide))
    }

    pub(super) fn backing_end(&self) -> u64 {
        let bytes = self.count.saturating_mul(width(self.reads_wide));
        self.offset.saturating_add(bytes)
    }

    pub(super) fn read<O: Origin>(
        &self,
        offset: u64,
        into: &mut [u8],
        origin: &mut O,
    ) -> Result<(), O::Error> {
        let (from, to) = (width(self.reads_wide), width(self.writes_wide));
        let end = offset + into.len() as u64;
        let last = end.div_ceil(to);
        let mut first = offset / to;
        let mut filled = 0;
        let mut raw = Vec::new();
        while first < last {
            let count = (last - first).min(ENTRIES_PER_READ);
            raw.resize(
                usize::try_from(count * from).expect("a bounded number of entries"),
                0,
            );
            origin.backing(self.offset + first * from, &mut raw)?;
            for (index, entry) in
                (first..).zip(raw.chunks_exact(usize::try_from(from).expect("4 or 8")))
            {
                let place = entry
                    .iter()
                    .fold(0, |place, &byte| place << 8 | u64::from(byte));
                let moved = self.moved(place).to_be_bytes();
                let bytes = &moved[if self.writes_wide { 0 } else { 4 }..];
                // The first and the last entry may be asked for in part.
                let start = index * to;
                let skip = usize::try_from(offset.saturating_sub(start)).expect("within an entry");
                let take = bytes[skip..].len().min(into.len() - filled);
                into[filled..filled + take].copy_from_slice(&bytes[skip..skip + take]);
                filled += take;
            }
            first += count;
        }
        Ok(())
    }

    fn moved(&self, place: u64) -> u64 {
        let after = self.moves.partition_point(|step| step.start <= place);
        match after.checked_sub(1) {
            Some(index) => place.wrapping_add_signed(self.moves[index].by),
            None => place,
        }
    }
}
