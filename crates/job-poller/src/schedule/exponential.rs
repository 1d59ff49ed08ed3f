//! A schedule whose delays grow from a floor to a cap.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::{PollPlan, PollState, Schedule, at_least_a_millisecond, jitter::Jitter};

/// Delays that grow exponentially from a floor to a cap, by half each time by default.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::schedule::{Exponential, PollState, Schedule};
///
/// let pauses = Duration::from_secs(2)..=Duration::from_secs(60);
/// let schedule = Exponential::new(pauses).jitter(0.0);
/// let delay = |count| schedule.plan(&PollState::new(Duration::ZERO, count)).delay;
/// assert_eq!(delay(1), Duration::from_secs(2));
/// assert_eq!(delay(2), Duration::from_secs(3));
/// assert_eq!(delay(100), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exponential {
    pub(crate) floor: Duration,
    pub(crate) cap: Duration,
    pub(crate) factor: f64,
    pub(crate) jitter: Jitter,
}

impl Exponential {
    /// Creates a schedule with delays in the range `pauses`.
    ///
    /// Apart from the [`jitter`](Self::jitter), the first delay is the start of the range, and the
    /// longest is its end. A start below 1 ms counts as 1 ms, because a delay of zero would never
    /// grow. An end below the start counts as the start.
    #[must_use]
    pub const fn new(pauses: RangeInclusive<Duration>) -> Self {
        let (start, cap) = (*pauses.start(), *pauses.end());
        let floor = at_least_a_millisecond(start);
        Self { floor, cap, factor: 1.5, jitter: Jitter::DEFAULT }
    }

    /// Sets the factor by which each delay is longer than the last. The default is 1.5.
    ///
    /// A factor below 1, or NaN, counts as 1: the delays do not grow.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor.min(f64::MAX) } else { 1.0 };
        self
    }

    /// Sets the fraction of a delay by which it may vary at random, from 0 to 1. The default is
    /// 0.1.
    ///
    /// Jitter spreads the requests of many waits over time. The first delay is between the floor
    /// and twice the floor. No delay leaves the range from the floor to the cap. With 0, no delay
    /// is random.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = Jitter::new(part);
        self
    }
}

impl Schedule for Exponential {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        // The floor may have been deserialized, and then the constructor has not checked it.
        let floor = at_least_a_millisecond(self.floor);
        let seconds = floor.as_secs_f64() * power(self.factor, state.count.saturating_sub(1));
        // A delay that is too large for a `Duration` is above any cap.
        let delay = Duration::try_from_secs_f64(seconds).unwrap_or(self.cap);
        PollPlan::after(self.jitter.apply(delay, floor..=self.cap, state.count, state.random))
    }
}

/// Raises a factor to a power by multiplication only, which gives the same bits on every machine.
/// `powi` does not guarantee that.
fn power(mut factor: f64, mut exponent: u32) -> f64 {
    let mut power = 1.0;
    while exponent > 0 {
        if exponent % 2 == 1 {
            power *= factor;
        }
        factor *= factor;
        exponent /= 2;
    }
    power
}

#[cfg(test)]
mod tests;
