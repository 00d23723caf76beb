//! From an inode to all that serving its bytes needs: the track's row, its layout, and the small ranges of the backing
//! file's metadata read into memory. May wait for the store and for the backing file.

use std::fs::File;
use std::sync::Arc;

use super::backing;
use super::cache::Resolved;
use super::{Error, Mode, Musefs};
use crate::formats;
use crate::ids::TrackId;
use crate::layout::{Layout, Segment};
use crate::metrics::DarkReason;
use crate::store::TrackDetail;
use crate::tree::Inode;

/// Backing ranges up to this size are read into memory when a file is resolved, so that a read of its head is not
/// scattered over the backing file.
const INLINE_RANGE_BYTES_MAX: u64 = 4096;
/// Ranges that lie no further apart than this are read at once.
const INLINE_GAP_BYTES_MAX: u64 = 4096;
/// Inline bytes that one file may hold; ranges beyond stay in the backing file.
const INLINE_BYTES_MAX: u64 = 1 << 20;

/// The layout of a track: one that no container can hold is served as it is rather than lost.
pub(crate) fn layout_of(mode: Mode, detail: &TrackDetail) -> Layout {
    let backing_len = detail.row.stamp.size;
    match mode {
        Mode::StructureOnly => Layout::whole_file(backing_len),
        Mode::Synthesis => formats::synthesize(&detail.desired()).unwrap_or_else(|error| {
            let path = String::from_utf8_lossy(&detail.row.path);
            tracing::warn!(%path, "served as it is, without its new metadata: {error}");
            Layout::whole_file(backing_len)
        }),
    }
}

impl Musefs {
    /// Resolves `inode`, which stands for `track`, and opens its backing file.
    pub(super) fn resolve(
        &self,
        inode: Inode,
        track: TrackId,
    ) -> Result<(Arc<Resolved>, File), Error> {
        let detail = self
            .stores
            .take()
            .track(track)
            .map_err(Error::Store)?
            .filter(|detail| self.inode_of(&detail.row) == inode)
            // The store moved on; the tree that is published next has the track's new inode.
            .ok_or(Error::Stale)?;
        let roots = self.roots.load();
        let root = roots.get(&detail.row.root).ok_or(Error::Stale)?;
        let path = backing::join(root, &detail.row.path);
        let stamp = detail.row.stamp;
        let layout = layout_of(self.config.mode, &detail);
        let file = backing::open(&path, &self.metrics)
            .map_err(|source| self.backing_error(track, &path, source))?;
        let (found, device) = backing::stamp(&file, &self.metrics)
            .map_err(|source| self.backing_error(track, &path, source))?;
        let without_waiting =
            backing::probe_device(&file, found.size, device, &self.devices, &self.metrics);
        let layout = self
            .with_small_ranges_inline(&layout, &file, stamp.size)
            .map_err(|source| self.backing_error(track, &path, source))?;
        let resolved = Resolved {
            track,
            layout,
            path,
            stamp,
            without_waiting,
        };
        self.check_stamp(&file, &resolved)?;
        Ok((Arc::new(resolved), file))
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
        let (stamp, _) = backing::stamp(file, &self.metrics)
            .map_err(|source| self.backing_error(resolved.track, &resolved.path, source))?;
        if resolved.stamp.matches(&stamp) {
            self.dark.lighten(resolved.track);
            return Ok(());
        }
        self.dark.darken(
            resolved.track,
            &resolved.path,
            DarkReason::Changed,
            &"its size, time or inode is not what the scan saw",
        );
        Err(Error::Changed {
            path: resolved.path.clone(),
        })
    }
}
