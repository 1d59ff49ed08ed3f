//! An estimate from the observations in a bin and its neighbors, and the prior.

use super::{Observed, time_in_bin};
use crate::schedule::adaptive::age_bins::{Bins, smooth};

/// Weight of the prior in each bin, in jobs.
pub(super) const PRIOR_WEIGHT: f64 = 0.7;

pub(super) fn estimate(observed: &Observed, prior: &Bins) -> Bins {
    let (exposure, completions) = (smooth(&observed.exposure), smooth(&observed.completions));
    std::array::from_fn(|at| {
        let from_prior = PRIOR_WEIGHT * time_in_bin(at, prior[at]);
        (completions[at] + from_prior * prior[at]) / (exposure[at] + from_prior)
    })
}
