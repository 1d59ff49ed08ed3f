//! The error of a wait that stopped before its job ended.

use std::{error::Error, fmt, time::Duration};

#[cfg(feature = "tokio")]
use jiff::Timestamp;
use job_model::{Deviation, HumanDuration, Job, JobId, Phase};
use job_transport::{JobSnapshot, transport::display_chain};

use super::{
    attempt_error::AttemptError,
    checkpoint::Checkpoint,
    error_kind::WaitErrorKind,
    object_status::{ObjectStatus, describe_objects},
    policy::WaitPolicy,
};
use crate::schedule::JobObservation;

/// The error of a wait that stopped before its job ended.
///
/// The job itself is not affected. To find out how it ends, resume from the
/// [`checkpoint`](Self::checkpoint), or start another wait.
///
/// | kind | what happened | what to do |
/// |---|---|---|
/// | `DeadlineExceeded` | the timeout has passed, or a `Retry-After` reaches beyond it | resume with a longer timeout |
/// | `Unauthorized` | 401, even after a refresh if the credentials can be refreshed; or a wrong signature | fix the credentials |
/// | `NotFound` | 404 for longer than the grace period, and the job was never read | check the job id, the project and the region |
/// | `Vanished` | 404, three times in a row over 10 s, after the job had been read | check whether the resource exists that the job creates or deletes |
/// | `Mismatch` | a job with another uid, twice in a row | check proxies and gateways between the client and the service |
/// | `Unreadable` | five replies in a row with status 200 that are not a job, over 2 min if the job had been read | check the endpoint and any proxy in between |
/// | `Unreachable` | no reply for 2 min, and the job was never read | see the last error; check the endpoint, the proxy and TLS |
/// | `NotReady` | a cluster or a node was not ready at the deadline; the job has succeeded, or there is none | resume with a longer timeout |
/// | `NoObject` | the job has succeeded, but does not name each cluster or node that it concerns | wait for them by their own ids |
/// | `Permanent` | a permanent error, such as 400, 403, a redirect or a rejected certificate | see the last error |
/// | `TooManyErrors` | the number of errors in a row reached `max_consecutive_errors` | see the last error; resume after fixing it |
/// | `Stalled` | the job did not change for `stalled_after`, and `stop_when_stalled` is set | check the job |
/// | `Stopped` | the caller stopped the wait, for example with `stop_on` | resume |
#[derive(Clone, PartialEq)]
pub struct WaitError {
    kind: WaitErrorKind,
    /// Boxed, because a `Result` should be small.
    checkpoint: Box<Checkpoint>,
}

impl WaitError {
    /// Creates an error. Its attempts, its last error and its job are those of the checkpoint.
    #[must_use]
    pub fn new(kind: WaitErrorKind, checkpoint: Checkpoint) -> Self {
        Self { kind, checkpoint: Box::new(checkpoint) }
    }

    /// Returns why the wait stopped.
    #[must_use]
    pub const fn kind(&self) -> WaitErrorKind {
        self.kind
    }

    /// Returns the id of the job.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        self.checkpoint.job_id()
    }

    /// Returns the job as last read, or `None` if it was never read.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        self.checkpoint.job()
    }

    /// Returns the last accepted reading, or `None` if the job was never read. Decodes nothing.
    #[must_use]
    pub fn snapshot(&self) -> Option<&JobSnapshot> {
        self.checkpoint.machine().snapshot()
    }

    /// Returns whether the last reading is only a summary, because the text of the job was dropped
    /// to keep the [memory limit](job_transport::transport::MemoryLimit).
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.snapshot().is_some_and(JobSnapshot::is_truncated)
    }

    /// Returns what the wait observed of the job, for a [`History`](crate::schedule::History).
    ///
    /// It records that the job had not ended when the wait stopped.
    #[must_use]
    pub fn observation(&self) -> Option<JobObservation> {
        self.checkpoint.machine().observation()
    }

    /// Returns the error of the last attempt, if it failed.
    #[must_use]
    pub fn last_error(&self) -> Option<&AttemptError> {
        self.checkpoint.machine().last_error()
    }

    /// Returns the deviations of the last accepted body, without decoding the job.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        self.checkpoint.machine().deviations()
    }

    /// Returns the number of attempts.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.checkpoint.machine().attempts()
    }

    /// Returns the number of attempts to read the job and its clusters and nodes.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.checkpoint.machine().requests()
    }

    /// Returns the time since the wait began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.checkpoint.elapsed()
    }

    /// Returns the checkpoint from which the wait can be resumed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the checkpoint from which the wait can be resumed, and drops the error.
    #[must_use]
    pub fn into_checkpoint(self) -> Checkpoint {
        *self.checkpoint
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self { checkpoint: Box::new(self.checkpoint.with_timeout(timeout)), ..self }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn set_taken_at(&mut self, now: Timestamp) {
        self.checkpoint.set_taken_at(now);
    }

    /// Returns the error and its causes on one line, without the id of the job.
    ///
    /// Use it beside the id, for example in a table or in JSON.
    #[must_use]
    pub fn message(&self) -> String {
        let line = display_chain(self);
        let message = line.strip_prefix(&format!("{}: ", self.subject()));
        message.map(String::from).unwrap_or(line)
    }

    /// Returns the clusters and nodes that the wait has read, as they were last read.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectStatus> {
        self.checkpoint.machine().objects()
    }

    /// Returns what the wait observed of clusters and nodes, for a
    /// [`History`](crate::schedule::History).
    #[must_use]
    pub fn object_observation(&self) -> Option<JobObservation> {
        self.checkpoint.machine().object_observation()
    }

    /// Returns what the wait is for: the job, or the cluster or node.
    fn subject(&self) -> String {
        let machine = self.checkpoint.machine();
        match machine.objects().next().filter(|_| machine.has_no_job()) {
            Some(object) => object.id.to_string(),
            None => format!("job {}", self.job_id()),
        }
    }

    fn policy(&self) -> &WaitPolicy {
        self.checkpoint.machine().policy()
    }

    /// Returns the `Retry-After` of the last error if it reaches beyond the deadline.
    fn excess_retry_after(&self) -> Option<Duration> {
        let retry_after = self.last_error()?.retry_after?;
        (self.elapsed().saturating_add(retry_after) >= self.policy().deadline())
            .then_some(retry_after)
    }
}

