//! Base-2 exponential buckets of a fixed scale.
//!
//! At scale `s` the upper bounds are `2^(i / 2^s)`, and a value belongs to the first bucket whose bound is not below it: bounds
//! are upper-inclusive, as `le` says. A bucket of a coarser scale is a union of whole buckets of a finer one, so a text with
//! fewer bounds is exact, too. Values are integers, so the bounds that are written are the integers below the real ones.

/// The finest scale.
pub const SCALE_MAX: u8 = 3;

/// Which buckets a histogram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buckets {
    /// Buckets per doubling: `2^scale`, 0 to 3.
    pub scale: u8,
    /// Values up to the bound at or above this one share the first bucket; in the unit of the cells.
    pub min: u64,
    /// Values above the bound at or above this one share the last bucket.
    pub max: u64,
    /// Which of the bounds the classic text formats have.
    pub text: TextBounds,
}

/// Which bounds classic text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextBounds {
    /// Those of this scale, which is not above that of the buckets; below 0 a bucket of text spans several doublings.
    Scale(i8),
    /// The first one, and every so many after it.
    Every(u8),
}

impl Buckets {
    /// Powers of two from `min` to `max`.
    pub const fn powers_of_two(min: u64, max: u64) -> Self {
        Self {
            scale: 0,
            min,
            max,
            text: TextBounds::Scale(0),
        }
    }

    /// The same at another scale; text keeps its bounds.
    pub const fn with_scale(self, scale: u8) -> Self {
        Self { scale, ..self }
    }

    /// The same with other bounds in classic text.
    pub const fn with_text_scale(self, text_scale: i8) -> Self {
        Self {
            text: TextBounds::Scale(text_scale),
            ..self
        }
    }

    /// The same with the first bound and every `step`th after it in classic text.
    pub const fn with_text_step(self, step: u8) -> Self {
        Self {
            text: TextBounds::Every(step),
            ..self
        }
    }

    #[expect(clippy::cast_possible_wrap, reason = "a scale is at most 3")]
    pub(crate) const fn is_valid(self) -> bool {
        let text_is_valid = match self.text {
            TextBounds::Scale(scale) => scale <= self.scale as i8 && scale >= -3,
            TextBounds::Every(step) => step > 0,
        };
        self.scale <= SCALE_MAX && text_is_valid && self.min < self.max && self.max <= 1 << 63
    }

    const fn shift(self) -> u32 {
        (SCALE_MAX - self.scale) as u32
    }

    /// The exponent index of the first bucket.
    pub(crate) const fn first(self) -> u32 {
        coarser(finest(self.min), self.shift())
    }

    /// The exponent index of the last bucket that has a bound.
    pub(crate) const fn last(self) -> u32 {
        coarser(finest(self.max), self.shift())
    }

    /// How many buckets there are, the one without a bound included.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a valid range is never without buckets"
    )]
    pub const fn len(self) -> usize {
        (self.last() - self.first()) as usize + 2
    }

    /// The bucket of `value`, from 0 to `len() - 1`.
    pub const fn index(self, value: u64) -> usize {
        Layout::new(self).index(value)
    }

    /// The largest value of bucket `index`; `None` for the last one.
    pub fn bound(self, index: usize) -> Option<u64> {
        let exponent = self.first() + u32::try_from(index).ok()?;
        (exponent <= self.last()).then(|| bound(exponent << self.shift()))
    }

    /// The bounds of classic text: the largest value of each, and how many of the buckets it covers.
    pub fn text_bounds(self) -> impl Iterator<Item = (u64, usize)> {
        let (first, last) = (self.first(), self.last());
        let (start, step) = match self.text {
            TextBounds::Scale(scale) => {
                let step = 1_u32 << (i32::from(self.scale) - i32::from(scale)).clamp(0, 6);
                (first.next_multiple_of(step), step)
            }
            TextBounds::Every(step) => (first, u32::from(step.max(1))),
        };
        (start..=last)
            .step_by(step as usize)
            .filter_map(move |exponent| {
                let (this, next) = (
                    bound(exponent << self.shift()),
                    bound((exponent + step) << self.shift()),
                );
                // Between 1 and 4 the real bounds are closer than integers: several have the same one.
                (this != next).then_some((this, (exponent - first) as usize + 1))
            })
    }
}

/// What an observation needs of its buckets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    first: u32,
    shift: u32,
    /// How many buckets have a bound, which is the index of the one that has none.
    bounds: usize,
}

impl Layout {
    pub(crate) const fn new(buckets: Buckets) -> Self {
        Self {
            first: buckets.first(),
            shift: buckets.shift(),
            bounds: buckets.len() - 1,
        }
    }

    #[inline]
    pub(crate) const fn index(self, value: u64) -> usize {
        let exponent = if self.shift == SCALE_MAX as u32 {
            octave(value)
        } else {
            coarser(finest(value), self.shift)
        };
        let index = exponent.saturating_sub(self.first) as usize;
        if index > self.bounds {
            self.bounds
        } else {
            index
        }
    }
}

/// The smallest `i` with `value <= 2^i`.
#[inline]
const fn octave(value: u64) -> u32 {
    let below = value.saturating_sub(1);
    // Above 2^63 there is one answer; below it, the lowest bit stands for the value 1, whose octave is 0.
    if below >= 1 << 63 {
        return 64;
    }
    (below << 1 | 1).ilog2()
}

