//! Adapters between transports and tower services.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use tower_service::Service;

use super::{
    Transport,
    error::{RequestSent, TransportError, TransportErrorKind},
    error_chain::error_sources,
};

/// Uses a tower service as a [`Transport`].
///
/// The service must return the whole body as [`Bytes`]. Each request clones the service, and waits
/// until the clone is ready.
///
/// If the service returns a [`TransportError`], it is returned unchanged. An elapsed timeout, of
/// tower or of tokio or an [`io::Error`](std::io::Error), has the kind
/// [`Timeout`](TransportErrorKind::Timeout). Other errors have the kind
/// [`Other`](TransportErrorKind::Other). If the service fails before it is ready, the request
/// counts as not sent; otherwise it may have been sent.
pub struct TowerTransport<S>(Mutex<S>);

impl<S> TowerTransport<S> {
    /// Creates a transport from a service, which must follow the rules for implementers of
    /// [`Transport`].
    #[must_use]
    pub const fn new(service: S) -> Self {
        Self(Mutex::new(service))
    }
}

impl<S> Transport for TowerTransport<S>
where
    S: Service<Request<Bytes>, Response = Response<Bytes>> + Clone + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
{
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut service = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let ready = poll_fn(|context| service.poll_ready(context)).await;
            ready.map_err(|error| into_transport_error(error.into(), RequestSent::No))?;
            let reply = service.call(request).await;
            reply.map_err(|error| into_transport_error(error.into(), RequestSent::Maybe))
        })
    }
}

fn into_transport_error(
    error: Box<dyn std::error::Error + Send + Sync>,
    sent: RequestSent,
) -> TransportError {
    match error.downcast::<TransportError>() {
        Ok(error) => *error,
        Err(error) => {
            let is_late = error_sources(&*error).any(is_elapsed);
            let kind =
                if is_late { TransportErrorKind::Timeout } else { TransportErrorKind::Other };
            TransportError::new(kind, sent).with_source(error)
        }
    }
}

/// Returns whether a cause is an elapsed timeout.
fn is_elapsed(cause: &(dyn std::error::Error + 'static)) -> bool {
    #[cfg(feature = "tokio")]
    if cause.is::<tokio::time::error::Elapsed>() {
        return true;
    }
    let io = cause.downcast_ref::<std::io::Error>();
    cause.is::<tower::timeout::error::Elapsed>()
        || io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

impl<S> fmt::Debug for TowerTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").finish_non_exhaustive()
    }
}

/// Uses a [`Transport`] as a tower service, for example under tower layers.
///
/// The service is always ready. Limits of the transport apply when a request is sent.
#[derive(Clone)]
pub struct TransportService(Arc<dyn Transport>);

impl TransportService {
    /// Creates a service from a transport.
    #[must_use]
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self(Arc::new(transport))
    }
}

impl Service<Request<Bytes>> for TransportService {
    type Response = Response<Bytes>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Bytes>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let transport = self.0.clone();
        Box::pin(async move { transport.send(request).await })
    }
}

impl fmt::Debug for TransportService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportService").finish_non_exhaustive()
    }
}
