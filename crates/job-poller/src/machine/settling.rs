//! The state of a job that is `Success` while sub-jobs are still active.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::Settle;

/// When the job was first read as `Success` with active sub-jobs, and the readings since then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settling {
    /// When the job was first read as `Success`.
    pub(super) since: Duration,
    /// The job's age at that time.
    pub(super) age: Duration,
    pub(super) readings: u32,
    /// The `Date` of the last reading.
    pub(super) date: Option<Timestamp>,
}

impl Settling {
    /// Returns how much longer the job is read again. Returns zero after the window or after enough
    /// readings.
    pub(super) fn time_left(&self, settle: Settle, elapsed: Duration) -> Duration {
        if self.readings >= settle.readings {
            return Duration::ZERO;
        }
        settle.window.saturating_sub(elapsed.saturating_sub(self.since))
    }
}
