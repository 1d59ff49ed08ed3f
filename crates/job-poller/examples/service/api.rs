//! The HTTP routes of the service.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use job_model::JobId;
use serde_json::{Value, json};

use crate::watch::{JobService, Status};

pub(crate) fn routes(service: Arc<JobService>) -> Router {
    Router::new().route("/jobs/{id}", get(show).put(watch)).with_state(service)
}

async fn watch(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
) -> Result<StatusCode, (StatusCode, String)> {
    let id: JobId = id.parse().map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    service.watch(id);
    Ok(StatusCode::ACCEPTED)
}

async fn show(
    State(service): State<Arc<JobService>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let status = id.parse().ok().and_then(|id| service.status(&id)).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(match status {
        Status::Waiting(last) => json!({"state": "waiting", "last": last}),
        Status::Succeeded => json!({"state": "succeeded"}),
        Status::Failed(reason) => json!({"state": "failed", "reason": reason}),
        Status::Unknown(reason) => json!({"state": "unknown", "reason": reason}),
    }))
}
