//! A clock for tests that is set by hand, and a transport with prepared replies.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;

use crate::{
    clock::Clock,
    transport::{RequestSent, Transport, TransportError, TransportErrorKind},
};

/// A clock that returns the time it was set to. Its sleeps never end.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Timestamp::UNIX_EPOCH)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.now().duration_since(Timestamp::UNIX_EPOCH).try_into().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}

/// Returns prepared replies, one for each request, and keeps the requests. Without a reply it
/// refuses the connection.
#[derive(Clone, Default)]
pub(crate) struct ScriptedTransport(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    replies: VecDeque<Response<Bytes>>,
    requests: Vec<Request<Bytes>>,
}

impl ScriptedTransport {
    /// Adds a reply with a status, headers and a body.
    pub(crate) fn reply(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let reply = headers
            .iter()
            .fold(Response::builder().status(status), |reply, (name, value)| {
                reply.header(*name, *value)
            })
            .body(Bytes::copy_from_slice(body.as_bytes()));
        self.0.lock().unwrap().replies.push_back(reply.unwrap());
    }

    /// Takes the requests that were sent.
    pub(crate) fn take_requests(&self) -> Vec<Request<Bytes>> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }

    /// Takes the requests that were sent, each with its headers and its body, as text for a
    /// snapshot. Signatures are replaced.
    pub(crate) fn describe_requests(&self) -> String {
        let mut text = String::new();
        for request in self.take_requests() {
            let extensions = request
                .extensions()
                .get::<crate::transport::AllowHttp>()
                .map(|_| " (http allowed)");
            text +=
                &format!("{} {}{}\n", request.method(), request.uri(), extensions.unwrap_or(""));
            for (name, value) in request.headers() {
                let shown = value.to_str().unwrap().split("Access=").next().unwrap();
                let secret = if value.is_sensitive() { " (sensitive)" } else { "" };
                text += &format!("  {name}: {shown}{secret}\n");
            }
            if !request.body().is_empty() {
                text += &format!("  {}\n", String::from_utf8_lossy(request.body()));
            }
        }
        text
    }
}

impl Transport for ScriptedTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut script = self.0.lock().unwrap();
        script.requests.push(request);
        let reply = script.replies.pop_front();
        let refused = || TransportError::new(TransportErrorKind::Connect, RequestSent::No);
        Box::pin(async move {
            tokio::task::yield_now().await;
            reply.ok_or_else(refused)
        })
    }
}
