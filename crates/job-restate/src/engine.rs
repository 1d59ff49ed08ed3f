//! Sends requests to the engine.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, DATE},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use job_transport::transport::{AllowHttp, Transport, display_chain};
use serde::Serialize;

/// Returns the engine's time (`Date`) in a reply of its ingress.
///
/// # Errors
///
/// Returns an error if there is no reply, or if it has no such header.
pub(crate) async fn engine_time(
    transport: &dyn Transport,
    ingress: &str,
) -> Result<Timestamp, String> {
    let mut request = Request::get(format!("{}/restate/health", ingress.trim_end_matches('/')))
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    request.extensions_mut().insert(AllowHttp::new());
    let reply = transport.send(request).await.map_err(|error| display_chain(&error))?;
    let date = reply.headers().get(DATE).and_then(|date| date.to_str().ok());
    let date = date.ok_or("the engine's reply has no Date header")?;
    DateTimeParser::new().parse_timestamp(date).map_err(|error| error.to_string())
}

/// Posts a body as JSON, and returns the status and the body of the reply.
///
/// # Errors
///
/// Returns an error if there is no reply. A reply with an error status is not an error here.
pub(crate) async fn post_json(
    transport: &dyn Transport,
    base: &str,
    path: &str,
    body: &impl Serialize,
) -> Result<(StatusCode, Bytes), String> {
    let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    post(transport, base, path, Some(body.into())).await
}

/// Posts a body that is JSON, or an empty one. The engine refuses a body that a handler does not
/// accept.
///
/// # Errors
///
/// Returns an error if there is no reply. A reply with an error status is not an error here.
pub(crate) async fn post(
    transport: &dyn Transport,
    base: &str,
    path: &str,
    body: Option<Bytes>,
) -> Result<(StatusCode, Bytes), String> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/{path}", base.trim_end_matches('/')))
        // The admin API returns the rows of a query in a binary format otherwise.
        .header(ACCEPT, "application/json")
        .body(body.clone().unwrap_or_default())
        .map_err(|error| error.to_string())?;
    if body.is_some() {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
    }
    // Allow plain http: these requests contain no secrets, and an engine may have no certificate.
    request.extensions_mut().insert(AllowHttp::new());
    let reply = transport.send(request).await.map_err(|error| display_chain(&error))?;
    Ok((reply.status(), reply.into_body()))
}
