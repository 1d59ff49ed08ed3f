//! The service as an in-memory transport: no socket, so a paused clock holds for all of it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use job_transport::{RequestSent, Transport, TransportError, TransportErrorKind};

use crate::Sim;

/// Carries requests straight to a [`Sim`].
#[derive(Clone)]
pub struct SimTransport(Arc<Sim>);

impl SimTransport {
    /// Creates a transport to this service.
    #[must_use]
    pub const fn new(sim: Arc<Sim>) -> Self {
        Self(sim)
    }
}

impl Transport for SimTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            self.0.reply(&request).await.ok_or_else(|| {
                TransportError::new(TransportErrorKind::Closed, RequestSent::Maybe)
                    .with_source("the simulated connection ended without a reply")
            })
        })
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTransport").finish_non_exhaustive()
    }
}
