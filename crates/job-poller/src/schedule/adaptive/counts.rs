//! Counts, within one stage and by age, how many jobs ended and for how long jobs were observed.

use serde::{Deserialize, Serialize};

use super::age_bins::{BIN_COUNT, Bins, bin_end, bin_of, bin_start};

/// The observations within one stage, by the time since the stage began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageCounts {
    /// For how long jobs were observed, in seconds.
    exposure: BinCounts,
    /// Number of jobs that ended.
    completions: BinCounts,
    /// Number of jobs that entered the next stage, because a step ended.
    transitions: BinCounts,
}

/// A number for each bin, without trailing zeros.
type BinCounts = Vec<f32>;

/// The factor by which the weight of earlier jobs shrinks with each recorded job. With a lower
/// value, a hundred jobs are worth no more than twenty. With a higher value, the schedule adapts
/// too slowly when the service gets slower (`cargo xtask bench schedules`).
const FORGETTING_FACTOR: f32 = 0.96;

/// More than any real number of jobs.
const MAX_COUNT: f32 = 1e30;

impl StageCounts {
    /// Returns the counts: exposure, completions, transitions.
    pub(crate) fn bins(&self) -> [Bins; 3] {
        [&self.exposure, &self.completions, &self.transitions].map(|counts| {
            let count = |bin| counts.get(bin).copied().map_or(0.0, f64::from);
            std::array::from_fn(count)
        })
    }

    /// Returns the number of jobs that ended in each bin.
    pub(crate) fn completions(&self) -> impl Iterator<Item = f64> {
        self.completions.iter().copied().map(f64::from)
    }

    fn counts_mut(&mut self) -> [&mut BinCounts; 3] {
        [&mut self.exposure, &mut self.completions, &mut self.transitions]
    }

    /// Adds the time between two ages to the exposure.
    pub(crate) fn add_exposure(&mut self, from: f64, until: f64) {
        for bin in bin_of(from)..=bin_of(until) {
            let time = until.min(bin_end(bin)) - from.max(bin_start(bin));
            add_count(&mut self.exposure, bin, time.max(0.0));
        }
    }

    /// Adds a job that ended at an age.
    pub(crate) fn add_completion(&mut self, age: f64) {
        add_count(&mut self.completions, bin_of(age), 1.0);
    }

    /// Adds a job that entered the next stage at an age.
    pub(crate) fn add_transition(&mut self, age: f64) {
        add_count(&mut self.transitions, bin_of(age), 1.0);
    }

    pub(crate) fn forget(&mut self) {
        self.counts_mut().into_iter().flatten().for_each(|count| *count *= FORGETTING_FACTOR);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let theirs = [&other.exposure, &other.completions, &other.transitions];
        for (ours, theirs) in self.counts_mut().into_iter().zip(theirs) {
            for (bin, count) in theirs.iter().enumerate() {
                add_count(ours, bin, f64::from(*count));
            }
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        [&self.exposure, &self.completions, &self.transitions].iter().all(|counts| {
            counts.len() <= BIN_COUNT && counts.iter().all(|count| (0.0..MAX_COUNT).contains(count))
        })
    }
}

fn add_count(counts: &mut BinCounts, bin: usize, count: f64) {
    if counts.len() <= bin {
        counts.resize(bin + 1, 0.0);
    }
    counts[bin] = (counts[bin] + count as f32).min(MAX_COUNT / 2.0);
}
