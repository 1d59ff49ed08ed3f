//! Errors of requests to the server, with their exit codes and hints.

use std::fmt;

use anyhow::anyhow;
use http::StatusCode;
use job_transport::transport::{TransportError, TransportErrorKind, display_chain};
use serde::Deserialize;

use super::Server;
use crate::exit::{self, Exit};

/// Why a request was not served.
pub(crate) struct ServerError {
    pub(crate) kind: ServerErrorKind,
    pub(crate) exit: Exit,
    pub(crate) hint: Option<String>,
    error: anyhow::Error,
}

/// What an error means for other requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerErrorKind {
    /// The server has no wait for the job.
    NoWait,
    /// The server refused this request. It may accept others.
    Refused,
    /// The server cannot be reached, or is overloaded. Another try may succeed.
    Temporary,
    /// Other requests have the same error.
    Permanent,
}

/// A body of `application/problem+json` (RFC 9457).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    title: String,
    detail: String,
}

/// The `type` of the problem that a wait does not exist.
const NOT_FOUND: &str = "/problems/not-found";

impl ServerError {
    /// Returns the error for a request without a reply.
    pub(super) fn unreachable(server: &Server, error: TransportError) -> Self {
        let (kind, hint) = match error.kind() {
            TransportErrorKind::Connect if server.is_local => (
                ServerErrorKind::Temporary,
                Some(
                    "Start the server with `cce-job-server --config FILE`, or with \
                     `cce-job-server --sim` to try it. --server sets another URL.",
                ),
            ),
            TransportErrorKind::Connect | TransportErrorKind::Dns => {
                (ServerErrorKind::Temporary, Some("Check --server."))
            }
            TransportErrorKind::Certificate => {
                (ServerErrorKind::Permanent, Some("--server-ca-file sets the CA of the server."))
            }
            TransportErrorKind::BodyTooLarge | TransportErrorKind::EncodedBody => {
                (ServerErrorKind::Permanent, None)
            }
            _ => (ServerErrorKind::Temporary, None),
        };
        let error = anyhow::Error::new(error).context(format!("no reply from {}", server.url));
        Self { kind, exit: Exit::Internal, hint: hint.map(String::from), error }
    }

    /// Returns the error for a reply that is not a success.
    pub(super) fn refused(server: &Server, status: StatusCode, body: &[u8]) -> Self {
        let problem = serde_json::from_slice::<Problem>(body).ok();
        let is_problem = problem.as_ref().is_some_and(|problem| !problem.title.is_empty());
        let problem = problem.unwrap_or_default();
        let no_wait = status == StatusCode::NOT_FOUND && problem.r#type == NOT_FOUND;
        let (kind, exit) = match status {
            _ if no_wait => (ServerErrorKind::NoWait, Exit::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (ServerErrorKind::Permanent, Exit::Credentials)
            }
            StatusCode::MISDIRECTED_REQUEST => (ServerErrorKind::Permanent, Exit::Usage),
            // A server of another kind replies with a 404, too.
            StatusCode::NOT_FOUND if is_problem => (ServerErrorKind::Refused, Exit::NotFound),
            StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY
                if is_problem =>
            {
                (ServerErrorKind::Refused, Exit::Usage)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                (ServerErrorKind::Temporary, Exit::Internal)
            }
            _ if status.is_server_error() => (ServerErrorKind::Temporary, Exit::Internal),
            _ => (ServerErrorKind::Permanent, Exit::Internal),
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED => Some(format!(
                "The token is from {}. The server creates the file server-token with a valid one in \
                 its state folder.",
                server.token.source()
            )),
            _ if !is_problem => Some("Check whether --server is the URL of cce-job-server.".into()),
            _ => None,
        };
        let text = [problem.title, problem.detail].map(|text| server.token.hide(&text));
        let parts = text.iter().filter(|text| !text.is_empty()).map(|text| format!(": {text}"));
        let error = if no_wait {
            anyhow!("{} has no wait for this job; `cce-job ls` lists the waits", server.url)
        } else {
            anyhow!("{} replied {status}{}", server.url, parts.collect::<String>())
        };
        Self { kind, exit, hint, error }
    }

    /// Returns the error for a reply, or a request, that does not belong to this API.
    pub(super) fn invalid(server: &Server, error: anyhow::Error) -> Self {
        // The error can contain a part of the reply.
        let cause = server.token.hide(&display_chain(&*error));
        Self {
            kind: ServerErrorKind::Permanent,
            exit: Exit::Internal,
            hint: Some("Check whether --server is the URL of cce-job-server.".into()),
            error: anyhow!("cannot read the reply of {}: {cause}", server.url),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_chain(&*self.error))
    }
}

impl From<ServerError> for anyhow::Error {
    fn from(ServerError { exit, hint, error, .. }: ServerError) -> Self {
        exit::with_hint(error, exit, hint)
    }
}
