//! The one short loop: pieces of a layout, one after the other, into a buffer.
//!
//! The same loop serves an event loop, which stops at the first byte that is not in memory, and the pool, which goes on
//! from there.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::backing::{self, Attempt, NotCached};
use super::handles::Handle;
use super::mapping::Mapped;
use super::steps::{Step, WaitsFor};
use super::{Error, Musefs};
use crate::layout::derived::Origin;
use crate::layout::{BlobId, BlobKind, Piece};
use crate::metrics::{BackingFailure, ByteSource, ServedBytes, nanoseconds};
use crate::phases::{self, Phase};
use crate::store::Stamp;

/// A buffer that is filled from the front, and keeps its memory from one read to the next.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    filled: usize,
    /// Bytes of `filled` by source, for the counters.
    from: [u64; 4],
    /// Whether bytes of the backing file went into what was made.
    made_from_backing: bool,
    /// Whether read-ahead was asked and lacked something.
    readahead_missed: bool,
}

impl ReadBuffer {
    /// What was read.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Where that came from.
    pub fn sources(&self) -> impl Iterator<Item = ByteSource> {
        let sources = ByteSource::ALL.into_iter().zip(self.from);
        sources.filter_map(|(source, bytes)| (bytes > 0).then_some(source))
    }

    /// Whether the backing file stood in for read-ahead, which lacked something.
    pub fn missed_readahead(&self) -> bool {
        self.readahead_missed
    }

    fn start(&mut self, len: usize) {
        self.readahead_missed = false;
        self.filled = 0;
        self.from = [0; 4];
        self.made_from_backing = false;
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
    }

    fn room(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.filled..self.filled + len]
    }

    fn advance(&mut self, len: usize, source: ByteSource) {
        self.filled += len;
        self.from[source as usize] += len as u64;
    }

    fn holds_backing_bytes(&self) -> bool {
        self.made_from_backing
            || self.from[ByteSource::Backing as usize] > 0
            || self.from[ByteSource::Readahead as usize] > 0
    }

    fn made(&mut self, len: usize, is_metadata: bool) {
        self.made_from_backing = true;
        let source = if is_metadata {
            ByteSource::SynthesizedHeader
        } else {
            ByteSource::Backing
        };
        self.advance(len, source);
    }
}

/// What bytes are made from without waiting: what is in the page cache.
struct InMemory<'a> {
    musefs: &'a Musefs,
    handle: &'a Handle,
}

impl Origin for InMemory<'_> {
    type Error = NotCached;

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), NotCached> {
        let read = backing::read_cached(&self.handle.file, into, offset, &self.musefs.metrics)?;
        if read == into.len() {
            Ok(())
        } else {
            Err(NotCached::Now)
        }
    }

    fn blob(&mut self, _: BlobId, _: BlobKind, _: u64, _: &mut [u8]) -> Result<(), NotCached> {
        Err(NotCached::Now)
    }
}

/// What bytes are made from, waited for.
struct Waiting<'a> {
    musefs: &'a Musefs,
    handle: &'a Handle,
}

impl Origin for Waiting<'_> {
    type Error = Error;

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let Self { musefs, handle } = self;
        let resolved = &handle.resolved;
        let count = backing::read(&handle.file, into, offset, &musefs.metrics)
            .map_err(|source| musefs.backing_error(resolved.track, &resolved.path, source))?;
        if count < into.len() {
            return Err(musefs.ended_early(handle));
        }
        Ok(())
    }

    fn blob(
        &mut self,
        blob: BlobId,
        kind: BlobKind,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        self.musefs.read_blob(blob, kind, offset, into)
    }
}

/// Shorter reads are copied: that takes no longer than finding out what is in memory.
const MAPPED_BYTES_MIN: u64 = 256 << 10;

