//! Estimates the rates of a stage from the observations and the prior. Uses only + − × ÷ √, which
//! give the same bits on every machine.

mod local;
mod pooled;
mod cross_validation;

use super::{
    age_bins::{Bins, bin_end, bin_start, bin_width, smooth},
    counts::StageCounts,
};

/// What was observed in a stage, by the time since the stage began.
#[derive(Clone, Debug)]
struct Observed {
    /// For how long jobs were observed in each bin, in seconds.
    exposure: Bins,
    /// Number of jobs that ended in each bin.
    completions: Bins,
    /// Number of jobs that have left the stage.
    jobs: f64,
}

impl Observed {
    /// Returns what would have been observed without one job that ended in the middle of a bin.
    /// If the jobs in the bin weigh less than one, because they are old, removes all of them.
    fn without_job_in(&self, bin: usize) -> Self {
        let mut rest = self.clone();
        let weight = self.completions[bin].min(1.0);
        rest.completions[bin] -= weight;
        rest.jobs = (rest.jobs - weight).max(0.0);
        for (at, exposure) in rest.exposure[..=bin].iter_mut().enumerate() {
            let time = if at < bin { bin_width(at) } else { bin_width(at) / 2.0 };
            *exposure = (*exposure - weight * time).max(0.0);
        }
        rest
    }
}

/// Returns the rate per second at which jobs end in the stage, and the rate at which its step ends,
/// by the time since the stage began.
///
/// The first rate is a mix of two estimates:
///
/// - [`local`]: the observations in a bin and its neighbors, and the prior.
/// - [`pooled`]: the same, and the observations of a wider range of ages. It needs fewer jobs if
///   the durations vary as in the prior, but it is worse if most jobs take nearly the same time.
///
/// [`cross_validation`] returns their weights.
pub(crate) fn estimate_rates(stage: &StageCounts, prior: &Bins) -> [Bins; 2] {
    let bins @ [exposure, completions, transitions] = stage.bins();
    let jobs = bins[1..].iter().flatten().sum();
    let observed = Observed { exposure, completions, jobs };
    let local = local::estimate(&observed, prior);
    let pooled = pooled::estimate(&observed, prior);
    let pooled_weight = cross_validation::pooled_weight(&observed, prior);
    let completion = mix(&local, &pooled, pooled_weight);

    let [exposure, transitions] = [exposure, transitions].map(|bins| smooth(&bins));
    let transition = std::array::from_fn(|at| {
        transitions[at] / (exposure[at] + local::PRIOR_WEIGHT * time_in_bin(at, prior[at]))
    });
    [completion, transition]
}

fn mix(from: &Bins, to: &Bins, part: f64) -> Bins {
    std::array::from_fn(|at| from[at] + part * (to[at] - from[at]))
}

/// Returns about how long a job that enters a bin stays in it if jobs end at this rate.
fn time_in_bin(bin: usize, rate: f64) -> f64 {
    1.0 / (1.0 / (bin_end(bin) - bin_start(bin)) + rate)
}

#[cfg(test)]
mod tests;
