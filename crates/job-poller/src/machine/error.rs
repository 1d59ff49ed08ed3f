//! Why a wait stopped before its job ended. The state of the job is not known then.

use std::{error::Error, fmt, time::Duration};

#[cfg(feature = "tokio")]
use jiff::Timestamp;
use job_model::{Deviation, Job};

use super::{
    attempt_error::AttemptError, checkpoint::Checkpoint, error_kind::WaitErrorKind,
    policy::WaitPolicy,
};
use crate::schedule::JobObservation;

/// A wait that stopped watching. The job itself goes on; [`resume`](Checkpoint::resume) from the
/// checkpoint within, or wait again, to learn how it ends.
///
/// | kind | what happened | what to do |
/// |---|---|---|
/// | `DeadlineExceeded` | the timeout passed, or a Retry-After reaches beyond it | wait on, with a longer timeout |
/// | `Unauthorized` | 401, after the credentials were renewed if they can be; or a wrong signature | fix the credentials |
/// | `NotFound` | 404 for longer than the grace, and the job was never read | check the job id, the project and the region |
/// | `Vanished` | 404, three times in a row over 10 s, after the job had been read | check for what the job was to make |
/// | `Mismatch` | a job of another uid, twice in a row | check what stands between here and the service |
/// | `Unreadable` | five replies in a row with status 200 that are no job, over 2 min where the job had been read | check the address, and what stands between |
/// | `Unreachable` | no such host, or connections refused, for 2 min, and the job was never read | check the address |
/// | `Permanent` | a permanent error: 400, 403, a redirect, a certificate | read the error |
/// | `TooManyErrors` | as many errors in a row as the policy allows | read the error; wait on when it is fixed |
/// | `Stalled` | nothing of the job changed for long, and the policy stops at that | check the job |
/// | `Stopped` | the caller's `stop_on` | resume |
#[derive(Clone, PartialEq)]
pub struct WaitError {
    pub(super) kind: WaitErrorKind,
    pub(super) checkpoint: Checkpoint,
}

impl WaitError {
    /// Returns why the wait stopped.
    #[must_use]
    pub const fn kind(&self) -> WaitErrorKind {
        self.kind
    }

    /// Returns the job as last read, where it ever was.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        self.checkpoint.job()
    }

    /// Returns what was observed of the job, for a [`History`](crate::History): that it did not end before the
    /// wait stopped.
    #[must_use]
    pub fn observation(&self) -> Option<JobObservation> {
        self.checkpoint.machine().observation()
    }

    /// Returns the error of the last attempt, if that failed.
    #[must_use]
    pub fn last_error(&self) -> Option<&AttemptError> {
        self.checkpoint.machine().last_error()
    }

    /// Returns the deviations of the last accepted body. Decodes nothing.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        self.checkpoint.machine().deviations()
    }

    /// Returns how many attempts were made.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.checkpoint.machine().attempts()
    }

    /// Returns the time since the wait began.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.checkpoint.elapsed()
    }

    /// Returns what to go on from.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns what to go on from, and drops the rest.
    #[must_use]
    pub fn into_checkpoint(self) -> Checkpoint {
        self.checkpoint
    }

    #[cfg(feature = "tokio")]
    pub(crate) const fn set_taken_at(&mut self, now: Timestamp) {
        self.checkpoint.set_taken_at(now);
    }

    fn policy(&self) -> &WaitPolicy {
        self.checkpoint.machine().policy()
    }

    /// Returns the span that the service asks to wait and that reaches beyond the deadline.
    fn excess_retry_after(&self) -> Option<Duration> {
        let retry_after = self.last_error()?.retry_after?;
        (self.elapsed().saturating_add(retry_after) >= self.policy().deadline())
            .then_some(retry_after)
    }
}

/// Shows all but the job, which may have thousands of lines: a `main` that returns this error
/// prints its `Debug`.
impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitError")
            .field("kind", &self.kind)
            .field("last_error", &self.last_error())
            .field("attempts", &self.attempts())
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WaitErrorKind::DeadlineExceeded => {
                match self.policy().deadline() {
                    Duration::ZERO => f.write_str("one look did not see the job's end")?,
                    timeout => write!(f, "the job did not end within {} s", timeout.as_secs_f64())?,
                }
                if let Some(retry_after) = self.excess_retry_after() {
                    write!(f, ", and the service asks to wait {} s", retry_after.as_secs_f64())?;
                }
            }
            WaitErrorKind::Unauthorized => f.write_str("the credentials were not accepted")?,
            WaitErrorKind::NotFound => f.write_str("the service knows no such job")?,
            WaitErrorKind::Vanished => f.write_str("the service does not know the job any more")?,
            WaitErrorKind::Mismatch => f.write_str("the service answers with another job")?,
            WaitErrorKind::Unreadable => {
                f.write_str("the service's replies are no readable job")?
            }
            WaitErrorKind::Unreachable => f.write_str("the service cannot be reached")?,
            WaitErrorKind::Permanent => f.write_str("asking again would not help")?,
            WaitErrorKind::TooManyErrors => f.write_str("too many failed attempts in a row")?,
            WaitErrorKind::Stalled => f.write_str("the job does not move any more")?,
            WaitErrorKind::Stopped => f.write_str("the wait was stopped; the job goes on")?,
        }
        let attempts = self.attempts();
        let plural = if attempts == 1 { "" } else { "s" };
        write!(f, " ({attempts} attempt{plural} in {:.1} s", self.elapsed().as_secs_f64())?;
        match self.checkpoint.machine().last_phase() {
            Some(Some(phase)) => write!(f, "; the job was last seen {phase})"),
            Some(None) => f.write_str("; the job was last seen without a phase)"),
            None => f.write_str("; the job was never seen)"),
        }
    }
}

impl Error for WaitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_error().map(|error| error as &dyn Error)
    }
}
