//! The production transport, on hyper and rustls. Follows no redirect, and retries only what the
//! server certainly did not take.

mod resolver;
mod connector;
mod connect;
mod proxy;
mod tls;
mod connect_gate;
mod error;

pub use proxy::{Proxy, ProxyError};
pub use tls::{TlsConfig, TlsError, TlsProvider};

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, USER_AGENT},
    response::Parts,
    uri::Scheme,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{
        Builder, Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;

use crate::transport::{
    AllowHttp, RequestSent, TimeoutStage, Transport, TransportError, TransportErrorKind,
    is_loopback,
};
use connect::TlsConnector;
use connect_gate::ConnectGates;
pub use connector::{AsyncStream, Connect};
use error::classify;

/// How long connecting may take, unless set otherwise: once for TCP and the proxy's tunnel, and once
/// more for TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a whole attempt may take, unless set otherwise. Longer than a wait's own limit (30 s),
/// so that in a wait that limit decides; a request outside a wait still ends.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes a body may have, unless set otherwise: a job of 10,000 sub-jobs has half of it.
const MAX_BODY_LEN: usize = 8 << 20;

/// How many requests may be in flight, unless set otherwise: servers allow about 100 streams a
/// connection, and each waits for its turn beyond that anyway.
const MAX_IN_FLIGHT: usize = 100;

/// How long an unused connection is kept, unless set otherwise: longer than the pauses of a wait.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// While an HTTP/2 request is open, a ping goes out so often; one that is not answered within the
/// same time ends the connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How often a request is sent again on a fresh connection, after a server that drained the old one
/// did not take it. Busy fleets meet that every thousand requests.
const MAX_RETRIES: usize = 3;

/// The most bytes that a reply's headers may have over HTTP/2: a token of 16 KiB is one.
const MAX_HEADERS: u32 = 64 << 10;

/// As good as never, and no time that a clock cannot hold.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const DEFAULT_USER_AGENT: &str = concat!("cce-job/", env!("CARGO_PKG_VERSION"));

/// Sends requests over HTTP/2 or HTTP/1.1, as the server offers, on pooled connections.
///
/// Needs a tokio runtime with time and I/O enabled. Cheap to clone; clones share the connections
/// and the limit of requests in flight, and go on to share them where a clone is given another
/// attempt timeout, body limit or user agent. Every other setting starts with new connections, or
/// with a limit of its own.
#[derive(Clone)]
pub struct HyperTransport {
    client: Client<TlsConnector, Full<Bytes>>,
    connector: TlsConnector,
    gates: ConnectGates,
    in_flight: Arc<Semaphore>,
    settings: Settings,
    user_agent: HeaderValue,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    attempt_timeout: Duration,
    max_body: usize,
    idle_timeout: Duration,
    max_idle_connections: usize,
    keep_alive: Duration,
}

impl HyperTransport {
    /// Creates a transport; connects to nothing yet.
    #[must_use]
    pub fn new(tls: TlsConfig) -> Self {
        let connector = TlsConnector::new(tls.0, CONNECT_TIMEOUT);
        let settings = Settings {
            attempt_timeout: ATTEMPT_TIMEOUT,
            max_body: MAX_BODY_LEN,
            idle_timeout: IDLE_TIMEOUT,
            max_idle_connections: MAX_IN_FLIGHT,
            keep_alive: KEEP_ALIVE_INTERVAL,
        };
        Self {
            client: build_client(&connector, settings),
            connector,
            gates: ConnectGates::default(),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            settings,
            user_agent: HeaderValue::from_static(DEFAULT_USER_AGENT),
        }
    }

    /// Sets how long one attempt may take, from waiting for its turn to the body's last byte; 60 s
    /// by default.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.attempt_timeout = timeout;
        self
    }

    /// Sets how long connecting may take, within the attempt: once for the name, TCP and the
    /// proxy's tunnel, and once more for TLS; 10 s by default.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        let connector = self.connector.clone().timeout(timeout);
        self.with_connector(connector)
    }

    /// Sets the most bytes a reply's body may have; 8 MiB by default. Of a reply that is no success,
    /// a larger body is left out.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Sets how many requests may be in flight at a time, at least one; 100 by default. Others wait
    /// for their turn, which counts as part of their attempt.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.in_flight = Arc::new(Semaphore::new(requests.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Sets how long an unused connection is kept; 90 s by default.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout.min(MAX_DURATION);
        self.rebuild_client()
    }

    /// Sets how many unused HTTP/1.1 connections are kept for one host; 100 by default. With zero,
    /// each request has a connection of its own, over HTTP/2 too.
    #[must_use]
    pub fn max_idle_connections(mut self, connections: usize) -> Self {
        self.settings.max_idle_connections = connections;
        self.rebuild_client()
    }

    /// Sets after how long an open HTTP/2 request asks the server for a sign of life, and how long
    /// that may take, at least a millisecond; 10 s by default.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.settings.keep_alive = interval.clamp(Duration::from_millis(1), MAX_DURATION);
        self.rebuild_client()
    }

    /// Sets the `User-Agent`; `cce-job/` and this crate's version by default.
    #[must_use]
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Sends requests by way of a proxy; by default there is none, whatever the environment says.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        let connector = self.connector.clone().proxy(proxy);
        self.with_connector(connector)
    }

    /// Opens connections some other way than over TCP; a host's name is not looked up then.
    #[must_use]
    pub fn connector(self, connect: impl Connect + 'static) -> Self {
        let connector = self.connector.clone().connector(Arc::new(connect));
        self.with_connector(connector)
    }

    fn with_connector(mut self, connector: TlsConnector) -> Self {
        self.connector = connector;
        self.rebuild_client()
    }

    fn rebuild_client(mut self) -> Self {
        self.gates = ConnectGates::default();
        self.client = build_client(&self.connector, self.settings);
        self
    }

    /// Makes the attempt, and says in `progress` how far it is.
    async fn attempt(
        &self,
        mut request: Request<Bytes>,
        progress: &mut AttemptProgress,
    ) -> Result<Response<Bytes>, TransportError> {
        refuse_plain_http(&request)?;
        set_default_header(&mut request, USER_AGENT, &self.user_agent);
        set_default_header(&mut request, ACCEPT_ENCODING, &HeaderValue::from_static("identity"));
        // Closed never: an error would leave the limit out.
        let _permit = self.in_flight.acquire().await;
        let mut retries = 0;
        loop {
            match self.send_once(request.clone(), progress).await {
                Err(error) if is_retryable(&error) && retries < MAX_RETRIES => retries += 1,
                other => return other,
            }
            tracing::debug!(retries, "the server did not take the request; it is sent again");
        }
    }

    async fn send_once(
        &self,
        request: Request<Bytes>,
        progress: &mut AttemptProgress,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = request.map(Full::new);
        *progress = AttemptProgress::Sending;
        let gate = self.gates.for_uri(request.uri());
        // Who must wait for a connection watches for it. Others need not pay for that.
        let capture = (!gate.is_open()).then(|| capture_connection(&mut request));
        if let Some(capture) = &capture {
            *progress = AttemptProgress::Connecting(capture.clone());
        }
        let reply = gate.send_through(capture, self.client.request(request)).await;
        let reply = reply.map_err(|error| {
            gate.close();
            let sent = if error.is_connect() { RequestSent::No } else { RequestSent::Maybe };
            classify(error.into(), sent)
        })?;
        *progress = AttemptProgress::Reading;
        let (head, body) = reply.into_parts();
        match self.read_body(&head, body).await {
            // Of an error the status says enough: it is not lost with its body.
            Err(error) if !head.status.is_success() && is_body_error(&error) => {
                Ok(Response::from_parts(head, Bytes::new()))
            }
            body => Ok(Response::from_parts(head, body?)),
        }
    }

    /// Reads a reply's body, which is to be neither compressed nor too large.
    async fn read_body(&self, head: &Parts, body: Incoming) -> Result<Bytes, TransportError> {
        let maybe = |kind| TransportError::new(kind, RequestSent::Maybe);
        let encoding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            return Err(maybe(TransportErrorKind::EncodedBody));
        }
        if body.size_hint().lower() > self.settings.max_body as u64 {
            return Err(maybe(TransportErrorKind::BodyTooLarge));
        }
        let body = Limited::new(body, self.settings.max_body).collect().await;
        Ok(body.map_err(|error| classify(error, RequestSent::Maybe))?.to_bytes())
    }
}

