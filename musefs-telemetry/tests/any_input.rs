//! The fuzz target's body over a fixed run of inputs, and its reader over texts that are wrong.

#![cfg(feature = "stats")]

#[path = "../fuzz/body.rs"]
mod body;
#[path = "../fuzz/strict.rs"]
mod strict;

const CASES: usize = 30_000;

/// Numbers that look random and are the same in each run: the `SplitMix64` generator (Steele, Lea and Flood, 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn any_input_is_refused_or_comes_back_from_every_text() {
    let mut numbers = Numbers(7);
    let mut kinds = [0; 4];
    let mut accepted = 0;
    for _ in 0..CASES {
        let len = usize::try_from(numbers.next() % 32).unwrap();
        let bytes: Vec<u8> = (0..len)
            .flat_map(|_| numbers.next().to_le_bytes())
            .collect();
        if body::check(&bytes).is_some() {
            accepted += 1;
            kinds[usize::from(bytes.first().map_or(0, |first| first & 3))] += 1;
        }
    }
    // A run that refuses nearly all, or never meets a kind, shows little.
    assert!(accepted > CASES / 100 && accepted < CASES, "{accepted}");
    assert!(kinds.iter().all(|count| *count > 20), "{kinds:?}");
}

#[test]
fn the_strict_reader_refuses_what_is_wrong() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
    assert!(strict::classic(good).is_ok());
    for (from, to) in [
        ("A.", "A\\x"),
        ("\"c\"", "\"c"),
        ("\"c\"", "\"c\",b=\"d\""),
        ("\"c\"", "\"\\c\""),
        ("{b", "{1b"),
        (" 1\n", " 1 2\n"),
        (" 1\n", " NaN\n"),
        (" 1\n", " 1"),
        ("a_total{", "b_total{"),
        ("# TYPE a_total counter\n", ""),
        ("counter", "counters"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(strict::classic(&bad).is_err(), "{bad}");
    }
    assert!(strict::open(good).is_err(), "an open text has an end mark");
}
