//! The default schedule: polls most often when the job is likely to end. Reads no clock, and keeps
//! no state except the hazard models that it was created with.

mod observation;
mod age_bins;
mod prior;
mod counts;
mod estimate;
mod poll_target;
mod hazard;
mod remaining;
mod history;

pub use history::History;
pub use observation::JobObservation;
pub(crate) use observation::{CompletedSteps, step_ends};

use std::{array, time::Duration};

use self::{
    hazard::JobPosition,
    history::HazardModels,
    poll_target::{PollTarget, gap_at},
    prior::Prior,
};
use super::{
    PollPlan, PollState, Schedule,
    jitter::{Jitter, splitmix64, unit_interval},
};

/// Polls most often when the job is likely to end.
///
/// This schedule minimizes the mean cost of a wait. The cost is the detection delay, which is the
/// time from the job's end until a reading shows it, plus a price *w* for each request. The price
/// is a delay: [`request_price`](Self::request_price), 250 ms by default.
///
/// # How it works
///
/// Let *h(t)* be the rate at which jobs end that have reached the age *t*. If requests are sent at
/// the rate *r*, an end is detected 1/2*r* late on average. Each moment *dt* in which the job is
/// active then costs *h dt* / 2*r* for the delay and *w r dt* for the requests. The sum is smallest
/// for *r* = √(*h* / 2*w*). So the next attempt is due when the integral of *r*, from the job's
/// current age on, reaches one. The delay is at least 2 s and at most 60 s; the budget of a fleet
/// can make it longer.
///
/// With [`jitter`](Self::jitter), the integral keeps waits apart that poll at different times.
/// Without jitter, the next attempt is instead due when the expected detection delay, averaged over
/// all jobs that were active at the last attempt, reaches *w*. This is the same if *h* is constant.
/// If *h* rises after a time in which no job ends, the attempts begin later in the rise. If *h* is
/// known, this costs at most 0.2 % more than the minimum, while the integral costs up to 2 % more.
///
/// If *h* is constant, the delays are constant too. Without a history, this schedule is therefore
/// not much better than the best fixed interval, but you do not have to choose the interval.
///
/// With a [`history`](Self::history) of the job type, *h* is the rate at which such jobs have ended
/// at that age and after that number of finished steps. Delays are long at ages at which no job has
/// ended, and short at ages at which most have.
///
/// If many waits share a budget and it is used up, *w* is the budget's shadow price
/// ([`BudgetShare`](crate::schedule::BudgetShare)). Each job then gets a share of the budget in
/// proportion to √*h*.
///
/// # Comparison with other schedules
///
/// The picture shows the mean delay and the mean number of requests for jobs that create a cluster
/// (log-normal, median 540 s, σ 0.5; one in ten fails early). The dotted curve shows all fixed
/// intervals. Every point of the straight line costs as much as this schedule after 100 jobs.
///
#[doc = include_str!("adaptive/schedules.svg")]
///
/// `cargo xtask bench schedules` compares the schedules under 22 distributions, and prints the
/// minimum cost of each distribution.
///
/// # Without a history
///
/// Until there is a history, the schedule assumes:
///
/// - One job in ten fails early, after 12 s on average.
/// - The others end at a constant rate, with a mean of 540 s if a cluster is created, 90 s if
///   something is deleted or removed, and 240 s for nodes and everything else.
/// - Beyond twice this mean the rate is half as high, because a late job is often stalled.
///
/// The delays grow from 8 s to 23 s for a cluster, from 7 s to 15 s for a node, and from 5 s to 9 s
/// for a deletion. A history outweighs these assumptions after one or two jobs, because they count
/// as less than one job at each age.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::schedule::{Adaptive, PollState, Schedule};
///
/// let mut state = PollState::new(Duration::from_secs(300), 7);
/// state.job_type = Some("CreateCluster");
/// assert_eq!(Adaptive::new().jitter(0.0).plan(&state).delay.as_secs(), 16);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptive {
    pub(crate) request_price: Duration,
    floor: Duration,
    cap: Duration,
    jitter: Jitter,
    models: Option<HazardModels>,
}

