//! Why no reply came back. Knows no status and no job.

use std::{error::Error, fmt};

/// A request that got no whole reply.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    request_sent: RequestSent,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request cannot be sent as it is, for example because its URI is too long.
    InvalidRequest,
    /// No connection: the host has no address, refuses, or cannot be reached.
    Connect,
    /// The server's certificate is not accepted: expired, for another host, from an unknown CA.
    Certificate,
    /// TLS failed otherwise: no common version, or the port does not speak TLS.
    Tls,
    /// The attempt took longer than its timeout.
    Timeout,
    /// The connection ended before the whole reply was there.
    Closed,
    /// What came back is not HTTP.
    Protocol,
    /// The reply's body is larger than the limit.
    BodyTooLarge,
}

/// Whether the service may have seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum RequestSent {
    /// It certainly was not sent.
    No,
    /// It may have been.
    Maybe,
}

impl TransportError {
    /// Creates an error without a cause.
    #[must_use]
    pub const fn new(kind: TransportErrorKind, request_sent: RequestSent) -> Self {
        Self { kind, request_sent, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what went wrong.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the service may have seen the request.
    #[must_use]
    pub const fn request_sent(&self) -> RequestSent {
        self.request_sent
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::InvalidRequest => "the request cannot be sent as it is",
            TransportErrorKind::Connect => "no connection to the service",
            TransportErrorKind::Certificate => "the service's certificate is not accepted",
            TransportErrorKind::Tls => "TLS with the service failed",
            TransportErrorKind::Timeout => "the service did not answer in time",
            TransportErrorKind::Closed => "the connection ended before the whole reply was there",
            TransportErrorKind::Protocol => "the reply is not HTTP",
            TransportErrorKind::BodyTooLarge => "the reply's body is larger than the limit",
        })
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}
