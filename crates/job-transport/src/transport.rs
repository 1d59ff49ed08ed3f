//! The plug point: one request in, one reply out. Judges no reply.

mod error;
mod error_chain;
mod plain_http;
#[cfg(feature = "tower")]
mod tower;

pub use error::{RequestSent, TimeoutStage, TransportError, TransportErrorKind};
pub use error_chain::{display_chain, error_sources};
pub use plain_http::{AllowHttp, is_loopback};
#[cfg(feature = "tower")]
pub use tower::{TowerTransport, TransportService};

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};

/// Carries one request to the service and its reply back.
///
/// # For callers
///
/// Any status is `Ok`, a redirect or a 500 too: a transport carries, it does not judge. Dropping
/// the future gives the attempt up; the service may have seen the request all the same.
///
/// # For implementers
///
/// Send untouched the method, the path and query byte for byte, every header as often as it is
/// given, and the body. Add what HTTP needs (`Host`, a length, a `User-Agent`), and nothing that
/// says who asks. A value that is marked sensitive is not for logs.
///
/// Follow no redirect. Decode no body: pass a compressed one on as it is, with its header, or, where
/// the status is 200, fail with [`EncodedBody`]. Keep headers of 16 KiB, for a token is one. Retry nothing that the service
/// may have seen. Bound the attempt in time, and the reply in size.
///
/// Map what goes wrong to the [`TransportErrorKind`] that says it, and give the library's own error
/// as the source. Say [`RequestSent::No`] only where it is certain: no connection was made, or the
/// server said that it took nothing. Tell a certificate that is not accepted from a connection that
/// failed: asking again mends the one and not the other. Of rustls, the certificate's error stands
/// within two `io::Error`s, where [`error_sources`] finds it.
///
/// When the future is dropped, free the stream, the socket and whatever else the attempt holds.
/// The simulator's `Conformance` checks for any implementation what can be seen from outside; the
/// bounds in time and size are the implementation's own to test.
///
/// [`EncodedBody`]: TransportErrorKind::EncodedBody
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
