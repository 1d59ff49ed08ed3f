//! Tells an engine where this service is. Decides nothing.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header::CONTENT_TYPE};
use job_transport::{PlainHttp, Transport, causes};
use serde::{Deserialize, Serialize};

/// What the engine's administration is asked.
#[derive(Serialize)]
struct Deployment<'a> {
    uri: &'a str,
    force: bool,
}

/// What it says where it refuses.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// An engine that did not take a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegisterError {
    message: String,
    is_final: bool,
}

impl RegisterError {
    /// Whether asking again would not mend it.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.is_final
    }
}

/// Registers the service at this address with the engine whose administration is at that, such as
/// `http://localhost:9070`. Where a service of another form is registered at the same address, that is an error,
/// unless it is forced: invocations under way go on with the new one then.
///
/// # Errors
///
/// Where the engine cannot be reached, cannot reach the service, or refuses it.
///
/// # Cancel safety
///
/// Dropping the future leaves it open whether the service is registered; it can be again.
pub async fn register(
    transport: &dyn Transport,
    administration: &str,
    address: &str,
    force: bool,
) -> Result<(), RegisterError> {
    let lasting = |message: String| RegisterError { message, is_final: true };
    let passing = |message: String| RegisterError { message, is_final: false };
    let body = serde_json::to_vec(&Deployment { uri: address, force });
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/deployments", administration.trim_end_matches('/')))
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from(body.unwrap_or_default()))
        .map_err(|error| lasting(error.to_string()))?;
    // Nothing in it is secret, and engines have no other administration.
    request.extensions_mut().insert(PlainHttp::new());
    let reply = transport.send(request).await.map_err(|error| {
        passing(causes(&error).map(ToString::to_string).collect::<Vec<_>>().join(": "))
    })?;
    let status = reply.status();
    if status.is_success() {
        return Ok(());
    }
    let said: Option<Refusal> = serde_json::from_slice(reply.body()).ok();
    let said = said.map_or_else(|| status.to_string(), |said| said.message);
    // What is not there yet answers with an error of its own.
    let will_be = status.is_server_error() || status == StatusCode::NOT_FOUND;
    Err(if will_be { passing(said) } else { lasting(said) })
}
