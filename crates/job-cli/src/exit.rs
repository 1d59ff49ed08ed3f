//! The exit codes of the command, and the errors that carry one.

use std::{error::Error, fmt, process::ExitCode};

use job_poller::{
    FinishedJob, Outcome, WaitError, WaitErrorKind,
    machine::{AttemptError, ObjectStatus},
};
use job_transport::{ErrorClass, FetchError, FetchErrorKind};

/// An exit code. The numbers are part of the public interface, because scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success: the job succeeded, or its state was printed.
    Done = 0,
    /// Internal error: something in the command itself went wrong.
    Internal = 1,
    /// Bad usage, or settings that cannot be used. Clap uses the same number.
    Usage = 2,
    /// The deadline passed before the job ended, or before its objects were ready or gone. The job
    /// or an object was read; otherwise the last error decides.
    Deadline = 3,
    /// The service refused the credentials: 401 or 403.
    Credentials = 4,
    /// The job failed, or one of its objects is broken.
    JobFailed = 5,
    /// The job's state could not be read.
    Unreadable = 6,
    /// The service does not know the job, or no longer.
    NotFound = 7,
    /// The time of `--at-most` is over, and the wait is to be continued by another call.
    StillRunning = 8,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// The reader closed stdout before the jobs had ended. The number is that of a program that
    /// SIGPIPE ends.
    StdoutClosed = 141,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

/// The section of `--help` about exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0  success: the job succeeded, the state of --until was reached, or a state was printed
  1  internal error
  2  bad usage, or no credentials found
  3  timed out before the job ended, or before the cluster or node was ready or gone; if nothing
     was read until then, the code is that of the last error: 4, 6 or 7
  4  the service refused the credentials (401, 403)
  5  the job failed, or the cluster or node is broken
  6  the state could not be read, or the job names no cluster or node
  7  not found, or deleted although --until is not gone
  8  still running after --at-most, even if another job has failed; run the printed command to go on
  130, 143  stopped by SIGINT, SIGTERM
  141  stdout was closed before the jobs ended";

/// All exit codes, the least severe first. The more severe an error is, the less another run helps.
const SEVERITY: [Exit; 12] = [
    Exit::Done,
    Exit::StillRunning,
    Exit::Deadline,
    Exit::Unreadable,
    Exit::NotFound,
    Exit::Credentials,
    Exit::JobFailed,
    Exit::Usage,
    Exit::Internal,
    Exit::StdoutClosed,
    Exit::Interrupted,
    Exit::Terminated,
];

/// The section of `--help` about the exit code for several jobs.
pub(crate) const SEVERITY_HELP: &str = "\
With several jobs, the exit code is the most severe one, in the order 5, 4, 7, 6, 3, 8, 0. With
--any, it is the exit code of the first job that ends. With --at-most, the last call returns the
most severe code of all calls.";

impl Exit {
    /// Returns the more severe of two exit codes.
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |exit| SEVERITY.iter().position(|one| *one == exit);
        if rank(other) > rank(self) { other } else { self }
    }

    /// Returns the exit code with this number; `None` if there is none.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        SEVERITY.into_iter().find(|exit| *exit as u8 == number)
    }

    /// Returns the exit code if an internal error happened as well, which only replaces success.
    pub(crate) const fn at_least_internal(self) -> Self {
        match self {
            Self::Done => Self::Internal,
            exit => exit,
        }
    }

    /// Returns the exit code of an error. Added context does not change it.
    pub(crate) fn from_error(error: &anyhow::Error) -> Self {
        if let Some(error) = error.downcast_ref::<WaitError>() {
            Self::from(error)
        } else if let Some(error) = error.downcast_ref::<FetchError>() {
            Self::from(error)
        } else if let Some(ExitError { exit, .. }) = error.downcast_ref() {
            *exit
        } else {
            Self::Internal
        }
    }
}

