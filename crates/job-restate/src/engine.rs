//! Requests to the engine. Decides nothing.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header::CONTENT_TYPE};
use job_transport::{AllowHttp, Transport, display_chain};
use serde::Serialize;

/// Posts a body as JSON; returns the reply, whatever its status, or why there is none.
pub(crate) async fn post_json(
    transport: &dyn Transport,
    base: &str,
    path: &str,
    body: &impl Serialize,
) -> Result<(StatusCode, Bytes), String> {
    let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/{path}", base.trim_end_matches('/')))
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(body))
        .map_err(|error| error.to_string())?;
    // Nothing that is sent to an engine is secret, and it may have no certificate.
    request.extensions_mut().insert(AllowHttp::new());
    let reply = transport.send(request).await.map_err(|error| display_chain(&error))?;
    Ok((reply.status(), reply.into_body()))
}
