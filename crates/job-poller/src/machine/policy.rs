//! The limits of a wait, and their serialized forms.

mod config_form;
mod duration_text;
pub(super) mod stored_form;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{error_limits::ErrorLimits, until::Until};
use crate::schedule::Exponential;

/// The limits of a wait.
///
/// With the default limits, these errors end a wait before its deadline:
///
/// | error | before the first reading | after a reading |
/// |---|---|---|
/// | no reply, such as an unknown host, a lost connection or a timeout | for 2 min: `Unreachable` | never |
/// | 404 while a job that succeeded settles | - | at once: the job's success |
/// | 404 | for 30 s: `NotFound` | 3 in a row over 10 s: `Vanished` |
/// | wrong signature | at once: `Unauthorized` | at once: `Unauthorized` |
/// | 401 | at once: `Unauthorized` | 3 in a row over 10 s: `Unauthorized` |
/// | any other permanent error, such as 403 or a certificate that is not accepted | at once: `Permanent` | 3 in a row over 10 s: `Permanent` |
/// | 200 with a body that is not a job | 5 in a row: `Unreadable` | 5 in a row over 2 min: `Unreadable` |
/// | 200 with another job | 2 in a row: `Mismatch` | 2 in a row: `Mismatch` |
///
/// "for 30 s" is the time since the first such error. A count is reset by a reading and by an error
/// of another kind; 401 counts with the other permanent errors. Before the first reading, transient
/// errors do not restart the time of a 404. All other errors, such as a 503, never end a wait, and
/// neither does a missing reply after a reading.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// const POLICY: job_poller::WaitPolicy =
///     job_poller::WaitPolicy::new().timeout(Duration::from_secs(45 * 60)).strict();
/// ```
///
/// # Serialized form
///
/// A policy can be part of a configuration. Its fields have the names of the methods below, and
/// each is optional: a field that is missing has its default. An unknown field is an error that
/// contains its name. A duration is a text, such as `90s` or `1h 30m`, and `timeout` and
/// `heartbeat` can be `none`.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{WaitPolicy, schedule::Exponential};
///
/// let toml = r#"
///     timeout = "1h 30m"
///     attempt_timeout = "10s"
///     max_consecutive_errors = 20
///     strict = true
///     backoff = { floor = "2s", cap = "1m" }
///     settle = { window = "30s", readings = 3 }
/// "#;
/// let policy: WaitPolicy = toml::from_str(toml)?;
/// let backoff = Exponential::new(Duration::from_secs(2)..=Duration::from_secs(60)).factor(2.0);
/// let expected = WaitPolicy::new()
///     .timeout(Duration::from_secs(90 * 60))
///     .attempt_timeout(Duration::from_secs(10))
///     .max_consecutive_errors(20)
///     .strict()
///     .backoff(backoff)
///     .settle(Duration::from_secs(30), 3);
/// assert_eq!(policy, expected);
///
/// let policy: WaitPolicy = serde_json::from_str(r#"{"timeout": "none", "heartbeat": "5m"}"#)?;
/// assert_eq!(policy, WaitPolicy::new().no_timeout().heartbeat(Duration::from_secs(300)));
///
/// let error = serde_json::from_str::<WaitPolicy>(r#"{"timeuot": "45m"}"#).unwrap_err();
/// assert!(error.to_string().starts_with("unknown field `timeuot`, expected one of `until`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The policy in a [`Checkpoint`](crate::Checkpoint) has another form, because it may be read by
/// another version of this crate: there, an unknown field is ignored, and a duration is an object
/// with `secs` and `nanos`. A configuration may contain such durations too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitPolicy {
    pub(crate) until: Until,
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

/// How long a job is read again after a `Success` while sub-jobs are still active.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settle {
    pub(crate) window: Duration,
    pub(crate) readings: u32,
}

impl WaitPolicy {
    /// Creates the default limits. Each method states its default and the reason for it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            until: Until::Ended,
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

