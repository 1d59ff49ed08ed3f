//! An in-memory transport to the simulated service that counts the requests per second.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use job_sim::{Sim, SimTransport};
use job_transport::transport::{Transport, TransportError};
use tokio::time::Instant;

/// The in-memory transport, and the number of requests in each second since it was created.
#[derive(Clone)]
pub(crate) struct CountingTransport {
    inner: SimTransport,
    started_at: Instant,
    per_second: Arc<Mutex<Vec<u32>>>,
}

impl CountingTransport {
    pub(crate) fn new(sim: Arc<Sim>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the paused clock, to count by the second")]
        let started_at = Instant::now();
        Self { inner: SimTransport::new(sim), started_at, per_second: Arc::default() }
    }

    /// Returns the number of requests in each second.
    pub(crate) fn requests_per_second(&self) -> Vec<u32> {
        self.per_second.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transport for CountingTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let second = usize::try_from(self.started_at.elapsed().as_secs()).unwrap_or_default();
        {
            let mut seconds = self.per_second.lock().unwrap_or_else(PoisonError::into_inner);
            let length = seconds.len().max(second + 1);
            seconds.resize(length, 0);
            seconds[second] += 1;
        }
        self.inner.send(request)
    }
}
