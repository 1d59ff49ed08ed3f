//! Estimates the rates of a stage from the observations and the prior. Uses only + − × ÷, which give
//! the same bits on every machine.

use super::{
    age_bins::{BIN_COUNT, Bins, bin_end, bin_start, smooth, window_sums},
    counts::StageCounts,
};

/// Widths of the windows of the broad estimate, and of its comparison with the observations. They
/// cover about 4.4 and 3.7 bins.
const BROAD_WINDOW: u32 = 6;
const COMPARED_WINDOW: u32 = 4;

/// Weight of the prior in the broad estimate, in jobs that end within a window.
const BROAD_PRIOR_WEIGHT: f64 = 0.3;

/// Returns the weight of the prior in each bin, in jobs. `jobs` have left the stage.
fn prior_weight(jobs: f64) -> f64 {
    0.3 + 1.0 / (1.0 + jobs)
}

/// Returns the weight of the broad estimate in each bin, in jobs. `jobs` have left the stage.
/// `ended` is how many of them ended in the window around the bin, and `expected` is how many end
/// there by the broad estimate.
///
/// After a few jobs, the weight is small. After more jobs it is large, but only if the broad
/// estimate agrees with the observations. The difference is compared with more than the variance of
/// a random number, which is `expected`, because a difference of one or two jobs proves nothing.
fn broad_weight(jobs: f64, ended: f64, expected: f64) -> f64 {
    let disagreement = (ended - expected) * (ended - expected) / (expected + 4.0);
    1.0 / (10.0 / (jobs * jobs) + 5.0 * disagreement)
}

/// Returns the rate per second at which jobs end in the stage, and the rate at which its step ends,
/// by the time since the stage began.
///
/// The observations in a bin and its neighbors are few. They are combined with two other estimates:
///
/// - the prior.
/// - a broad estimate. It is the prior, multiplied by the number of jobs that ended in a window
///   around the bin, relative to the number that end there by the prior. It needs fewer jobs, but
///   it is wrong if all jobs take nearly the same time.
///
/// `cargo xtask bench schedules` shows the effect of the constants.
pub(crate) fn estimate_rates(stage: &StageCounts, prior: &Bins) -> [Bins; 2] {
    let bins @ [exposure, completions, _] = stage.bins();
    let jobs = bins[1..].iter().flatten().sum();
    let expect = |rates: &Bins| std::array::from_fn(|at| exposure[at] * rates[at]);

    let ended = window_sums(&completions, BROAD_WINDOW);
    let expected = window_sums(&expect(prior), BROAD_WINDOW);
    let broad: Bins = std::array::from_fn(|at| {
        prior[at] * (ended[at] + BROAD_PRIOR_WEIGHT) / (expected[at] + BROAD_PRIOR_WEIGHT)
    });

    let ended = window_sums(&completions, COMPARED_WINDOW);
    let expected = window_sums(&expect(&broad), COMPARED_WINDOW);
    let [exposure, completions, transitions] = bins.map(|bins| smooth(&bins));
    let (mut completion, mut transition) = ([0.0; BIN_COUNT], [0.0; BIN_COUNT]);
    for at in 0..BIN_COUNT {
        // About how long a job that enters the bin stays in it.
        let stay = |rate: f64| 1.0 / (1.0 / (bin_end(at) - bin_start(at)) + rate);
        let from_prior = prior_weight(jobs) * stay(prior[at]);
        let from_broad = broad_weight(jobs, ended[at], expected[at]) * stay(broad[at]);
        completion[at] = (completions[at] + from_prior * prior[at] + from_broad * broad[at])
            / (exposure[at] + from_prior + from_broad);
        transition[at] = transitions[at] / (exposure[at] + from_prior);
    }
    [completion, transition]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::adaptive::{age_bins::bin_of, prior::Prior};

    fn rates(jobs: &[f64], prior: &Bins) -> [Bins; 2] {
        let mut stage = StageCounts::default();
        for job in jobs {
            stage.add_exposure(0.0, *job);
            stage.add_completion(*job);
        }
        estimate_rates(&stage, prior)
    }

    #[test]
    fn without_observations_the_rates_are_those_of_the_prior() {
        let prior = Prior::for_type(Some("CreateNode")).rates;
        let [completion, transition] = rates(&[], &prior);
        for (rate, prior) in completion.iter().zip(&prior) {
            assert!((rate / prior - 1.0).abs() < 1e-12, "{rate} {prior}");
        }
        assert_eq!(transition, [0.0; BIN_COUNT]);
    }

    #[test]
    fn rates_follow_the_observed_share_of_early_failures() {
        let usual: Vec<f64> = (0..18).map(|number| 400.0 + 15.0 * f64::from(number)).collect();
        let with_early = [&[20.0, 30.0], &usual[..]].concat();
        let rows: [(&str, &[f64], f64, _); 8] = [
            ("one job: nearly the prior before it", &usual[..1], 20.0, 0.3..1.0),
            ("no job failed early", &usual, 20.0, 0.0..0.12),
            ("no job failed early, later", &usual, 40.0, 0.0..0.12),
            ("two jobs failed early: as the prior, one in ten", &with_early, 20.0, 0.7..1.6),
            ("two jobs failed early, just after them", &with_early, 40.0, 0.4..1.0),
            ("between the failures and the other jobs", &with_early, 150.0, 0.0..0.05),
            ("when most jobs end", &with_early, 550.0, 3.0..6.0),
            ("later than all jobs", &with_early, 3000.0, 0.1..6.0),
        ];
        let prior = Prior::for_type(Some("CreateCluster")).rates;
        for (name, jobs, age, expected) in rows {
            let at = bin_of(age);
            let ratio = rates(jobs, &prior)[0][at] / prior[at];
            assert!(expected.contains(&ratio), "{name}: {ratio}");
        }
    }

    #[test]
    fn the_broad_estimate_counts_if_many_jobs_agree_with_it() {
        let rows = [
            ("no job", 0.0, 0.0, 0.0, 0.0..1e-9),
            ("one job", 1.0, 1.0, 1.0, 0.05..0.15),
            ("20 jobs that agree", 20.0, 5.0, 5.0, 39.0..41.0),
            ("20 jobs, one of them unexpected", 20.0, 1.0, 0.3, 1.0..2.0),
            ("20 jobs that disagree", 20.0, 12.0, 4.0, 0.0..0.1),
        ];
        for (name, jobs, ended, expected, weights) in rows {
            let weight = broad_weight(jobs, ended, expected);
            assert!(weights.contains(&weight), "{name}: {weight}");
        }
    }
}
