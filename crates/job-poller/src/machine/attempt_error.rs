//! The error of a failed attempt, as plain data.

use std::{error::Error, fmt, time::Duration};

use job_model::{HumanDuration, object::ObjectKind};
use job_transport::{
    ErrorClass, FetchError, FetchErrorKind,
    transport::{TransportErrorKind, display_chain},
};
use serde::{Deserialize, Serialize};

use super::stated_quota::StatedQuota;

/// The error of a failed attempt: a [`FetchError`] as serializable data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptError {
    /// The kind of the error.
    pub kind: FetchErrorKind,
    /// How to retry after the error.
    pub class: ErrorClass,
    /// The error and its causes on one line. The root cause is last.
    pub message: String,
    /// The service's id for the request, if a reply contained one.
    pub request_id: Option<String>,
    /// The delay that the reply asks for before the next attempt (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// Whether the credentials were refreshed during the attempt.
    pub credentials_refreshed: bool,
    /// The rate limit that the reply states, if it applies to this caller. The request was refused
    /// because of it.
    #[serde(default)]
    pub stated_quota: Option<StatedQuota>,
}

impl AttemptError {
    /// Creates an error without a request id, a `Retry-After` and a stated quota.
    #[must_use]
    pub fn new(kind: FetchErrorKind, class: ErrorClass, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            class,
            message,
            request_id: None,
            retry_after: None,
            credentials_refreshed: false,
            stated_quota: None,
        }
    }

    /// Creates the error of an attempt that exceeded its timeout.
    #[must_use]
    pub fn timed_out(timeout: Duration) -> Self {
        let kind = FetchErrorKind::Transport(TransportErrorKind::Timeout);
        Self::new(
            kind,
            ErrorClass::Transient,
            format!("no reply within {}", HumanDuration(timeout)),
        )
    }

    /// Creates the error of a reply with another job.
    pub(crate) fn wrong_job(uid: &str) -> Self {
        let (uid, ellipsis) = shortened(uid);
        let message = format!("the service answered with the job {uid:?}{ellipsis}");
        Self::new(FetchErrorKind::WrongJob, ErrorClass::Transient, message)
    }

    /// Creates the error of a reply whose uid is not a string. `what` is what it is instead.
    pub(crate) fn wrong_uid_type(what: &str) -> Self {
        let message = format!("the service answered with a job whose uid is {what}");
        Self::new(FetchErrorKind::WrongJob, ErrorClass::Transient, message)
    }

    /// Creates the error of a source that reports an unchanged job although it was given no
    /// snapshot.
    pub(crate) fn unexpected_unchanged() -> Self {
        let message = "the source reported an unchanged job, but there was no job to compare with";
        Self::new(FetchErrorKind::Undecodable, ErrorClass::Transient, message)
    }

    /// Creates the error of a reply with another cluster or node.
    pub(crate) fn wrong_object(kind: ObjectKind, uid: &str) -> Self {
        let (uid, ellipsis) = shortened(uid);
        let message = format!("the service answered with the {kind} {uid:?}{ellipsis}");
        Self::new(FetchErrorKind::WrongJob, ErrorClass::Transient, message)
    }

    /// Creates the error of a driver that passed a job to a machine that reads an object.
    pub(crate) fn unexpected_job() -> Self {
        let message = "the source returned a job instead of a cluster or a node";
        Self::new(FetchErrorKind::Undecodable, ErrorClass::Transient, message)
    }

    /// Creates the error of a driver that passed an object to a machine that reads a job.
    pub(crate) fn unexpected_object() -> Self {
        let message = "the source returned a cluster or a node instead of a job";
        Self::new(FetchErrorKind::Undecodable, ErrorClass::Transient, message)
    }

    /// Returns the reply's status, if the kind is [`Status`](FetchErrorKind::Status).
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self.kind {
            FetchErrorKind::Status(status) => Some(status),
            _ => None,
        }
    }
}

/// The maximum length of a uid in a message, in bytes.
const MAX_UID_LEN: usize = 128;

/// Returns the part of a uid that an error keeps, and what follows it. An id has at most 128 bytes.
fn shortened(uid: &str) -> (&str, &'static str) {
    let end = uid.floor_char_boundary(MAX_UID_LEN);
    (&uid[..end], if end < uid.len() { ".." } else { "" })
}

impl From<&FetchError> for AttemptError {
    fn from(error: &FetchError) -> Self {
        Self {
            request_id: error.request_id().map(String::from),
            retry_after: error.retry_after(),
            credentials_refreshed: error.credentials_refreshed(),
            stated_quota: error.rate_limit().as_ref().and_then(StatedQuota::from_rate_limit),
            ..Self::new(error.kind(), error.class(), display_chain(error))
        }
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
