//! What a wait may take. Holds no running state.

use std::time::Duration;

use crate::Exponential;

/// The limits of a wait.
///
/// ```
/// use std::time::Duration;
///
/// const POLICY: job_poller::WaitPolicy =
///     job_poller::WaitPolicy::new().timeout(Duration::from_secs(45 * 60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitPolicy {
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) backoff: Exponential,
}

impl WaitPolicy {
    /// Returns the default limits: an hour for the wait, 30 s for one attempt, and pauses
    /// of 1 s to 30 s after faults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            // Other clients stop after 10 to 60 minutes, and limits too short are the first of
            // their users' complaints.
            timeout: Duration::from_secs(60 * 60),
            attempt_timeout: Duration::from_secs(30),
            // Soon after a single fault; twice a minute where the service is in trouble, which
            // adds no load to speak of and notices its return half a minute late at most.
            backoff: Exponential::new(Duration::from_secs(1)..=Duration::from_secs(30)).factor(2.0),
        }
    }

    /// Sets how long to wait in all; one hour by default. With zero, one attempt is made, under
    /// its own timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long one attempt may take; 30 s by default. The transport's own limit holds too.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the pauses after faults: from 1 s to 30 s by default, doubling. They start over with
    /// the first attempt that gives a job, and have no part in the pauses between readings.
    #[must_use]
    pub const fn backoff(mut self, backoff: Exponential) -> Self {
        self.backoff = backoff;
        self
    }

    /// Returns when the last attempt starts at the latest, so that it has a chance to end before
    /// the deadline: a reserve of two seconds, or of a tenth of a timeout below twenty.
    pub(crate) fn last_start(&self) -> Duration {
        self.timeout - (self.timeout / 10).min(Duration::from_secs(2))
    }
}

impl Default for WaitPolicy {
    fn default() -> Self {
        Self::new()
    }
}
