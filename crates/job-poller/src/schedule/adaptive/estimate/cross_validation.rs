//! Compares the two estimates by leave-one-out cross-validation. Each estimate is made again without
//! one of the observed jobs, and the cost of the polls of that job is computed from it.

use super::{Observed, local, pooled};
use crate::schedule::adaptive::{
    age_bins::{BIN_COUNT, Bins, bin_width},
    poll_target::PollTarget,
};

/// The defaults of the schedule, in seconds. They are used even if the schedule has other settings,
/// because other values would hardly change which estimate is better.
const REQUEST_PRICE: f64 = 0.25;
const FLOOR: f64 = 2.0;
const CAP: f64 = 60.0;

/// If the pooled estimate saves less than this, its weight is below one half. In seconds, for all
/// observed jobs together. The local estimate is preferred because it is right after many jobs of
/// any kind.
const MIN_SAVING: f64 = 1.0;

/// How fast the weight of the pooled estimate rises with its saving, per second.
const SLOPE: f64 = 8.0;

/// Returns the weight of the pooled estimate, from 0 to 1. The rest is the weight of the local
/// estimate.
pub(super) fn pooled_weight(observed: &Observed, prior: &Bins) -> f64 {
    let local = cost(observed, |others| local::estimate(others, prior));
    let pooled = cost(observed, |others| pooled::estimate(others, prior));
    let excess = SLOPE * (local - pooled - MIN_SAVING);
    0.5 + 0.5 * excess / (1.0 + excess.abs())
}

/// Returns the cost of the waits for the observed jobs, in seconds: the price of the requests plus
/// the mean detection delay. Each job is polled at the rates that are optimal according to the estimate
/// from the other jobs.
fn cost(observed: &Observed, estimate: impl Fn(&Observed) -> Bins) -> f64 {
    let poll = PollTarget::keep_phase(REQUEST_PRICE, FLOOR, CAP);
    let ends = (0..BIN_COUNT).filter(|bin| observed.completions[*bin] > 0.0);
    ends.map(|bin| {
        let poll_rates =
            estimate(&observed.without_job_in(bin)).map(|hazard| poll.integrand(hazard));
        let requests_in = |at: usize| poll_rates[at] * bin_width(at);
        let requests = (0..bin).map(requests_in).sum::<f64>() + requests_in(bin) / 2.0;
        observed.completions[bin] * (REQUEST_PRICE * requests + 0.5 / poll_rates[bin])
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::adaptive::{counts::StageCounts, prior::Prior};

    fn observed(jobs: impl IntoIterator<Item = f64>) -> Observed {
        let mut stage = StageCounts::default();
        for job in jobs {
            stage.add_exposure(0.0, job);
            stage.add_completion(job);
        }
        let [exposure, completions, _] = stage.bins();
        Observed { exposure, completions, jobs: completions.iter().sum() }
    }

    /// Returns the durations of 20 jobs that end at a constant rate, one for each twentieth.
    fn memoryless(mean: f64) -> impl Iterator<Item = f64> {
        (0..20).map(move |number| -mean * f64::ln(1.0 - (f64::from(number) + 0.5) / 20.0))
    }

    #[test]
    fn the_pooled_estimate_counts_if_it_predicts_the_jobs_better() {
        let rows = [
            ("no job", observed([]), 0.0..0.1),
            ("one job", observed([300.0]), 0.0..0.1),
            ("all jobs take the same time", observed([300.0; 20]), 0.0..0.1),
            ("two durations", observed([[60.0; 10], [600.0; 10]].concat()), 0.0..0.1),
            ("a constant rate, as in the prior", observed(memoryless(540.0)), 0.9..1.0),
            ("a higher constant rate", observed(memoryless(200.0)), 0.9..1.0),
        ];
        let prior = Prior::for_type(Some("CreateCluster")).rates;
        for (name, observed, weights) in rows {
            let weight = pooled_weight(&observed, &prior);
            assert!(weights.contains(&weight), "{name}: {weight}");
        }
    }

    #[test]
    fn a_job_is_left_out_with_its_exposure() {
        let both = observed([4.5, 9.0]);
        let rest = both.without_job_in(1);
        assert_eq!(rest.completions, observed([9.0]).completions);
        assert_eq!(rest.jobs, 1.0);
        // The job counts as if it had ended in the middle of its bin.
        assert_eq!(rest.exposure[0], 4.0);
        assert!((rest.exposure[1] - (both.exposure[1] - bin_width(1) / 2.0)).abs() < 1e-9);
        assert_eq!(rest.exposure[2..], both.exposure[2..]);
        let none = rest.without_job_in(4).without_job_in(4);
        assert_eq!((none.jobs, none.exposure[0]), (0.0, 0.0));
    }
}
