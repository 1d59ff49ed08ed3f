//! Why an attempt gave no job, and what that means for asking again. Asks nothing itself.

use std::fmt;

use http::StatusCode;
use job_model::DecodeError;

use crate::{TransportError, TransportErrorKind};

/// An attempt that gave no job, by the stage it got to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No reply came back.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// A reply came, and its status is not 200.
    #[error("the service answered {status}{}", RequestId(request_id))]
    #[non_exhaustive]
    Status {
        /// The reply's status.
        status: StatusCode,
        /// The service's name for the request.
        request_id: Option<String>,
    },

    /// A reply came with status 200, and its body is no job.
    #[error("the service's reply is no readable job{}", RequestId(request_id))]
    #[non_exhaustive]
    Unreadable {
        /// Why it is none.
        #[source]
        cause: Unreadable,
        /// The service's name for the request.
        request_id: Option<String>,
    },
}

/// Why a body is no job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It cannot be decoded.
    #[error(transparent)]
    Body(DecodeError),
    /// It is an object of another kind.
    #[error("its `kind` is not `Job`")]
    Kind,
}

/// What an attempt that gave no job means for asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who decides whether to ask again must decide for each"
)]
pub enum Class {
    /// It may well pass: ask again.
    Transient,
    /// Too many requests: ask again, later.
    Throttled,
    /// The credentials are not accepted.
    Unauthorized,
    /// There is no such job, or not yet.
    NotFound,
    /// The next answer will be the same.
    Permanent,
}

impl FetchError {
    /// Creates the error of a reply whose status is not 200.
    #[must_use]
    pub const fn status(status: StatusCode, request_id: Option<String>) -> Self {
        Self::Status { status, request_id }
    }

    /// Creates the error of a reply with status 200 whose body is no job.
    #[must_use]
    pub const fn unreadable(cause: Unreadable, request_id: Option<String>) -> Self {
        Self::Unreadable { cause, request_id }
    }

    /// Returns what this means for asking again.
    ///
    /// | what happened | class |
    /// |---|---|
    /// | no connection, TLS failed, timeout, connection lost, no HTTP | `Transient` |
    /// | certificate not accepted, body too large, request not sendable | `Permanent` |
    /// | status 408, 409, 425, 500 to 599 but for 501 and 505 | `Transient` |
    /// | status 429 | `Throttled` |
    /// | status 401 | `Unauthorized` |
    /// | status 404 | `NotFound` |
    /// | every other status, 204 and redirects among them | `Permanent` |
    /// | status 200 without a readable job (a proxy's page, a cut reply) | `Transient` |
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Transport(error) => match error.kind() {
                TransportErrorKind::Connect
                | TransportErrorKind::Tls
                | TransportErrorKind::Timeout
                | TransportErrorKind::Closed
                | TransportErrorKind::Protocol => Class::Transient,
                TransportErrorKind::InvalidRequest
                | TransportErrorKind::Certificate
                | TransportErrorKind::BodyTooLarge => Class::Permanent,
            },
            Self::Status { status, .. } => match status.as_u16() {
                408 | 409 | 425 => Class::Transient,
                429 => Class::Throttled,
                401 => Class::Unauthorized,
                404 => Class::NotFound,
                501 | 505 => Class::Permanent,
                500..=599 => Class::Transient,
                _ => Class::Permanent,
            },
            Self::Unreadable { .. } => Class::Transient,
        }
    }
}

/// Displays ` (request id ..)`, or nothing where there is none.
struct RequestId<'a>(&'a Option<String>);

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
