//! Registers this service with an engine. Decides nothing.

use http::StatusCode;
use job_transport::Transport;
use serde::{Deserialize, Serialize};

use crate::engine::post_json;

/// The request to the engine's administration.
#[derive(Serialize)]
struct Registration<'a> {
    uri: &'a str,
    force: bool,
}

/// The body of its errors.
#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

/// An engine that did not take a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegisterError {
    message: String,
    is_permanent: bool,
}

impl RegisterError {
    /// Whether the error is permanent, so that a retry would fail too.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.is_permanent
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
    let body = Registration { uri: address, force };
    let posted = post_json(transport, administration, "deployments", &body).await;
    let (status, reply) =
        posted.map_err(|message| RegisterError { message, is_permanent: false })?;
    if status.is_success() {
        return Ok(());
    }
    let error: Option<ErrorBody> = serde_json::from_slice(&reply).ok();
    let message = error.map_or_else(|| status.to_string(), |error| error.message);
    // What is not there yet answers with an error of its own.
    let will_be = status.is_server_error() || status == StatusCode::NOT_FOUND;
    Err(RegisterError { message, is_permanent: !will_be })
}
