//! What is known of a list, and when it is read next. Reads no clock, performs no I/O.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::{budget::UrgencyBucket, durable::ListEvidence};
use serde::{Deserialize, Serialize};

use super::{MIN_WAITS, project_waits::Planner};
use crate::row::LastReading;

/// What is known of a list, as stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ListState {
    pub(super) evidence: ListEvidence,
    /// The time of the service in the last list.
    pub(super) date: Option<Timestamp>,
    /// When the last list was processed, by the clock of the database.
    pub(super) read_at: Option<Timestamp>,
    /// The durations of the jobs that ended until then are in the history.
    pub(super) learned_until: Option<Timestamp>,
    /// The urgency with which the list counts in the budget, while it replaces readings.
    pub(super) urgency: Option<UrgencyBucket>,
}

/// The jobs of a project whose list was read. The urgency of a job is √*h*, where *h* is the rate per
/// second at which it ends now.
#[derive(Debug, Default)]
pub(super) struct Jobs<'a> {
    /// The number of waits of the project that are not paused.
    pub(super) waits: u64,
    /// The sums of √*h* and *h* over the jobs in the list.
    urgencies: f64,
    hazards: f64,
    most_urgent: Option<(f64, &'a LastReading)>,
}

/// While a list is only read to test it, the part of the requests of its project that it may use.
const TEST_PART: f64 = 0.1;

/// The bounds of the time between two readings of a list that is tested, in seconds.
const TEST_INTERVAL_SECS: (f64, f64) = (2.0, 60.0);

/// The urgency of a job that was not read yet: such jobs take four minutes on average.
const UNKNOWN_URGENCY: f64 = 0.0645;

/// The longest pause between two readings of a list that replaces readings of its jobs.
const MAX_PAUSE: Duration = Duration::from_secs(60);

impl<'a> Jobs<'a> {
    /// Adds the job of a wait. `reading` is its last one if the list has a row for the job.
    pub(super) fn add(&mut self, planner: &Planner<'_>, reading: Option<&'a LastReading>) {
        self.waits += 1;
        let Some(reading) = reading else { return };
        let urgency = planner.plan(reading, 1).and_then(|plan| plan.urgency);
        let Some(urgency) = urgency.filter(|urgency| *urgency > 0.0) else { return };
        self.urgencies += urgency;
        self.hazards += urgency * urgency;
        if self.most_urgent.is_none_or(|(highest, _)| highest < urgency) {
            self.most_urgent = Some((urgency, reading));
        }
    }
}

impl ListState {
    /// Plans the next reading, after `pause` at the earliest. Sets whether the list replaces readings
    /// of its jobs. Returns `None` if the list is not read any more, because it would show too few
    /// jobs.
    ///
    /// The jobs of a list share the price of its request. The list is read when the most urgent job
    /// would be read for its share of the price. A list that has not proved fresh, or that does not save
    /// requests, is read only as often as a test of it needs.
    pub(super) fn plan(
        &mut self,
        jobs: &Jobs<'_>,
        planner: &Planner<'_>,
        pause: Duration,
    ) -> Option<Duration> {
        let price = planner.share.request_price.as_secs_f64();
        let evidence = self.evidence;
        let covers =
            pause <= MAX_PAUSE && evidence.is_list_cheaper(jobs.urgencies, jobs.hazards, price);
        self.urgency = None;
        if let Some((highest, reading)) = jobs.most_urgent.filter(|_| covers) {
            let shown = jobs.hazards * (1.0 - evidence.miss_probability());
            self.urgency = Some(UrgencyBucket::from_urgency(shown.sqrt()));
            let together = evidence.jobs_per_request(jobs.hazards, highest);
            Some(planner.plan(reading, together)?.delay.max(pause))
        } else if jobs.waits >= MIN_WAITS {
            let known = if jobs.urgencies > 0.0 {
                jobs.urgencies
            } else {
                jobs.waits as f64 * UNKNOWN_URGENCY
            };
            let (least, most) = TEST_INTERVAL_SECS;
            let seconds = ((2.0 * price).sqrt() / (TEST_PART * known)).clamp(least, most);
            Some(Duration::from_secs_f64(seconds).max(pause))
        } else {
            None
        }
    }

    /// Returns the probability that the list does not show the next change, in millionths. `None` if it
    /// replaces no readings.
    pub(super) fn missed(&self) -> Option<i64> {
        self.urgency.map(|_| (self.evidence.miss_probability() * 1e6).ceil() as i64)
    }
}

#[cfg(test)]
mod tests;
