//! Numbers as people read them, in few characters.

use std::time::Duration;

use indicatif::DecimalBytes;

/// What stands where nothing is known.
const UNKNOWN: &str = "–";

/// Bytes a second.
pub fn byte_rate(rate: f64) -> String {
    format!("{}/s", bytes(rate))
}

/// Bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded to whole bytes, which there are at least none of"
)]
pub fn bytes(bytes: f64) -> String {
    DecimalBytes(bytes.max(0.0).round() as u64).to_string()
}

/// Anything a second.
pub fn rate(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".into(),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate if rate < 9_999.5 => format!("{rate:.0}"),
        rate if rate < 999_500.0 => format!("{:.0}k", rate / 1e3),
        rate => format!("{:.1}M", rate / 1e6),
    }
}

/// A number of things, its thousands apart.
pub fn count(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A short time.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds.is_infinite() => "longer".into(),
        seconds if seconds <= 0.0 => "0".into(),
        seconds if seconds < 999.5e-6 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 9.95e-3 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 999.5e-3 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

/// A long time.
pub fn uptime(seconds: f64) -> String {
    indicatif::HumanDuration(Duration::from_secs_f64(seconds.max(0.0))).to_string()
}

/// A share of 1.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `value` by `write`, or a dash.
pub fn or_unknown(value: Option<f64>, write: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| UNKNOWN.into(), write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(0.25), "0.2");
        assert_eq!(rate(1234.0), "1234");
        assert_eq!(rate(45_678.0), "46k");
        assert_eq!(rate(2_345_678.0), "2.3M");
        assert_eq!(count(50_123.0), "50,123");
        assert_eq!(count(999.0), "999");
        assert_eq!(seconds(0.000_05), "50 µs");
        assert_eq!(seconds(0.001_6), "1.6 ms");
        assert_eq!(seconds(0.25), "250 ms");
        assert_eq!(seconds(31.0), "31.0 s");
        assert_eq!(seconds(f64::INFINITY), "longer");
        assert_eq!(percent(0.984), "98 %");
        assert_eq!(or_unknown(None, rate), "–");
    }
}
