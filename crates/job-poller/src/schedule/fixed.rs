//! A schedule that pauses for the same time after every reading.

use std::time::Duration;

use super::{PollPlan, PollState, Schedule, at_least_a_millisecond};

/// The same pause every time, without jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(Duration);

impl Fixed {
    /// Creates a schedule of this pause; below a millisecond it counts as one.
    #[must_use]
    pub const fn new(pause: Duration) -> Self {
        Self(at_least_a_millisecond(pause))
    }
}

impl Schedule for Fixed {
    fn plan(&self, _: &PollState<'_>) -> PollPlan {
        PollPlan::after(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_delay_is_at_least_a_millisecond() {
        let second = Duration::from_secs(1);
        for (pause, expected) in [(second, second), (Duration::ZERO, Duration::from_millis(1))] {
            let schedule = Fixed::new(pause);
            for count in [1, 2, 3, 99] {
                assert_eq!(
                    schedule.plan(&PollState::new(second, count)).delay,
                    expected,
                    "{count}"
                );
            }
        }
    }
}
