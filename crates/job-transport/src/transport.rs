//! The plug point: one request in, one reply out. Judges no reply.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};

use crate::TransportError;

/// Carries one request to the service and its reply back.
///
/// # For callers
///
/// Any status is `Ok`, a redirect or a 500 too: a transport carries, it does not judge. Dropping
/// the future gives the attempt up; the service may have seen the request all the same.
///
/// # For implementers
///
/// Send the method, the URI and the headers as they are given, add none that carries a credential,
/// follow no redirect, and retry nothing that the service may have seen. Bound the attempt in time
/// and the reply in size. Map what goes wrong to the [`TransportErrorKind`](crate::TransportErrorKind)
/// that says it, and say [`RequestSent::No`](crate::RequestSent::No) only where it is certain. When
/// the future is dropped, free all that the attempt holds.
///
/// ```
/// use bytes::Bytes;
/// use futures_core::future::BoxFuture;
/// use http::{Request, Response};
/// use job_transport::{Transport, TransportError};
///
/// struct AlwaysRunning;
///
/// impl Transport for AlwaysRunning {
///     fn send(
///         &self,
///         _: Request<Bytes>,
///     ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
///         let body = Bytes::from_static(br#"{"status": {"phase": "Running"}}"#);
///         Box::pin(async { Ok(Response::new(body)) })
///     }
/// }
/// ```
pub trait Transport: Send + Sync {
    /// Sends the request and reads the whole reply.
    ///
    /// # Errors
    ///
    /// Where no whole reply came back.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses this attempt and nothing else.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        (**self).send(request)
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        (**self).send(request)
    }
}