impl Musefs {
    /// The bytes of `handle` in `[offset, offset + len)`, straight from the page cache, where they are one range of the
    /// backing file and all in memory. They are for the kernel alone, which is to copy them into a reply: they may go away at
    /// any time. After that, [`Musefs::is_still_what_was_mapped`] is to be asked.
    pub fn read_mapped(&self, handle: &Handle, offset: u64, len: u64) -> Option<Mapped> {
        let resolved = &handle.resolved;
        let range = resolved.layout.clamp(offset, len);
        if range.end - range.start < MAPPED_BYTES_MIN || !resolved.without_waiting {
            return None;
        }
        let mut pieces = resolved.layout.pieces(range);
        let (Some(Piece::Backing { offset: at, len }), None) = (pieces.next(), pieces.next())
        else {
            return None;
        };
        let metadata = backing::stat(&handle.file, &self.metrics).ok()?;
        if !resolved.stamp.matches(&Stamp::of(&metadata)) || !self.trust.covers(&metadata) {
            return None;
        }
        let file_len = resolved.stamp.size;
        let mapped = (handle.window).resident(&handle.file, file_len, at, length(len))?;
        self.metrics.backing_preads.increment();
        self.metrics.backing_pread_bytes.add(len);
        let mut from = [0; 4];
        from[ByteSource::Backing as usize] = len;
        self.count_read(handle, offset, len, &from);
        Some(mapped)
    }

    /// Whether the backing file of `handle` is still what it was before its bytes were given. If not, they may be others than
    /// those of the inode; the track is dark then.
    pub fn is_still_what_was_mapped(&self, handle: &Handle) -> bool {
        let is_same = self.check_stamp(&handle.file, &handle.resolved).is_ok();
        if !is_same {
            self.cache.remove(handle.inode);
        }
        is_same
    }

    /// What a piece of `handle` may have to wait for, if for anything.
    fn waits_for(&self, handle: &Handle, piece: &Piece<'_>) -> Option<WaitsFor> {
        match piece {
            Piece::Inline(_) => None,
            Piece::StoreBlob { .. } => Some(self.stores.waits_for()),
            Piece::Derived { derived, .. } if derived.backing_end() == 0 => {
                Some(self.stores.waits_for())
            }
            Piece::Backing { .. } | Piece::Derived { .. } => {
                Some(WaitsFor::Device(handle.resolved.device))
            }
        }
    }

    /// Fills `buffer` with the bytes of `handle` in `[offset, offset + len)` that lie within the file, as long as all of
    /// them are in memory. On `WouldBlock` the buffer holds the first part, and [`Musefs::read`] goes on from there.
    pub fn read_cached(
        &self,
        handle: &Handle,
        offset: u64,
        len: u64,
        buffer: &mut ReadBuffer,
    ) -> Attempt<Result<(), Error>> {
        let range = handle.resolved.layout.clamp(offset, len);
        buffer.start(length_of(&range));
        for piece in handle.resolved.layout.pieces(range) {
            match piece {
                Piece::Inline(bytes) => {
                    buffer.room(bytes.len()).copy_from_slice(bytes);
                    buffer.advance(bytes.len(), ByteSource::SynthesizedHeader);
                }
                Piece::Backing { offset, len } if handle.resolved.without_waiting => {
                    let wanted = length(len);
                    let read = backing::read_cached(
                        &handle.file,
                        buffer.room(wanted),
                        offset,
                        &self.metrics,
                    );
                    match read {
                        Ok(count) => buffer.advance(count, ByteSource::Backing),
                        Err(NotCached::Now | NotCached::Unsupported) => return Attempt::WouldBlock,
                    }
                    if read != Ok(wanted) {
                        return Attempt::WouldBlock;
                    }
                }
                Piece::Derived {
                    derived,
                    offset,
                    len,
                } if handle.resolved.without_waiting => {
                    let mut origin = InMemory {
                        musefs: self,
                        handle,
                    };
                    let room = buffer.room(length(len));
                    if derived.read(offset, room, &mut origin).is_err() {
                        return Attempt::WouldBlock;
                    }
                    buffer.made(length(len), derived.is_metadata());
                }
                Piece::Backing { .. } | Piece::StoreBlob { .. } | Piece::Derived { .. } => {
                    return Attempt::WouldBlock;
                }
            }
        }
        Attempt::Done(self.finish(handle, offset, buffer))
    }

