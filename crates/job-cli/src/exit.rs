//! The exit codes: what a script or a pipeline is told. Prints nothing.

use std::process::ExitCode;

use job_poller::{Fault, Outcome, WaitError, WaitErrorKind};

/// How the command ends. The numbers are a contract: a script branches on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// The job succeeded.
    Done = 0,
    /// Something in the command itself went wrong.
    Internal = 1,
    /// The deadline passed before the job ended.
    Deadline = 3,
    /// The credentials were refused: 401 or 403.
    Credentials = 4,
    /// The job failed.
    JobFailed = 5,
    /// The job's state could not be read.
    Unreadable = 6,
    /// There is no such job, or no longer.
    NotFound = 7,
    /// SIGINT told it to stop.
    Interrupted = 130,
    /// SIGTERM told it to stop.
    Terminated = 143,
}

/// What `--help` says of the exit codes; 2 is clap's own.
pub(crate) const HELP: &str = "\
Exit codes:
  0  the job succeeded
  1  internal error
  2  wrong usage
  3  the deadline passed before the job ended
  4  the credentials were refused (401, 403)
  5  the job failed
  6  the job's state could not be read
  7  there is no such job, or no longer
  130, 143  stopped by SIGINT, SIGTERM";

impl Exit {
    /// Returns the exit code of an error; a context around it does not hide why a wait stopped.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let Some(error) = error.downcast_ref::<WaitError>() else { return Self::Internal };
        let forbidden = error.fault().and_then(Fault::status) == Some(403);
        match error.kind() {
            // A job that does not move was waited for long enough, too.
            WaitErrorKind::DeadlineExceeded | WaitErrorKind::Stuck => Self::Deadline,
            WaitErrorKind::Unauthorized => Self::Credentials,
            WaitErrorKind::NotFound | WaitErrorKind::Vanished => Self::NotFound,
            WaitErrorKind::Permanent if forbidden => Self::Credentials,
            _ => Self::Unreadable,
        }
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Done,
            Outcome::Failed(_) => Self::JobFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests;
