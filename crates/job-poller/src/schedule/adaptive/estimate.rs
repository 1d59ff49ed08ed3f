//! Estimates the rates of a stage from the observations and the prior. Uses only + − × ÷, which give
//! the same bits on every machine.

use super::{
    age_bins::{BIN_COUNT, Bins, bin_end, bin_start, smooth, window_sums},
    counts::StageCounts,
};

/// Widths of the windows of the broad estimate, and of its comparison with the observations. They
/// cover five and three and a half bins.
const BROAD_WINDOW: u32 = 9;
const COMPARED_WINDOW: u32 = 4;

/// Weight of the prior in the broad estimate, in jobs that end within a window.
const BROAD_PRIOR_WEIGHT: f64 = 0.4;

/// Weight of the prior in each bin, in jobs, after `jobs` jobs.
fn prior_weight(jobs: f64) -> f64 {
    0.3 + 0.8 / (1.0 + jobs)
}

/// Weight of the broad estimate in each bin, in jobs, after `jobs` jobs. In the window around the
/// bin, `observed` jobs ended, and the broad estimate expects `expected`.
///
/// A few jobs cannot show that the broad estimate is right. After more jobs it has a large weight,
/// unless the observations disagree with it. The tolerance is wider than the random deviation of
/// the observations, because the broad estimate is made from the same observations.
fn broad_weight(jobs: f64, observed: f64, expected: f64) -> f64 {
    let disagreement = (observed - expected) * (observed - expected) / (expected + 4.0);
    1.0 / (10.0 / (jobs * jobs) + 5.0 * disagreement)
}

/// Returns the rates per second at which jobs end in the stage, and at which its step ends.
///
/// The estimate in a bin is narrow enough for jobs that take nearly the same time, and therefore
/// noisy. So it is combined with the prior, and with a broad estimate: the prior, multiplied by the
/// number of jobs that ended around the bin relative to the number that the prior expects. The
/// broad estimate learns the share of early failures, and the mean of jobs that end at a constant
/// rate, from few jobs. The weights were chosen on other distributions than those of
/// `cargo xtask bench schedules`.
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