    /// What the rest of a read may have to wait for first: that which comes after what `buffer` holds of it.
    pub fn read_waits_for(
        &self,
        handle: &Handle,
        offset: u64,
        len: u64,
        buffer: &ReadBuffer,
    ) -> WaitsFor {
        let layout = &handle.resolved.layout;
        let range = layout.clamp(offset, len);
        let mut rest = layout.pieces(range.start + buffer.filled as u64..range.end);
        rest.find_map(|piece| self.waits_for(handle, &piece))
            .unwrap_or(WaitsFor::Device(handle.resolved.device))
    }

    /// As [`Musefs::read_cached`], but waits for what is not in memory: for one thing, which [`Musefs::read_waits_for`] tells.
    /// `buffer` is what the attempt or the step before left. Done when the whole range is read, else what the next step
    /// waits for.
    ///
    /// # Errors
    /// When the backing file or the store cannot be read, or the backing file is not what was scanned.
    pub fn read_step(
        &self,
        handle: &Handle,
        offset: u64,
        len: u64,
        buffer: &mut ReadBuffer,
    ) -> Result<Step<(), WaitsFor>, Error> {
        let own = self.read_waits_for(handle, offset, len, buffer);
        let range = handle.resolved.layout.clamp(offset, len);
        let whole = length_of(&range);
        if buffer.bytes.len() < whole {
            buffer.start(whole);
        }
        let rest = range.start + buffer.filled as u64..range.end;
        for piece in handle.resolved.layout.pieces(rest) {
            if let Some(other) = self.waits_for(handle, &piece).filter(|other| *other != own) {
                return Ok(Step::Next(other));
            }
            match piece {
                Piece::Inline(bytes) => {
                    buffer.room(bytes.len()).copy_from_slice(bytes);
                    buffer.advance(bytes.len(), ByteSource::SynthesizedHeader);
                }
                Piece::Backing { offset, len } => {
                    self.read_backing(handle, offset, length(len), buffer)?;
                }
                Piece::StoreBlob {
                    blob,
                    kind,
                    offset,
                    len,
                } => {
                    self.read_blob(blob, kind, offset, buffer.room(length(len)))?;
                    buffer.advance(length(len), ByteSource::Art);
                }
                Piece::Derived {
                    derived,
                    offset,
                    len,
                } => {
                    let mut origin = Waiting {
                        musefs: self,
                        handle,
                    };
                    derived.read(offset, buffer.room(length(len)), &mut origin)?;
                    buffer.made(length(len), derived.is_metadata());
                }
            }
        }
        let device = WaitsFor::Device(handle.resolved.device);
        if buffer.holds_backing_bytes() && own != device {
            // The backing file is still to be looked at.
            return Ok(Step::Next(device));
        }
        self.finish(handle, offset, buffer)?;
        Ok(Step::Done(()))
    }

    /// All steps of a read.
    ///
    /// # Errors
    /// As [`Musefs::read_step`].
    pub fn read(
        &self,
        handle: &Handle,
        offset: u64,
        len: u64,
        buffer: &mut ReadBuffer,
    ) -> Result<(), Error> {
        while let Step::Next(_) = self.read_step(handle, offset, len, buffer)? {}
        Ok(())
    }

    fn read_backing(
        &self,
        handle: &Handle,
        offset: u64,
        len: usize,
        buffer: &mut ReadBuffer,
    ) -> Result<(), Error> {
        let resolved = &handle.resolved;
        let (mut offset, mut len) = (offset, len);
        // Where a device reads without waiting, its own page cache is what reads ahead.
        if self.readahead.bytes_max() > 0 && !resolved.without_waiting {
            let now = self.readahead.moment(Instant::now());
            let held = handle.stream.take(offset, buffer.room(len), now);
            buffer.advance(held, ByteSource::Readahead);
            if held == len {
                self.metrics.readahead_hits.increment();
                return Ok(());
            }
            self.metrics.readahead_misses.increment();
            buffer.readahead_missed = true;
            offset += held as u64;
            len -= held;
            let is_worth_it = self.devices.is_slow(resolved.device);
            let budget = is_worth_it.then_some(&self.readahead);
            let file_len = resolved.stamp.size;
            if let Some(filling) = handle.stream.begin(offset, len, file_len, budget, now) {
                let mut bytes = vec![0; length_of(&filling.range)];
                let count = self.read_timed(handle, &mut bytes, offset)?;
                if count < len {
                    return Err(self.ended_early(handle));
                }
                bytes.truncate(count);
                buffer.room(len).copy_from_slice(&bytes[..len]);
                buffer.advance(len, ByteSource::Backing);
                filling.keep(bytes);
                return Ok(());
            }
        }
        let count = self.read_timed(handle, buffer.room(len), offset)?;
        buffer.advance(count, ByteSource::Backing);
        if count < len {
            Err(self.ended_early(handle))
        } else {
            Ok(())
        }
    }

