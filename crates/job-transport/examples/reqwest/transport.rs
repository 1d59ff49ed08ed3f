//! A transport based on reqwest. It follows no redirects, uses no proxy, and limits duration and
//! size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use http::{Request, Response, header::CONTENT_ENCODING};
use job_transport::transport::{
    RequestSent, Transport, TransportError, TransportErrorKind, error_sources,
};
use rustls::ClientConfig;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_BODY_LEN: usize = 8 << 20;
/// Limit for the response headers, in bytes. A token in a header has up to 16 KiB.
const MAX_HEADERS: u32 = 64 << 10;

/// A transport that sends requests with a reqwest client.
pub(crate) struct Reqwest(reqwest::Client);

impl Reqwest {
    /// Creates a transport with these TLS settings.
    ///
    /// # Errors
    ///
    /// Returns an error if reqwest cannot create a client.
    pub(crate) fn new(tls: ClientConfig) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            // The caller decides about retries.
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
        let mut body = BytesMut::new();
        match read_body(&mut reply, &mut body).await {
            // The status of an error counts, even if its body is lost.
            Err(error) if reply.status().is_success() => return Err(error),
            _ => {}
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = reply.status();
        *response.headers_mut() = std::mem::take(reply.headers_mut());
        Ok(response)
    }
}

/// Appends the body to `body`. Returns an error if it is compressed, too large or cut off.
async fn read_body(
    reply: &mut reqwest::Response,
    body: &mut BytesMut,
) -> Result<(), TransportError> {
    let maybe = |kind| TransportError::new(kind, RequestSent::Maybe);
    if reply.headers().contains_key(CONTENT_ENCODING) {
        return Err(maybe(TransportErrorKind::EncodedBody));
    }
    while let Some(chunk) = reply.chunk().await.map_err(classify)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY_LEN {
            return Err(maybe(TransportErrorKind::BodyTooLarge));
        }
    }
    Ok(())
}

impl Transport for Reqwest {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.send_once(request))
    }
}

/// Classifies an error of reqwest. A rejected certificate is one of its causes.
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
    // Leave out the URL, because the caller knows it.
    TransportError::new(kind, sent).with_source(error.without_url())
}
