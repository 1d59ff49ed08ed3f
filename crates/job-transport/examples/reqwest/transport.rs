//! reqwest as a transport. Follows no redirect, uses no proxy, and bounds time and size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use http::{Request, Response, header::CONTENT_ENCODING};
use job_transport::{RequestSent, Transport, TransportError, TransportErrorKind, error_sources};
use rustls::ClientConfig;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_BODY_LEN: usize = 8 << 20;
/// A token of 16 KiB is a header's value.
const MAX_HEADERS: u32 = 64 << 10;

/// A client of reqwest's.
pub(crate) struct Reqwest(reqwest::Client);

impl Reqwest {
    /// Creates a transport that does TLS so.
    ///
    /// # Errors
    ///
    /// Where reqwest cannot be set up.
    pub(crate) fn new(tls: ClientConfig) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            // What the server did not take is sent again by whoever decides that.
            .retry(reqwest::retry::never())
            .no_proxy()
            .timeout(ATTEMPT_TIMEOUT)
            .http2_max_header_list_size(MAX_HEADERS)
            .build()?;
        Ok(Self(client))
    }

    async fn send_once(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let request = reqwest::Request::try_from(request).map_err(|error| {
            TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No)
                .with_source(error)
        })?;
        let mut reply = self.0.execute(request).await.map_err(classify)?;
        let maybe = |kind| TransportError::new(kind, RequestSent::Maybe);
        if reply.headers().contains_key(CONTENT_ENCODING) {
            return Err(maybe(TransportErrorKind::EncodedBody));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = reply.chunk().await.map_err(classify)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_LEN {
                return Err(maybe(TransportErrorKind::BodyTooLarge));
            }
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = reply.status();
        *response.headers_mut() = std::mem::take(reply.headers_mut());
        Ok(response)
    }
}

impl Transport for Reqwest {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.send_once(request))
    }
}

/// Maps what reqwest says. That a certificate was not accepted is a cause further down.
fn classify(error: reqwest::Error) -> TransportError {
    let tls = error_sources(&error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    let kind = match tls {
        Some(rustls::Error::InvalidCertificate(_)) => TransportErrorKind::Certificate,
        Some(_) => TransportErrorKind::Tls,
        None if error.is_timeout() => TransportErrorKind::Timeout,
        None if error.is_connect() => TransportErrorKind::Connect,
        None => TransportErrorKind::Closed,
    };
    let sent = if error.is_connect() { RequestSent::No } else { RequestSent::Maybe };
    // The URL is the caller's to know.
    TransportError::new(kind, sent).with_source(error.without_url())
}
