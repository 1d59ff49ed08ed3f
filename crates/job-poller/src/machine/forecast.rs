//! When the next request for a job is worth its price, at any time after its last reading.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schedule::{BudgetShare, CompletedSteps, PollPlan, PollState, Schedule};

/// What a schedule has to know to plan a request for a job, at any time after its last reading.
///
/// A list of jobs needs it for each of its jobs: the more of them are likely to end, the earlier the
/// list is read again. See [`StoredWait::forecast`](crate::durable::StoredWait::forecast).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    job_type: Option<String>,
    /// The age of the job at its last reading.
    age: Duration,
    /// The time from the beginning of the wait to the last reading.
    elapsed: Duration,
    readings: u32,
    random: u64,
    nearly_done: bool,
    /// The number of the job's steps that have ended, and its age when the last one did.
    steps: (u32, Duration),
}

impl Forecast {
    pub(super) fn new(state: &PollState<'_>, step_ends: &[Duration]) -> Self {
        let count = step_ends.len().try_into().unwrap_or(u32::MAX);
        Self {
            job_type: state.job_type.map(str::to_owned),
            age: state.age,
            elapsed: state.elapsed,
            readings: state.count,
            random: state.random,
            nearly_done: state.nearly_done,
            steps: (count, step_ends.last().copied().unwrap_or_default()),
        }
    }

    /// Returns the age of the job at its last reading.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// Returns what the schedule would plan now for a request that shows `jobs` jobs. The last reading
    /// of the job was `since_reading` ago.
    #[must_use]
    pub fn plan(
        &self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        since_reading: Duration,
        jobs: u32,
    ) -> PollPlan {
        let age = self.age.saturating_add(since_reading);
        let (count, last_end) = self.steps;
        let state = CompletedSteps::new(count, last_end, age);
        schedule.plan(&PollState {
            elapsed: self.elapsed.saturating_add(since_reading),
            count: self.readings,
            random: self.random,
            nearly_done: self.nearly_done,
            share: Some(share),
            jobs_per_request: jobs,
            ..state.poll_state(self.job_type.as_deref(), age)
        })
    }
}
