//! How a random number moves a pause, and that the pause never leaves its bounds.

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
        ("the first: from itself", tenth, 1, 8000, 0, 8000),
        ("to twice itself", tenth, 1, 8000, u64::MAX, 16_000),
        ("evenly", tenth, 1, 8000, 1 << 63, 12_000),
        ("but not above the cap", tenth, 1, 99_000, u64::MAX, 60_000),
        ("a later one: a tenth less", tenth, 2, 8000, 0, 7200),
        ("a tenth more", tenth, 2, 8000, u64::MAX, 8800),
        ("as it is, in the middle", tenth, 2, 8000, 1 << 63, 8000),
        ("not above the cap", tenth, 2, 60_000, u64::MAX, 60_000),
        ("moved below the cap, not against it", tenth, 2, 99_000, 0, 49_090),
        ("not below the floor", tenth, 2, 1000, 0, 1000),
        ("nothing at random", Jitter::new(0.0), 1, 8000, u64::MAX, 8000),
        ("but within its bounds", Jitter::new(0.0), 1, 99_000, 0, 60_000),
        ("no number: nothing at random", Jitter::new(f64::NAN), 2, 8000, 0, 8000),
        ("less than nothing", Jitter::new(-1.0), 2, 8000, 0, 8000),
        ("more than all is all", Jitter::new(9.0), 2, 8000, 0, 1000),
        ("all", Jitter::new(9.0), 2, 8000, u64::MAX, 16_000),
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

/// The numbers of splitmix64, whose author gives these for the seed 1234567.
#[test]
fn splitmix64_matches_the_reference_values() {
    let known = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!([0, 1, 2].map(|number| splitmix64(1_234_567, number)), known);
}
