//! Integers of cells as numbers of the base unit: exact decimals, never through a float.

/// Appends `value`.
pub(super) fn push_u64(into: &mut String, value: u64) {
    push_digits(into, value, 1);
}

/// Appends at least `digits_min` digits of `value`.
fn push_digits(into: &mut String, mut value: u64, digits_min: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while value > 0 {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).expect("a digit is below 10");
        value /= 10;
    }
    at = at.min(digits.len() - digits_min);
    into.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

/// Appends `value / 10^decimals` without needless zeros.
pub(super) fn push_scaled(into: &mut String, value: u64, decimals: u32) {
    if decimals == 0 {
        return push_u64(into, value);
    }
    let one = 10_u64.pow(decimals);
    push_digits(into, value / one, 1);
    let fraction = value % one;
    if fraction != 0 {
        into.push('.');
        push_digits(into, fraction, decimals as usize);
        into.truncate(into.trim_end_matches('0').len());
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
