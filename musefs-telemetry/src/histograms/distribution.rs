//! What a histogram held at one moment.

use crate::buckets::Buckets;

/// The counts of one series.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    buckets: Buckets,
    counts: &'a [u64],
    sum: u64,
}

impl<'a> Distribution<'a> {
    /// `values` are the counts of all buckets, then the sum.
    pub(crate) fn new(buckets: Buckets, values: &'a [u64]) -> Self {
        let (sum, counts) = values.split_last().expect("a series has a sum");
        Self {
            buckets,
            counts,
            sum: *sum,
        }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of the values, in the unit of the cells.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The bounds and the counts of all buckets, not accumulated; the last bucket has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bounds = (0..).map(|index| self.buckets.bound(index));
        bounds.zip(self.counts.iter().copied())
    }

    /// The bounds of classic text with how many values are not above each. The count of all is [`Distribution::count`].
    pub fn text_buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut done = 0;
        let mut sum = 0;
        self.buckets.text_bounds().map(move |(bound, covered)| {
            sum += self.counts[done..covered].iter().sum::<u64>();
            done = covered;
            (bound, sum)
        })
    }

    /// A value that is in the same bucket as the one that `q` of all values are not above, and not below it: the bucket's
    /// bound. Values above the range are told as the end of the range. `None` when there are no values or `q` is not
    /// between 0 and 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the rank of a quantile: above 2^53 values one more or less is no matter"
    )]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
        let mut below = 0;
        let index = self.counts.iter().position(|bucket| {
            below += bucket;
            below >= rank
        });
        index
            .and_then(|index| self.buckets.bound(index))
            .or_else(|| self.buckets.bound(self.counts.len() - 2))
    }
}
