//! The prior: the assumed rate at which jobs end, before any job was observed. Computed at compile
//! time.

use super::age_bins::{BIN_COUNT, Bins, bin_end, bin_start};

/// The assumed rate at which jobs of a type end, by age.
///
/// One job in ten fails early. The others end at a constant rate, and at half that rate beyond
/// twice their mean, because a late job is often stalled.
#[derive(Debug)]
pub(crate) struct Prior {
    /// Rate per second, by bin.
    pub(crate) rates: Bins,
    /// Rate per second once the early failures are over.
    pub(crate) late_rate: f64,
}

static CLUSTER: Prior = Prior::from_mean(540.0);
static NODE: Prior = Prior::from_mean(240.0);
static DELETION: Prior = Prior::from_mean(90.0);

/// The fraction of jobs that fail early, and their mean time.
const EARLY_FAILURE_FRACTION: f64 = 0.1;
const EARLY_FAILURE_MEAN_SECS: f64 = 12.0;

impl Prior {
    /// Returns the prior of a job type. Unknown types have the prior of nodes.
    pub(crate) fn for_type(job_type: Option<&str>) -> &'static Self {
        match job_type {
            Some("CreateCluster") => &CLUSTER,
            Some(other) if other.starts_with("Delete") || other.starts_with("Remove") => &DELETION,
            _ => &NODE,
        }
    }

    const fn from_mean(mean: f64) -> Self {
        let mut rates = [0.0; BIN_COUNT];
        let mut bin = 0;
        while bin < BIN_COUNT {
            let from = bin_start(bin);
            // The last bin has no end. Early failures are negligible by then.
            let to = if bin < BIN_COUNT - 1 { bin_end(bin) } else { from + mean };
            // The fractions of the jobs that end in the bin. Multiplied by the mean, they are the
            // time spent in it.
            let late = (1.0 - EARLY_FAILURE_FRACTION) * (exp_neg(from / mean) - exp_neg(to / mean));
            let early = EARLY_FAILURE_FRACTION
                * (exp_neg(from / EARLY_FAILURE_MEAN_SECS) - exp_neg(to / EARLY_FAILURE_MEAN_SECS));
            let rate = (late + early) / (late * mean + early * EARLY_FAILURE_MEAN_SECS);
            rates[bin] = if from >= 2.0 * mean { rate / 2.0 } else { rate };
            bin += 1;
        }
        Self { rates, late_rate: 1.0 / mean }
    }
}

/// Returns e^−x for x ≥ 0. Divides x by 2^12, computes the series, and squares the result twelve
/// times. Uses only + − × ÷, which give the same bits on every machine.
const fn exp_neg(x: f64) -> f64 {
    const HALVING_COUNT: u32 = 12;
    let small = x / (1_u32 << HALVING_COUNT) as f64;
    if small > 0.25 {
        return 0.0;
    }
    let (mut sum, mut term, mut number) = (1.0, 1.0, 1);
    while number <= 10 {
        term *= -small / number as f64;
        sum += term;
        number += 1;
    }
    let mut halving = 0;
    while halving < HALVING_COUNT {
        sum *= sum;
        halving += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_neg_matches_the_standard_library() {
        for x in [0.0, 1e-9, 0.1, 1.0, 2.5, 10.0, 100.0, 500.0, 1000.0] {
            let expected = f64::exp(-x);
            assert!(
                (exp_neg(x) - expected).abs() <= 1e-11 * expected,
                "{x}: {} {expected}",
                exp_neg(x)
            );
        }
        assert_eq!(exp_neg(5000.0), 0.0);
    }

    #[test]
    fn prior_rates_match_the_mixture_distribution() {
        for (prior, mean) in [(&CLUSTER, 540.0), (&NODE, 240.0), (&DELETION, 90.0)] {
            // The rate of a bin is the number of jobs that end in it, divided by the time that jobs
            // spend in it.
            let survive = |t: f64| 0.9 * f64::exp(-t / mean) + 0.1 * f64::exp(-t / 12.0);
            for bin in 0..BIN_COUNT - 1 {
                let (from, to) = (bin_start(bin), bin_end(bin));
                let exposure = 0.9 * mean * (f64::exp(-from / mean) - f64::exp(-to / mean))
                    + 1.2 * (f64::exp(-from / 12.0) - f64::exp(-to / 12.0));
                let expected = (survive(from) - survive(to)) / exposure;
                let expected = if from >= 2.0 * mean { expected / 2.0 } else { expected };
                let rate = prior.rates[bin];
                assert!((rate - expected).abs() <= 1e-6 * expected, "{mean} {from}: {rate}");
            }
            assert!((prior.rates[BIN_COUNT - 1] - 0.5 / mean).abs() < 1e-12);
        }
    }

    #[test]
    fn job_types_map_to_their_priors() {
        let rows = [
            (Some("CreateCluster"), &CLUSTER),
            (Some("DeleteCluster"), &DELETION),
            (Some("RemoveNode"), &DELETION),
            (Some("ScaleupCluster"), &NODE),
            (Some("CreateNode"), &NODE),
            (Some(""), &NODE),
            (None, &NODE),
        ];
        for (job_type, prior) in rows {
            assert!(std::ptr::eq(Prior::for_type(job_type), prior), "{job_type:?}");
        }
    }
}
