//! A schedule with the same delay after every reading.

use std::time::Duration;

use super::{PollPlan, PollState, Schedule, at_least_a_millisecond};

/// The same delay after every reading, without jitter.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::schedule::{Fixed, PollState, Schedule};
///
/// let schedule = Fixed::new(Duration::from_secs(10));
/// let state = PollState::new(Duration::from_secs(300), 7);
/// assert_eq!(schedule.plan(&state).delay, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed(Duration);

impl Fixed {
    /// Creates a schedule with this delay. A delay below 1 ms counts as 1 ms.
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
