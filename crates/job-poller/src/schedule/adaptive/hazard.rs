//! The rate at which jobs end, by age and by finished steps. Uses only + − × ÷ √, which give the
//! same bits on every machine.

use super::{
    age_bins::{BIN_COUNT, Bins, bin_middle, bin_of},
    counts::StageCounts,
    estimate::estimate_rates,
    prior::Prior,
};
use crate::schedule::PollState;

/// The hazard model of a job type. The first stage lasts until the first step ends, the next until
/// the second step ends, and so on. Each stage has the rate at which jobs end in it, and the rate
/// at which its step ends.
#[derive(Debug)]
pub(crate) struct HazardModel(Vec<StageHazards>);

/// The rates within one stage.
#[derive(Debug)]
struct StageHazards {
    /// Rates per second, by the time since the stage began.
    completion: Bins,
    transition: Bins,
    /// Whether a step was ever observed to end in this stage.
    has_next_stage: bool,
    /// The fraction of the jobs entering this stage that ends in each of the seconds after that.
    lookahead: Lookahead,
}

/// How far a job has come. Times are in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobPosition {
    pub(crate) age: f64,
    /// Number of steps that have ended.
    pub(crate) completed_steps: usize,
    /// Time since the last step ended, or since the job began.
    pub(crate) since_last_step: f64,
}

impl JobPosition {
    pub(crate) fn from_poll_state(state: &PollState<'_>) -> Self {
        Self {
            age: state.age.as_secs_f64(),
            completed_steps: usize::try_from(state.completed_steps).unwrap_or(usize::MAX),
            since_last_step: state.since_last_step.as_secs_f64(),
        }
    }
}

/// Maximum number of stages. A job with more finished steps stays in the last stage.
pub(crate) const MAX_STAGES: usize = 8;

/// Horizon, in seconds, within which the end of a step changes the poll rate. Beyond it the rate
/// stays constant.
const LOOKAHEAD_SECS: usize = 64;

type Lookahead = [f64; LOOKAHEAD_SECS];

/// Converts the rate at which jobs end into a rate of readings, per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollRate {
    /// Half of the inverse of the request price.
    half_inverse_price: f64,
    min_rate: f64,
    max_rate: f64,
}

impl PollRate {
    /// Creates the rate √(hazard / 2 request price), bounded so that the delays stay between
    /// `floor` and `cap`. All times are in seconds.
    pub(crate) fn new(request_price: f64, floor: f64, cap: f64) -> Self {
        let floor = floor.max(f64::MIN_POSITIVE);
        Self {
            half_inverse_price: 0.5 / request_price,
            min_rate: 1.0 / cap.max(floor),
            max_rate: 1.0 / floor,
        }
    }

    fn at_hazard(self, hazard: f64) -> f64 {
        (hazard * self.half_inverse_price).sqrt().clamp(self.min_rate, self.max_rate)
    }
}

/// The integral of a poll rate over time, up to a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollIntegral {
    poll_rate: PollRate,
    target: f64,
}

impl PollIntegral {
    pub(crate) const fn new(poll_rate: PollRate, target: f64) -> Self {
        Self { poll_rate, target }
    }

    /// Returns the integral with half the target.
    pub(crate) fn half(self) -> Self {
        Self { target: self.target / 2.0, ..self }
    }
}

/// Returns the time from `age` until the integral reaches its target, in seconds.
///
/// The poll rate is interpolated between the middles of the bins. Steps in the rate would make the
/// requests of many waits coincide.
pub(crate) fn time_until_integral(rates: &Bins, age: f64, integral: PollIntegral) -> f64 {
    let PollIntegral { poll_rate, target } = integral;
    let rate_at = |at: usize| poll_rate.at_hazard(rates[at]);
    // The bin whose middle is the last one before the age, if any. The rate is constant before the
    // first middle and after the last.
    let mut at = bin_of(age).checked_sub(usize::from(age < bin_middle(bin_of(age))));
    let (mut from, mut left) = (age, target);
    loop {
        let (start, low) = at.map_or_else(|| (0.0, rate_at(0)), |at| (bin_middle(at), rate_at(at)));
        let next = at.map_or(0, |at| at + 1);
        let (end, high) =
            if next < BIN_COUNT { (bin_middle(next), rate_at(next)) } else { (f64::INFINITY, low) };
        let slope = (high - low) / (end - start);
        let now = low + slope * (from - start);
        let within = (now + high) / 2.0 * (end - from);
        if within >= left {
            let root = (now * now + 2.0 * slope * left).max(0.0).sqrt();
            return from - age + 2.0 * left / (now + root);
        }
        (at, from, left) = (Some(next), end, left - within);
    }
}

impl HazardModel {
    /// Creates the model from the observations and the prior.
    pub(crate) fn from_counts(stages: &[StageCounts], prior: &Prior) -> Self {
        let mut rates: Vec<StageHazards> = Vec::with_capacity(stages.len());
        // Starts with the last stage, because each stage needs the stage after it.
        for (number, stage) in stages.iter().enumerate().rev() {
            rates.push(StageHazards::from_counts(stage, number, prior, rates.last()));
        }
        rates.reverse();
        Self(rates)
    }

