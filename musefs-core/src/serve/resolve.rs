//! From an inode to all that serving its bytes needs: the track's row, its layout, and the small ranges of the backing
//! file's metadata read into memory. May wait for the store and for the backing file.

use std::fs::File;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use musefs_telemetry::{event_warn, logging};

use super::backing::{self, Opened};
use super::cache::Resolved;
use super::pattern::header_len;
use super::steps::WaitsFor;
use super::{Error, Mode, Musefs, inode_of, mtime_of};
use crate::formats;
use crate::ids::TrackId;
use crate::layout::{Layout, Segment};
use crate::metrics::{BackingFailure, ResolveCause, nanoseconds};
use crate::phases::{self, Phase};
use crate::store::{TrackDetail, TrackRow};
use crate::tree::Inode;

/// Backing ranges up to this size are read into memory when a file is resolved, so that a read of its head is not
/// scattered over the backing file.
const INLINE_RANGE_BYTES_MAX: u64 = 4096;
/// Ranges that lie no further apart than this are read at once.
const INLINE_GAP_BYTES_MAX: u64 = 4096;
/// Inline bytes that one file may hold; ranges beyond stay in the backing file. Enough for texts, too little for a picture that
/// a container has cut into small pages.
const INLINE_BYTES_MAX: u64 = 64 << 10;
/// How long an open of a file that was just edited waits for the tree that has the edit.
const REFRESH_WAIT_MAX: Duration = Duration::from_secs(2);
const REFRESH_WAIT_STEP: Duration = Duration::from_millis(2);

/// The layout of a track: one that no container can hold is served as it is rather than lost.
pub(crate) fn layout_of(mode: Mode, detail: &TrackDetail) -> Layout {
    let backing_len = detail.row.stamp.size;
    match mode {
        Mode::StructureOnly => Layout::whole_file(backing_len),
        Mode::Synthesis => formats::synthesize(&detail.desired()).unwrap_or_else(|error| {
            let path = String::from_utf8_lossy(&detail.row.path);
            event_warn!(
                logging::engine(),
                "track.metadata.refused",
                message = %format_args!("a file is served as it is, without its new metadata: {error}"),
                path = &*path,
            );
            Layout::whole_file(backing_len)
        }),
    }
}

/// Bits of the backing file that one second of its sound takes, as far as anybody knows.
fn bitrate_bps(row: &TrackRow) -> Option<NonZeroU64> {
    let known = row.properties.bitrate_bps.map(u64::from);
    let average = || {
        let duration_ms = row.properties.duration_ms?;
        let bits_per_ms = u128::from(row.stamp.size) * 8_000;
        let average = bits_per_ms.checked_div(duration_ms.into())?;
        u64::try_from(average).ok()
    };
    known
        .and_then(NonZeroU64::new)
        .or_else(|| NonZeroU64::new(average()?))
}

/// What the store holds of a track.
struct Found {
    detail: TrackDetail,
    layout: Layout,
    is_newer: bool,
}

/// What the store says of an inode, and where its backing file is.
#[derive(Debug)]
pub(super) struct Located {
    detail: TrackDetail,
    layout: Layout,
    is_newer: bool,
    path: PathBuf,
    /// What opening and reading the backing file may have to wait for.
    pub waits_for: WaitsFor,
    cause: ResolveCause,
    /// What finding it took.
    spent: Duration,
}

impl Musefs {
    /// Finds in the store what `inode` is, which stands for `track`. Touches no backing file.
    pub(super) fn locate(&self, inode: Inode, track: TrackId) -> Result<Located, Error> {
        let started = Instant::now();
        let mut cause = if self.tree.load().find(inode).is_some() {
            ResolveCause::Open
        } else {
            ResolveCause::Newer
        };
        let located = self.locate_for(inode, track, &mut cause);
        let spent = started.elapsed();
        if located.is_err() {
            self.note_resolve(cause, spent);
        }
        Ok(Located {
            cause,
            spent,
            ..located?
        })
    }

