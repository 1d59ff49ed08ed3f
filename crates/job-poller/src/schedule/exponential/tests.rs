//! Tests of exponential delays and of their bounds.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn delays_grow_from_the_floor_to_the_cap() {
    let pauses = |schedule: Exponential| {
        [1, 2, 3, 4, 5, 99]
            .map(|count| schedule.plan(&PollState::new(SECOND, count)).delay.as_millis())
    };
    let (floor, cap) = (SECOND, 10 * SECOND);
    let rows: [(Exponential, [u128; 6]); 7] = [
        (Exponential::new(floor..=cap).jitter(0.0), [1000, 1500, 2250, 3375, 5062, 10_000]),
        (
            Exponential::new(floor..=cap).factor(2.0).jitter(0.0),
            [1000, 2000, 4000, 8000, 10_000, 10_000],
        ),
        (Exponential::new(floor..=cap).factor(0.5).jitter(0.0), [1000; 6]),
        (Exponential::new(floor..=cap).factor(f64::NAN).jitter(0.0), [1000; 6]),
        (Exponential::new(Duration::ZERO..=floor).jitter(0.0), [1, 1, 2, 3, 5, 1000]),
        (Exponential::new(cap..=floor).jitter(0.0), [10_000; 6]),
        (
            Exponential::new(Duration::ZERO..=cap).factor(f64::INFINITY).jitter(0.0),
            [1, 10_000, 10_000, 10_000, 10_000, 10_000],
        ),
    ];
    for (row, (schedule, expected)) in rows.into_iter().enumerate() {
        assert_eq!(pauses(schedule), expected, "row {row}");
    }
}

proptest! {
    #[test]
    fn exponential_stays_within_floor_and_cap(
        floor: Duration, cap: Duration, factor: f64, part: f64, count: u32, random: u64,
    ) {
        let schedule = Exponential::new(floor..=cap).factor(factor).jitter(part);
        let delay = schedule.plan(&PollState { random, ..PollState::new(Duration::ZERO, count) }).delay;
        let floor = floor.max(Duration::from_millis(1));
        prop_assert!(floor <= delay && delay <= cap.max(floor));
    }
}
