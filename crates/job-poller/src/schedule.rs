//! How long to pause between attempts. Reads no clock and keeps no state.

mod jitter;
#[cfg(feature = "backoff")]
mod backoff;
mod adaptive;

pub use adaptive::{Adaptive, History, JobObservation};
pub(crate) use adaptive::{CompletedSteps, creation_time, step_ends, update_time};
#[cfg(feature = "backoff")]
pub use backoff::BackoffSchedule;
pub(crate) use jitter::splitmix64;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::jitter::Jitter;

/// What a schedule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollState<'a> {
    /// Time since the wait began.
    pub elapsed: Duration,
    /// How many readings there were so far, or how many since the end last came near
    /// (`nearly_done`); for the pauses after faults, how many faults in a row. At least 1.
    pub count: u32,
    /// The job's age: the reply's `Date` less the job's `creationTimestamp` or, where one of them is
    /// missing or they are the wrong way round, the time since the wait began.
    pub age: Duration,
    /// The job's type, where it is known.
    pub job_type: Option<&'a str>,
    /// How many of the job's steps have ended; 0 where their times do not fit the job's.
    pub completed_steps: u32,
    /// How long ago, by the service's own times, the last of them did; the job's age where none did.
    pub since_last_step: Duration,
    /// Whether the end is near: all the sub-jobs that the job lists are `Success` and it goes on,
    /// or it is `Success` and a sub-job goes on.
    pub nearly_done: bool,
    /// What is left for this wait where many share one budget.
    pub share: Option<BudgetShare>,
    /// A number without meaning, another one for each pause and each seed, the same in a replay.
    pub random: u64,
}

/// What a budget that many waits share leaves for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetShare {
    /// How much delay a request is worth: the budget's shadow price, at which all waits together ask for
    /// as many requests as there are. Zero where there are enough.
    pub request_price: Duration,
    /// The longest gap that nobody is to exceed.
    pub max_gap: Duration,
}

impl BudgetShare {
    /// Creates a share.
    #[must_use]
    pub const fn new(request_price: Duration, max_gap: Duration) -> Self {
        Self { request_price, max_gap }
    }
}

impl PollState<'_> {
    /// Creates what a schedule is asked about, of a job of which no more is known.
    #[must_use]
    pub const fn new(elapsed: Duration, count: u32) -> Self {
        Self {
            elapsed,
            count,
            age: elapsed,
            job_type: None,
            completed_steps: 0,
            since_last_step: elapsed,
            nearly_done: false,
            share: None,
            random: 0,
        }
    }
}

/// Decides the pause before the next attempt.
///
/// # For callers
///
/// The pause is what the schedule wishes: a Retry-After makes it longer, the deadline may make it
/// shorter.
///
/// # For implementers
///
/// A pure function: the same `seen` gives the same pause, or a recorded wait cannot be replayed.
/// Keep no counter, read no clock, draw no random number but `seen.random`.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{PollState, Schedule};
///
/// /// Asks every minute, and every five seconds when the end is near.
/// struct Patient;
///
/// impl Schedule for Patient {
///     fn pause(&self, state: &PollState<'_>) -> Duration {
///         Duration::from_secs(if state.nearly_done { 5 } else { 60 })
///     }
/// }
/// ```
pub trait Schedule: Send + Sync {
    /// Returns the pause before the next attempt.
    fn pause(&self, seen: &PollState<'_>) -> Duration;

    /// Returns how urgent the next attempt is: √*h*, where *h* is the rate, per second, at which such jobs
    /// end. Many waits that share one budget divide it in these proportions. `None`, unless it is
    /// implemented: the pauses are wishes, whatever they cost the others.
    fn urgency(&self, seen: &PollState<'_>) -> Option<f64> {
        let _ = seen;
        None
    }
}

impl<S: Schedule + ?Sized> Schedule for Arc<S> {
    fn pause(&self, seen: &PollState<'_>) -> Duration {
        (**self).pause(seen)
    }

    fn urgency(&self, seen: &PollState<'_>) -> Option<f64> {
        (**self).urgency(seen)
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn pause(&self, seen: &PollState<'_>) -> Duration {
        (**self).pause(seen)
    }

    fn urgency(&self, seen: &PollState<'_>) -> Option<f64> {
        (**self).urgency(seen)
    }
}

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
    fn pause(&self, _: &PollState<'_>) -> Duration {
        self.0
    }
}

/// Pauses that grow by a half each time, from a floor of at least a millisecond to a cap.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{Exponential, PollState, Schedule};
///
/// let pauses = Duration::from_secs(2)..=Duration::from_secs(60);
/// let schedule = Exponential::new(pauses).jitter(0.0);
/// let pause = |count| schedule.pause(&PollState::new(Duration::ZERO, count));
/// assert_eq!(pause(1), Duration::from_secs(2));
/// assert_eq!(pause(2), Duration::from_secs(3));
/// assert_eq!(pause(100), Duration::from_secs(60));
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
    fn pause(&self, seen: &PollState<'_>) -> Duration {
        // They may come from a checkpoint, and not from the constructor.
        let floor = at_least_a_millisecond(self.floor);
        let seconds = floor.as_secs_f64() * power(self.factor, seen.count.saturating_sub(1));
        // Too large for a duration is above any cap.
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(self.cap);
        self.jitter.apply(pause, floor..=self.cap, seen)
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

/// Raises a pause that would ask without end, and could never grow.
const fn at_least_a_millisecond(pause: Duration) -> Duration {
    if pause.as_millis() == 0 { Duration::from_millis(1) } else { pause }
}

#[cfg(test)]
mod tests;
