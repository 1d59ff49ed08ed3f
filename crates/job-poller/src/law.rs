//! How likely a job is to end at which age: the rate at which jobs of a type end, in bins. Pure
//! numbers, the same bits on every machine: only + − × ÷ √.

/// The rates of a type of job.
#[derive(Debug)]
pub(crate) struct Law {
    /// By bin, per second.
    rates: [f64; BINS],
}

/// A third of an octave wide each but for the first, which reaches from 0 to 4 s; the last has no
/// end. 4 s × 2^(41/3) are 14 hours.
const BINS: usize = 43;

/// Where each bin but the first starts, in seconds.
const STARTS: [f64; BINS - 1] = starts();

static CLUSTER: Law = Law::of_mean(540.0);
static NODE: Law = Law::of_mean(240.0);
static DELETION: Law = Law::of_mean(90.0);

/// The part of all jobs that fail early, and their mean time.
const EARLY: f64 = 0.1;
const EARLY_MEAN: f64 = 12.0;

impl Law {
    /// Returns the law of a type: other types than these are taken for nodes'.
    pub(crate) fn of(job_type: Option<&str>) -> &'static Self {
        match job_type {
            Some("CreateCluster") => &CLUSTER,
            Some(other) if other.starts_with("Delete") || other.starts_with("Remove") => &DELETION,
            _ => &NODE,
        }
    }

    /// Returns how long it takes from an age on until the integral of √(rate / 2 worth) reaches
    /// one; all in seconds.
    pub(crate) fn gap(&self, age: f64, worth: f64) -> f64 {
        let mut bin = STARTS.iter().take_while(|start| **start <= age).count();
        let (mut from, mut left) = (age, 1.0);
        while let Some(end) = STARTS.get(bin) {
            let density = (self.rates[bin] / (2.0 * worth)).sqrt();
            let within = density * (end - from);
            if within >= left {
                return from - age + left / density;
            }
            (from, left, bin) = (*end, left - within, bin + 1);
        }
        from - age + left / (self.rates[BINS - 1] / (2.0 * worth)).sqrt()
    }

    /// Returns the law of jobs of which one in ten fails early, and the others end at a constant
    /// rate with this mean, at half that rate beyond twice the mean.
    const fn of_mean(mean: f64) -> Self {
        let mut rates = [0.0; BINS];
        let mut bin = 0;
        while bin < BINS {
            let from = if bin == 0 { 0.0 } else { STARTS[bin - 1] };
            // The last bin has no end; what is left of the early ones by then is nothing.
            let to = if bin < BINS - 1 { STARTS[bin] } else { from + mean };
            // How many end within the bin, and how much time all spend in it.
            let late = (1.0 - EARLY) * (decay(from / mean) - decay(to / mean));
            let early = EARLY * (decay(from / EARLY_MEAN) - decay(to / EARLY_MEAN));
            let rate = (late + early) / (late * mean + early * EARLY_MEAN);
            rates[bin] = if from >= 2.0 * mean { rate / 2.0 } else { rate };
            bin += 1;
        }
        Self { rates }
    }
}

const fn starts() -> [f64; BINS - 1] {
    const THIRD_OF_AN_OCTAVE: f64 = 1.259_921_049_894_873_2;
    let mut starts = [4.0; BINS - 1];
    let mut bin = 1;
    while bin < BINS - 1 {
        starts[bin] = starts[bin - 1] * THIRD_OF_AN_OCTAVE;
        bin += 1;
    }
    starts
}

/// Returns e to the power of −x, for x of at least 0: by its series for a small part of x, squared
/// as often as x was halved.
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
mod tests;
