//! Integers of cells as numbers of the base unit: exact decimals, never through a float.

/// Appends `value`.
#[inline]
pub(super) fn push_u64(into: &mut String, value: u64) {
    into.push_str(itoa::Buffer::new().format(value));
}

/// Appends the digits of a fraction that is below `10^decimals` and not 0, without needless zeros.
fn push_fraction(into: &mut String, mut fraction: u64, decimals: usize) {
    let mut digits = [b'0'; 20];
    let digits = &mut digits[..decimals];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(fraction % 10).expect("a digit is below 10");
        fraction /= 10;
    }
    let last = digits.iter().rposition(|digit| *digit != b'0');
    let digits = &digits[..last.map_or(0, |last| last + 1)];
    into.push_str(std::str::from_utf8(digits).expect("digits are ASCII"));
}

/// Appends `value / 10^decimals` without needless zeros.
#[inline]
pub(super) fn push_scaled(into: &mut String, value: u64, decimals: u32) {
    if decimals == 0 {
        return push_u64(into, value);
    }
    let one = 10_u64.pow(decimals);
    push_u64(into, value / one);
    let fraction = value % one;
    if fraction != 0 {
        into.push('.');
        push_fraction(into, fraction, decimals as usize);
    }
}

/// The same for a value that may be below zero.
pub(super) fn push_scaled_signed(into: &mut String, value: i64, decimals: u32) {
    if value < 0 {
        into.push('-');
    }
    push_scaled(into, value.unsigned_abs(), decimals);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let scaled = |value, decimals| {
            let mut text = String::new();
            push_scaled(&mut text, value, decimals);
            text
        };
        assert_eq!(scaled(0, 9), "0");
        assert_eq!(scaled(1, 9), "0.000000001");
        assert_eq!(scaled(65_536, 9), "0.000065536");
        assert_eq!(scaled(1_500_000_000, 9), "1.5");
        assert_eq!(scaled(10_000_000_000, 9), "10");
        assert_eq!(scaled(u64::MAX, 9), "18446744073.709551615");
        assert_eq!(scaled(u64::MAX, 0), "18446744073709551615");
        assert_eq!(scaled(100, 0), "100");
        let mut text = String::new();
        push_scaled_signed(&mut text, i64::MIN, 0);
        assert_eq!(text, "-9223372036854775808");
    }
}
