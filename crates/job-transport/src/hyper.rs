//! The production transport, on hyper and rustls. It follows no redirects, and retries a request
//! only if the server certainly did not process it.

mod resolver;
mod connector;
mod connect;
mod proxy;
mod pinned;
mod client_certificate;
mod tls;
mod connect_gate;
mod progress;
mod error;

pub use proxy::{Proxy, ProxyError};
/// The TLS library, whose types [`TlsConfig::from_rustls`] and [`TlsProvider::from_rustls`] take.
pub use rustls;
pub use tls::{TlsConfig, TlsError, TlsProvider};

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{ACCEPT_ENCODING, HeaderName, USER_AGENT},
    response::Parts,
    uri::Scheme,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{Builder, Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;

use crate::transport::{
    AllowHttp, BodyShare, MAX_ERROR_BODY, MemoryLimit, MemoryShare, RequestSent, Transport,
    TransportError, TransportErrorKind, is_loopback,
};
use connect::{TlsConnector, host_and_port};
use connect_gate::ConnectGates;
pub use connector::{AsyncStream, Connect};
use error::classify;
use progress::{AttemptProgress, AttemptStage, is_encoded};

/// Default timeout for connecting. It applies once to TCP and the proxy's tunnel, and again to TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Default timeout for a whole attempt. Longer than the attempt timeout of a wait (30 s), which
/// therefore applies first; a request outside a wait still ends.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Default limit for a body, in bytes. A job with 10,000 sub-jobs has half of it.
const MAX_BODY_LEN: usize = 8 << 20;

/// Default limit for requests in flight. Servers allow about 100 streams per connection, so more
/// requests would be queued in any case.
const MAX_IN_FLIGHT: usize = 100;

/// Default idle timeout of a connection. Longer than the delays between the polls of a wait.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Default interval of HTTP/2 pings while a request is open. A ping that is not answered within the
/// same time closes the connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How often a request is retried on a new connection, after a server that was closing the old one
/// did not process it. nginx closes a connection after 1,000 requests, so a busy fleet sees this
/// regularly.
const MAX_RETRIES: usize = 3;

/// Limit for the response headers over HTTP/2, in bytes. A token in a header has up to 16 KiB.
const MAX_HEADERS: u32 = 64 << 10;

/// Upper bound for durations, so that adding one to the current time cannot overflow.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const DEFAULT_USER_AGENT: &str = concat!("cce-job/", env!("CARGO_PKG_VERSION"));

/// Sends requests over HTTP/2 or HTTP/1.1 on pooled connections.
///
/// ALPN selects the protocol. A tokio runtime with time and I/O enabled is required.
///
/// A transport is cheap to clone. Clones share the connections and the limit of requests in flight,
/// also after [`attempt_timeout`](Self::attempt_timeout), [`max_body`](Self::max_body) or
/// [`user_agent`](Self::user_agent) is called on a clone. [`max_in_flight`](Self::max_in_flight)
/// gives the clone a limit of its own; every other setting gives it its own connections.
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
    /// Creates a transport without opening a connection.
    #[must_use]
    pub fn new(tls: TlsConfig) -> Self {
        let connector = TlsConnector::new(tls, CONNECT_TIMEOUT);
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

    /// Sets the timeout of an attempt; 60 s by default.
    ///
    /// It includes waiting for a free slot ([`max_in_flight`](Self::max_in_flight)) and reading the
    /// body.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.attempt_timeout = timeout;
        self
    }

    /// Sets the timeout for connecting; 10 s by default.
    ///
    /// It applies once to DNS, TCP and the proxy's tunnel together, and again to the TLS handshake.
    /// The attempt timeout still applies.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        let connector = self.connector.clone().timeout(timeout);
        self.with_connector(connector)
    }

    /// Sets the limit for a response's body, in bytes; 8 MiB by default.
    ///
    /// If the status is a success, a larger body is an error
    /// ([`BodyTooLarge`](TransportErrorKind::BodyTooLarge)). Otherwise only its beginning is
    /// returned, so that the status is kept.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Sets how many requests may be in flight at a time; 100 by default, at least 1.
    ///
    /// Further requests are queued. The time in the queue counts toward their attempt timeout.
    #[must_use]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.in_flight = Arc::new(Semaphore::new(requests.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Sets how long an unused connection stays open; 90 s by default.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout.min(MAX_DURATION);
        self.rebuild_client()
    }

    /// Sets how many unused HTTP/1.1 connections stay open per host; 100 by default.
    ///
    /// With 0, each request opens its own connection, also over HTTP/2.
    #[must_use]
    pub fn max_idle_connections(mut self, connections: usize) -> Self {
        self.settings.max_idle_connections = connections;
        self.rebuild_client()
    }

    /// Sets the interval of HTTP/2 pings while a request is open; 10 s by default, at least 1 ms.
    ///
    /// If a ping is not answered within the same time, the connection is closed.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.settings.keep_alive = interval.clamp(Duration::from_millis(1), MAX_DURATION);
        self.rebuild_client()
    }

    /// Sets the `User-Agent` header; `cce-job/` and this crate's version by default.
    #[must_use]
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Sends requests through a proxy; none by default.
    ///
    /// Requests to this machine and over plain http never use the proxy. The variable `HTTPS_PROXY` is used only with [`Proxy::from_environment`].
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        let connector = self.connector.clone().proxy(proxy);
        self.with_connector(connector)
    }

    /// Opens connections with `connect` instead of TCP and DNS.
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

    /// Makes an attempt and keeps its current stage in `progress`.
    async fn attempt(
        &self,
        mut request: Request<Bytes>,
        progress: &mut AttemptProgress,
    ) -> Result<Response<Bytes>, TransportError> {
        refuse_plain_http(&request)?;
        set_default_header(&mut request, USER_AGENT, &self.user_agent);
        set_default_header(&mut request, ACCEPT_ENCODING, &HeaderValue::from_static("identity"));
        // The semaphore is never closed, so acquiring a permit cannot fail.
        let _permit = self.in_flight.acquire().await;
        let limit = request.extensions_mut().remove().unwrap_or_else(MemoryLimit::global);
        let (parts, body) = request.into_parts();
        let mut retries = 0;
        loop {
            // Without the extensions, which only this transport reads.
            let mut request = Request::new(body.clone());
            *request.method_mut() = parts.method.clone();
            *request.uri_mut() = parts.uri.clone();
            *request.version_mut() = parts.version;
            *request.headers_mut() = parts.headers.clone();
            match self.send_once(request, &limit, progress).await {
                Err(error) if is_retryable(&error) && retries < MAX_RETRIES => retries += 1,
                other => return other,
            }
            tracing::debug!(retries, "retrying: the server did not process the request");
        }
    }

    async fn send_once(
        &self,
        request: Request<Bytes>,
        limit: &MemoryLimit,
        progress: &mut AttemptProgress,
    ) -> Result<Response<Bytes>, TransportError> {
        let mut request = request.map(Full::new);
        progress.stage = AttemptStage::Sending;
        let gate = self.gates.for_uri(request.uri());
        // Watch for the new connection only if there is none yet, because watching has a cost.
        let capture = (!gate.is_open()).then(|| capture_connection(&mut request));
        if let Some(capture) = &capture {
            progress.stage = AttemptStage::Connecting(capture.clone());
        }
        let share = limit.count(0);
        let reply = gate.send_through(capture, self.client.request(request)).await;
        let reply = reply.map_err(|error| {
            gate.close();
            let sent = if error.is_connect() { RequestSent::No } else { RequestSent::Maybe };
            classify(error.into(), sent)
        })?;
        progress.stage = AttemptStage::Reading;
        let (head, body) = reply.into_parts();
        if head.status.is_success() {
            let (body, share) = self.read_body(&head, body, share).await?;
            let mut response = Response::from_parts(head, body);
            response.extensions_mut().insert(BodyShare::from(share));
            return Ok(response);
        }
        // A status that arrived counts, even if its body is lost.
        let max_body = self.settings.max_body.min(MAX_ERROR_BODY);
        progress.read_error_response(head, body, max_body).await
    }

    /// Reads the body of a success, and counts it. Returns an error if it is compressed or too
    /// large.
    async fn read_body(
        &self,
        head: &Parts,
        body: Incoming,
        mut share: MemoryShare,
    ) -> Result<(Bytes, MemoryShare), TransportError> {
        let maybe = |kind| TransportError::new(kind, RequestSent::Maybe);
        if is_encoded(&head.headers) {
            return Err(maybe(TransportErrorKind::EncodedBody));
        }
        if body.size_hint().lower() > self.settings.max_body as u64 {
            return Err(maybe(TransportErrorKind::BodyTooLarge));
        }
        let body = Limited::new(body, self.settings.max_body).map_frame(|frame| {
            share.grow(frame.data_ref().map_or(0, Bytes::len));
            frame
        });
        let body = body.collect().await.map_err(|error| classify(error, RequestSent::Maybe))?;
        Ok((body.to_bytes(), share))
    }
}

