//! The delay before the next attempt: the plug point [`Schedule`], its argument and its result, and the schedules of
//! this crate. Reads no clock.

mod jitter;
mod fixed;
mod exponential;
#[cfg(feature = "backoff")]
mod backoff;
mod adaptive;

pub use adaptive::{Adaptive, History, JobObservation};
pub(crate) use adaptive::{CompletedSteps, step_ends};
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

/// The next attempt as a schedule plans it: after which delay, and how urgent it is.
///
/// ```
/// use std::time::Duration;
/// use job_poller::PollPlan;
///
/// let plan = PollPlan::after(Duration::from_secs(10));
/// assert_eq!(plan.urgency, None);
/// // Such jobs end at a rate of one in 400 s.
/// let urgency = f64::sqrt(1.0 / 400.0);
/// assert_eq!(plan.with_urgency(urgency).urgency, Some(0.05));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PollPlan {
    /// The delay before the next attempt.
    pub delay: Duration,
    /// √*h*, where *h* is the rate at which such jobs end, per second. Waits that share a budget divide it in
    /// proportion to their urgencies. `None` if the schedule does not know the rate: the wait then has no
    /// influence on the price of a request. Zero, a negative number and NaN count as `None`.
    pub urgency: Option<f64>,
}

impl PollPlan {
    /// Creates a plan with this delay and without an urgency.
    #[must_use]
    pub const fn after(delay: Duration) -> Self {
        Self { delay, urgency: None }
    }

    /// Sets the urgency: √*h* for jobs that end at the rate *h* per second.
    #[must_use]
    pub const fn with_urgency(self, urgency: f64) -> Self {
        Self { urgency: Some(urgency), ..self }
    }
}

/// Chooses the delay before the next attempt.
///
/// # For callers
///
/// The delay of the next attempt can differ from the plan: a Retry-After makes it longer, and a deadline can make it
/// shorter.
///
/// # For implementers
///
/// `plan` is a pure function: the same `state` gives the same plan. Otherwise a recorded wait cannot be replayed.
/// Keep no counter, read no clock, and use no random number except `state.random`.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{PollPlan, PollState, Schedule};
///
/// /// Polls every minute, and every five seconds when the end is near.
/// struct Patient;
///
/// impl Schedule for Patient {
///     fn plan(&self, state: &PollState<'_>) -> PollPlan {
///         PollPlan::after(Duration::from_secs(if state.nearly_done { 5 } else { 60 }))
///     }
/// }
/// ```
pub trait Schedule: Send + Sync {
    /// Returns the delay before the next attempt, and its urgency.
    fn plan(&self, state: &PollState<'_>) -> PollPlan;
}

impl<S: Schedule + ?Sized> Schedule for Arc<S> {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        (**self).plan(state)
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        (**self).plan(state)
    }
}

/// Raises a pause of less than a millisecond: with zero a wait would ask without end, and zero never grows.
const fn at_least_a_millisecond(pause: Duration) -> Duration {
    if pause.as_millis() == 0 { Duration::from_millis(1) } else { pause }
}

#[cfg(test)]
mod tests;
