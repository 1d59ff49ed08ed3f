//! The exit codes of the command.

use std::{error::Error, fmt, process::ExitCode};

use job_poller::{AttemptError, Outcome, WaitError, WaitErrorKind};
use job_transport::{ErrorClass, FetchError, FetchErrorKind, TransportErrorKind};

/// How the command ends. The numbers are a contract: a script branches on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is done: the job succeeded, or was shown.
    Done = 0,
    /// Something in the command itself went wrong.
    Internal = 1,
    /// It was called in a way that cannot be meant. Clap's own number.
    Usage = 2,
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
    /// SIGINT stopped it.
    Interrupted = 130,
    /// SIGTERM stopped it.
    Terminated = 143,
}

/// What `--help` says of the exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done: the job succeeded, or could be read
  1  internal error
  2  wrong usage, or nothing to log in with
  3  the deadline passed before the job ended
  4  the credentials were refused (401, 403)
  5  the job failed
  6  the job's state could not be read
  7  there is no such job, or no longer
  130, 143  stopped by SIGINT, SIGTERM";

/// From what may be better next time to what no second run mends: of several, the last is the worst.
const SEVERITY: [Exit; 10] = [
    Exit::Done,
    Exit::Deadline,
    Exit::Unreadable,
    Exit::NotFound,
    Exit::Credentials,
    Exit::JobFailed,
    Exit::Usage,
    Exit::Internal,
    Exit::Interrupted,
    Exit::Terminated,
];

/// What `--help` says of several jobs.
pub(crate) const SEVERITY_HELP: &str = "\
With several jobs the exit code is the worst of theirs: 5, else 4, 7, 6, 3, 0. With --any it is
that of the first that ends.";

impl Exit {
    /// Returns the worse of the two.
    pub(crate) fn worse(self, other: Self) -> Self {
        let rank = |exit| SEVERITY.iter().position(|one| *one == exit);
        if rank(other) > rank(self) { other } else { self }
    }

    /// Returns the exit code if something else went wrong too: an internal error in place of success.
    pub(crate) const fn at_least_internal(self) -> Self {
        match self {
            Self::Done => Self::Internal,
            exit => exit,
        }
    }

    /// Returns the exit code of an error; a context around it does not hide why.
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

    /// Returns what to do about it, where that is always the same.
    pub(crate) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Credentials => {
                Some("mend the credentials; `cce-job config` shows which are used")
            }
            Self::NotFound => Some(
                "check the id, the project and the region; `cce-job config` shows the last two",
            ),
            Self::Unreadable => {
                Some("check the address, and what stands between; `-v` logs each request")
            }
            _ => None,
        }
    }
}

/// Returns what to do where one attempt gave no job.
pub(crate) fn fetch_error_hint(error: &FetchError) -> Option<&'static str> {
    let passes = matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled);
    match error.kind() {
        FetchErrorKind::Status(_) if passes => Some("ask again later, as `cce-job wait` does"),
        FetchErrorKind::Transport(TransportErrorKind::Certificate) => Some(CERTIFICATE_HINT),
        _ => Exit::from(error).hint(),
    }
}

/// What to do where a certificate is not trusted.
pub(crate) const CERTIFICATE_HINT: &str =
    "where the CA is one of your own, name it with --ca-file, or OS_CACERT";

impl From<&WaitError> for Exit {
    fn from(error: &WaitError) -> Self {
        let forbidden = error.last_error().and_then(AttemptError::status) == Some(403);
        let unknown = error.last_error().map(|error| error.class) == Some(ErrorClass::NotFound);
        match error.kind() {
            // The grace is for jobs that are on their way.
            WaitErrorKind::DeadlineExceeded if unknown && error.job().is_none() => Self::NotFound,
            // A job that does not move was waited for long enough, too.
            WaitErrorKind::DeadlineExceeded | WaitErrorKind::Stalled => Self::Deadline,
            WaitErrorKind::Unauthorized => Self::Credentials,
            WaitErrorKind::NotFound | WaitErrorKind::Vanished => Self::NotFound,
            WaitErrorKind::Permanent if forbidden => Self::Credentials,
            _ => Self::Unreadable,
        }
    }
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

/// An error, and how the command ends for it.
#[derive(Debug)]
struct ExitError {
    exit: Exit,
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

/// Says of an error how the command ends for it; by default it is an internal one.
pub(crate) trait OrExit<T> {
    /// Ends the command with this exit code where there is an error.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|error| ExitError { exit, error: error.into() }.into())
    }
}

#[cfg(test)]
mod tests;
