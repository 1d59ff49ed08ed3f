//! The default schedule: asks most often when the job is likeliest to end. Reads no clock, and keeps no
//! state except the hazard models that it was made with.

mod observation;
mod age_bins;
mod prior;
mod counts;
mod hazard;
mod remaining;
mod history;

pub use history::History;
pub use observation::JobObservation;
pub(crate) use observation::{CompletedSteps, step_ends};

use std::{array, time::Duration};

use self::{
    hazard::{JobPosition, PollIntegral, PollRate},
    history::HazardModels,
    prior::Prior,
};
use super::{
    PollPlan, PollState, Schedule,
    jitter::{Jitter, splitmix64, unit_interval},
};

/// Pauses that weigh the delay against the requests.
///
/// A request has a price *w*, in delay ([`request_price`](Self::request_price), 250 ms unless set otherwise). What a
/// wait costs is its delay (from the job's end until that is seen) and *w* for each request; this schedule
/// makes the mean of that as small as it can be:
///
/// Jobs that have not ended at age *t* end at the rate *h(t)*. Where requests are 1/*r* apart, an end is seen
/// 1/2*r* late on average, so the moment *dt* costs *h dt* / 2*r* for the delay, and *w r dt* for the requests,
/// of each job that goes on. The sum is smallest where *r* = √(*h* / 2*w*). So the next attempt is due when the
/// integral of that density, from the job's present age on, reaches one; no sooner than the floor and no
/// later than the cap.
///
/// Where *h* is constant, so is the gap: with no history there is little to gain over asking at equal
/// gaps, only to know which. With a [`history`](Self::history) of the type, *h* is how often jobs were
/// seen to end at that age and after so many of their steps, and the gaps are wide where none ended and
/// narrow where most did. For many waits under one budget *w* is the budget's shadow price
/// ([`BudgetShare`](crate::budget::BudgetShare)): all of them are asked for by √*h* again.
///
/// The picture shows jobs that create a cluster (log-normal, median 540 s, σ 0.5; one in ten fails early).
/// The dotted curve is all ways to ask at equal gaps; along the straight line everything costs as much as
/// this schedule does once it has seen a hundred jobs.
///
#[doc = include_str!("adaptive/schedules.svg")]
///
/// `cargo xtask bench schedules` compares them under twenty distributions, with the minimum cost of each.
///
/// What is taken for likely before anything was seen: one job in ten fails early (mean 12 s); the others end
/// at a constant rate, with a mean of 540 s where a cluster is created, of 90 s where something is deleted,
/// and of 240 s for nodes and everything else; beyond twice that mean the rate is half, because a late
/// job is often stalled. Pauses grow so from 8 s to 23 s for a cluster, from 6 s to 15 s for a node. A history outweighs
/// this wherever it has seen a job or two: at each age it counts as 0.7 jobs.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{Adaptive, PollState, Schedule};
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
    /// Creates a schedule of pauses from 2 s to 60 s, with a request price of 250 ms and no history.
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

    /// Uses what was observed of earlier jobs. What the history learns later does not change this schedule:
    /// the same wait can be replayed with it.
    #[must_use]
    pub fn history(mut self, history: &History) -> Self {
        self.models = Some(history.hazard_models());
        self
    }

    /// Sets the price of a request, in delay; 250 ms by default, at least a microsecond. With four times the price,
    /// there are half as many requests.
    #[must_use]
    pub const fn request_price(mut self, delay: Duration) -> Self {
        self.request_price = if delay.as_nanos() < 1000 { Duration::from_micros(1) } else { delay };
        self
    }

    /// Sets by which part of it a pause may be longer or shorter at random, from 0 to 1; 0.1 by
    /// default. Many waits that begin at once are spread over the first gap then, and keep their distance.
    /// With 0, nothing is random: for one who waits alone.
    #[must_use]
    pub const fn jitter(mut self, part: f64) -> Self {
        self.jitter = Jitter::new(part);
        self
    }

    /// Returns how many seconds it takes until each integral reaches its target.
    fn times_until_integrals<const N: usize>(
        &self,
        state: &PollState<'_>,
        integrals: [PollIntegral; N],
    ) -> [f64; N] {
        let position = JobPosition::from_poll_state(state);
        let model = self.models.as_ref().and_then(|models| models.get(state.job_type));
        let learned = model.and_then(|model| model.times_until_integrals(position, integrals));
        let rates = &Prior::for_type(state.job_type).rates;
        let prior = |integral| hazard::time_until_integral(rates, position.age, integral);
        match learned {
            // The service lists sub-jobs as they start. So if all are done, the job ends soon or starts the next
            // one: poll then, even if the history gives a longer gap.
            _ if state.nearly_done => {
                let learned = learned.unwrap_or([f64::INFINITY; N]);
                array::from_fn(|at| prior(integrals[at].half()).min(learned[at]))
            }
            Some(learned) => learned,
            None => integrals.map(prior),
        }
    }

    /// Returns the price of a request, in seconds.
    fn effective_request_price(&self, state: &PollState<'_>) -> f64 {
        state
            .share
            .map_or(self.request_price, |share| share.request_price.max(self.request_price))
            .as_secs_f64()
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Schedule for Adaptive {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        // Where a shared budget is spent it bounds the gaps, and keeps all apart: chance would only cost delay.
        let is_budget_spent =
            state.share.is_some_and(|share| share.request_price > self.request_price);
        let cap = match state.share {
            Some(share) if is_budget_spent => share.max_gap.max(self.floor),
            Some(share) => share.max_gap.max(self.cap),
            None => self.cap,
        };
        let jitter = if is_budget_spent { Jitter::new(0.0) } else { self.jitter };
        let request_price = self.effective_request_price(state);
        let integral = |cap: Duration, target| {
            let floor = self.floor.as_secs_f64();
            PollIntegral::new(PollRate::new(request_price, floor, cap.as_secs_f64()), target)
        };
        // The urgency follows from the gap that the job would have without floor and cap.
        let unbounded = PollIntegral::new(PollRate::new(request_price, 0.0, f64::INFINITY), 1.0);
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(cap);
        let (delay, unbounded_gap) = if jitter.is_zero() || state.count > 1 || state.nearly_done {
            let integrals = [integral(cap, 1.0), unbounded];
            let [gap, unbounded_gap] = self.times_until_integrals(state, integrals);
            let bounds = self.floor..=cap;
            (jitter.apply_symmetric(seconds(gap), bounds, state.random), unbounded_gap)
        } else {
            // Many may have begun at once: each has a phase of its own, from the floor on, and keeps it, since
            // the integral grows alike for all. It is moved as later pauses are, or there would be a seam.
            let (age, since_step) = (state.age + self.floor, state.since_last_step + self.floor);
            let later = PollState { age, since_last_step: since_step, ..*state };
            let left = jitter.max_base(cap.saturating_sub(self.floor));
            let phase = integral(left, unit_interval(state.random));
            let [gap] = self.times_until_integrals(&later, [phase]);
            let [unbounded_gap] = self.times_until_integrals(state, [unbounded]);
            let other = splitmix64(state.random, 0);
            let gap = jitter.apply_symmetric(seconds(gap), Duration::ZERO..=cap, other);
            (self.floor.saturating_add(gap), unbounded_gap)
        };
        PollPlan::after(delay).with_urgency((2.0 * request_price).sqrt() / unbounded_gap)
    }
}

#[cfg(test)]
mod tests;
