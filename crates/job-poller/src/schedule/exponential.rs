//! A schedule whose pauses grow from a floor to a cap.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::{PollPlan, PollState, Schedule, at_least_a_millisecond, jitter::Jitter};

/// Pauses that grow by a half each time, from a floor of at least a millisecond to a cap.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{Exponential, PollState, Schedule};
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
    floor: Duration,
    cap: Duration,
    factor: f64,
    jitter: Jitter,
}

impl Exponential {
    /// Creates a schedule whose first pause is the range's start, but for the jitter, and whose
    /// longest is its end.
    ///
    /// A start below a millisecond counts as one, for zero would never grow; an end below the start
    /// counts as the start.
    #[must_use]
    pub const fn new(pauses: RangeInclusive<Duration>) -> Self {
        let (start, cap) = (*pauses.start(), *pauses.end());
        let floor = at_least_a_millisecond(start);
        Self { floor, cap, factor: 1.5, jitter: Jitter::DEFAULT }
    }

    /// Sets by how much each pause is longer than the one before; 1.5 by default. Below 1, or not
    /// a number, it counts as 1: the pauses do not grow.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor.min(f64::MAX) } else { 1.0 };
        self
    }

    /// Sets by which part of it a pause may be longer or shorter at random, from 0 to 1; 0.1 by
    /// default, so that many who wait do not ask on the same tick. The first pause is anything from
    /// the floor to twice the floor. No pause leaves the range of floor and cap. With 0, none is
    /// random.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = Jitter::new(part);
        self
    }
}

impl Schedule for Exponential {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        // They may come from a checkpoint, and not from the constructor.
        let floor = at_least_a_millisecond(self.floor);
        let seconds = floor.as_secs_f64() * power(self.factor, state.count.saturating_sub(1));
        // Too large for a duration is above any cap.
        let delay = Duration::try_from_secs_f64(seconds).unwrap_or(self.cap);
        PollPlan::after(self.jitter.apply(delay, floor..=self.cap, state.count, state.random))
    }
}

/// Raises a factor to a power by multiplications alone: the same bits on every machine, which
/// `powi` does not promise.
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