impl From<&WaitError> for Exit {
    fn from(error: &WaitError) -> Self {
        let last = error.last_error();
        Self::from(StopCause {
            kind: error.kind(),
            was_read: was_read(error),
            class: last.map(|last| last.class),
            status: last.and_then(AttemptError::status),
        })
    }
}

/// Why a wait stopped before the job ended.
#[derive(Clone, Copy)]
pub(crate) struct StopCause {
    pub(crate) kind: WaitErrorKind,
    /// Whether the job, or one of the clusters and nodes, was read.
    pub(crate) was_read: bool,
    /// The class and the HTTP status of the error of the last attempt.
    pub(crate) class: Option<ErrorClass>,
    pub(crate) status: Option<u16>,
}

impl From<StopCause> for Exit {
    fn from(cause: StopCause) -> Self {
        let forbidden = cause.status == Some(403);
        match cause.kind {
            // Why nothing was read is of more use than that the time is over. With a short timeout,
            // an error may also not have lasted long enough to end the wait by itself.
            WaitErrorKind::DeadlineExceeded | WaitErrorKind::NotReady if !cause.was_read => {
                match cause.class {
                    Some(ErrorClass::Unauthorized) => Self::Credentials,
                    Some(ErrorClass::NotFound) => Self::NotFound,
                    _ if forbidden => Self::Credentials,
                    _ => Self::Unreadable,
                }
            }
            // A stalled job was also waited for long enough.
            WaitErrorKind::DeadlineExceeded | WaitErrorKind::NotReady | WaitErrorKind::Stalled => {
                Self::Deadline
            }
            WaitErrorKind::Permanent if forbidden => Self::Credentials,
            WaitErrorKind::Unauthorized => Self::Credentials,
            WaitErrorKind::NotFound | WaitErrorKind::Vanished => Self::NotFound,
            _ => Self::Unreadable,
        }
    }
}

/// Whether the job, or one of the clusters and nodes, was read.
pub(crate) fn was_read(error: &WaitError) -> bool {
    let is_read = |object: &ObjectStatus| object.state.is_some();
    error.snapshot().is_some() || error.objects().any(is_read)
}

impl From<&FetchError> for Exit {
    fn from(error: &FetchError) -> Self {
        match (error.class(), error.kind()) {
            (ErrorClass::Unauthorized, _) => Self::Credentials,
            (_, FetchErrorKind::Status(403)) => Self::Credentials,
            (ErrorClass::NotFound, _) => Self::NotFound,
            (ErrorClass::Transient | ErrorClass::Throttled | ErrorClass::Permanent, _) => {
                Self::Unreadable
            }
        }
    }
}

impl From<&FinishedJob> for Exit {
    fn from(finished: &FinishedJob) -> Self {
        match &finished.outcome {
            _ if finished.is_success() => Self::Done,
            Outcome::Gone => Self::NotFound,
            Outcome::Succeeded | Outcome::Failed(_) | Outcome::Ready | Outcome::Broken => {
                Self::JobFailed
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with its exit code and a hint. Its message and causes are those of the error itself.
#[derive(Debug)]
struct ExitError {
    exit: Exit,
    hint: Option<String>,
    error: anyhow::Error,
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for ExitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Returns the hint of an error: what to do next.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&str> {
    let ExitError { hint, error, .. } = error.downcast_ref()?;
    hint.as_deref().or_else(|| self::hint(error))
}

/// Sets the exit code of an error. Errors without one are internal errors.
pub(crate) trait OrExit<T>: Sized {
    /// Sets the exit code of an error.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.or_exit_with_hint(exit, None)
    }

    /// Sets the exit code and the hint of an error.
    fn or_exit_with_hint(self, exit: Exit, hint: Option<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit_with_hint(self, exit: Exit, hint: Option<String>) -> anyhow::Result<T> {
        self.map_err(|error| with_hint(error.into(), exit, hint))
    }
}

/// Sets the exit code and the hint of an error.
pub(crate) fn with_hint(error: anyhow::Error, exit: Exit, hint: Option<String>) -> anyhow::Error {
    ExitError { exit, hint, error }.into()
}

#[cfg(test)]
mod tests;
