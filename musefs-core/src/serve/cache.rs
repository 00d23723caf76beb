//! The header cache: files that were resolved, so that opening one again needs neither the store nor a header read.
//!
//! Bounded by the inline bytes it holds. What it holds at any moment is known from the entries themselves: each is charged
//! when it is made and discharged when the last holder lets go.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use crate::formats::Format;
use crate::ids::TrackId;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::store::Stamp;
use crate::tree::Inode;

/// All that is needed to serve a file's bytes.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Which track it is.
    pub track: TrackId,
    /// Where its bytes come from; small ranges of the backing file are inline already.
    pub layout: Layout,
    /// The backing file.
    pub path: PathBuf,
    /// What the backing file looked like when the layout was made.
    pub stamp: Stamp,
    /// The number of the device that the backing file is on.
    pub device: u64,
    /// Whether the backing file's device opens and reads without waiting when all is cached.
    pub without_waiting: bool,
    /// Whether the backing file is on a filesystem of this machine that lies on no other.
    pub is_local: bool,
    /// When what is served last changed, in ns since 1970.
    pub mtime_ns: i64,
    /// What the backing file is.
    pub format: Format,
    /// Bits of the backing file that one second of its sound takes; `None` where nobody knows.
    pub bitrate_bps: Option<NonZeroU64>,
    /// Bytes in front of the sound.
    pub header_len: u64,
    /// Whether this is a later version of the track than its inode stands for.
    pub is_newer: bool,
}

/// What an entry costs beside its inline bytes, roughly: the structs, the path, the cache's own tables.
const ENTRY_BYTES: u64 = 512;
/// Files whose entries the cache expects at most per mebibyte, for the size of its tables.
const ENTRIES_PER_MIB: usize = 128;

#[derive(Debug, Default)]
struct Held {
    entries: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    resolved: Arc<Resolved>,
    inline_bytes: u64,
    held: Arc<Held>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.held.entries.fetch_sub(1, Relaxed);
        self.held.bytes.fetch_sub(self.inline_bytes, Relaxed);
    }
}

#[derive(Clone, Debug)]
struct ByInlineBytes;

impl Weighter<Inode, Arc<Entry>> for ByInlineBytes {
    fn weight(&self, _: &Inode, entry: &Arc<Entry>) -> u64 {
        entry.inline_bytes + ENTRY_BYTES
    }
}

#[derive(Clone, Debug)]
struct CountEvictions(Metrics);

impl Lifecycle<Inode, Arc<Entry>> for CountEvictions {
    type RequestState = ();
    fn begin_request(&self) {}
    fn on_evict(&self, (): &mut (), _: Inode, _: Arc<Entry>) {
        self.0.cache_header_evictions.increment();
    }
}

/// Resolved files by inode. An inode stands for one version of a file's bytes, so an entry is never out of date: it only
/// goes unused.
#[derive(Debug)]
pub(super) struct HeaderCache {
    entries: Cache<Inode, Arc<Entry>, ByInlineBytes, DefaultHashBuilder, CountEvictions>,
    held: Arc<Held>,
    bytes_max: u64,
    metrics: Metrics,
}

impl HeaderCache {
    /// An empty cache of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: u64, metrics: &Metrics) -> Self {
        let mebibytes = usize::try_from(bytes_max >> 20).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(mebibytes.saturating_mul(ENTRIES_PER_MIB).max(16))
            .weight_capacity(bytes_max)
            .build()
            .expect("both capacities are set");
        let lifecycle = CountEvictions(metrics.clone());
        Self {
            entries: Cache::with_options(
                options,
                ByInlineBytes,
                DefaultHashBuilder::default(),
                lifecycle,
            ),
            held: Arc::default(),
            bytes_max,
            metrics: metrics.clone(),
        }
    }

    /// The resolved file of `inode`, if it is here.
    pub(super) fn get(&self, inode: Inode) -> Option<Arc<Resolved>> {
        self.entries
            .get(&inode)
            .map(|entry| Arc::clone(&entry.resolved))
    }

    /// Whether the resolved file of `inode` is here. Who asks does not use it.
    pub(super) fn contains(&self, inode: Inode) -> bool {
        self.entries.contains_key(&inode)
    }

    /// Keeps `resolved` until room is needed.
    pub(super) fn insert(&self, inode: Inode, resolved: Arc<Resolved>) {
        let inline_bytes = resolved.layout.inline_bytes();
        self.held.entries.fetch_add(1, Relaxed);
        self.held.bytes.fetch_add(inline_bytes, Relaxed);
        let held = Arc::clone(&self.held);
        self.entries.insert(
            inode,
            Arc::new(Entry {
                resolved,
                inline_bytes,
                held,
            }),
        );
    }

    /// Forgets `inode`, because its backing file is not what it was.
    pub(super) fn remove(&self, inode: Inode) {
        if self.entries.remove(&inode).is_some() {
            self.metrics.cache_header_stale.increment();
        }
    }

    /// Files held.
    pub(super) fn entry_count(&self) -> u64 {
        self.held.entries.load(Relaxed)
    }

    /// Inline bytes held.
    pub(super) fn inline_bytes(&self) -> u64 {
        self.held.bytes.load(Relaxed)
    }

    /// The budget in bytes.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Segment;
    use musefs_telemetry::{Engine, MetricSet as _};

    fn resolved(inline: usize) -> Arc<Resolved> {
        Arc::new(Resolved {
            track: TrackId(1),
            layout: Layout::new([Segment::Inline(vec![0; inline].into())], 0).unwrap(),
            path: PathBuf::new(),
            stamp: Stamp {
                size: 0,
                mtime_ns: 0,
                ctime_ns: 0,
                inode: 0,
            },
            device: 0,
            without_waiting: true,
            is_local: true,
            mtime_ns: 0,
            format: Format::Flac,
            bitrate_bps: None,
            header_len: 0,
            is_newer: false,
        })
    }

    #[test]
    fn what_it_holds_is_told_exactly_and_stays_within_the_budget() {
        let metrics = Metrics::declare(&Engine::new()).unwrap();
        let cache = HeaderCache::new(1 << 20, &metrics);
        cache.insert(Inode(5), resolved(1000));
        assert_eq!((cache.entry_count(), cache.inline_bytes()), (1, 1000));
        cache.insert(Inode(5), resolved(500));
        assert_eq!((cache.entry_count(), cache.inline_bytes()), (1, 500));
        for inode in 0..1000 {
            cache.insert(Inode(inode), resolved(10_000));
        }
        assert!(cache.inline_bytes() <= cache.bytes_max());
        let evicted = metrics.cache_header_evictions.value();
        assert!(evicted > 800);
        let last = cache.get(Inode(999));
        assert!(last.is_some_and(|entry| entry.layout.len() == 10_000));
        cache.remove(Inode(999));
        assert!(cache.get(Inode(999)).is_none());
        cache.remove(Inode(999));
        assert_eq!(metrics.cache_header_stale.value(), 1);
        assert_eq!(metrics.cache_header_evictions.value(), evicted);
    }
}
