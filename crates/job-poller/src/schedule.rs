//! Chooses the delay before the next attempt: the trait [`Schedule`], its input and output, and the
//! schedules of this crate. Reads no clock.

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

/// The input of a [`Schedule`]: what is known about a wait and its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollState<'a> {
    /// Time since the wait began.
    pub elapsed: Duration,
    /// Number of readings so far, counted again once the job is [`nearly_done`](Self::nearly_done).
    /// For the delay after a failed attempt, the number of errors in a row. At least 1.
    pub count: u32,
    /// Age of the job: the reply's `Date` minus the job's `creationTimestamp`. If one of them is
    /// missing, or if the result would be negative, the time since the wait began.
    pub age: Duration,
    /// The job's type, if it is known.
    pub job_type: Option<&'a str>,
    /// Number of the job's steps that have ended. 0 if the time of one is before the job's creation
    /// or after now.
    pub completed_steps: u32,
    /// Time since the last step ended, by the service's timestamps. The job's age if no step has
    /// ended.
    pub since_last_step: Duration,
    /// Whether the job is about to end: it is active and all of its listed sub-jobs are `Success`,
    /// or it is `Success` and a sub-job is still active.
    pub nearly_done: bool,
    /// The wait's share of a budget, if it shares one with other waits.
    pub share: Option<BudgetShare>,
    /// Number of jobs that the request shows. Each of them pays its part of the price of the
    /// request. 1, except for a list of jobs.
    pub jobs_per_request: u32,
    /// A pseudo-random number. It differs between delays and between seeds, and is the same in a
    /// replay.
    pub random: u64,
}

/// One wait's share of a budget that many waits share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetShare {
    /// Price of a request, as a delay: the shadow price of the budget, at which all waits together
    /// just use it up. If they need less than the budget, it is the budget's minimum price.
    /// [`Adaptive`] uses its own price if that is higher.
    pub request_price: Duration,
    /// Longest gap between two requests of a wait.
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
    /// Creates the state of a wait about whose job nothing else is known.
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
            jobs_per_request: 1,
            random: 0,
        }
    }
}

/// The output of a [`Schedule`]: the delay before the next attempt, and its urgency.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::schedule::PollPlan;
///
/// let plan = PollPlan::after(Duration::from_secs(10));
/// assert_eq!(plan.urgency, None);
/// // Jobs like this one end at a rate of one in 400 s.
/// let urgency = f64::sqrt(1.0 / 400.0);
/// assert_eq!(plan.with_urgency(urgency).urgency, Some(0.05));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PollPlan {
    /// The delay before the next attempt.
    pub delay: Duration,
    /// √*h*, where *h* is the rate per second at which jobs like this one end.
    ///
    /// Waits that share a budget divide it in proportion to their urgencies. `None` if the schedule
    /// does not know the rate; the wait then does not influence the price of a request. Zero,
    /// negative numbers and NaN count as `None`.
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
/// The actual delay can differ from the plan: a `Retry-After` makes it longer, and a deadline can
/// make it shorter.
///
/// # For implementers
///
/// `plan` must be a pure function: the same `state` always gives the same plan. Otherwise a
/// recorded wait cannot be replayed. Keep no counter, read no clock, and use no random number
/// except `state.random`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::schedule::{PollPlan, PollState, Schedule};
///
/// /// Polls every minute, and every five seconds when the job is nearly done.
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

/// Raises a delay below one millisecond to one millisecond. With a delay of zero, a wait would poll
/// without a pause, and exponential delays would never grow.
const fn at_least_a_millisecond(pause: Duration) -> Duration {
    if pause.as_millis() == 0 { Duration::from_millis(1) } else { pause }
}

#[cfg(test)]
mod tests;
