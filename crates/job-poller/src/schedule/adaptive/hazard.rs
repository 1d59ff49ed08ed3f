//! The rate at which jobs end, by age and by finished steps. Uses only + − × ÷, which give the
//! same bits on every machine.

use std::array;

use super::{
    age_bins::{BIN_COUNT, Bins, between_middles},
    counts::StageCounts,
    estimate::estimate_rates,
    poll_target::{PollTarget, Progress, gap_at},
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

/// Horizon, in seconds, within which the end of a step changes the hazard. Beyond it the hazard
/// stays constant.
const LOOKAHEAD_SECS: usize = 64;

type Lookahead = [f64; LOOKAHEAD_SECS];

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

    /// Returns the time until each poll is due, or `None` if no job was observed to get this far.
    /// Computes the hazards once for all polls.
    pub(crate) fn gaps<const N: usize>(
        &self,
        position: JobPosition,
        polls: [PollTarget; N],
    ) -> Option<[f64; N]> {
        let (rates, next) = self.stage_hazards(position)?;
        if !rates.has_next_stage {
            let gap = |poll| gap_at(&rates.completion, position.since_last_step, poll);
            return Some(polls.map(gap));
        }
        let mut risks =
            CompetingRisks::new(&rates.completion, &rates.transition, Some(&next.lookahead));
        risks.start = position.since_last_step;
        let (mut gaps, mut now) = ([None; N], [Progress::default(); N]);
        let (mut surviving, mut hazard) = (1.0, 0.0);
        for _ in 0..LOOKAHEAD_SECS {
            let completions = risks.next_second();
            hazard = completions / (surviving - completions / 2.0).max(f64::MIN_POSITIVE);
            surviving -= completions;
            for ((gap, now), poll) in gaps.iter_mut().zip(&mut now).zip(polls) {
                let value = poll.integrand(hazard);
                let later = now.later(1.0, value, 0.0);
                if gap.is_none() && later.has_reached(poll) {
                    *gap = Some(now.gap_at_target(poll, value, 0.0, f64::INFINITY));
                }
                *now = later;
            }
            if gaps.iter().all(Option::is_some) {
                break;
            }
        }
        let gap = |at: usize| {
            let poll: PollTarget = polls[at];
            let last = || now[at].gap_at_target(poll, poll.integrand(hazard), 0.0, f64::INFINITY);
            poll.bound(gaps[at].unwrap_or_else(last))
        };
        Some(array::from_fn(gap))
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
        let (at, next, part) = between_middles(self.start + second as f64 + 0.5);
        let rate_at = |rates: &Bins| rates[at] + part * (rates[next] - rates[at]);
        let (completion, transition) = (rate_at(self.completion), rate_at(self.transition));
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
