//! A receiver of notifications. Verifies each signature, counts repeated notifications, and fails
//! as a scenario asks.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::http_server;

/// The key that the notifications are signed with.
pub(crate) const WEBHOOK_KEY: &str = "whsec_c2l4dGVlbiBieXRlcyB0d2ljZSBpcyB0aGlydHktdHdv";

/// What the receiver has received.
#[derive(Default)]
pub(crate) struct Received {
    /// By id: how often the notification was received, and its body.
    pub(crate) notifications: BTreeMap<String, (u32, serde_json::Value)>,
    /// The number of requests with an invalid signature or body.
    pub(crate) rejected: u32,
    /// How many more deliveries are answered with a 503.
    pub(crate) remaining_errors: u32,
    /// By path: how a delivery fails.
    pub(crate) failures: BTreeMap<String, Failure>,
    /// The size of the largest body, in bytes.
    pub(crate) largest_body: usize,
}

/// How a delivery fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The receiver does not reply.
    Stall,
    Status(StatusCode),
    /// Status 429 with this `Retry-After`, in seconds.
    Throttled(u32),
    /// A redirect to a path that accepts notifications.
    Redirect,
}

/// A receiver on loopback.
#[derive(Clone)]
pub(crate) struct Receiver {
    received: Arc<Mutex<Received>>,
    pub(crate) address: String,
}

impl Receiver {
    pub(crate) async fn start(errors: u32) -> anyhow::Result<Self> {
        Self::start_on(0, errors).await
    }

    /// Starts a receiver on this port. Port 0 selects a free one.
    pub(crate) async fn start_on(port: u16, errors: u32) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = format!("http://{}/notifications", listener.local_addr()?);
        let received =
            Arc::new(Mutex::new(Received { remaining_errors: errors, ..Received::default() }));
        let receiver = Self { received, address };
        let serving = receiver.clone();
        http_server::serve(listener, move |request| serving.clone().handle(request));
        Ok(receiver)
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let failure = self.received().failures.get(parts.uri.path()).copied();
        let mut response = Response::new(Full::default());
        *response.status_mut() = match failure {
            None => self.record(&parts.headers, &body),
            Some(Failure::Stall) => std::future::pending().await,
            Some(Failure::Status(status)) => status,
            Some(Failure::Throttled(seconds)) => {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
                StatusCode::TOO_MANY_REQUESTS
            }
            Some(Failure::Redirect) => {
                response.headers_mut().insert(LOCATION, HeaderValue::from_static("/notifications"));
                StatusCode::PERMANENT_REDIRECT
            }
        };
        Ok(response)
    }

    fn record(&self, headers: &http::HeaderMap, body: &[u8]) -> StatusCode {
        let mut received = self.received();
        received.largest_body = received.largest_body.max(body.len());
        let is_signed = standardwebhooks::Webhook::new(WEBHOOK_KEY)
            .is_ok_and(|webhook| webhook.verify(body, headers).is_ok());
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
        let content = serde_json::from_slice(body);
        let (true, Some(id), Ok(content)) = (is_signed, id, content) else {
            received.rejected += 1;
            return StatusCode::UNAUTHORIZED;
        };
        if received.remaining_errors > 0 {
            received.remaining_errors -= 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        received.notifications.entry(id.into()).or_insert((0, content)).0 += 1;
        StatusCode::NO_CONTENT
    }
}
