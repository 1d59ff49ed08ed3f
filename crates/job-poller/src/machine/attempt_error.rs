//! The error of a failed attempt, as plain data.

use std::{error::Error, fmt, iter, time::Duration};

use job_transport::{ErrorClass, FetchError, FetchErrorKind, TransportErrorKind};
use serde::{Deserialize, Serialize};

/// The error of an attempt that gave no job: its class, the facts, and a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptError {
    /// How far the attempt got.
    pub kind: AttemptErrorKind,
    /// What it means for asking again.
    pub class: ErrorClass,
    /// What happened, from the outermost cause to the innermost.
    pub message: String,
    /// The service's id for the request, if a reply has one.
    pub request_id: Option<String>,
    /// How long the reply asks to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// Whether the credentials were refreshed during the attempt.
    pub credentials_refreshed: bool,
}

/// How far an attempt got that gave no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AttemptErrorKind {
    /// There were no credentials to ask with.
    Credentials,
    /// The service refused the signature, now or before: asking again would lock the key.
    WrongSignature,
    /// No whole reply came.
    Transport(TransportErrorKind),
    /// A reply came with this status.
    Status(u16),
    /// A reply came with status 200, and its body is no job; or a login's, without a token.
    Unreadable,
    /// A reply came with the job of another uid.
    Mismatch,
}

impl AttemptError {
    /// Creates an error of which no more is known.
    #[must_use]
    pub fn new(kind: AttemptErrorKind, class: ErrorClass, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            class,
            message,
            request_id: None,
            retry_after: None,
            credentials_refreshed: false,
        }
    }

    /// Creates the error of an attempt that was cut off at its timeout.
    #[must_use]
    pub fn timed_out(timeout: Duration) -> Self {
        let kind = AttemptErrorKind::Transport(TransportErrorKind::Timeout);
        Self::new(kind, ErrorClass::Transient, format!("no reply within {timeout:.1?}"))
    }

    /// Creates the error of a reply with another job.
    pub(crate) fn mismatch(uid: &str) -> Self {
        let message = format!("the service answered with the job {uid:?}");
        Self::new(AttemptErrorKind::Mismatch, ErrorClass::Transient, message)
    }

    /// Creates the error of a source that reports an unchanged job without having been given the last one.
    pub(crate) fn unexpected_unchanged() -> Self {
        let message = "the source reported an unchanged job, but there was no job to compare with";
        Self::new(AttemptErrorKind::Unreadable, ErrorClass::Transient, message)
    }

    /// Returns the reply's status, where one came that is not 200 and does not refuse a signature.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self.kind {
            AttemptErrorKind::Status(status) => Some(status),
            _ => None,
        }
    }
}

impl From<&FetchError> for AttemptError {
    fn from(error: &FetchError) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        let (kind, retry_after) = match error.kind() {
            _ if error.is_wrong_signature() => (AttemptErrorKind::WrongSignature, None),
            FetchErrorKind::Transport(error) => (AttemptErrorKind::Transport(error.kind()), None),
            FetchErrorKind::Status { status, retry_after, .. } => {
                (AttemptErrorKind::Status(status.as_u16()), *retry_after)
            }
            FetchErrorKind::Unreadable { .. } => (AttemptErrorKind::Unreadable, None),
            _ => credentials_error_kind(error),
        };
        Self {
            request_id: error.request_id().map(String::from),
            retry_after,
            credentials_refreshed: error.credentials_refreshed(),
            ..Self::new(kind, error.class(), message)
        }
    }
}

/// Returns how far the attempt got to get credentials, where that was a request too, and how long the
/// reply asks to wait.
fn credentials_error_kind(error: &FetchError) -> (AttemptErrorKind, Option<Duration>) {
    let mut causes =
        iter::successors(error.source(), |&error: &&(dyn Error + 'static)| error.source());
    let cause = causes.find_map(|error| error.downcast_ref::<FetchError>());
    match cause.map(FetchError::kind) {
        Some(FetchErrorKind::Transport(error)) => (AttemptErrorKind::Transport(error.kind()), None),
        Some(FetchErrorKind::Unreadable { .. }) => (AttemptErrorKind::Unreadable, None),
        Some(FetchErrorKind::Status { retry_after, .. }) => {
            (AttemptErrorKind::Credentials, *retry_after)
        }
        _ => (AttemptErrorKind::Credentials, None),
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for AttemptError {}

#[cfg(test)]
mod tests;
