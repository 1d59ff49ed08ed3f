//! Reads the path, the query and the body of a request. Each mistake is a problem that names it.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use job_model::ProjectId;
use job_store::WaitKey;
use serde::de::DeserializeOwned;

use super::{Api, MAX_BODY};
use crate::problem::{self, Problem};

/// The beginnings of field names that a client may try, but that only the configuration sets.
const SETTINGS: [&str; 5] = ["endpoint", "url", "region", "credential", "token"];

/// The project in a path: the name or the id of a configured project.
pub(super) struct ProjectPath(pub(super) ProjectId);

/// The project and the job in a path.
pub(super) struct JobPath(pub(super) WaitKey);

/// The id of a notification in a path.
pub(super) struct NotificationPath(pub(super) String);

/// The query of a request. Unknown parameters are refused.
pub(super) struct Parameters<T>(pub(super) T);

/// The body of a request: a JSON object, or nothing. Unknown fields are refused.
pub(super) struct OptionalJson<T>(pub(super) T);

impl FromRequestParts<Api> for ProjectPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(project) = path::<String>(parts, api).await?;
        api.projects.find(&project).map(Self)
    }
}

impl FromRequestParts<Api> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path((project, job)) = path::<(String, String)>(parts, api).await?;
        let project = api.projects.find(&project)?;
        let job = job.parse().map_err(|error: job_model::IdError| {
            Problem::new(problem::INVALID_REQUEST, format!("the job: {error}"))
        })?;
        Ok(Self(WaitKey { project, job }))
    }
}

impl FromRequestParts<Api> for NotificationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(id) = path::<String>(parts, api).await?;
        Ok(Self(id))
    }
}

async fn path<T: DeserializeOwned + Send>(
    parts: &mut Parts,
    api: &Api,
) -> Result<Path<T>, Problem> {
    let path = Path::from_request_parts(parts, api).await;
    path.map_err(|error| Problem::new(problem::INVALID_REQUEST, error.body_text()))
}

impl<T: DeserializeOwned> FromRequestParts<Api> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, api).await;
        let Query(query) = query.map_err(|error| {
            let text = error.body_text();
            let cause = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Problem::new(problem::INVALID_REQUEST, format!("the query: {cause}"))
        })?;
        Ok(Self(query))
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, api).await;
        let body = body.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = format!("a body has at most {} KiB", MAX_BODY >> 10);
                Problem::new(problem::TOO_LARGE, detail)
            }
            _ => Problem::new(problem::INVALID_REQUEST, error.body_text()),
        })?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            let detail = "send the header `Content-Type: application/json`";
            return Err(Problem::new(problem::NOT_JSON, detail));
        }
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let error = error.to_string();
            let field = error.strip_prefix("unknown field `").unwrap_or_default();
            let note = if SETTINGS.iter().any(|setting| field.starts_with(setting)) {
                "; only the configuration of the server sets the endpoint and the credentials"
            } else {
                ""
            };
            Problem::new(problem::INVALID_REQUEST, format!("the body: {error}{note}"))
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