    /// Reads the backing file, waiting for it, and notes how long that took.
    fn read_timed(&self, handle: &Handle, into: &mut [u8], offset: u64) -> Result<usize, Error> {
        let resolved = &handle.resolved;
        let before = Instant::now();
        let count = backing::read(&handle.file, into, offset, &self.metrics)
            .map_err(|source| self.backing_error(resolved.track, &resolved.path, source))?;
        self.devices
            .note_read(resolved.device, count, before.elapsed());
        Ok(count)
    }

    fn read_blob(
        &self,
        blob: BlobId,
        kind: BlobKind,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Error> {
        let _phase = phases::enter(Phase::Store);
        let result = self.stores.take().blob(blob, offset, into);
        let count = self.troubles.store(result)?;
        if count < into.len() {
            return Err(self.troubles.blob_gone(blob));
        }
        match kind {
            BlobKind::Art => self.metrics.art_chunks.increment(),
            BlobKind::BinaryTag => self.metrics.binary_tag_chunks.increment(),
        }
        Ok(())
    }

    fn ended_early(&self, handle: &Handle) -> Error {
        let resolved = &handle.resolved;
        self.dark.darken(
            resolved.track,
            &resolved.path,
            BackingFailure::Changed,
            &"it has become shorter",
        );
        Error::Changed {
            path: resolved.path.clone(),
        }
    }

    /// The backing file is looked at after its bytes were read: only then are they known to be those of the layout.
    fn finish(&self, handle: &Handle, offset: u64, buffer: &ReadBuffer) -> Result<(), Error> {
        if buffer.holds_backing_bytes()
            && let Err(error) = self.check_stamp(&handle.file, &handle.resolved)
        {
            self.cache.remove(handle.inode);
            return Err(error);
        }
        self.count_read(handle, offset, buffer.filled as u64, &buffer.from);
        Ok(())
    }

    /// Counts a read of `len` bytes from `offset`, which came `from` each source.
    fn count_read(&self, handle: &Handle, offset: u64, len: u64, from: &[u64; 4]) {
        let format = handle.resolved.format;
        for (source, &bytes) in ByteSource::ALL.into_iter().zip(from) {
            if bytes > 0 {
                let served = ServedBytes { source, format };
                self.metrics.read_bytes.add(served, bytes);
            }
        }
        let header_len = handle.resolved.header_len;
        let pattern = handle.position.note(offset, len, header_len);
        self.metrics.reads.increment(pattern);
        self.metrics.read_size.record(len);
    }

    /// Notes that a read which had to wait is answered with `buffer`, `elapsed` after it was asked for. What that took longer
    /// than the sound in it lasts, a player had to do without.
    pub fn note_read(&self, handle: &Handle, buffer: &ReadBuffer, elapsed: Duration) {
        let [_, _, readahead, backing] = buffer.from;
        let sound_bytes = readahead + backing;
        if let Some(bitrate_bps) = handle.resolved.bitrate_bps.filter(|_| sound_bytes > 0) {
            let lasts_ns = u128::from(sound_bytes) * 8_000_000_000 / u128::from(bitrate_bps.get());
            let lasts_ns = u64::try_from(lasts_ns).unwrap_or(u64::MAX);
            let starved_ns = nanoseconds(elapsed).saturating_sub(lasts_ns);
            self.metrics.starved.add(starved_ns);
        }
    }
}

fn length(len: u64) -> usize {
    usize::try_from(len).expect("a piece of a read fits memory")
}

fn length_of(range: &Range<u64>) -> usize {
    length(range.end - range.start)
}