    /// Returns the stage of a job and the stage after it. Returns `None` if no job was observed to
    /// get this far.
    fn stage_hazards(&self, position: JobPosition) -> Option<(&StageHazards, &StageHazards)> {
        let stage = position.completed_steps.min(MAX_STAGES - 1);
        let rates = self.0.get(stage)?;
        Some((rates, self.0.get(stage + 1).unwrap_or(rates)))
    }

    /// Returns the time until each integral reaches its target, or `None` if no job was observed to
    /// get this far. Computes the hazards once for all integrals.
    pub(crate) fn times_until_integrals<const N: usize>(
        &self,
        position: JobPosition,
        integrals: [PollIntegral; N],
    ) -> Option<[f64; N]> {
        let (rates, next) = self.stage_hazards(position)?;
        if !rates.has_next_stage {
            let time = |integral| {
                time_until_integral(&rates.completion, position.since_last_step, integral)
            };
            return Some(integrals.map(time));
        }
        let mut risks =
            CompetingRisks::new(&rates.completion, &rates.transition, Some(&next.lookahead));
        risks.start = position.since_last_step;
        let mut sums = integrals.map(PartialSum::new);
        let mut surviving = 1.0;
        for _ in 0..LOOKAHEAD_SECS {
            let completions = risks.next_second();
            let hazard = completions / (surviving - completions / 2.0).max(f64::MIN_POSITIVE);
            sums.iter_mut().for_each(|sum| sum.add_second(hazard));
            if sums.iter().all(|sum| sum.is_complete) {
                break;
            }
            surviving -= completions;
        }
        Some(sums.map(PartialSum::time_until_target))
    }
}

/// An integral that is computed second by second.
struct PartialSum {
    poll_rate: PollRate,
    /// The target, minus the seconds that were added.
    left: f64,
    /// Number of seconds that were added.
    seconds: f64,
    /// The poll rate in the last second.
    rate: f64,
    /// Whether the target is reached within the last second.
    is_complete: bool,
}

impl PartialSum {
    const fn new(PollIntegral { poll_rate, target }: PollIntegral) -> Self {
        Self { poll_rate, left: target, seconds: 0.0, rate: 0.0, is_complete: false }
    }

    /// Adds a second with this hazard, unless the integral reaches its target within it or has
    /// reached it before.
    fn add_second(&mut self, hazard: f64) {
        if self.is_complete {
            return;
        }
        self.rate = self.poll_rate.at_hazard(hazard);
        self.is_complete = self.rate >= self.left;
        if !self.is_complete {
            self.left -= self.rate;
            self.seconds += 1.0;
        }
    }

    /// Returns the time until the integral reaches its target, in seconds. Assumes that the rate
    /// stays as in the last second.
    fn time_until_target(self) -> f64 {
        self.seconds + self.left / self.rate
    }
}

impl StageHazards {
    fn from_counts(stage: &StageCounts, number: usize, prior: &Prior, next: Option<&Self>) -> Self {
        // Early failures only happen in the first stage.
        let prior = if number == 0 { prior.rates } else { [prior.late_rate; BIN_COUNT] };
        let [completion, transition] = estimate_rates(stage, &prior);
        let mut risks =
            CompetingRisks::new(&completion, &transition, next.map(|next| &next.lookahead));
        (0..LOOKAHEAD_SECS).for_each(|_| _ = risks.next_second());
        let lookahead = risks.completions;
        let has_next_stage = transition.iter().any(|rate| *rate > 0.0);
        Self { completion, transition, has_next_stage, lookahead }
    }
}

/// Computes, second by second, the fraction of the jobs in a stage that ends: either in this stage,
/// or in a later stage after its step has ended.
struct CompetingRisks<'a> {
    completion: &'a Bins,
    transition: &'a Bins,
    /// The lookahead of the next stage. `None` if the stage is followed by itself.
    next_lookahead: Option<&'a Lookahead>,
    /// When the computation starts, in seconds since the stage began.
    start: f64,
    /// The fraction of the jobs that is still in the stage.
    surviving: f64,
    transitions: Lookahead,
    completions: Lookahead,
    second: usize,
}

impl<'a> CompetingRisks<'a> {
    const fn new(
        completion: &'a Bins,
        transition: &'a Bins,
        next_lookahead: Option<&'a Lookahead>,
    ) -> Self {
        let none = [0.0; LOOKAHEAD_SECS];
        Self {
            completion,
            transition,
            next_lookahead,
            start: 0.0,
            surviving: 1.0,
            transitions: none,
            completions: none,
            second: 0,
        }
    }

    fn next_second(&mut self) -> f64 {
        let second = self.second;
        let at = bin_of(self.start + second as f64 + 0.5);
        let (completion, transition) = (self.completion[at], self.transition[at]);
        let rate = completion + transition;
        // The fraction that leaves within this second, by the rate in the middle of the second.
        let left = self.surviving * (rate / (1.0 + rate / 2.0)).min(1.0);
        self.surviving -= left;
        let share = if rate > 0.0 { left / rate } else { 0.0 };
        self.transitions[second] = share * transition;
        let next_lookahead = self.next_lookahead.unwrap_or(&self.completions);
        let after = self.transitions[..second].iter().zip(next_lookahead[..second].iter().rev());
        let after: f64 = after.map(|(transitions, completions)| transitions * completions).sum();
        self.completions[second] = share * completion + after;
        self.second += 1;
        self.completions[second]
    }
}

#[cfg(test)]
mod tests;
