//! How long to pause between attempts: the plug point [`Schedule`], what a schedule is asked about, and
//! the schedules that come with the crate. Reads no clock.

mod jitter;
mod fixed;
mod exponential;
#[cfg(feature = "backoff")]
mod backoff;
mod adaptive;

pub use adaptive::{Adaptive, History, JobObservation};
pub(crate) use adaptive::{CompletedSteps, creation_time, step_ends, update_time};
#[cfg(feature = "backoff")]
pub use backoff::BackoffSchedule;
pub use exponential::Exponential;
pub use fixed::Fixed;
pub(crate) use jitter::splitmix64;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

/// What a schedule decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollState<'a> {
    /// Time since the wait began.
    pub elapsed: Duration,
    /// How many readings there were so far, or how many since the end last came near
    /// (`nearly_done`); for the backoff, how many errors in a row. At least 1.
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
    /// The wait's share of the budget, if many waits share one.
    pub share: Option<BudgetShare>,
    /// A number without meaning, another one for each pause and each seed, the same in a replay.
    pub random: u64,
}

/// What a budget that many waits share leaves for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetShare {
    /// The price of a request, in delay: the budget's shadow price, at which all waits together spend the budget
    /// and no more. Zero if the budget is not spent.
    pub request_price: Duration,
    /// The longest gap between two requests of a wait.
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
    /// Creates the state of a wait for a job of which no more is known.
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
/// A pure function: the same `state` gives the same pause, or a recorded wait cannot be replayed.
/// Keep no counter, read no clock, draw no random number but `state.random`.
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
    fn pause(&self, state: &PollState<'_>) -> Duration;

    /// Returns how urgent the next attempt is: √*h*, where *h* is the rate, per second, at which such jobs
    /// end. Many waits that share one budget divide it in these proportions. `None`, unless it is
    /// implemented: the pauses are wishes, whatever they cost the others.
    fn urgency(&self, state: &PollState<'_>) -> Option<f64> {
        let _ = state;
        None
    }
}

impl<S: Schedule + ?Sized> Schedule for Arc<S> {
    fn pause(&self, state: &PollState<'_>) -> Duration {
        (**self).pause(state)
    }

    fn urgency(&self, state: &PollState<'_>) -> Option<f64> {
        (**self).urgency(state)
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn pause(&self, state: &PollState<'_>) -> Duration {
        (**self).pause(state)
    }

    fn urgency(&self, state: &PollState<'_>) -> Option<f64> {
        (**self).urgency(state)
    }
}

/// Raises a pause of less than a millisecond: with zero a wait would ask without end, and zero never grows.
const fn at_least_a_millisecond(pause: Duration) -> Duration {
    if pause.as_millis() == 0 { Duration::from_millis(1) } else { pause }
}

#[cfg(test)]
mod tests;
