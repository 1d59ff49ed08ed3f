//! Errors of the API, as `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use job_store::StoreError;
use job_transport::transport::display_chain;
use serde::Serialize;

/// Why a request was not served.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    r#type: Cow<'static, str>,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: Cow<'static, str>,
}

/// The kinds of problems: the last segment of `type`, the title and the status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(&'static str, &'static str, StatusCode);

pub(crate) const INVALID_REQUEST: Kind =
    Kind("invalid-request", "The request is not valid", StatusCode::BAD_REQUEST);
pub(crate) const UNAUTHORIZED: Kind =
    Kind("unauthorized", "A valid token is required", StatusCode::UNAUTHORIZED);
pub(crate) const UNKNOWN_HOST: Kind =
    Kind("unknown-host", "The host is not allowed", StatusCode::MISDIRECTED_REQUEST);
pub(crate) const NOT_FOUND: Kind =
    Kind("not-found", "The resource does not exist", StatusCode::NOT_FOUND);
pub(crate) const UNKNOWN_PROJECT: Kind =
    Kind("unknown-project", "The project is not configured", StatusCode::NOT_FOUND);
pub(crate) const METHOD_NOT_ALLOWED: Kind = Kind(
    "method-not-allowed",
    "The resource does not have this method",
    StatusCode::METHOD_NOT_ALLOWED,
);
pub(crate) const CONFLICT: Kind =
    Kind("conflict", "Another wait for the job is active", StatusCode::CONFLICT);
pub(crate) const TOO_LARGE: Kind =
    Kind("too-large", "The body is too large", StatusCode::PAYLOAD_TOO_LARGE);
pub(crate) const NOT_JSON: Kind =
    Kind("not-json", "The body must be JSON", StatusCode::UNSUPPORTED_MEDIA_TYPE);
pub(crate) const RECEIVER: Kind =
    Kind("receiver", "The receiver cannot be notified", StatusCode::UNPROCESSABLE_ENTITY);
pub(crate) const TOO_MANY_STREAMS: Kind =
    Kind("too-many-streams", "Too many streams are open", StatusCode::SERVICE_UNAVAILABLE);
pub(crate) const NOT_READY: Kind =
    Kind("not-ready", "The service is not ready", StatusCode::SERVICE_UNAVAILABLE);
pub(crate) const TIMEOUT: Kind =
    Kind("timeout", "The request took too long", StatusCode::GATEWAY_TIMEOUT);
const DATABASE: Kind =
    Kind("database", "The database cannot be used", StatusCode::SERVICE_UNAVAILABLE);
pub(crate) const INTERNAL: Kind =
    Kind("internal", "The server has an error", StatusCode::INTERNAL_SERVER_ERROR);

/// All kinds, for the check that the OpenAPI document lists them.
#[cfg(test)]
pub(crate) const ALL: [Kind; 15] = [
    INVALID_REQUEST,
    UNAUTHORIZED,
    UNKNOWN_HOST,
    NOT_FOUND,
    UNKNOWN_PROJECT,
    METHOD_NOT_ALLOWED,
    CONFLICT,
    TOO_LARGE,
    NOT_JSON,
    RECEIVER,
    TOO_MANY_STREAMS,
    NOT_READY,
    TIMEOUT,
    DATABASE,
    INTERNAL,
];

impl Kind {
    #[cfg(test)]
    pub(crate) const fn name(self) -> &'static str {
        self.0
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let Kind(name, title, status) = kind;
        Self { r#type: format!("/problems/{name}").into(), title, status, detail: detail.into() }
    }
}

impl From<StoreError> for Problem {
    /// Returns what the client may know. The log has the error of the database, which can name hosts
    /// and users.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::new(CONFLICT, error.to_string()),
            StoreError::Receiver(_) | StoreError::TooManyReceivers => {
                Self::new(RECEIVER, display_chain(&error).to_string())
            }
            StoreError::Database(_) => {
                tracing::warn!(error = %display_chain(&error), "the database failed");
                Self::new(DATABASE, "the log of the server has the reason; try again")
            }
            _ => {
                tracing::error!(error = %display_chain(&error), "a request failed");
                Self::new(INTERNAL, "the log of the server has the reason")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response =
            (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"cce-job-server\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
