//! One example for each bucket of classic text: which request it was that took so long.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::describe::Kind;
use crate::event::RequestId;

/// A value and the request it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The request.
    pub request: RequestId,
    /// The value that was recorded.
    pub value: u64,
    /// When, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// How long an example stays at least, unless a slow operation comes.
const KEPT_NS: u64 = 1_000_000_000;

/// A sequence number that is odd while somebody writes, then what is kept.
#[derive(Debug, Default)]
struct Place {
    sequence: AtomicU64,
    /// When it was kept, in nanoseconds of the clock that durations are of; 0 when nobody said.
    since_ns: AtomicU64,
    number: AtomicU64,
    instance: AtomicU64,
    value: AtomicU64,
    wall_ms: AtomicU64,
}

/// The examples of a family, a place for each bucket of classic text of each series. There from the first one on that is kept.
#[derive(Debug)]
pub(crate) struct Exemplars {
    places: OnceLock<Box<[Place]>>,
    series: usize,
    /// Buckets of classic text, the one without a bound included.
    text_buckets: usize,
    /// For each bucket the one of classic text that covers it.
    text_bucket_of: Box<[u16]>,
}

impl Exemplars {
    /// None yet, of a family of `kind` with so many series.
    pub(crate) fn new(kind: Kind, series: usize) -> Self {
        let Kind::Histogram(buckets) = kind else {
            unreachable!("only histograms have examples");
        };
        let mut text_bucket_of = Vec::with_capacity(buckets.len());
        let mut text_buckets = 0;
        for (_, covered) in buckets.text_bounds() {
            text_bucket_of.resize(covered, text_buckets);
            text_buckets += 1;
        }
        text_bucket_of.resize(buckets.len(), text_buckets);
        Self {
            places: OnceLock::new(),
            series,
            text_buckets: usize::from(text_buckets) + 1,
            text_bucket_of: text_bucket_of.into(),
        }
    }

    /// Makes room, so that nobody who counts has to.
    pub(crate) fn prepare(&self) {
        self.places();
    }

    fn places(&self) -> &[Place] {
        self.places.get_or_init(|| {
            std::iter::repeat_with(Place::default)
                .take(self.series * self.text_buckets)
                .collect()
        })
    }

    fn place(&self, series: usize, bucket: usize) -> &Place {
        let text_bucket = usize::from(self.text_bucket_of[bucket]);
        &self.places()[series * self.text_buckets + text_bucket]
    }

    /// Keeps a value of this bucket as its example.
    pub(crate) fn keep(&self, series: usize, bucket: usize, exemplar: Exemplar) {
        self.place(series, bucket).keep(exemplar, 0);
    }

    /// The same for an operation that ended at `now_ns`, where the example is old or the operation slow.
    #[inline]
    pub(crate) fn keep_fresh(
        &self,
        (series, bucket): (usize, usize),
        (request, value): (RequestId, u64),
        (now_ns, slow): (u64, bool),
        clock: &dyn Clock,
    ) {
        let place = self.place(series, bucket);
        let since_ns = place.since_ns.load(Ordering::Relaxed);
        if slow || since_ns == 0 || now_ns.saturating_sub(since_ns) >= KEPT_NS {
            let exemplar = Exemplar {
                request,
                value,
                wall_ms: clock.wall_ms(),
            };
            place.keep(exemplar, now_ns.max(1));
        }
    }

    /// The examples of `series`, each with its bucket of classic text. One that is just being written is left out.
    pub(crate) fn read(&self, series: usize) -> impl Iterator<Item = (usize, Exemplar)> + use<'_> {
        let places = self.places.get();
        let of_series = places
            .map(|places| &places[series * self.text_buckets..][..self.text_buckets])
            .unwrap_or_default();
        of_series
            .iter()
            .enumerate()
            .filter_map(|(bucket, place)| Some((bucket, place.read()?)))
    }
}

impl Place {
    #[cold]
    fn keep(&self, exemplar: Exemplar, since_ns: u64) {
        let before = self.sequence.load(Ordering::Relaxed);
        let claimed = before.is_multiple_of(2)
            && self
                .sequence
                .compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !claimed {
            return;
        }
        // A reader that sees one of these stores sees the odd number too, or a later one.
        let RequestId { instance, number } = exemplar.request;
        self.since_ns.store(since_ns, Ordering::Release);
        self.number.store(number, Ordering::Release);
        self.instance.store(instance.into(), Ordering::Release);
        self.value.store(exemplar.value, Ordering::Release);
        self.wall_ms.store(exemplar.wall_ms, Ordering::Release);
        self.sequence.store(before + 2, Ordering::Release);
    }

    /// `None` when there is none yet, or one is just being written.
    fn read(&self) -> Option<Exemplar> {
        let before = self.sequence.load(Ordering::Acquire);
        let number = self.number.load(Ordering::Acquire);
        let instance = self.instance.load(Ordering::Acquire);
        let value = self.value.load(Ordering::Acquire);
        let wall_ms = self.wall_ms.load(Ordering::Acquire);
        let whole = before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before;
        (whole && before > 0).then_some(Exemplar {
            request: RequestId {
                instance: u32::try_from(instance).ok()?,
                number,
            },
            value,
            wall_ms,
        })
    }
}
