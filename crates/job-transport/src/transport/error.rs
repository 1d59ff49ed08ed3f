//! Why no reply came back. Knows no status and no job.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

/// A request that got no whole reply.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    request_sent: RequestSent,
    stage: Option<TimeoutStage>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request cannot be sent as it is, for example because its URI is too long.
    InvalidRequest,
    /// This machine lacks what a connection needs, such as a free file descriptor.
    LocalResource,
    /// The host's name has no address, or could not be looked up.
    Dns,
    /// No connection: the host refuses, or cannot be reached.
    Connect,
    /// The proxy opened no tunnel to the host.
    Proxy,
    /// The server's certificate is not accepted: expired, for another host, from an unknown CA.
    Certificate,
    /// TLS failed otherwise: no common version, or the port does not speak TLS.
    Tls,
    /// The attempt took longer than its timeout; [`TransportError::stage`] returns where it was.
    Timeout,
    /// The server gave up an HTTP/2 connection or stream before it took the request (GOAWAY,
    /// REFUSED_STREAM).
    StreamRefused,
    /// The connection ended, or was reset, before the whole reply was there.
    Closed,
    /// What came back is not HTTP.
    Protocol,
    /// The reply's body is larger than the limit.
    BodyTooLarge,
    /// The reply's body is compressed, though nobody asked for that.
    EncodedBody,
    /// Something else; the source says what.
    Other,
}

/// How far an attempt was when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutStage {
    /// Waiting for its turn: behind other requests in flight, or for credentials.
    Queue,
    /// Connecting: the host's address, TCP, the proxy's tunnel.
    Connect,
    /// Shaking hands over TLS.
    Tls,
    /// Sending the request, and waiting for the reply's head.
    Reply,
    /// Reading the reply's body.
    Body,
}

/// Whether the service may have seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum RequestSent {
    /// It certainly was not sent, or certainly not taken.
    No,
    /// It may have been.
    Maybe,
}

impl TransportError {
    /// Creates an error without a cause.
    #[must_use]
    pub const fn new(kind: TransportErrorKind, request_sent: RequestSent) -> Self {
        Self { kind, request_sent, stage: None, source: None }
    }

    /// Creates the error of an attempt that took too long, from the stage it was in.
    #[must_use]
    pub const fn timeout(stage: TimeoutStage) -> Self {
        let request_sent = match stage {
            TimeoutStage::Queue | TimeoutStage::Connect | TimeoutStage::Tls => RequestSent::No,
            TimeoutStage::Reply | TimeoutStage::Body => RequestSent::Maybe,
        };
        Self { kind: TransportErrorKind::Timeout, request_sent, stage: Some(stage), source: None }
    }

    /// Creates the error of a request that cannot be made.
    pub(crate) fn invalid_request(error: http::Error) -> Self {
        Self::new(TransportErrorKind::InvalidRequest, RequestSent::No).with_source(error)
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

    /// Returns how far the attempt was, where it took too long and that is known.
    #[must_use]
    pub const fn stage(&self) -> Option<TimeoutStage> {
        self.stage
    }

    /// Returns what happened, in words.
    pub(crate) const fn message(&self) -> &'static str {
        match self.kind {
            TransportErrorKind::InvalidRequest => "the request cannot be sent as it is",
            TransportErrorKind::LocalResource => {
                "this machine lacks what a connection needs, such as a free file descriptor"
            }
            TransportErrorKind::Dns => "the service's host name cannot be looked up",
            TransportErrorKind::Connect => "no connection to the service",
            TransportErrorKind::Proxy => "the proxy opened no tunnel to the service",
            TransportErrorKind::Certificate => "the service's certificate is not accepted",
            TransportErrorKind::Tls => "TLS with the service failed",
            TransportErrorKind::Timeout => match self.stage {
                None => "the service did not answer in time",
                Some(TimeoutStage::Queue) => "the request did not have its turn in time",
                Some(TimeoutStage::Connect) => "no connection to the service in time",
                Some(TimeoutStage::Tls) => "the service did not finish the TLS handshake in time",
                Some(TimeoutStage::Reply) => "the service did not answer in time",
                Some(TimeoutStage::Body) => "the service did not end its reply in time",
            },
            TransportErrorKind::StreamRefused => "the service did not take the request",
            TransportErrorKind::Closed => "the connection ended before the whole reply was there",
            TransportErrorKind::Protocol => "the reply is not HTTP",
            TransportErrorKind::BodyTooLarge => "the reply's body is larger than the limit",
            TransportErrorKind::EncodedBody => {
                "the reply's body is compressed; nobody asked for that"
            }
            TransportErrorKind::Other => "the request failed on the way",
        }
    }
}

impl TransportErrorKind {
    /// Returns the kind's name in snake case, as logs have it (`error.type`).
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::LocalResource => "local_resource",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Certificate => "certificate",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::StreamRefused => "stream_refused",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::BodyTooLarge => "body_too_large",
            Self::EncodedBody => "encoded_body",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}
