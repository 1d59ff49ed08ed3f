//! Sends requests to the engine.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use job_transport::transport::{AllowHttp, Transport, display_chain};
use serde::Serialize;

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
