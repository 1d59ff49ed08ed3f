//! Why an attempt gave no job, and what that means for asking again. Asks nothing itself.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use job_model::{DecodeError, ServiceError};

use super::{
    error_class::ErrorClass,
    headers::{header_str, request_id, retry_after},
    provider_error::CredentialsProviderError,
};
use crate::transport::{TransportError, TransportErrorKind};

/// An attempt that gave no job.
#[derive(Debug)]
pub struct FetchError {
    kind: FetchErrorKind,
    credentials_refreshed: bool,
    refusal: Option<Box<Self>>,
}

/// How far an attempt got that gave no job, and why no further.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// There were no credentials to send the request with, or none in place of those that the
    /// service refused; see [`FetchError::refusal`].
    Credentials(AuthError),
    /// No reply came back.
    Transport(TransportError),
    /// A reply came, and its status is not 200.
    #[non_exhaustive]
    Status {
        /// The reply's status.
        status: StatusCode,
        /// What the reply's body says.
        service_error: Option<Box<ServiceError>>,
        /// How long the reply asks to wait before the next request.
        retry_after: Option<Duration>,
        /// The service's name for the request.
        request_id: Option<String>,
        /// Whether the service refused a signature, though it was made at the right time: the next
        /// one is not sent, since a few more would lock the key.
        wrong_signature: bool,
    },
    /// A reply came with status 200, and its body is no job.
    #[non_exhaustive]
    Unreadable {
        /// Why it is none.
        cause: InvalidReply,
        /// The service's name for the request.
        request_id: Option<String>,
    },
}

/// Why there was nothing to authenticate a request with.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The provider gave none.
    #[error("there are no credentials")]
    Provider(#[source] CredentialsProviderError),
    /// The provider took longer than its timeout.
    #[error("there are no credentials: they were not provided within {0:?}")]
    TimedOut(Duration),
    /// The service refused this key's signature before; a few more would lock the key.
    #[error(
        "the service refused this key's signature before, so none is sent any more; check the secret key, and start again with the right one{}",
        DetailSuffix(.0)
    )]
    WrongSignature(Arc<str>),
    /// The client was given no project, and neither were the credentials.
    #[error("no project: neither the client was given one, nor did the credentials name one")]
    NoProject,
}

/// Why a reply is no job, or a login's no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReply {
    /// It is empty.
    #[error("its body is empty")]
    Empty,
    /// It is a page of HTML: a proxy's or a login's, not the service's.
    #[error("its body is a page of HTML, not the service's")]
    Html,
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(DecodeError),
    /// It is an object of another kind.
    #[error("its `kind` is not `Job`")]
    WrongKind,
    /// It is a login's, and gives no token.
    #[error("no token came with it (X-Subject-Token)")]
    NoToken,
}

impl FetchError {
    /// Creates the error of a reply whose status is not 200, of which no more is known.
    #[must_use]
    pub const fn status(status: StatusCode, request_id: Option<String>) -> Self {
        Self::new(FetchErrorKind::Status {
            status,
            service_error: None,
            retry_after: None,
            request_id,
            wrong_signature: false,
        })
    }

    /// Creates the error of a reply whose status is not 200, with all that the reply says.
    #[must_use]
    pub fn from_response(reply: &Response<Bytes>) -> Self {
        Self::from_parts(reply, read_service_error(reply, &[]))
    }

    /// Creates the error of a reply with status 200 whose body is no job.
    #[must_use]
    pub const fn unreadable(cause: InvalidReply, request_id: Option<String>) -> Self {
        Self::new(FetchErrorKind::Unreadable { cause, request_id })
    }

    /// Creates the error of a reply whose body says this.
    pub(crate) fn from_parts(reply: &Response<Bytes>, service_error: Option<ServiceError>) -> Self {
        let in_body = service_error.as_ref().and_then(|error| error.request_id());
        Self::new(FetchErrorKind::Status {
            status: reply.status(),
            retry_after: retry_after(reply.headers()),
            request_id: request_id(reply.headers()).or(in_body).map(String::from),
            service_error: service_error.map(Box::new),
            wrong_signature: false,
        })
    }

