//! Builds and sends the requests of the providers.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;

use crate::{
    request::{Endpoint, FetchError, Reply, RequestInfo, send_traced},
    transport::{Transport, TransportError},
};

/// Returns a request to an endpoint, without a body.
pub(super) fn request(
    endpoint: &Endpoint,
    method: Method,
    uri: Result<Uri, http::Error>,
) -> Result<Request<Bytes>, FetchError> {
    let request =
        uri.and_then(|uri| endpoint.request(uri)).map_err(TransportError::invalid_request);
    let mut request = request?;
    *request.method_mut() = method;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// Returns a POST request with a JSON body.
pub(super) fn post(
    endpoint: &Endpoint,
    uri: Result<Uri, http::Error>,
    body: &Value,
) -> Result<Request<Bytes>, FetchError> {
    let mut request = request(endpoint, Method::POST, uri)?;
    *request.body_mut() = Bytes::from(body.to_string());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// Adds a header. A secret is marked sensitive, so that it is not logged, and hidden in the reply.
pub(super) fn set_header(
    request: &mut Request<Bytes>,
    name: &'static str,
    value: &str,
    is_secret: bool,
) -> Result<(), FetchError> {
    let value = HeaderValue::from_str(value);
    let mut value = value.map_err(|error| TransportError::invalid_request(error.into()))?;
    value.set_sensitive(is_secret);
    request.headers_mut().insert(HeaderName::from_static(name), value);
    Ok(())
}

/// Sends a request that is not signed. `secrets` are hidden in the reply, if it repeats them.
pub(super) async fn send(
    transport: &dyn Transport,
    request: Request<Bytes>,
    template: &'static str,
    secrets: &[&str],
) -> Result<Reply, FetchError> {
    let about = RequestInfo { template, target: None, resends: 0 };
    Ok(send_traced(transport, request, about, secrets).await?)
}
