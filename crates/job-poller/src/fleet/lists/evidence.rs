//! What the jobs' own readings have proved about a list: whether its rows are fresh.

use std::time::Duration;

/// Counts of how often the list showed a change that a job's own reading had just shown.
///
/// Only a change proves anything: rows that equal unchanged jobs may be as old as the last change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::fleet) struct Evidence {
    /// Number of changes that the list showed in time, since it last missed one.
    fresh: u32,
    /// Number of times that the list missed a change, at most [`MAX_MISSES`].
    misses: u32,
    /// Number of suspensions since the list last showed [`CHANGES_TO_FORGET_SUSPENSIONS`] changes in
    /// a row.
    suspensions: u32,
}

/// After more misses, the list is not trusted less.
const MAX_MISSES: u32 = 8;

/// Number of changes in a row that the list has to show before its suspensions are forgotten.
const CHANGES_TO_FORGET_SUSPENSIONS: u32 = 30;

/// Number of changes that a list has to show before it is no longer read only to test it. After nine,
/// a list is worth its price for two jobs.
const MIN_TESTED_CHANGES: u32 = 12;

/// The first suspension, and the longest one. Each is twice as long as the one before.
const MIN_SUSPENSION: Duration = Duration::from_secs(60);
const MAX_SUSPENSION: Duration = Duration::from_secs(3600);

impl Evidence {
    pub(in crate::fleet) const fn new() -> Self {
        Self { fresh: 0, misses: 0, suspensions: 0 }
    }

    /// Records that the list showed a change in time.
    pub(in crate::fleet) fn record_fresh(&mut self) {
        self.fresh = self.fresh.saturating_add(1);
        if self.fresh.is_multiple_of(CHANGES_TO_FORGET_SUSPENSIONS) {
            self.suspensions = 0;
            self.misses /= 2;
        }
    }

    /// Records that the list did not show a change in time.
    pub(in crate::fleet) const fn record_miss(&mut self) {
        self.fresh = 0;
        self.misses = if self.misses < MAX_MISSES { self.misses + 1 } else { MAX_MISSES };
    }

    /// Returns for how long the list is not read, and makes the next suspension longer. A list that
    /// could not be read is as trustworthy as before.
    pub(in crate::fleet) fn suspend(&mut self, loses_trust: bool) -> Duration {
        if loses_trust {
            self.fresh = 0;
        }
        let length = MIN_SUSPENSION.saturating_mul(1 << self.suspensions.min(6));
        self.suspensions = self.suspensions.saturating_add(1);
        length.min(MAX_SUSPENSION)
    }

    /// Returns the probability that the list does not show the next change in time.
    ///
    /// This is the rule of succession. Without evidence it is 1, so that the list has to earn the
    /// trust.
    pub(in crate::fleet) fn miss_probability(&self) -> f64 {
        let misses = f64::from(self.misses) + 1.0;
        misses / (misses + f64::from(self.fresh))
    }

    /// Returns whether the list has shown enough changes, so that it need not be read to test it.
    pub(in crate::fleet) const fn is_sufficient(&self) -> bool {
        self.fresh >= MIN_TESTED_CHANGES
    }

    /// Returns whether the list has shown each of the last changes.
    pub(in crate::fleet) const fn is_proven(&self) -> bool {
        self.fresh > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_grows_with_each_change_shown_and_starts_again_after_a_miss() {
        let mut evidence = Evidence::default();
        let mut probabilities = Vec::new();
        for step in "ffffmffff".chars() {
            match step {
                'f' => evidence.record_fresh(),
                _ => evidence.record_miss(),
            }
            probabilities.push((evidence.miss_probability() * 1000.0).round());
        }
        assert_eq!(probabilities, [500., 333., 250., 200., 1000., 667., 500., 400., 333.]);
    }

    #[test]
    fn suspensions_grow_to_an_hour_until_the_list_is_fresh_for_long() {
        let mut evidence = Evidence::default();
        let lengths: Vec<_> = (0..8).map(|_| evidence.suspend(true).as_secs()).collect();
        assert_eq!(lengths, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        for _ in 0..CHANGES_TO_FORGET_SUSPENSIONS {
            evidence.record_fresh();
        }
        assert_eq!(evidence.suspend(false).as_secs(), 60);
        assert!(evidence.is_proven());
    }
}