    /// Says whether the credentials were renewed in the course of the attempt.
    #[must_use]
    pub const fn with_credentials_refreshed(mut self, refreshed: bool) -> Self {
        self.credentials_refreshed = refreshed;
        self
    }

    /// Says that the reply refuses a signature for good.
    pub(crate) const fn with_wrong_signature(mut self) -> Self {
        if let FetchErrorKind::Status { wrong_signature, .. } = &mut self.kind {
            *wrong_signature = true;
        }
        self
    }

    const fn new(kind: FetchErrorKind) -> Self {
        Self { kind, credentials_refreshed: false, refusal: None }
    }

    /// Returns how far the attempt got, and why no further.
    #[must_use]
    pub const fn kind(&self) -> &FetchErrorKind {
        &self.kind
    }

    /// Returns whether the credentials were renewed in the course of the attempt. A 401 after that
    /// is not for their age.
    #[must_use]
    pub const fn credentials_refreshed(&self) -> bool {
        self.credentials_refreshed
    }

    /// Says which refusal (401) the credentials could not be renewed after.
    pub(crate) fn with_refusal(mut self, refusal: Self) -> Self {
        self.refusal = Some(Box::new(refusal));
        self
    }

    /// Returns the service's refusal (401) after which the credentials were to be renewed, where
    /// they could not be.
    #[must_use]
    pub fn refusal(&self) -> Option<&Self> {
        self.refusal.as_deref()
    }

    /// Returns whether the service refused a signature, now or before. No later one is sent.
    #[must_use]
    pub const fn is_wrong_signature(&self) -> bool {
        matches!(
            self.kind,
            FetchErrorKind::Status { wrong_signature: true, .. }
                | FetchErrorKind::Credentials(AuthError::WrongSignature(_))
        )
    }

    /// Returns the service's name for the last request, where its reply told it.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match &self.kind {
            FetchErrorKind::Status { request_id, .. }
            | FetchErrorKind::Unreadable { request_id, .. } => request_id.as_deref(),
            FetchErrorKind::Credentials(_) | FetchErrorKind::Transport(_) => None,
        }
    }

    /// Returns what this means for asking again.
    ///
    /// | what happened | class |
    /// |---|---|
    /// | no address, no connection, no tunnel, TLS failed, timeout, connection lost, stream refused, no HTTP, this machine lacks something, something else on the way | `Transient` |
    /// | certificate not accepted, body too large or compressed, request not sendable | `Permanent` |
    /// | status 408, 409, 425, 500 to 599 but for 501 and 505 | `Transient` |
    /// | status 429 | `Throttled` |
    /// | status 401 | `Unauthorized` |
    /// | status 404 with the gateway's code `APIGW.0101`: the path is wrong, whatever the job | `Permanent` |
    /// | every other status 404 | `NotFound` |
    /// | every other status, 204 and redirects among them | `Permanent` |
    /// | status 200 without a readable job (a proxy's page, a cut reply) | `Transient` |
    /// | the provider of credentials failed | as it says ([`CredentialsProviderError::class`]), but `NotFound` is `Permanent` |
    /// | the provider took too long | `Transient` |
    /// | a signature was refused before | `Unauthorized` |
    /// | no project | `Permanent` |
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match &self.kind {
            FetchErrorKind::Credentials(fault) => match fault {
                AuthError::Provider(error) => match error.class() {
                    // It is not the job that was not found.
                    ErrorClass::NotFound => ErrorClass::Permanent,
                    class => class,
                },
                AuthError::TimedOut(_) => ErrorClass::Transient,
                AuthError::WrongSignature(_) => ErrorClass::Unauthorized,
                AuthError::NoProject => ErrorClass::Permanent,
            },
            FetchErrorKind::Transport(error) => match error.kind() {
                TransportErrorKind::LocalResource
                | TransportErrorKind::Dns
                | TransportErrorKind::Connect
                | TransportErrorKind::Proxy
                | TransportErrorKind::Tls
                | TransportErrorKind::Timeout
                | TransportErrorKind::StreamRefused
                | TransportErrorKind::Closed
                | TransportErrorKind::Protocol
                | TransportErrorKind::Other => ErrorClass::Transient,
                TransportErrorKind::InvalidRequest
                | TransportErrorKind::Certificate
                | TransportErrorKind::BodyTooLarge
                | TransportErrorKind::EncodedBody => ErrorClass::Permanent,
            },
            FetchErrorKind::Status { status, service_error, .. } => match status.as_u16() {
                404 if service_error.as_deref().is_some_and(is_unknown_api) => {
                    ErrorClass::Permanent
                }
                408 | 409 | 425 => ErrorClass::Transient,
                429 => ErrorClass::Throttled,
                401 => ErrorClass::Unauthorized,
                404 => ErrorClass::NotFound,
                501 | 505 => ErrorClass::Permanent,
                500..=599 => ErrorClass::Transient,
                _ => ErrorClass::Permanent,
            },
            FetchErrorKind::Unreadable { .. } => ErrorClass::Transient,
        }
    }
}

