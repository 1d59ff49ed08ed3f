//! The error of a request that got no complete response.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

use super::error_chain::error_sources;

/// The error of a request that got no complete response.
///
/// [`Display`](fmt::Display) names the host, if it is known and the error is about the connection,
/// and the proxy, if the request goes through one.
///
/// ```
/// use job_transport::transport::{RequestSent, TransportError, TransportErrorKind};
///
/// let error = TransportError::new(TransportErrorKind::Dns, RequestSent::No).with_host("cce.example");
/// assert_eq!(error.to_string(), "cannot resolve `cce.example`");
/// ```
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    request_sent: RequestSent,
    stage: Option<TimeoutStage>,
    host: Option<Box<str>>,
    proxy: Option<Box<str>>,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// How many errors at the start of the source's chain are left out of this error's chain.
    skipped_sources: usize,
}

/// What failed while a request was sent or its response was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request is invalid, for example because its URI is too long.
    InvalidRequest,
    /// This machine is out of file descriptors, ports or memory.
    LocalResource,
    /// The host name has no address, or could not be looked up.
    Dns,
    /// No connection: the host refused it or is unreachable.
    Connect,
    /// The proxy did not open a tunnel to the host.
    Proxy,
    /// The proxy requires a user and a password, or refused them (407).
    ProxyAuthentication,
    /// The server's certificate was rejected: it expired, is for another host, or its CA is
    /// unknown.
    Certificate,
    /// The server requires a client certificate, and none was presented.
    ClientCertificateRequired,
    /// TLS failed for another reason: no common version, or the port does not speak TLS.
    Tls,
    /// The attempt took longer than its timeout; [`TransportError::stage`] returns the stage it was
    /// in.
    Timeout,
    /// The server closed an HTTP/2 connection or stream without accepting the request (GOAWAY,
    /// REFUSED_STREAM).
    StreamRefused,
    /// The connection was closed or reset before the response was complete.
    Closed,
    /// The response is not valid HTTP.
    Protocol,
    /// The response's body is larger than the limit.
    BodyTooLarge,
    /// The response's body is compressed, although the request did not accept that.
    EncodedBody,
    /// Another error; see the source.
    Other,
}

/// The stage of an attempt at which its timeout expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutStage {
    /// Waiting for a free slot among the requests in flight, or for credentials.
    Queue,
    /// Connecting: DNS, TCP, the proxy's tunnel.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request and waiting for the response's head.
    Reply,
    /// Reading the response's body.
    Body,
}

/// Whether the service may have received the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum RequestSent {
    /// The request was certainly not sent, or the server certainly did not process it.
    No,
    /// The service may have received it.
    Maybe,
}

impl TransportError {
    /// Creates an error without a cause.
    #[must_use]
    pub const fn new(kind: TransportErrorKind, request_sent: RequestSent) -> Self {
        Self {
            kind,
            request_sent,
            stage: None,
            host: None,
            proxy: None,
            source: None,
            skipped_sources: 0,
        }
    }

    /// Creates the error of an attempt that timed out at this stage.
    #[must_use]
    pub const fn timeout(stage: TimeoutStage) -> Self {
        let request_sent = match stage {
            TimeoutStage::Queue | TimeoutStage::Connect | TimeoutStage::Tls => RequestSent::No,
            TimeoutStage::Reply | TimeoutStage::Body => RequestSent::Maybe,
        };
        let mut error = Self::new(TransportErrorKind::Timeout, request_sent);
        error.stage = Some(stage);
        error
    }

    /// Creates the error of a request that cannot be built.
    pub(crate) fn invalid_request(error: http::Error) -> Self {
        Self::new(TransportErrorKind::InvalidRequest, RequestSent::No).with_source(error)
    }

    /// Sets the host of the request, with its port if the URI has one. The message of a connection
    /// error contains it.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<Box<str>>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the proxy that the request goes through: its host and port, without user and password.
    ///
    /// The message then contains the proxy and the host of the request.
    #[must_use]
    pub fn with_proxy(mut self, proxy: impl Into<Box<str>>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self.skipped_sources = 0;
        self
    }

    /// Adds only the innermost cause to the chain. The errors around it name the library that
    /// reported it, such as `client error (Connect)`.
    #[cfg(feature = "hyper")]
    pub(crate) fn with_innermost_source(self, source: Box<dyn Error + Send + Sync>) -> Self {
        let skipped_sources = error_sources(&*source).count().saturating_sub(1);
        Self { skipped_sources, ..self.with_source(source) }
    }

    /// Returns what failed.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the service may have received the request.
    #[must_use]
    pub const fn request_sent(&self) -> RequestSent {
        self.request_sent
    }

    /// Returns the stage at which the attempt timed out, if that is known.
    #[must_use]
    pub const fn stage(&self) -> Option<TimeoutStage> {
        self.stage
    }

