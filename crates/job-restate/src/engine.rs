//! Sends requests to the engine.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, DATE},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use job_model::HumanDuration;
use job_transport::{
    clock::Clock,
    transport::{AllowHttp, Transport, display_chain},
};
use serde::Serialize;

/// Returns the engine's time (`Date`) in a reply of its ingress.
///
/// # Errors
///
/// Returns an error if the engine does not reply, or if its reply has no valid `Date`.
pub(crate) async fn engine_time(
    transport: &dyn Transport,
    ingress: &str,
) -> Result<Timestamp, String> {
    let uri = format!("{}/restate/health", ingress.trim_end_matches('/'));
    let request = Request::get(uri).body(Bytes::new()).map_err(|error| error.to_string())?;
    let reply = send(transport, request).await?;
    let date = reply.headers().get(DATE).and_then(|date| date.to_str().ok());
    let date = date.ok_or("the engine's reply has no Date header")?;
    DateTimeParser::new().parse_timestamp(date).map_err(|error| error.to_string())
}

/// Posts a body as JSON, and returns the status and the body of the reply.
///
/// # Errors
///
/// Returns an error if the engine does not reply. An error status is returned as the status.
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
/// Returns an error if the engine does not reply. An error status is returned as the status.
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
    let reply = send(transport, request).await?;
    Ok((reply.status(), reply.into_body()))
}

async fn send(
    transport: &dyn Transport,
    mut request: Request<Bytes>,
) -> Result<Response<Bytes>, String> {
    // Allow plain http: these requests contain no secrets, and an engine may have no certificate.
    request.extensions_mut().insert(AllowHttp::new());
    transport.send(request).await.map_err(|error| display_chain(&error))
}

/// The maximum length of a body in an error message, in bytes.
const MAX_SHOWN_BYTES: usize = 300;

/// Returns the body of a reply to a request that was posted.
///
/// # Errors
///
/// Returns an error if the engine does not reply within `timeout`, or if the status of its reply is
/// not a success. Then the error contains the beginning of the body.
pub(crate) async fn success(
    clock: &dyn Clock,
    timeout: Duration,
    posted: impl Future<Output = Result<(StatusCode, Bytes), String>>,
) -> Result<Bytes, String> {
    let (status, body) = tokio::select! {
        biased;
        reply = posted => reply?,
        () = clock.sleep(timeout) => {
            return Err(format!("the engine did not answer within {}", HumanDuration(timeout)));
        }
    };
    if status.is_success() {
        return Ok(body);
    }
    let shown = String::from_utf8_lossy(&body[..body.len().min(MAX_SHOWN_BYTES)]);
    Err(format!("the engine answered {status}: {shown}"))
}