impl AuthError {
    /// Whether the provider was itself not let in.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Provider(error) if error.class() == ErrorClass::Unauthorized)
    }
}

fn is_unknown_api(error: &ServiceError) -> bool {
    error.codes().iter().any(|code| code == "APIGW.0101")
}

impl From<TransportError> for FetchError {
    fn from(error: TransportError) -> Self {
        Self::new(FetchErrorKind::Transport(error))
    }
}

impl From<AuthError> for FetchError {
    fn from(fault: AuthError) -> Self {
        Self::new(FetchErrorKind::Credentials(fault))
    }
}

/// A request for credentials that failed means what its reply means.
impl From<FetchError> for CredentialsProviderError {
    fn from(error: FetchError) -> Self {
        Self::new(error.class(), "the identity service gave no token").with_source(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FetchErrorKind::Credentials(fault) => fault.fmt(f),
            FetchErrorKind::Transport(error) => error.fmt(f),
            FetchErrorKind::Status { status, service_error, wrong_signature, .. } => {
                let message = service_error.as_ref().map(ToString::to_string).unwrap_or_default();
                // A body may say no more than the status does.
                let detail = if message == status.to_string() { "" } else { &message };
                write!(f, "the service answered {status}{}", DetailSuffix(detail))?;
                if *wrong_signature {
                    f.write_str("; the signature is wrong: check the secret key")?;
                }
                Ok(())
            }
            FetchErrorKind::Unreadable { cause: InvalidReply::NoToken, .. } => {
                f.write_str("the service's reply is no login's")
            }
            FetchErrorKind::Unreadable { .. } => {
                f.write_str("the service's reply is no readable job")
            }
        }?;
        self.request_id().map_or(Ok(()), |id| write!(f, " (request id {id})"))?;
        let refusal = self.refusal.as_ref();
        refusal.map_or(Ok(()), |refusal| write!(f, " to renew those that were refused: {refusal}"))
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            FetchErrorKind::Credentials(fault) => fault.source(),
            FetchErrorKind::Transport(error) => error.source(),
            FetchErrorKind::Status { .. } => None,
            FetchErrorKind::Unreadable { cause, .. } => Some(cause),
        }
    }
}

/// Reads what a reply's body says, without any of the secrets that it may repeat.
pub(crate) fn read_service_error(
    reply: &Response<Bytes>,
    secrets: &[&str],
) -> Option<ServiceError> {
    let content_type = header_str(reply.headers(), &CONTENT_TYPE);
    ServiceError::from_body_redacting(reply.status().as_u16(), content_type, reply.body(), secrets)
}

/// Displays `: ..`, or nothing where nothing was said.
struct DetailSuffix<'a>(&'a str);

impl fmt::Display for DetailSuffix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

#[cfg(test)]
mod tests;