/// Omits the job, which may have thousands of lines. A `main` that returns this error prints its
/// `Debug` output.
impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitError")
            .field("job_id", self.job_id())
            .field("kind", &self.kind)
            .field("last_error", &self.last_error())
            .field("attempts", &self.attempts())
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.checkpoint.machine();
        write!(f, "{}: ", self.subject())?;
        let is_reading_objects = machine.is_reading_objects();
        match self.kind {
            WaitErrorKind::DeadlineExceeded | WaitErrorKind::NotReady => {
                let timeout = self.policy().deadline();
                f.write_str(match (self.kind, is_reading_objects) {
                    (_, false) if machine.snapshot().is_none() => "the job could not be read",
                    (WaitErrorKind::NotReady, _) => "not ready",
                    (_, true) => "not gone",
                    (_, false) if timeout.is_zero() => "the job had not finished",
                    (_, false) => "the job did not end",
                })?;
                if !timeout.is_zero() {
                    write!(f, " within {}", HumanDuration(timeout))?;
                }
                if let Some(retry_after) = self.excess_retry_after() {
                    write!(f, ", and the service asks to wait {}", HumanDuration(retry_after))?;
                }
            }
            WaitErrorKind::Unauthorized => f.write_str("the credentials were not accepted")?,
            WaitErrorKind::NotFound if machine.has_no_job() => {
                f.write_str("the service does not find it")?
            }
            WaitErrorKind::NotFound => f.write_str("the service did not find the job")?,
            WaitErrorKind::Vanished => f.write_str("the service no longer finds the job")?,
            WaitErrorKind::NoObject => {
                f.write_str(
                    "the job succeeded, but its reply does not contain the ids of its cluster or of all its \
                     nodes",
                )?
            }
            WaitErrorKind::Mismatch if is_reading_objects => {
                f.write_str("the service returned a different object")?
            }
            WaitErrorKind::Mismatch => f.write_str("the service returned a different job")?,
            WaitErrorKind::Unreadable if is_reading_objects => {
                f.write_str("the service's replies cannot be read as a cluster or a node")?
            }
            WaitErrorKind::Unreadable => {
                f.write_str("the service's replies cannot be read as a job")?
            }
            WaitErrorKind::Unreachable => f.write_str("the service cannot be reached")?,
            WaitErrorKind::Permanent => f.write_str("a permanent error occurred")?,
            WaitErrorKind::TooManyErrors => f.write_str("too many failed attempts in a row")?,
            WaitErrorKind::Stalled => f.write_str("the job has made no progress")?,
            WaitErrorKind::Stopped => {
                let phase = machine.last_phase().flatten();
                let has_ended = is_reading_objects || phase.is_some_and(Phase::is_terminal);
                let job = if has_ended { "" } else { "; the job continues" };
                write!(f, "the wait was stopped{job}")?;
            }
        }
        let attempts = machine.requests();
        let plural = if attempts == 1 { "" } else { "s" };
        write!(f, " ({attempts} attempt{plural} in {}", HumanDuration(self.elapsed()))?;
        if is_reading_objects {
            return write!(f, "; {})", describe_objects(machine.objects(), machine.until()));
        }
        match machine.last_phase() {
            Some(Some(phase)) => write!(f, "; the job was last seen {phase})"),
            Some(None) => f.write_str("; the job was last seen without a phase)"),
            None => f.write_str("; the job was never read)"),
        }
    }
}

impl Error for WaitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_error().map(|error| error as &dyn Error)
    }
}