    fn note_resolve(&self, cause: ResolveCause, spent: Duration) {
        self.metrics.resolves.increment(cause);
        self.metrics.resolve.add(cause, nanoseconds(spent));
    }

    fn locate_for(
        &self,
        inode: Inode,
        track: TrackId,
        cause: &mut ResolveCause,
    ) -> Result<Located, Error> {
        let generation = self.generation.load(Relaxed);
        let Some(Found {
            detail,
            layout,
            is_newer,
        }) = self.detail_of(inode, track)?
        else {
            // It is gone. The kernel asks for the name again when it hears so, and is answered from the tree that is
            // published meanwhile.
            if self.tree.load().find(inode).is_some() {
                self.await_refresh(generation);
            }
            return Err(Error::Stale);
        };
        if is_newer {
            *cause = ResolveCause::Newer;
            self.turns.hurry();
        }
        let roots = self.roots.load();
        let root = roots.get(&detail.row.root).ok_or(Error::Stale)?;
        let path = backing::join(root, &detail.row.path);
        Ok(Located {
            waits_for: Self::device_of(detail.row.root, &path),
            detail,
            layout,
            is_newer,
            path,
            cause: *cause,
            spent: Duration::ZERO,
        })
    }

    /// Opens the backing file of what was located, and reads what is small of its metadata. Asks nothing of the store.
    pub(super) fn resolve(&self, located: &Located) -> Result<(Arc<Resolved>, File), Error> {
        let started = Instant::now();
        let resolved = self.open_located(located);
        self.note_resolve(located.cause, located.spent + started.elapsed());
        resolved
    }

    fn open_located(&self, located: &Located) -> Result<(Arc<Resolved>, File), Error> {
        let Located { detail, path, .. } = located;
        let (track, stamp) = (detail.row.id, detail.row.stamp);
        let opened = backing::open(path, &self.metrics)
            .map_err(|source| self.backing_error(track, path, source))?;
        self.troubles.descriptor_found();
        let without_waiting = backing::probe_device(&opened, &self.devices, &self.metrics);
        let is_local = without_waiting || backing::is_in_memory(&opened.file);
        let Opened { file, device, .. } = opened;
        let layout = self
            .with_small_ranges_inline(&located.layout, &file, stamp.size)
            .map_err(|source| self.backing_error(track, path, source))?;
        let resolved = Resolved {
            track,
            header_len: header_len(&layout),
            format: detail.row.format,
            bitrate_bps: bitrate_bps(&detail.row),
            layout,
            path: path.clone(),
            mtime_ns: mtime_of(&detail.row),
            stamp,
            device,
            without_waiting,
            is_local,
            is_newer: located.is_newer,
        };
        self.check_stamp(&file, &resolved)?;
        Ok((Arc::new(resolved), file))
    }

    /// What the store holds of `track` and the layout of that, if `inode` stands for it or for what it was.
    fn detail_of(&self, inode: Inode, track: TrackId) -> Result<Option<Found>, Error> {
        let _phase = phases::enter(Phase::Store);
        let mut store = self.stores.take();
        let inode_base = store.inode_base;
        let detail = self.troubles.store(store.track(track))?;
        let current = |detail: &TrackDetail| inode_of(self.config.mode, inode_base, &detail.row);
        let Some(detail) = detail.filter(|detail| current(detail) >= inode) else {
            return Ok(None);
        };
        let is_newer = current(&detail) > inode;
        let layout = {
            let _phase = phases::enter(Phase::Layout);
            layout_of(self.config.mode, &detail)
        };
        let served = layout.len();
        let shown = detail.row.served_size;
        if self.config.mode == Mode::Synthesis && shown.is_some_and(|shown| shown != served) {
            event_warn!(
                logging::engine(),
                "track.size.mended",
                message = "the store had a wrong size for a track; it is mended",
                track = track.0,
                shown = shown.unwrap_or_default(),
                served = served,
            );
            let size = (track, detail.row.content_seq, served);
            if !store.is_read_only() {
                self.troubles.store(store.record_served_sizes(&[size]))?;
            }
        }
        Ok(Some(Found {
            detail,
            layout,
            is_newer,
        }))
    }

