//! Tests of the delays of a schedule that wraps a `Backoff`.

use backoff::{ExponentialBackoff, backoff::Constant};

use super::*;

/// Returns these delays, and then `None` until it is reset.
struct ScriptedBackoff(&'static [u64], usize);

impl Backoff for ScriptedBackoff {
    fn next_backoff(&mut self) -> Option<Duration> {
        self.1 += 1;
        self.0.get(self.1 - 1).copied().map(Duration::from_secs)
    }

    fn reset(&mut self) {
        self.1 = 0;
    }
}

#[test]
fn backoff_delays_are_clamped_to_the_bounds() {
    let schedule = BackoffSchedule::new(
        ScriptedBackoff(&[5, 1, 99], 9),
        Duration::from_secs(2)..=Duration::from_secs(20),
    );
    let pauses = [1, 2, 3, 4, 1, 2]
        .map(|count| schedule.plan(&PollState::new(Duration::ZERO, count)).delay.as_secs());
    assert_eq!(pauses, [5, 2, 20, 20, 5, 2]);
}

#[test]
fn invalid_bounds_do_not_panic() {
    let pause = |pauses| {
        let schedule = BackoffSchedule::new(Constant::new(Duration::from_secs(3)), pauses);
        schedule.plan(&PollState::new(Duration::ZERO, 1)).delay
    };
    let (none, long) = (Duration::ZERO, Duration::from_secs(9));
    assert_eq!(pause(long..=none), long);
    assert_eq!(pause(none..=none), Duration::from_millis(1));
}

/// An `ExponentialBackoff` alone exceeds its `max_interval` by its jitter, and ends after its
/// `max_elapsed_time`.
#[test]
fn exponential_backoff_stays_within_the_cap_and_never_ends() {
    let cap = Duration::from_secs(30);
    let backoff = ExponentialBackoff {
        max_interval: cap,
        max_elapsed_time: Some(Duration::ZERO),
        ..ExponentialBackoff::default()
    };
    let schedule = BackoffSchedule::new(backoff, Duration::from_secs(1)..=cap);
    for count in 1..1000 {
        let delay = schedule.plan(&PollState::new(Duration::ZERO, count)).delay;
        assert!(Duration::from_secs(1) <= delay && delay <= cap, "{delay:?}");
    }
}
