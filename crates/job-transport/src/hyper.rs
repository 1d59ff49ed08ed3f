//! The production transport, on hyper and rustls. Follows no redirect and uses no proxy.

use std::{error::Error, fmt, io, time::Duration};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response, Uri, uri::Scheme};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    RequestSent, Tls, Transport, TransportError, TransportErrorKind, endpoint::is_loopback,
};

/// How long a whole attempt may take, unless set otherwise. Longer than a wait's own limit (30 s),
/// so that in a wait that limit decides; a request outside a wait still ends.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes a body may have, unless set otherwise: a job of 10,000 sub-jobs has half of it.
const MAX_BODY: usize = 8 << 20;

/// While an HTTP/2 request is open, a ping goes out every 10 s; one that is not answered within 10 s
/// more ends the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Sends requests over HTTP/2 or HTTP/1.1, as the server offers, on pooled connections.
///
/// Needs a tokio runtime with time and I/O enabled. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct HyperTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    attempt_timeout: Duration,
    max_body: usize,
}

impl HyperTransport {
    /// Creates a transport; connects to nothing yet.
    #[must_use]
    pub fn new(tls: Tls) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.0)
            // Plain http is refused in `exchange`, but for this machine.
            .https_or_http()
            .enable_all_versions()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .build(connector);
        Self { client, attempt_timeout: ATTEMPT_TIMEOUT, max_body: MAX_BODY }
    }

    /// Sets how long one attempt may take, from connecting to the body's last byte; 60 s by
    /// default.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the most bytes a reply's body may have; 8 MiB by default.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        refuse_plain_http(request.uri())?;
        let reply = self.client.request(request.map(Full::new)).await.map_err(|error| {
            let sent = if error.is_connect() { RequestSent::No } else { RequestSent::Maybe };
            failed(error.into(), sent)
        })?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, self.max_body).collect().await;
        let body = body.map_err(|error| failed(error, RequestSent::Maybe))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

fn failed(error: Box<dyn Error + Send + Sync>, sent: RequestSent) -> TransportError {
    TransportError::new(kind(&*error, sent), sent).with_source(error)
}

/// Refuses to carry a request, and the credentials in it, in plain sight of others.
fn refuse_plain_http(uri: &Uri) -> Result<(), TransportError> {
    let is_plain = uri.scheme() != Some(&Scheme::HTTPS);
    if is_plain && !uri.host().is_some_and(is_loopback) {
        let error = TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No);
        return Err(error.with_source("neither https nor to this machine"));
    }
    Ok(())
}

impl Transport for HyperTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            tokio::time::timeout(self.attempt_timeout, self.exchange(request)).await.unwrap_or_else(
                |_| Err(TransportError::new(TransportErrorKind::Timeout, RequestSent::Maybe)),
            )
        })
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("attempt_timeout", &self.attempt_timeout)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}

/// Returns what went wrong, by the first cause in the chain that says it.
fn kind(error: &(dyn Error + 'static), sent: RequestSent) -> TransportErrorKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(_) => TransportErrorKind::Certificate,
                _ => TransportErrorKind::Tls,
            };
        }
        if error.is::<LengthLimitError>() {
            return TransportErrorKind::BodyTooLarge;
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return TransportErrorKind::Protocol;
        }
        // An `io::Error` does not name the error within it as its source, but that one's own.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source());
    }
    match sent {
        RequestSent::No => TransportErrorKind::Connect,
        RequestSent::Maybe => TransportErrorKind::Closed,
    }
}
