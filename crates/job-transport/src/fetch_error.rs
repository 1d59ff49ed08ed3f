//! Why an attempt gave no job, and what that means for asking again. Asks nothing itself.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use job_model::{DecodeError, ServiceError};

use crate::{
    TransportError, TransportErrorKind,
    headers::{request_id, retry_after, text},
};

/// An attempt that gave no job, by the stage it got to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No reply came back.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// A reply came, and its status is not 200.
    #[error("the service answered {status}{}{}", Said(service_error, *status), RequestId(request_id))]
    #[non_exhaustive]
    Status {
        /// The reply's status.
        status: StatusCode,
        /// What the reply's body says.
        service_error: Option<ServiceError>,
        /// How long the reply asks to wait before the next request.
        retry_after: Option<Duration>,
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
    /// It is empty.
    #[error("its body is empty")]
    Empty,
    /// It is a page of HTML: a proxy's or a login's, not the service's.
    #[error("its body is a page of HTML, not the service's")]
    Html,
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
    /// Creates the error of a reply whose status is not 200, of which no more is known.
    #[must_use]
    pub const fn status(status: StatusCode, request_id: Option<String>) -> Self {
        Self::Status { status, service_error: None, retry_after: None, request_id }
    }

    /// Creates the error of a reply whose status is not 200, with all that the reply says.
    #[must_use]
    pub fn of_reply(reply: &Response<Bytes>) -> Self {
        let (status, headers) = (reply.status(), reply.headers());
        let content_type = text(headers, &CONTENT_TYPE);
        let service_error = ServiceError::from_body(status.as_u16(), content_type, reply.body());
        let in_body = service_error.as_ref().and_then(ServiceError::request_id);
        let request_id = request_id(headers).or(in_body).map(String::from);
        let retry_after = retry_after(headers);
        Self::Status { status, service_error, retry_after, request_id }
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
    /// | status 404 with the gateway's code `APIGW.0101`: the path is wrong, whatever the job | `Permanent` |
    /// | every other status 404 | `NotFound` |
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
            Self::Status { status, service_error, .. } => match status.as_u16() {
                404 if service_error.as_ref().is_some_and(is_of_wrong_path) => Class::Permanent,
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

fn is_of_wrong_path(error: &ServiceError) -> bool {
    error.codes().iter().any(|code| code == "APIGW.0101")
}

/// Displays `: ..`, or nothing where the body says no more than the status does.
struct Said<'a>(&'a Option<ServiceError>, StatusCode);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.0.as_ref().map(ToString::to_string).unwrap_or_default();
        if said.is_empty() || said == self.1.to_string() { Ok(()) } else { write!(f, ": {said}") }
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