/// The exponent index at a scale that is `shift` coarser than the finest. Rounding up keeps bounds inclusive.
#[inline]
const fn coarser(exponent: u32, shift: u32) -> u32 {
    (exponent + (1 << shift) - 1) >> shift
}

/// `2^(63 + j/8)` rounded down.
const STEPS: [u64; 8] = [
    0x8000_0000_0000_0000,
    0x8b95_c1e3_ea8b_d6e6,
    0x9837_f051_8db8_a96f,
    0xa5fe_d6a9_b151_38ea,
    0xb504_f333_f9de_6484,
    0xc567_2a11_5506_dadd,
    0xd744_fcca_d69d_6af4,
    0xeac0_c6e7_dd24_392e,
];

/// The last number below the step after each step; nothing is above that of the last one.
const BELOW_NEXT: [u64; 8] = {
    let mut table = [u64::MAX; 8];
    let mut step = 0;
    while step < 7 {
        table[step] = STEPS[step + 1] - 1;
        step += 1;
    }
    table
};

/// For each sixteenth of an octave, the last step at or below its start. No sixteenth holds two steps, so one comparison
/// finds the bucket.
const SIXTEENTHS: [u8; 16] = {
    let mut table = [0; 16];
    let mut slot = 0;
    while slot < 16 {
        let start = (1_u64 << 63) | ((slot as u64) << 59);
        let mut step = 0;
        while step < 7 && STEPS[step + 1] <= start {
            step += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a step is below 8")]
        {
            table[slot] = step as u8;
        }
        slot += 1;
    }
    table
};

/// The exponent index of `value` at the finest scale: the smallest `i` with `value <= 2^(i/8)`.
#[inline]
const fn finest(value: u64) -> u32 {
    // The bucket of a power of two ends there, so the octave is that of the integer before it.
    let Some(below @ 1..) = value.checked_sub(1) else {
        return 0;
    };
    let zeros = below.leading_zeros();
    // `value` scaled into the octave of the steps, less one: at or above a step exactly when `value` is above its bound.
    let scaled = (below << zeros) | ((1 << zeros) - 1);
    let slot = (scaled >> 59) as usize & 15;
    let step = SIXTEENTHS[slot] as u32;
    let above = (scaled > BELOW_NEXT[step as usize]) as u32;
    (63 - zeros) * 8 + step + above + 1
}

/// The largest integer that is not above `2^(exponent/8)`.
const fn bound(exponent: u32) -> u64 {
    if exponent >= 512 {
        return u64::MAX;
    }
    STEPS[exponent as usize % 8] >> (63 - exponent / 8)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: Buckets = Buckets {
        scale: 3,
        min: 1,
        max: 1 << 62,
        text: TextBounds::Scale(0),
    };

    #[test]
    fn a_power_of_two_is_the_last_value_of_its_bucket() {
        for scale in 0..=SCALE_MAX {
            let buckets = FULL.with_scale(scale);
            for power in 1..62 {
                let value = 1_u64 << power;
                let index = buckets.index(value);
                assert_eq!(
                    buckets.bound(index),
                    Some(value),
                    "2^{power} at scale {scale}"
                );
                assert!(buckets.index(value + 1) > index);
            }
        }
    }

    #[test]
    fn steps_are_the_roots_of_two() {
        for (j, step) in STEPS.iter().enumerate().take(8) {
            // An independent way: the eighth power of the step is 2^(504 + j), up to its rounding.
            let logarithm = (f64::from(u32::try_from(step >> 32).unwrap())).log2();
            let expected = 31.0 + f64::from(u32::try_from(j).unwrap()) / 8.0;
            assert!((logarithm - expected).abs() < 1e-9, "step {j}");
        }
    }

    #[test]
    fn text_bounds_cover_whole_buckets() {
        let buckets = Buckets::powers_of_two(1 << 10, 1 << 20).with_scale(2);
        let bounds: Vec<_> = buckets.text_bounds().collect();
        assert_eq!(bounds.first(), Some(&(1 << 10, 1)));
        assert_eq!(bounds.last(), Some(&(1 << 20, buckets.len() - 1)));
        assert_eq!(bounds.len(), 11);
        let coarse: Vec<_> = buckets.with_text_scale(-1).text_bounds().collect();
        assert_eq!(
            coarse.iter().map(|(bound, _)| *bound).collect::<Vec<_>>(),
            [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20]
        );
        let thirds: Vec<_> = buckets.with_text_step(6).text_bounds().collect();
        assert_eq!(
            thirds,
            [
                (1 << 10, 1),
                (2896, 7),
                (1 << 13, 13),
                (23170, 19),
                (1 << 16, 25),
                (185_363, 31),
                (1 << 19, 37)
            ]
        );
        assert!(!buckets.with_text_step(0).is_valid());
    }

    proptest! {
        #[test]
        fn a_value_is_above_the_bound_before_and_not_above_its_own(
            value in prop_oneof![any::<u64>(), 0_u64..5000],
            scale in 0..=SCALE_MAX,
            min in 1_u64..1_000_000,
            doublings in 1_u32..40,
        ) {
            let buckets = FULL.with_scale(scale);
            let buckets = Buckets { min, max: min << doublings, ..buckets };
            let index = buckets.index(value);
            prop_assert!(index < buckets.len());
            if let Some(bound) = buckets.bound(index) {
                prop_assert!(value <= bound);
            }
            if index > 0 {
                prop_assert!(value > buckets.bound(index - 1).unwrap());
            }
        }
    }
}
