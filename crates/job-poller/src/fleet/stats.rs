//! The figures of a fleet, and of one of its waits.

use std::time::Duration;

use job_model::Phase;
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

use crate::machine::{AttemptError, seconds};

/// The figures of a fleet at one moment.
///
/// Serialized as an object with these fields, durations as seconds. A field that is missing, because
/// an earlier version wrote the object, is read as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FleetStats {
    /// Number of jobs that the fleet waits for.
    pub jobs: usize,
    /// Number of waits that are queued, because the budget is used up or too many requests are in
    /// flight.
    pub queued: usize,
    /// Number of requests in flight.
    pub in_flight: usize,
    /// Maximum number of requests per second at present. Lower than configured while the service
    /// throttles, and while a rate limit applies that it has stated.
    pub requests_per_second: f64,
    /// Time until the number of requests per second is no longer reduced because of throttling. Zero
    /// if the service does not throttle. A stated rate limit applies for longer.
    #[serde(with = "seconds")]
    pub throttled_for: Duration,
    /// Current price of a request, as a delay (see [`BudgetShare`](crate::schedule::BudgetShare)).
    /// It rises when the budget is used up.
    #[serde(with = "seconds")]
    pub request_price: Duration,
    /// Number of requests so far: attempts, sub-job lookups, and requests to refresh credentials.
    pub requests: u64,
    /// Number of attempts that failed.
    pub errors: u64,
    /// Number of failed attempts at which the service was throttling or unavailable (429, 503).
    pub throttled: u64,
    /// Number of waits that have ended.
    pub finished: u64,
    /// Number of requests for lists of jobs. They are part of `requests`.
    pub lists: u64,
    /// Number of times that a list was suspended, because it was stale, slow, too large, refused or
    /// could not be read.
    pub list_suspensions: u64,
}

/// What a fleet knows about one of its waits at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FleetJobStatus {
    /// The last accepted reading of the job, or `None` if it was never read.
    pub snapshot: Option<JobSnapshot>,
    /// Number of attempts. Sub-job lookups are not included.
    pub attempts: u32,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<AttemptError>,
    /// Time since the wait began.
    pub elapsed: Duration,
    /// Time until the next attempt is due. Zero if it is in the queue, and `None` if an attempt is
    /// in flight.
    ///
    /// A planned attempt may be made earlier, if a request of the budget would stay unused.
    pub next_attempt_in: Option<Duration>,
    /// Number of [`FleetWait`](super::FleetWait) and [`FleetEvents`](super::FleetEvents) that share
    /// the wait.
    pub watches: usize,
}

impl FleetJobStatus {
    /// Returns the phase as last read, or `None` if it is absent or the job was never read.
    #[must_use]
    pub fn phase(&self) -> Option<&Phase> {
        self.snapshot.as_ref()?.digest().phase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleet_stats_round_trip_and_missing_figures_are_zero() {
        let stats = FleetStats {
            jobs: 3,
            requests_per_second: 2.5,
            throttled_for: Duration::from_millis(1_500),
            request_price: Duration::from_millis(250),
            requests: 17,
            ..FleetStats::default()
        };
        let json = serde_json::to_string(&stats).unwrap();
        insta::assert_snapshot!(json);
        assert_eq!(serde_json::from_str::<FleetStats>(&json).unwrap(), stats);
        let other_version = r#"{"jobs": 3, "unknown": []}"#;
        let expected = FleetStats { jobs: 3, ..FleetStats::default() };
        assert_eq!(serde_json::from_str::<FleetStats>(other_version).unwrap(), expected);
    }
}