    /// Returns the host of the request, if it is known.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the proxy that the request goes through, if it is known.
    ///
    /// If the kind is [`Dns`](TransportErrorKind::Dns) and there is a proxy, its name could not be
    /// resolved, because the proxy resolves the name of the host.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}

impl TransportErrorKind {
    /// Returns the kind as one word, as used in logs (`error.type`) and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::LocalResource => "local_resource",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::ProxyAuthentication => "proxy_authentication",
            Self::ClientCertificateRequired => "client_certificate_required",
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

impl TimeoutStage {
    /// Returns the stage as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reply => "reply",
            Self::Body => "body",
        }
    }
}

impl RequestSent {
    /// Returns `no` or `maybe`, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Maybe => "maybe",
        }
    }
}

impl TransportError {
    /// Returns the message, without the host and the proxy; and, if the host belongs at its end, the
    /// words that stand there if the host is unknown.
    const fn message(&self) -> (&'static str, Option<&'static str>) {
        const SERVER: Option<&str> = Some(" the server");
        match self.kind {
            TransportErrorKind::InvalidRequest => ("the request is invalid", None),
            TransportErrorKind::LocalResource => {
                ("out of local resources (file descriptors, ports or memory)", None)
            }
            TransportErrorKind::Dns => ("cannot resolve", Some(" the host name")),
            TransportErrorKind::Connect => ("cannot connect to", SERVER),
            TransportErrorKind::Proxy => ("cannot connect through the proxy", None),
            TransportErrorKind::ProxyAuthentication => ("cannot log in to the proxy", None),
            TransportErrorKind::ClientCertificateRequired => {
                ("a client certificate is required by", SERVER)
            }
            TransportErrorKind::Certificate => ("cannot trust the certificate of", SERVER),
            TransportErrorKind::Tls => ("cannot establish TLS with", SERVER),
            TransportErrorKind::Timeout => match self.stage {
                None => ("the request timed out", None),
                Some(TimeoutStage::Queue) => ("timed out before the request could be sent", None),
                Some(TimeoutStage::Connect) => ("timed out connecting to", SERVER),
                Some(TimeoutStage::Tls) => ("timed out in the TLS handshake with", SERVER),
                Some(TimeoutStage::Reply) => ("timed out waiting for the reply", None),
                Some(TimeoutStage::Body) => ("timed out reading the reply", None),
            },
            TransportErrorKind::StreamRefused => ("the server did not accept the request", None),
            TransportErrorKind::Closed => {
                ("the connection closed before the reply was complete", None)
            }
            TransportErrorKind::Protocol => ("the reply is not valid HTTP", None),
            TransportErrorKind::BodyTooLarge => ("the reply's body is larger than the limit", None),
            TransportErrorKind::EncodedBody => {
                ("the reply's body is compressed, which was not requested", None)
            }
            TransportErrorKind::Other => ("the request failed", None),
        }
    }
}

impl TransportError {
    /// Returns whether the proxy itself failed, and not the connection through it.
    const fn is_about_proxy(&self) -> bool {
        match self.kind {
            TransportErrorKind::Proxy | TransportErrorKind::ProxyAuthentication => true,
            TransportErrorKind::Dns => self.proxy.is_some(),
            _ => false,
        }
    }

    /// Returns whether the request did not leave this machine, so that no host matters.
    const fn is_local(&self) -> bool {
        matches!(
            (self.kind, self.stage),
            (TransportErrorKind::InvalidRequest | TransportErrorKind::LocalResource, _)
                | (_, Some(TimeoutStage::Queue))
        )
    }

    /// Writes the message of an error of the proxy itself.
    fn fmt_about_proxy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Dns => "cannot resolve the proxy",
            _ => self.message().0,
        })?;
        if let Some(proxy) = &self.proxy {
            write!(f, " `{proxy}`")?;
        }
        match (&self.host, self.kind) {
            (Some(host), TransportErrorKind::Proxy) => write!(f, " to `{host}`"),
            (Some(host), _) => write!(f, " to reach `{host}`"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_about_proxy() {
            return self.fmt_about_proxy(f);
        }
        let (text, unknown_host) = self.message();
        f.write_str(text)?;
        match (unknown_host, &self.host) {
            (Some(_), Some(host)) => write!(f, " `{host}`")?,
            (Some(unknown_host), None) => f.write_str(unknown_host)?,
            (None, _) => {}
        }
        match (&self.proxy, unknown_host, &self.host) {
            (Some(_), ..) if self.is_local() => Ok(()),
            (Some(proxy), None, Some(host)) => write!(f, " (`{host}` through the proxy `{proxy}`)"),
            (Some(proxy), ..) => write!(f, " through the proxy `{proxy}`"),
            (None, ..) => Ok(()),
        }
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        error_sources(&**self.source.as_ref()?).nth(self.skipped_sources)
    }
}

#[cfg(test)]
mod tests;
