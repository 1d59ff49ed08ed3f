//! A job that is `Success` while sub-jobs of it go on: the wait goes on for a moment.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::Settle;

/// Since when a job is `Success` whose sub-jobs have not all ended, and how often it was read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settling {
    pub(super) since: Duration,
    /// How old the job was then.
    pub(super) age: Duration,
    pub(super) readings: u32,
    /// The `Date` of the last reply with it.
    pub(super) date: Option<Timestamp>,
}

impl Settling {
    /// Returns how much longer the job is read again; zero after the window, or after enough readings.
    pub(super) fn time_left(&self, settle: Settle, elapsed: Duration) -> Duration {
        if self.readings >= settle.readings {
            return Duration::ZERO;
        }
        settle.window.saturating_sub(elapsed.saturating_sub(self.since))
    }
}