    /// Sets what the wait is for. The default is the end of the job.
    #[must_use]
    pub const fn until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }

    /// Continues after the job's success until the cluster or the nodes that it names are ready.
    ///
    /// A cluster is ready if its phase is `Available`, and a node if its phase is `Active` and its
    /// last probe is at most 5 min old. For a job that deletes, the wait is until they are gone. All
    /// limits, including the timeout, apply to the whole wait.
    ///
    /// | reading | result |
    /// |---|---|
    /// | ready | done |
    /// | a broken phase, such as `Unavailable`, `Error` or `Abnormal`, for 2 min | [`Outcome::Broken`](crate::Outcome::Broken) |
    /// | two 404s at least 10 s apart, or [`not_found_grace`](Self::not_found_grace) apart if it was never read | [`Outcome::Gone`](crate::Outcome::Gone) |
    /// | not ready at the deadline | [`WaitErrorKind::NotReady`](crate::WaitErrorKind::NotReady) |
    ///
    /// If the service has deleted the job before its end was read, the objects decide, but only those
    /// that the job itself makes: the cluster of a `CreateCluster` job, or the nodes of a node job. An
    /// object that is more than 5 min older than the job was created by another one.
    #[must_use]
    pub const fn until_ready(self) -> Self {
        self.until(Until::Ready)
    }

    /// Continues after the job's success until the cluster or the nodes that it names are gone.
    ///
    /// An object is gone after two 404s that are at least 10 s apart, if it was read in this wait, or
    /// if the job named it. A 404 for an unknown path never counts.
    #[must_use]
    pub const fn until_gone(self) -> Self {
        self.until(Until::Gone)
    }

    /// Sets the maximum time to wait. The default is one hour.
    ///
    /// Other clients stop after 10 to 60 minutes, and too short a limit is the most frequent
    /// complaint of their users. With zero, one attempt is made, with its full timeout.
    ///
    /// The last attempt starts before the deadline, so that it has time to end: two seconds before,
    /// or a tenth of the timeout for timeouts below 20 s. It starts later if a `Retry-After`
    /// requires it, and because attempts are at least one second apart, or the planned delay if
    /// that is shorter.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Disables the timeout: the wait ends when the job does, or at a permanent error.
    ///
    /// This is not the default, because a job that hangs at the service would otherwise hang its
    /// waiter too.
    #[must_use]
    pub const fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Sets the timeout of one attempt. The default is 30 s.
    ///
    /// Replies that arrive take far less, and two attempts per minute remain possible. The
    /// transport's own timeout applies too.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the delays after failed attempts. The default doubles from 1 s to 30 s.
    ///
    /// The default jitter is ±10 %, and the first delay is between 1 s and 2 s. This retries soon
    /// after a single error, adds little load if the service is in trouble, and detects its
    /// recovery at most half a minute late. The delays start again after a reading. They do not
    /// affect the delays between readings.
    #[must_use]
    pub const fn backoff(mut self, backoff: Exponential) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long a 404 is tolerated for a job that was never read. The default is 30 s.
    ///
    /// The time counts from the first 404, even if transient errors occur in between. A 404 is
    /// tolerated because the call that submitted the job may return before every replica knows the
    /// job.
    #[must_use]
    pub const fn not_found_grace(mut self, grace: Duration) -> Self {
        self.not_found_grace = grace;
        self
    }

    /// Sets how long a job is read again after a `Success` while sub-jobs are active.
    ///
    /// This applies while a sub-job is `Initializing` or `Running`. The defaults are 60 s and 5
    /// readings, whichever comes first. After that the job has succeeded, because its own phase is
    /// authoritative (reference page, below table 7: a job is complete only after all its sub-jobs
    /// are). The result then lists the contradiction in
    /// [`FinishedJob::inconsistencies`](crate::FinishedJob::inconsistencies). If either value is
    /// zero, the wait ends at the first `Success`.
    #[must_use]
    pub const fn settle(mut self, window: Duration, readings: u32) -> Self {
        self.settle = Settle { window, readings };
        self
    }

    /// Sets how many permanent errors in a row end a wait after a reading. The default is 3.
    ///
    /// At least 10 s must pass between the first and the last. Permanent errors are 401, 403 and
    /// the like. 404 is counted separately, with the same limit. The job existed and the
    /// credentials were valid, so a single error may come from a faulty replica or gateway. A wrong
    /// signature is not confirmed: it ends a wait immediately.
    #[must_use]
    pub const fn confirmations(mut self, errors: u32) -> Self {
        self.confirmations = errors;
        self
    }

    /// Sets how many replies in a row that are not a job end a wait. The default is 5.
    ///
    /// These are replies with status 200. If the job was read before, at least 2 min must pass
    /// between the first and the last, because a proxy's error page is temporary and a wrong
    /// address is not.
    #[must_use]
    pub const fn max_unreadable_replies(mut self, replies: u32) -> Self {
        self.max_unreadable_replies = replies;
        self
    }

    /// Sets how many errors in a row, of any kind, end a wait. By default there is no limit.
    ///
    /// Without it the wait continues until its deadline, because a service outage of ten minutes
    /// does not end the job.
    #[must_use]
    pub const fn max_consecutive_errors(mut self, errors: u32) -> Self {
        self.max_consecutive_errors = Some(errors);
        self
    }

    /// Counts a `Success` with a failed sub-job as a failure.
    ///
    /// By default it is a success with an inconsistency, because the job's own phase is
    /// authoritative and the service may have repeated the failed step.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Ends the wait with a failure as soon as a sub-job has failed, or an object is broken or gone.
    ///
    /// By default this is only an event, because the service may retry the step.
    #[must_use]
    pub const fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// Sets how long a job must stay unchanged to count as stalled. The default is 10 min.
    ///
    /// A change is a new phase of the job or a sub-job, or a new `updateTimestamp` of the job. Ten
    /// minutes is longer than a step usually takes, and early enough to check the job before the
    /// default timeout of an hour.
    #[must_use]
    pub const fn stalled_after(mut self, span: Duration) -> Self {
        self.stalled_after = span;
        self
    }

    /// Ends the wait when the job is stalled. By default this is only an event, because slow jobs
    /// may still end.
    #[must_use]
    pub const fn stop_when_stalled(mut self) -> Self {
        self.stop_when_stalled = true;
        self
    }

    /// Sets how many requests may look up the failed step of a failed job. The default is 3.
    ///
    /// Requests are made only if the reply lacks the failed step: the service often lists only the
    /// first level of sub-jobs, and each sub-job is a job of its own. They take at most 10 s and
    /// end by the deadline. 0 disables them. Their errors do not change the result.
    #[must_use]
    pub const fn max_failure_lookups(mut self, requests: u32) -> Self {
        self.max_failure_lookups = requests;
        self
    }

    /// Sets how many requests may complete the tree of a successful job. The default is 0.
    ///
    /// One request is made for each sub-job without sub-jobs, within 10 s. Use it for data that
    /// only sub-jobs contain, such as the id of a new node.
    #[must_use]
    pub const fn max_tree_lookups(mut self, requests: u32) -> Self {
        self.max_tree_lookups = requests;
        self
    }

    /// Enables [`Event::Heartbeat`](crate::Event::Heartbeat). It is disabled by default.
    ///
    /// A heartbeat is emitted after an attempt if there was no event except planned attempts for
    /// the time `every`.
    #[must_use]
    pub const fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = Some(every);
        self
    }

    /// Returns a policy whose deadline is late enough for this wait and for a second one for the
    /// same job, and which reads objects if one of them does.
    ///
    /// `elapsed` is the time since this wait began. `other` is the policy of the second wait, and
    /// `other_elapsed` is the time since that wait began.
    #[must_use]
    pub fn extended_for(&self, elapsed: Duration, other: &Self, other_elapsed: Duration) -> Self {
        let left = other.timeout.map(|timeout| match timeout.saturating_sub(other_elapsed) {
            Duration::ZERO => Duration::ZERO,
            left => elapsed.saturating_add(left),
        });
        let timeout = self.timeout.zip(left).map(|(timeout, left)| timeout.max(left));
        let until = if self.until == Until::Ended { other.until } else { self.until };
        Self { until, timeout, ..*self }
    }

    /// Returns the latest time at which the last attempt starts: two seconds before the deadline,
    /// or a tenth of the timeout for timeouts below 20 s.
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

    /// Returns what the wait is for.
    #[must_use]
    pub const fn goal(&self) -> Until {
        self.until
    }

    /// Returns the maximum time of one attempt.
    #[must_use]
    pub const fn max_attempt_time(&self) -> Duration {
        self.attempt_timeout
    }

    /// Returns whether a wait with this policy also serves a request for a wait with `other`, after
    /// its deadline and its goal are [extended](Self::extended_for): no other limit differs, and the
    /// goals do not exclude each other.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let other_limits = Self { until: self.until, timeout: self.timeout, ..*other };
        self.until.agrees_with(other.until) && *self == other_limits
    }

    /// Returns the deadline as a time since the wait began, or `Duration::MAX` without a timeout.
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

#[cfg(test)]
mod tests;
