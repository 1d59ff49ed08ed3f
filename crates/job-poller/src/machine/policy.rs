//! What a wait may take, and where it stops. Holds no running state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error_limits::ErrorLimits;
use crate::schedule::Exponential;

/// The limits of a wait.
///
/// These errors end a wait before its deadline, with the default limits:
///
/// | error | before the first reading | after a reading |
/// |---|---|---|
/// | unknown host, refused connection | for 2 min: `Unreachable` | never |
/// | 404 while a job that succeeded settles | - | at once: `Vanished` |
/// | 404 | for 30 s: `NotFound` | 3 in a row over 10 s: `Vanished` |
/// | wrong signature | at once: `Unauthorized` | at once: `Unauthorized` |
/// | 401 | at once: `Unauthorized` | 3 in a row over 10 s: `Unauthorized` |
/// | any other permanent error, such as 403 or a certificate that is not accepted | at once: `Permanent` | 3 in a row over 10 s: `Permanent` |
/// | 200 with a body that is not a job | 5 in a row: `Unreadable` | 5 in a row over 2 min: `Unreadable` |
/// | 200 with another job | 2 in a row: `Mismatch` | 2 in a row: `Mismatch` |
///
/// "for 30 s" is the time since the first such error. A reading resets a count, and so does an error of
/// another kind; 401 counts with the other permanent errors. Before the first reading, a transient error
/// does not reset the time of a 404, and a transient error without a reply does not reset the time of a
/// refused connection. Every other error, such as a 503 or a lost connection, ends no wait.
///
/// ```
/// use std::time::Duration;
///
/// const POLICY: job_poller::WaitPolicy =
///     job_poller::WaitPolicy::new().timeout(Duration::from_secs(45 * 60)).strict();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitPolicy {
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempt_timeout: Duration,
    pub(crate) backoff: Exponential,
    pub(crate) not_found_grace: Duration,
    pub(crate) settle: Settle,
    pub(crate) confirmations: u32,
    pub(crate) max_unreadable_replies: u32,
    pub(crate) max_consecutive_errors: Option<u32>,
    pub(crate) strict: bool,
    pub(crate) fail_fast: bool,
    pub(crate) stalled_after: Duration,
    pub(crate) stop_when_stalled: bool,
    pub(crate) max_failure_lookups: u32,
    pub(crate) max_tree_lookups: u32,
    pub(crate) heartbeat: Option<Duration>,
}

/// For how long a `Success` is asked about again whose sub-jobs have not all ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settle {
    pub(crate) window: Duration,
    pub(crate) readings: u32,
}

