//! The trait for sending a request, its errors, and adapters for tower.

mod blocking;
mod error;
mod error_chain;
mod memory_limit;
#[cfg(feature = "tokio")]
mod off_thread;
mod plain_http;
#[cfg(feature = "tower")]
mod tower;

pub(crate) use blocking::run_blocking;
pub use error::{RequestSent, TimeoutStage, TransportError, TransportErrorKind};
pub use error_chain::{display_chain, error_sources};
pub use memory_limit::MemoryLimit;
pub(crate) use memory_limit::{BodyShare, DropText, MemoryShare};
#[cfg(feature = "tokio")]
pub(crate) use off_thread::off_thread;
pub(crate) use plain_http::is_link_local;
pub use plain_http::{AllowHttp, is_loopback};
#[cfg(feature = "tower")]
pub use tower::{TowerTransport, TransportService};

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};

/// Limit for the body of an error response, in bytes. Its beginning is enough for an error message.
pub(crate) const MAX_ERROR_BODY: usize = 256 << 10;

/// Decodes at once, because there is no other thread without tokio.
#[cfg(not(feature = "tokio"))]
pub(crate) async fn off_thread<T>(_: usize, decode: impl FnOnce() -> T) -> T {
    decode()
}

/// Sends one HTTP request and returns the response.
///
/// `HyperTransport` is the default implementation.
///
/// # For callers
///
/// A response with any status is `Ok`, including redirects and server errors. If the future is
/// dropped, the service may have received the request nevertheless.
///
/// # For implementers
///
/// Request:
///
/// - Send the method, the path, the query, all headers (including repeated ones) and the body
///   unchanged.
/// - Add the headers that HTTP requires, such as `Host` and a length, and a `User-Agent`, but no
///   credentials.
/// - Do not log header values that are marked sensitive.
/// - Do not retry a request that may have reached the server.
/// - Support header values of at least 16 KiB, because tokens are that long.
///
/// Response:
///
/// - Do not follow redirects.
/// - Do not decompress the body. Return it unchanged together with its `Content-Encoding`; or, if
///   the status is 200, return the error [`EncodedBody`].
/// - Limit the duration of the attempt and the size of the body.
/// - If the status is not a success, return it in any case, with what was read of the body: also if
///   the body is cut off, stalls or is too large. A refusal that is reported as a failed connection
///   would be sent again, and lock the user or the key.
///
/// Errors:
///
/// - Choose the [`TransportErrorKind`] that fits best, and add the library's error as the source.
/// - Use [`RequestSent::No`] only if it is certain: the connection was not opened, or the server
///   stated that it did not process the request.
/// - Distinguish a rejected certificate from a failed connection, because only the connection is
///   retried. With rustls, the certificate error is inside two `io::Error`s; [`error_sources`]
///   finds it.
///
/// When the future is dropped, release the stream, the socket and all other resources of the
/// attempt.
///
/// `Conformance` in the crate `job-sim` tests these rules, except the limits of duration and size.
///
/// # Examples
///
/// [`EncodedBody`]: TransportErrorKind::EncodedBody
///
/// ```
/// use bytes::Bytes;
/// use futures_core::future::BoxFuture;
/// use http::{Request, Response};
/// use job_transport::transport::{Transport, TransportError};
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
    /// Sends the request and reads the whole response.
    ///
    /// # Errors
    ///
    /// Returns an error if no complete response was received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels this request only. Other requests are not affected.
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
