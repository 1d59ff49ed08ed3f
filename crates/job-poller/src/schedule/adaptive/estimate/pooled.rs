//! An estimate that combines the observations in a bin and its neighbors, the prior, and a broad
//! estimate from a wider range of ages.
//!
//! `cargo xtask bench schedules` shows the effect of the constants.

use super::{Observed, time_in_bin};
use crate::schedule::adaptive::age_bins::{Bins, smooth, window_sums};

/// Widths of the windows of the broad estimate, and of its comparison with the observations. They
/// cover about 4.4 and 3.7 bins.
const BROAD_WINDOW: u32 = 6;
const COMPARED_WINDOW: u32 = 4;

/// Weight of the prior in the broad estimate, in jobs that end within a window.
const BROAD_PRIOR_WEIGHT: f64 = 0.25;

pub(super) fn estimate(observed: &Observed, prior: &Bins) -> Bins {
    let Observed { exposure, completions, jobs } = observed;
    let broad = broad_estimate(observed, prior);
    let ended = window_sums(completions, COMPARED_WINDOW);
    let expected = window_sums(&expected_ends(exposure, &broad), COMPARED_WINDOW);
    let (exposure, completions) = (smooth(exposure), smooth(completions));
    std::array::from_fn(|at| {
        let from_prior = prior_weight(*jobs) * time_in_bin(at, prior[at]);
        let from_broad = broad_weight(*jobs, ended[at], expected[at]) * time_in_bin(at, broad[at]);
        (completions[at] + from_prior * prior[at] + from_broad * broad[at])
            / (exposure[at] + from_prior + from_broad)
    })
}

/// Returns the prior, multiplied by the number of jobs that ended in a window around the bin,
/// relative to the number that end there by the prior.
fn broad_estimate(Observed { exposure, completions, .. }: &Observed, prior: &Bins) -> Bins {
    let ended = window_sums(completions, BROAD_WINDOW);
    let expected = window_sums(&expected_ends(exposure, prior), BROAD_WINDOW);
    std::array::from_fn(|at| {
        prior[at] * (ended[at] + BROAD_PRIOR_WEIGHT) / (expected[at] + BROAD_PRIOR_WEIGHT)
    })
}

/// Returns how many of the observed jobs end in each bin at these rates.
fn expected_ends(exposure: &Bins, rates: &Bins) -> Bins {
    std::array::from_fn(|at| exposure[at] * rates[at])
}

/// Returns the weight of the prior in each bin, in jobs. `jobs` have left the stage.
fn prior_weight(jobs: f64) -> f64 {
    0.6 + 0.4 / (1.0 + jobs)
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
    1.0 / (8.6 / (jobs * jobs) + 5.0 * disagreement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broad_estimate_counts_if_many_jobs_agree_with_it() {
        let rows = [
            ("no job", 0.0, 0.0, 0.0, 0.0..1e-9),
            ("one job", 1.0, 1.0, 1.0, 0.05..0.15),
            ("20 jobs that agree", 20.0, 5.0, 5.0, 46.0..47.0),
            ("20 jobs, one of them unexpected", 20.0, 1.0, 0.3, 1.0..2.0),
            ("20 jobs that disagree", 20.0, 12.0, 4.0, 0.0..0.1),
        ];
        for (name, jobs, ended, expected, weights) in rows {
            let weight = broad_weight(jobs, ended, expected);
            assert!(weights.contains(&weight), "{name}: {weight}");
        }
    }
}