impl WaitPolicy {
    /// Returns the default limits; each is stated, with its reason, where it can be set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeout: Some(Duration::from_secs(60 * 60)),
            attempt_timeout: Duration::from_secs(30),
            backoff: Exponential::new(Duration::from_secs(1)..=Duration::from_secs(30)).factor(2.0),
            not_found_grace: ErrorLimits::DEFAULT.not_found_grace,
            settle: Settle { window: Duration::from_secs(60), readings: 5 },
            confirmations: ErrorLimits::DEFAULT.confirmations,
            max_unreadable_replies: ErrorLimits::DEFAULT.max_unreadable_replies,
            max_consecutive_errors: None,
            strict: false,
            fail_fast: false,
            stalled_after: Duration::from_secs(10 * 60),
            stop_when_stalled: false,
            max_failure_lookups: 3,
            max_tree_lookups: 0,
            heartbeat: None,
        }
    }

    /// Sets how long to wait in all; one hour by default: other clients stop after 10 to 60
    /// minutes, and limits too short are the first of their users' complaints. With zero, one
    /// attempt is made, under its own timeout.
    ///
    /// The last attempt starts a little before the deadline, by two seconds or, for a timeout
    /// below twenty, by a tenth of it, so that it has a chance to end. Only where that comes less
    /// than a second (or than a pause, if that is shorter) after the attempt before, it is later.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Lets the wait go on until the job ends, or a permanent error ends the wait. Not the default: a job may
    /// hang for ever, and so would the wait.
    #[must_use]
    pub const fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Sets how long one attempt may take; 30 s by default: far longer than any reply takes that
    /// comes at all, and short enough to ask twice a minute. The transport's own limit holds too.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the pauses after failed attempts: from 1 s to 30 s by default, doubling, ±10 %, the first
    /// anything from 1 s to 2 s. That is soon
    /// after a single error and, if the service is in trouble, no load to speak of, while its
    /// return is noticed half a minute late at most. They start over with the first attempt that
    /// gives a job, and have no part in the pauses between readings.
    #[must_use]
    pub const fn backoff(mut self, backoff: Exponential) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets for how long a job that was never read may be unknown to the service (404); 30 s by
    /// default, from the first such reply on, also if transient errors come between: the call that
    /// submitted it may return before every replica knows the job.
    #[must_use]
    pub const fn not_found_grace(mut self, grace: Duration) -> Self {
        self.not_found_grace = grace;
        self
    }

    /// Sets for how long, and for how many readings, a job that is `Success` is asked about again
    /// while a sub-job of it is `Initializing` or `Running`; 60 s and 5 readings by default,
    /// whichever is first. The job's own phase is the authority (reference page, below table 7: a
    /// job is complete only after all its sub-jobs are), so after that it has succeeded, and the
    /// outcome is flagged: [`FinishedJob::inconsistencies`](crate::FinishedJob::inconsistencies). Zero of
    /// either: at once.
    #[must_use]
    pub const fn settle(mut self, window: Duration, readings: u32) -> Self {
        self.settle = Settle { window, readings };
        self
    }

    /// Sets how many refusals in a row end a wait that has read its job before; 3 by default, and
    /// at least 10 s between the first and the last. A refusal is a permanent error:
    /// 401, 403 and the like, or, counted apart, 404. The job was there and the credentials were
    /// good, so one of these is as likely a replica, or a gateway, in trouble. A wrong signature is
    /// no such thing: it ends a wait at once.
    #[must_use]
    pub const fn confirmations(mut self, refusals: u32) -> Self {
        self.confirmations = refusals;
        self
    }

    /// Sets how many replies in a row that are no job, with status 200, end a wait; 5 by default
    /// and, once the job was read, at least 2 min between the first and the last: a proxy's page
    /// passes, a wrong address does not.
    #[must_use]
    pub const fn max_unreadable_replies(mut self, replies: u32) -> Self {
        self.max_unreadable_replies = replies;
        self
    }

    /// Sets how many errors in a row, of any kind, end a wait; by default no number does, and
    /// the deadline decides: a service that is away for ten minutes ends no job.
    #[must_use]
    pub const fn max_consecutive_errors(mut self, errors: u32) -> Self {
        self.max_consecutive_errors = Some(errors);
        self
    }

    /// Counts a `Success` with a failed sub-job as a failure. By default it is a success, flagged:
    /// the job's own phase is the authority, and a failed step may have been made up for.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Ends the wait, as failed, as soon as a sub-job has failed. By default that is an event: the
    /// service may try the step again.
    #[must_use]
    pub const fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// Sets after how long without any change (of a phase, of a sub-job's, of the job's
    /// `updateTimestamp`) the job counts as stalled; 10 min by default: longer than a step
    /// usually takes, and early enough to check the job before the timeout of an hour.
    #[must_use]
    pub const fn stalled_after(mut self, span: Duration) -> Self {
        self.stalled_after = span;
        self
    }

    /// Ends the wait when the job is stalled. By default that is an event alone: slow jobs do end.
    #[must_use]
    pub const fn stop_when_stalled(mut self) -> Self {
        self.stop_when_stalled = true;
        self
    }

    /// Sets how many requests may look up the failed step of a job that failed, if the reply
    /// does not have it: the service often lists the first level of sub-jobs alone, and each is
    /// a job of its own. 3 by default, within 10 s and the deadline; 0 makes none. What goes wrong
    /// with them does not change the outcome.
    #[must_use]
    pub const fn max_failure_lookups(mut self, requests: u32) -> Self {
        self.max_failure_lookups = requests;
        self
    }

    /// Sets how many requests may complete the tree of a job that succeeded, one for each
    /// sub-job without any of its own, within 10 s: where the id of a new node is, for one. None
    /// by default, for most callers need none of it.
    #[must_use]
    pub const fn max_tree_lookups(mut self, requests: u32) -> Self {
        self.max_tree_lookups = requests;
        self
    }

    /// Emits [`Event::Heartbeat`](crate::Event::Heartbeat) if there was no event but planned attempts for this
    /// long, as soon as the next attempt is over. By default there is no heartbeat.
    #[must_use]
    pub const fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = Some(every);
        self
    }

    /// Returns this policy with the timeout extended, if needed, so that a second wait for the same job gets its full
    /// time. `elapsed` is the time since this wait began, and `other_elapsed` the time since the other one, whose
    /// policy is `other`, began.
    #[must_use]
    pub fn extended_for(&self, elapsed: Duration, other: &Self, other_elapsed: Duration) -> Self {
        let left = other.timeout.map(|timeout| match timeout.saturating_sub(other_elapsed) {
            Duration::ZERO => Duration::ZERO,
            left => elapsed.saturating_add(left),
        });
        match (self.timeout, left) {
            (Some(timeout), Some(left)) => Self { timeout: Some(timeout.max(left)), ..*self },
            _ => Self { timeout: None, ..*self },
        }
    }

    /// Returns when the last attempt starts at the latest, so that it has a chance to end before
    /// the deadline: a reserve of two seconds, or of a tenth of a timeout below twenty.
    pub(crate) fn latest_start(&self) -> Duration {
        let timeout = self.deadline();
        timeout - (timeout / 10).min(Duration::from_secs(2))
    }

    pub(super) const fn error_limits(&self) -> ErrorLimits {
        ErrorLimits {
            confirmations: self.confirmations,
            not_found_grace: self.not_found_grace,
            max_unreadable_replies: self.max_unreadable_replies,
        }
    }

    /// Returns the deadline, since the wait began; the longest time there is where there is none.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.timeout.unwrap_or(Duration::MAX)
    }
}

impl Default for WaitPolicy {
    fn default() -> Self {
        Self::new()
    }
}