impl Adaptive {
    /// Creates a schedule with delays from 2 s to 60 s, a request price of 250 ms and no history.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            request_price: Duration::from_millis(250),
            floor: Duration::from_secs(2),
            cap: Duration::from_secs(60),
            jitter: Jitter::DEFAULT,
            models: None,
        }
    }

    /// Uses the observations in `history`.
    ///
    /// Later changes of the history do not affect this schedule, so that a wait can be replayed
    /// with it.
    #[must_use]
    pub fn history(mut self, history: &History) -> Self {
        self.models = Some(history.hazard_models());
        self
    }

    /// Sets the price of a request, as a delay. The default is 250 ms, the minimum 1 µs.
    ///
    /// Four times the price halves the number of requests.
    #[must_use]
    pub const fn request_price(mut self, delay: Duration) -> Self {
        self.request_price = if delay.as_nanos() < 1000 { Duration::from_micros(1) } else { delay };
        self
    }

    /// Sets the fraction of a delay by which it may vary at random, from 0 to 1. The default is
    /// 0.1.
    ///
    /// Unless it is 0, the first requests of many waits that begin at once are spread over the
    /// first delay, and stay apart after that. Set it to 0 if there is only one wait: then the
    /// delays do not have to keep waits apart, and cost less.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = Jitter::new(part);
        self
    }

    /// Returns the time until each poll is due, in seconds.
    fn gaps<const N: usize>(&self, state: &PollState<'_>, polls: [PollTarget; N]) -> [f64; N] {
        let position = JobPosition::from_poll_state(state);
        let model = self.models.as_ref().and_then(|models| models.get(state.job_type));
        let learned = model.and_then(|model| model.gaps(position, polls));
        let rates = &Prior::for_type(state.job_type).rates;
        let prior = |poll| gap_at(rates, position.age, poll);
        match learned {
            // The service lists sub-jobs as they start. If all of them are done, the job ends soon
            // or starts the next one. Poll soon, even if the history suggests a longer delay.
            _ if state.nearly_done => {
                let learned = learned.unwrap_or([f64::INFINITY; N]);
                array::from_fn(|at| prior(polls[at].fraction(0.5)).min(learned[at]))
            }
            Some(learned) => learned,
            None => polls.map(prior),
        }
    }

    /// Returns the price of a request, in seconds.
    fn effective_request_price(&self, state: &PollState<'_>) -> f64 {
        let price = state
            .share
            .map_or(self.request_price, |share| share.request_price.max(self.request_price));
        price.as_secs_f64() / f64::from(state.jobs_per_request.max(1))
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule for Adaptive {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        // A budget that is used up bounds the gaps and spreads the requests, and a list is one
        // request for many jobs. Jitter would only add delay.
        let is_budget_spent =
            state.share.is_some_and(|share| share.request_price > self.request_price);
        let cap = match state.share {
            Some(share) if is_budget_spent => share.max_gap.max(self.floor),
            Some(share) => share.max_gap.max(self.cap),
            None => self.cap,
        };
        let is_spread = is_budget_spent || state.jobs_per_request > 1;
        let jitter = if is_spread { Jitter::new(0.0) } else { self.jitter };
        let request_price = self.effective_request_price(state);
        let floor = self.floor.as_secs_f64();
        // A wait without jitter has no other waits to stay apart from.
        let new_poll =
            if self.jitter.is_zero() { PollTarget::least_cost } else { PollTarget::keep_phase };
        let poll = |cap: Duration| new_poll(request_price, floor, cap.as_secs_f64());
        // The urgency follows from the delay that the job would have without floor and cap.
        let unbounded = PollTarget::keep_phase(request_price, 0.0, f64::INFINITY);
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(cap);
        let (delay, unbounded_gap) = if jitter.is_zero() || state.count > 1 || state.nearly_done {
            let [gap, unbounded_gap] = self.gaps(state, [poll(cap), unbounded]);
            let bounds = self.floor..=cap;
            (jitter.apply_symmetric(seconds(gap), bounds, state.random), unbounded_gap)
        } else {
            // Many waits may have begun at once. Each gets a phase of its own, from the floor on,
            // and keeps it, because the integral grows alike for all of them. The usual jitter
            // applies too. Without it, the distribution of the first delays would have a sharp
            // edge.
            let (age, since_step) = (state.age + self.floor, state.since_last_step + self.floor);
            let later = PollState { age, since_last_step: since_step, ..*state };
            let left = jitter.max_base(cap.saturating_sub(self.floor));
            let phase = poll(left).fraction(unit_interval(state.random));
            let [gap] = self.gaps(&later, [phase]);
            let [unbounded_gap] = self.gaps(state, [unbounded]);
            let other = splitmix64(state.random, 0);
            let gap = jitter.apply_symmetric(seconds(gap), Duration::ZERO..=cap, other);
            (self.floor.saturating_add(gap), unbounded_gap)
        };
        PollPlan::after(delay).with_urgency((2.0 * request_price).sqrt() / unbounded_gap)
    }
}

#[cfg(test)]
mod tests;
