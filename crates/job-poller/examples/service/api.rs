//! The HTTP routes of the service.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response, sse},
    routing::get,
};
use futures_util::stream;
use job_model::JobId;
use job_poller::{
    Report, WaitPolicy,
    fleet::{FleetEvents, Lagged},
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use crate::jobs::Jobs;

type Failure = (StatusCode, String);

pub(crate) fn routes(jobs: Arc<Jobs>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/jobs/{id}", get(show).put(watch))
        .route("/jobs/{id}/events", get(events))
        .with_state(jobs)
        .route("/metrics", get(async move || metrics.render()))
}

/// Waits for a job. The body is a policy, such as `{"timeout": "45m"}`, or there is none.
async fn watch(
    State(jobs): State<Arc<Jobs>>,
    Path(id): Path<JobId>,
    policy: Option<Json<WaitPolicy>>,
) -> Result<StatusCode, Failure> {
    let is_new = jobs.watch(id, policy.unwrap_or_default().0).await.map_err(internal)?;
    Ok(if is_new { StatusCode::ACCEPTED } else { StatusCode::OK })
}

async fn show(State(jobs): State<Arc<Jobs>>, Path(id): Path<JobId>) -> Result<Response, Failure> {
    Ok(match jobs.store.get(id).await.map_err(internal)? {
        Some((_, state)) => ([(CONTENT_TYPE, "application/json")], state).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// Streams the events of a wait from now on, and then its result.
async fn events(State(jobs): State<Arc<Jobs>>, Path(id): Path<JobId>) -> Result<Response, Failure> {
    let first = match jobs.store.get(id).await.map_err(internal)? {
        None => return Ok(StatusCode::NOT_FOUND.into_response()),
        Some((None, state)) => Stage::Ended(state),
        Some((Some(checkpoint), _)) => Stage::Waiting(jobs.events(checkpoint)),
    };
    Ok(sse::Sse::new(stream::unfold(Some(first), next_message)).into_response())
}

enum Stage {
    Waiting(FleetEvents),
    /// The wait had ended before the request. Its state is JSON.
    Ended(String),
}

type Message = Result<sse::Event, Infallible>;

async fn next_message(stage: Option<Stage>) -> Option<(Message, Option<Stage>)> {
    let (message, next) = match stage? {
        Stage::Waiting(mut events) => match events.next().await {
            Some(Ok((_, event))) => (message("progress", &event), Some(Stage::Waiting(events))),
            Some(Err(Lagged(lost))) => (message("lagged", &lost), Some(Stage::Waiting(events))),
            None => {
                let result = events.finish().await;
                (message("result", &Report::new(&result, None)), None)
            }
        },
        Stage::Ended(state) => (sse::Event::default().event("result").data(state), None),
    };
    Some((Ok(message), next))
}

fn message(name: &str, data: &impl Serialize) -> sse::Event {
    // Encoding to memory cannot fail.
    sse::Event::default().event(name).json_data(data).unwrap_or_default()
}

fn internal(error: anyhow::Error) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
}
