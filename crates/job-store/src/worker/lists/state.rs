//! What is known of a list, and when it is read next. Reads no clock, performs no I/O.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::{budget::UrgencyBucket, durable::ListEvidence};
use serde::{Deserialize, Serialize};

use super::{MIN_TRUSTED_WAITS, MIN_WAITS};

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
    /// The urgency with which the list counts in the budget.
    pub(super) urgency: Option<UrgencyBucket>,
}

/// The jobs of the waits in a list. The urgency of a job is √*h*, where *h* is the rate per second at
/// which it ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Jobs {
    /// The number of waits of the project that are not paused.
    pub(super) waits: u64,
    /// The sum of their urgencies.
    pub(super) all_urgencies: f64,
    /// The sum over the jobs whose rows agree with their own readings.
    pub(super) urgencies: f64,
    /// The sum of *h* over these jobs.
    pub(super) hazards: f64,
}

/// When a list is read next, and what it replaces until then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ListPlan {
    /// `None` if it is not read, because it would show too few jobs.
    pub(super) interval: Option<Duration>,
    /// How far the list replaces readings of its jobs; see [`miss_probability`].
    pub(super) trust: i64,
}

/// The minimum urgency of a job: such jobs take four minutes on average.
///
/// The urgency of a plan is an average until the job's own next reading, which may be minutes away. If
/// the job is likely to end at a certain age, *h* is far below its mean before and far above it then.
/// The ages of many jobs differ, so that *h* is about the mean for all of them together.
const MIN_URGENCY: f64 = 0.0645;

/// While a list is only read to test it, the part of the requests of its project that it may use.
const TEST_PART: f64 = 0.1;

/// The bounds of the time between two readings of a list, in seconds.
const INTERVAL_SECS: (f64, f64) = (2.0, 3600.0);

/// A list that is so large that it may only be read less often than this replaces no readings.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The maximum trust in a list.
const MAX_TRUST: i64 = 5;

/// Returns the probability that a list with this trust does not show the next change. Each step of
/// trust doubles the delays of a job's own readings. Few steps, because each one is written to all
/// waits of the project.
pub(in crate::worker) fn miss_probability(trust: i64) -> f64 {
    0.25_f64.powi(i32::try_from(trust.clamp(0, MAX_TRUST)).unwrap_or_default())
}

/// Returns the highest trust that a list deserves which misses a change with this probability.
fn trust(missed: f64) -> i64 {
    (0..=MAX_TRUST).rev().find(|trust| miss_probability(*trust) >= missed).unwrap_or_default()
}

impl Jobs {
    /// Adds the job of a wait. `urgency` is in millionths, as stored.
    pub(super) fn add(&mut self, urgency: Option<i64>, agrees: bool) {
        let urgency = (urgency.unwrap_or_default() as f64 / 1e6).max(MIN_URGENCY);
        self.waits += 1;
        self.all_urgencies += urgency;
        if agrees {
            self.urgencies += urgency;
            self.hazards += urgency * urgency;
        }
    }
}

impl ListState {
    /// Plans the next reading, after `pause` at the earliest, and sets the urgency in the budget.
    /// `request_price` is in seconds.
    ///
    /// A request that shows *n* jobs costs each of them a part of its price *w*, so the list is read
    /// as often as one job whose *h* is that of all of them: √(Σ*h* / 2*w*) times per second. Before
    /// the list has proved fresh, or if that does not save requests, it is read as rarely as a test
    /// needs.
    pub(super) fn plan(&mut self, jobs: &Jobs, request_price: f64, pause: Duration) -> ListPlan {
        let missed = self.evidence.miss_probability();
        let shown = jobs.hazards * (1.0 - missed);
        let rate_factor = (2.0 * request_price).sqrt();
        self.urgency = None;
        let interval = |rate: f64| {
            let (least, most) = INTERVAL_SECS;
            Some(Duration::from_secs_f64((1.0 / rate).clamp(least, most)).max(pause))
        };
        let is_cheaper = self.evidence.is_list_cheaper(jobs.urgencies, jobs.hazards, request_price);
        if is_cheaper && pause <= MAX_PAUSE && jobs.waits >= MIN_TRUSTED_WAITS {
            self.urgency = Some(UrgencyBucket::from_urgency(shown.sqrt()));
            ListPlan { interval: interval(shown.sqrt() / rate_factor), trust: trust(missed) }
        } else if jobs.waits >= MIN_WAITS {
            let rate = TEST_PART * jobs.all_urgencies / rate_factor;
            ListPlan { interval: interval(rate), trust: 0 }
        } else {
            ListPlan { interval: None, trust: 0 }
        }
    }
}

#[cfg(test)]
mod tests;