    /// Waits until a tree newer than `generation` is published, or for so long that none is to come.
    fn await_refresh(&self, generation: u64) {
        let _phase = phases::enter(Phase::Store);
        let deadline = Instant::now() + REFRESH_WAIT_MAX;
        self.turns.hurry();
        while self.generation.load(Relaxed) == generation && Instant::now() < deadline {
            std::thread::sleep(REFRESH_WAIT_STEP);
        }
    }

    /// `layout` with its small backing ranges replaced by their bytes, neighbours read together.
    fn with_small_ranges_inline(
        &self,
        layout: &Layout,
        file: &File,
        backing_len: u64,
    ) -> std::io::Result<Layout> {
        let small = |segment: &Segment| match *segment {
            Segment::Backing { offset, len }
                if len <= INLINE_RANGE_BYTES_MAX && layout.segments().len() > 1 =>
            {
                Some((offset, offset + len))
            }
            _ => None,
        };
        let mut wanted: Vec<(u64, u64)> = layout.segments().iter().filter_map(small).collect();
        wanted.sort_unstable();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut total = 0;
        for (start, end) in wanted {
            total += end - start;
            if total > INLINE_BYTES_MAX {
                break;
            }
            match runs.last_mut() {
                Some(run) if start <= run.1.saturating_add(INLINE_GAP_BYTES_MAX) => {
                    run.1 = run.1.max(end);
                }
                _ => runs.push((start, end)),
            }
        }
        let mut read = Vec::with_capacity(runs.len());
        for (start, end) in runs {
            let mut bytes = vec![0; usize::try_from(end - start).map_err(std::io::Error::other)?];
            // A file that has become shorter is told by the stamp that is compared after all reads.
            backing::read(file, &mut bytes, start, &self.metrics)?;
            read.push((start, bytes));
        }
        let inline = |segment: &Segment| {
            let (start, end) = small(segment)?;
            let (from, bytes) = read.iter().rev().find(|(from, _)| *from <= start)?;
            let skip = usize::try_from(start - from).ok()?;
            let take = usize::try_from(end - start).ok()?;
            bytes.get(skip..skip + take)
        };
        // Neighbouring pieces of metadata become one.
        let mut segments: Vec<Segment> = Vec::new();
        let mut run: Vec<u8> = Vec::new();
        for segment in layout.segments() {
            let bytes = match segment {
                Segment::Inline(bytes) => Some(&bytes[..]),
                other => inline(other),
            };
            if let Some(bytes) = bytes {
                run.extend_from_slice(bytes);
                continue;
            }
            segments.push(Segment::Inline(std::mem::take(&mut run).into()));
            segments.push(segment.clone());
        }
        segments.push(Segment::Inline(run.into()));
        Ok(Layout::new(segments, backing_len).expect("the same ranges, of the same file"))
    }

    /// Whether `file` is still what `resolved` was made from; to be asked after its bytes were read.
    pub(super) fn check_stamp(&self, file: &File, resolved: &Resolved) -> Result<(), Error> {
        let stamp = backing::stamp(file, &self.metrics)
            .map_err(|source| self.backing_error(resolved.track, &resolved.path, source))?;
        if resolved.stamp.matches(&stamp) {
            self.dark.lighten(resolved.track);
            return Ok(());
        }
        self.dark.darken(
            resolved.track,
            &resolved.path,
            BackingFailure::Changed,
            &"its size, time or inode is not what the scan saw",
        );
        Err(Error::Changed {
            path: resolved.path.clone(),
        })
    }
}
