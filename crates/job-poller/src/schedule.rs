//! How long to pause between attempts. Reads no clock and keeps no state.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

/// What a schedule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Time since the wait began.
    pub elapsed: Duration,
    /// How many readings there were so far or, for the pauses after faults, how many faults in a
    /// row; at least 1.
    pub count: u32,
}

impl Seen {
    /// Creates what a schedule is asked about.
    #[must_use]
    pub const fn new(elapsed: Duration, count: u32) -> Self {
        Self { elapsed, count }
    }
}

/// Decides the pause before the next attempt.
///
/// # For callers
///
/// The pause is what the schedule wishes; the deadline may clip it.
///
/// # For implementers
///
/// A pure function: the same `seen` gives the same pause. Keep no counter, read no clock.
pub trait Schedule: Send + Sync {
    /// Returns the pause before the next attempt.
    fn pause(&self, seen: &Seen) -> Duration;
}

impl<S: Schedule + ?Sized> Schedule for Arc<S> {
    fn pause(&self, seen: &Seen) -> Duration {
        (**self).pause(seen)
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn pause(&self, seen: &Seen) -> Duration {
        (**self).pause(seen)
    }
}

/// The same pause every time.
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
    fn pause(&self, _: &Seen) -> Duration {
        self.0
    }
}

/// Pauses that grow by a half each time, from a floor of at least a millisecond to a cap.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{Exponential, Schedule, Seen};
///
/// let schedule = Exponential::new(Duration::from_secs(2)..=Duration::from_secs(60));
/// let pause = |count| schedule.pause(&Seen::new(Duration::ZERO, count));
/// assert_eq!(pause(1), Duration::from_secs(2));
/// assert_eq!(pause(2), Duration::from_secs(3));
/// assert_eq!(pause(100), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    floor: Duration,
    cap: Duration,
    factor: f64,
}

impl Exponential {
    /// Creates a schedule whose first pause is the range's start and whose longest is its end.
    ///
    /// A start below a millisecond counts as one, for zero would never grow; an end below the start
    /// counts as the start.
    #[must_use]
    pub const fn new(pauses: RangeInclusive<Duration>) -> Self {
        let (start, cap) = (*pauses.start(), *pauses.end());
        Self { floor: at_least_a_millisecond(start), cap, factor: 1.5 }
    }

    /// Sets by how much each pause is longer than the one before; 1.5 by default. Below 1, or not
    /// a number, it counts as 1: the pauses do not grow.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }
}

impl Schedule for Exponential {
    fn pause(&self, seen: &Seen) -> Duration {
        let steps = f64::from(seen.count.saturating_sub(1));
        let seconds = self.floor.as_secs_f64() * self.factor.powf(steps);
        // Too large for a duration is above any cap.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.cap).min(self.cap).max(self.floor)
    }
}

/// Raises a pause that would ask without end, and could never grow.
const fn at_least_a_millisecond(pause: Duration) -> Duration {
    if pause.as_millis() == 0 { Duration::from_millis(1) } else { pause }
}

#[cfg(test)]
mod tests;
