//! What is taken for likely of jobs of which none was seen. Pure numbers, made at compile time.

use super::age_bins::{BINS, Bins, end, start};

/// At which rate jobs of a type end, by their age, where no more is known of them.
///
/// One job in ten fails early; the others end at a constant rate and, beyond twice their mean, at half of
/// it: what is late is often stuck.
#[derive(Debug)]
pub(crate) struct Prior {
    /// By bin, per second.
    pub(crate) rates: Bins,
    /// The rate once the early failures are over.
    pub(crate) rate: f64,
}

static CLUSTER: Prior = Prior::of_mean(540.0);
static NODE: Prior = Prior::of_mean(240.0);
static DELETION: Prior = Prior::of_mean(90.0);

/// The part of all jobs that fail early, and their mean time.
const EARLY: f64 = 0.1;
const EARLY_MEAN: f64 = 12.0;

impl Prior {
    /// Returns the one of a type: other types than these are taken for nodes'.
    pub(crate) fn of(job_type: Option<&str>) -> &'static Self {
        match job_type {
            Some("CreateCluster") => &CLUSTER,
            Some(other) if other.starts_with("Delete") || other.starts_with("Remove") => &DELETION,
            _ => &NODE,
        }
    }

    const fn of_mean(mean: f64) -> Self {
        let mut rates = [0.0; BINS];
        let mut bin = 0;
        while bin < BINS {
            let from = start(bin);
            // The last bin has no end; what is left of the early ones by then is nothing.
            let to = if bin < BINS - 1 { end(bin) } else { from + mean };
            // How many end within the bin, and how much time all spend in it.
            let late = (1.0 - EARLY) * (decay(from / mean) - decay(to / mean));
            let early = EARLY * (decay(from / EARLY_MEAN) - decay(to / EARLY_MEAN));
            let rate = (late + early) / (late * mean + early * EARLY_MEAN);
            rates[bin] = if from >= 2.0 * mean { rate / 2.0 } else { rate };
            bin += 1;
        }
        Self { rates, rate: 1.0 / mean }
    }
}

/// Returns e to the power of −x, for x of at least 0: by its series for a small part of x, squared
/// as often as x was halved. Only + − × ÷: the same bits on every machine.
const fn decay(x: f64) -> f64 {
    const HALVINGS: u32 = 12;
    let small = x / (1_u32 << HALVINGS) as f64;
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
    while halving < HALVINGS {
        sum *= sum;
        halving += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_is_the_exponential_function() {
        for x in [0.0, 1e-9, 0.1, 1.0, 2.5, 10.0, 100.0, 500.0, 1000.0] {
            let expected = f64::exp(-x);
            assert!(
                (decay(x) - expected).abs() <= 1e-11 * expected,
                "{x}: {} {expected}",
                decay(x)
            );
        }
        assert_eq!(decay(5000.0), 0.0);
    }

    #[test]
    fn rates_are_those_of_the_mixture() {
        for (prior, mean) in [(&CLUSTER, 540.0), (&NODE, 240.0), (&DELETION, 90.0)] {
            // The time that all jobs spend in a bin times its rate is how many end in it, and all do.
            let survive = |t: f64| 0.9 * f64::exp(-t / mean) + 0.1 * f64::exp(-t / 12.0);
            for bin in 0..BINS - 1 {
                let (from, to) = (start(bin), end(bin));
                let exposure = 0.9 * mean * (f64::exp(-from / mean) - f64::exp(-to / mean))
                    + 1.2 * (f64::exp(-from / 12.0) - f64::exp(-to / 12.0));
                let expected = (survive(from) - survive(to)) / exposure;
                let expected = if from >= 2.0 * mean { expected / 2.0 } else { expected };
                let rate = prior.rates[bin];
                assert!((rate - expected).abs() <= 1e-6 * expected, "{mean} {from}: {rate}");
            }
            assert!((prior.rates[BINS - 1] - 0.5 / mean).abs() < 1e-12);
        }
    }

    #[test]
    fn types_have_their_priors() {
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
            assert!(std::ptr::eq(Prior::of(job_type), prior), "{job_type:?}");
        }
    }
}
