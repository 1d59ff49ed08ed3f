//! Counts the requests of a transport.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use job_transport::transport::{Transport, TransportError};
use tokio::sync::{Notify, futures::Notified};

/// The number of requests so far, shared with the transports that count them.
#[derive(Clone, Default)]
pub(crate) struct RequestCounter(Arc<Counter>);

#[derive(Default)]
struct Counter {
    count: AtomicU32,
    begun: Notify,
}

impl RequestCounter {
    pub(crate) fn count(&self) -> u32 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Returns a future that completes when the next request has begun, counted from this call.
    pub(crate) fn next(&self) -> Notified<'_> {
        self.0.begun.notified()
    }

    /// Returns a transport that counts its requests.
    pub(crate) fn transport<T: Transport>(&self, transport: T) -> CountingTransport<T> {
        CountingTransport { transport, counter: self.clone() }
    }
}

/// Counts requests and sends them through another transport.
pub(crate) struct CountingTransport<T> {
    transport: T,
    counter: RequestCounter,
}

impl<T: Transport> Transport for CountingTransport<T> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.counter.0.count.fetch_add(1, Ordering::Relaxed);
        self.counter.0.begun.notify_waiters();
        self.transport.send(request)
    }
}