/// How far an attempt is.
enum AttemptProgress {
    Queued,
    /// Until a connection is there, which the client says by the capture.
    Connecting(CaptureConnection),
    /// There was a connection when the attempt began. Where it is gone meanwhile, and another one
    /// takes longer than connecting may, the connector says so.
    Sending,
    Reading,
}

impl AttemptProgress {
    fn stage(&self) -> TimeoutStage {
        match self {
            Self::Queued => TimeoutStage::Queue,
            Self::Connecting(capture) if capture.connection_metadata().is_none() => {
                TimeoutStage::Connect
            }
            Self::Connecting(_) | Self::Sending => TimeoutStage::Reply,
            Self::Reading => TimeoutStage::Body,
        }
    }
}

/// Whether it is the body itself that is not wanted.
fn is_body_error(error: &TransportError) -> bool {
    matches!(error.kind(), TransportErrorKind::EncodedBody | TransportErrorKind::BodyTooLarge)
}

/// Whether a server that drains a connection did not take the request, so that another one may.
fn is_retryable(error: &TransportError) -> bool {
    error.kind() == TransportErrorKind::StreamRefused && error.request_sent() == RequestSent::No
}

fn build_client(connector: &TlsConnector, settings: Settings) -> Client<TlsConnector, Full<Bytes>> {
    let mut builder: Builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(settings.max_idle_connections)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keep_alive_interval(settings.keep_alive)
        .http2_keep_alive_timeout(settings.keep_alive)
        .build(connector.clone())
}

/// Adds a header where the request has none of its name.
fn set_default_header(request: &mut Request<Bytes>, name: HeaderName, value: &HeaderValue) {
    request.headers_mut().entry(name).or_insert_with(|| value.clone());
}

/// Refuses to carry a request, and the credentials in it, in plain sight of others.
fn refuse_plain_http(request: &Request<Bytes>) -> Result<(), TransportError> {
    let uri: &Uri = request.uri();
    let may_be_plain =
        request.extensions().get::<AllowHttp>().is_some() || uri.host().is_some_and(is_loopback);
    if uri.scheme() == Some(&Scheme::HTTPS) || (uri.scheme() == Some(&Scheme::HTTP) && may_be_plain)
    {
        return Ok(());
    }
    let error = TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No);
    Err(error.with_source("neither https nor to this machine"))
}

impl Transport for HyperTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let mut progress = AttemptProgress::Queued;
            let attempt = self.attempt(request, &mut progress);
            tokio::time::timeout(self.settings.attempt_timeout, attempt)
                .await
                .unwrap_or_else(|_| Err(TransportError::timeout(progress.stage())))
        })
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("settings", &self.settings)
            .field("connector", &self.connector)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}
