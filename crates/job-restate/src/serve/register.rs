//! Registers a service with an engine.

use http::StatusCode;
use job_transport::transport::Transport;
use serde::{Deserialize, Serialize};

use crate::engine::post_json;

/// The body of a registration request to the engine's admin API.
#[derive(Serialize)]
struct Registration<'a> {
    uri: &'a str,
    force: bool,
}

/// The body of an error response of the admin API.
#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

/// The error if a service could not be registered with an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegisterError {
    message: String,
    is_permanent: bool,
}

impl RegisterError {
    /// Returns whether the error is permanent, so that a retry would fail too.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.is_permanent
    }
}

/// Registers a service with an engine, so that the engine calls it.
///
/// `administration` is the URL of the engine's admin API, such as `http://localhost:9070`.
/// `address` is the URL at which the engine reaches the service. The service must be running,
/// because the engine asks it for its handlers. With `force`, the service replaces a different one
/// that is registered at the same address, and calls in progress continue with the new service.
///
/// # Errors
///
/// Returns an error if the engine cannot be reached, cannot reach the service, or rejects it, for
/// example because a different service is registered at this address and `force` is false. See
/// [`RegisterError::is_permanent`] for whether to retry.
///
/// # Cancel safety
///
/// If the future is dropped, the service may or may not be registered. It is safe to call
/// `register` again.
pub async fn register(
    transport: &dyn Transport,
    administration: &str,
    address: &str,
    force: bool,
) -> Result<(), RegisterError> {
    let body = Registration { uri: address, force };
    let posted = post_json(transport, administration, "deployments", &body).await;
    let (status, reply) =
        posted.map_err(|message| RegisterError { message, is_permanent: false })?;
    if status.is_success() {
        return Ok(());
    }
    let error: Option<ErrorBody> = serde_json::from_slice(&reply).ok();
    let message = error.map_or_else(|| status.to_string(), |error| error.message);
    // Retry after these errors: an engine that is still starting, or a proxy in front of it,
    // returns them.
    let will_be = status.is_server_error() || status == StatusCode::NOT_FOUND;
    Err(RegisterError { message, is_permanent: !will_be })
}
