//! What the jobs' own readings have proved about a list: whether its rows are fresh.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Counts how often a list showed a change that a job's own reading had just shown.
///
/// Only a change proves anything: rows that equal unchanged jobs may be as old as the last change.
///
/// # Examples
///
/// ```
/// use job_poller::durable::ListEvidence;
///
/// let mut evidence = ListEvidence::new();
/// assert_eq!(evidence.miss_probability(), 1.0);
/// evidence.record_fresh();
/// assert_eq!(evidence.miss_probability(), 0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEvidence {
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
#[cfg(feature = "tokio")]
const MIN_TESTED_CHANGES: u32 = 12;

/// The first suspension, and the longest one. Each is twice as long as the one before.
const MIN_SUSPENSION: Duration = Duration::from_secs(60);
const MAX_SUSPENSION: Duration = Duration::from_secs(3600);

impl ListEvidence {
    /// Creates evidence without any change.
    #[must_use]
    pub const fn new() -> Self {
        Self { fresh: 0, misses: 0, suspensions: 0 }
    }

    /// Records that the list showed a change in time.
    pub fn record_fresh(&mut self) {
        self.fresh = self.fresh.saturating_add(1);
        if self.fresh.is_multiple_of(CHANGES_TO_FORGET_SUSPENSIONS) {
            self.suspensions = 0;
            self.misses /= 2;
        }
    }

    /// Records that the list did not show a change in time.
    pub const fn record_miss(&mut self) {
        self.fresh = 0;
        self.misses = if self.misses < MAX_MISSES { self.misses + 1 } else { MAX_MISSES };
    }

    /// Returns for how long the list is not read, and makes the next suspension longer: one minute,
    /// two, and so on up to an hour. A list that could not be read is as trustworthy as before.
    pub fn suspend(&mut self, loses_trust: bool) -> Duration {
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
    #[must_use]
    pub fn miss_probability(&self) -> f64 {
        let misses = f64::from(self.misses) + 1.0;
        misses / (misses + f64::from(self.fresh))
    }

    /// Returns whether reading the list costs less than reading its jobs one by one.
    ///
    /// `urgencies` is the sum of √*h* over the jobs in the list, where *h* is the rate per second at
    /// which a job ends, and `hazards` the sum of *h*. `request_price` is in seconds.
    ///
    /// With *n* jobs, reading each of them costs Σ√(2*wh*). The list costs √(2*w* Σ*h*). Each end that
    /// it shows costs one request more, and the ends that it misses are found by readings of the jobs,
    /// at the rate √*p* of the usual one.
    #[must_use]
    pub fn is_list_cheaper(&self, urgencies: f64, hazards: f64, request_price: f64) -> bool {
        let missed = self.miss_probability();
        let with_list = ((1.0 - missed) * hazards).sqrt()
            + missed.sqrt() * urgencies
            + (1.0 - missed) * hazards * (request_price / 2.0).sqrt();
        self.fresh > 0 && with_list < urgencies
    }

    /// Returns how many jobs like the most urgent one a request for the list shows. They share the
    /// price of the request.
    ///
    /// `hazards` is as in [`is_list_cheaper`](Self::is_list_cheaper), and `highest_urgency` the √*h* of
    /// the most urgent job.
    #[must_use]
    pub fn jobs_per_request(&self, hazards: f64, highest_urgency: f64) -> u32 {
        let shown = hazards * (1.0 - self.miss_probability());
        (shown / (highest_urgency * highest_urgency)).round().max(1.0) as u32
    }

    /// Returns whether the list has shown enough changes, so that it need not be read to test it.
    #[cfg(feature = "tokio")]
    pub(crate) const fn is_sufficient(&self) -> bool {
        self.fresh >= MIN_TESTED_CHANGES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_grows_with_each_change_shown_and_starts_again_after_a_miss() {
        let mut evidence = ListEvidence::default();
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
        let mut evidence = ListEvidence::default();
        let lengths: Vec<_> = (0..8).map(|_| evidence.suspend(true).as_secs()).collect();
        assert_eq!(lengths, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        for _ in 0..CHANGES_TO_FORGET_SUSPENSIONS {
            evidence.record_fresh();
        }
        assert_eq!(evidence.suspend(false).as_secs(), 60);
        let is_cheaper = |evidence: ListEvidence| evidence.is_list_cheaper(2.0, 0.1, 0.25);
        assert!(is_cheaper(evidence) && !is_cheaper(ListEvidence::new()));
    }
}
