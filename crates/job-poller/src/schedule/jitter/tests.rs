//! Tests of how jitter changes a delay, and that the delay stays within its bounds.

use super::*;

#[test]
fn jitter_spreads_delays_within_bounds() {
    let ms = Duration::from_millis;
    let (floor, cap) = (ms(1000), ms(60_000));
    let apply = |jitter: Jitter, count, pause, random| {
        jitter.apply(ms(pause), floor..=cap, count, random).as_millis()
    };
    let tenth = Jitter::DEFAULT;
    let rows = [
        ("first delay: at least itself", tenth, 1, 8000, 0, 8000),
        ("first delay: at most twice itself", tenth, 1, 8000, u64::MAX, 16_000),
        ("first delay: evenly distributed", tenth, 1, 8000, 1 << 63, 12_000),
        ("first delay: not above the cap", tenth, 1, 99_000, u64::MAX, 60_000),
        ("later delay: a tenth less", tenth, 2, 8000, 0, 7200),
        ("later delay: a tenth more", tenth, 2, 8000, u64::MAX, 8800),
        ("later delay: unchanged in the middle", tenth, 2, 8000, 1 << 63, 8000),
        ("later delay: not above the cap", tenth, 2, 60_000, u64::MAX, 60_000),
        ("later delay: spread below the cap", tenth, 2, 99_000, 0, 49_090),
        ("later delay: not below the floor", tenth, 2, 1000, 0, 1000),
        ("no jitter", Jitter::new(0.0), 1, 8000, u64::MAX, 8000),
        ("no jitter: within the bounds", Jitter::new(0.0), 1, 99_000, 0, 60_000),
        ("NaN counts as 0", Jitter::new(f64::NAN), 2, 8000, 0, 8000),
        ("a negative fraction counts as 0", Jitter::new(-1.0), 2, 8000, 0, 8000),
        ("a fraction above 1 counts as 1: lower end", Jitter::new(9.0), 2, 8000, 0, 1000),
        ("a fraction above 1 counts as 1: upper end", Jitter::new(9.0), 2, 8000, u64::MAX, 16_000),
    ];
    for (name, jitter, count, pause, random, expected) in rows {
        assert_eq!(apply(jitter, count, pause, random), expected, "{name}");
    }
}

#[test]
fn a_cap_below_the_floor_counts_as_the_floor() {
    let (floor, cap) = (Duration::from_secs(5), Duration::from_secs(1));
    let pause = Jitter::DEFAULT.apply(Duration::from_secs(3), floor..=cap, 2, 0);
    assert_eq!(pause, floor);
}

/// The author of splitmix64 published these values for the seed 1234567.
#[test]
fn splitmix64_matches_the_reference_values() {
    let known = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!([0, 1, 2].map(|number| splitmix64(1_234_567, number)), known);
}