/// Returns whether the server did not process the request, so that it can be sent again.
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

/// Adds a header if the request does not have it.
fn set_default_header(request: &mut Request<Bytes>, name: HeaderName, value: &HeaderValue) {
    request.headers_mut().entry(name).or_insert_with(|| value.clone());
}

/// Refuses to send a request, and the credentials in it, unencrypted over a network.
fn refuse_plain_http(request: &Request<Bytes>) -> Result<(), TransportError> {
    let uri: &Uri = request.uri();
    let may_be_plain =
        request.extensions().get::<AllowHttp>().is_some() || uri.host().is_some_and(is_loopback);
    if uri.scheme() == Some(&Scheme::HTTPS) || (uri.scheme() == Some(&Scheme::HTTP) && may_be_plain)
    {
        return Ok(());
    }
    let error = TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No);
    Err(error.with_source("plain http is allowed only to localhost"))
}

impl Transport for HyperTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let uri = request.uri().clone();
            let mut progress = AttemptProgress::default();
            let attempt = self.attempt(request, &mut progress);
            let response = tokio::time::timeout(self.settings.attempt_timeout, attempt).await;
            let response = response.unwrap_or_else(|_| progress.cut_off());
            response.map_err(|error| {
                let error = match host_and_port(&uri) {
                    Some(host) if error.host().is_none() => error.with_host(host),
                    _ => error,
                };
                match self.connector.proxy_for(&uri) {
                    Some(proxy) => error.with_proxy(proxy),
                    None => error,
                }
            })
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
