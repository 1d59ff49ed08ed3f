//! The HTTP routes of the service.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::{get, post},
};
use futures_util::{Stream, stream};
use job_model::ProjectId;
use job_poller::WaitPolicy;
use job_store::{ListQuery, Page, Store, StoreError, WaitKey, WaitStatus, Watch};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::display_chain,
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    /// Ends the streams of events, for which the server waits when the service stops.
    pub(crate) stop: CancellationToken,
}

type Job = (State<Api>, Path<WaitKey>);
type Failure = (StatusCode, String);

pub(crate) fn routes(api: Api, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/{key}", get(show).put(watch).delete(cancel))
        .route("/jobs/{key}/hint", post(hint))
        .route("/jobs/{key}/events", get(events))
        .with_state(api)
        .route("/metrics", get(async move || metrics.render()))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    policy: WaitPolicy,
    notify: Vec<String>,
    enqueue: Vec<String>,
}

async fn watch(
    (State(api), Path(key)): Job,
    body: Option<Json<Request>>,
) -> Result<Json<WaitStatus>, Failure> {
    let Request { policy, notify, enqueue } = body.unwrap_or_default().0;
    let watch = notify.into_iter().fold(Watch::new().policy(policy), Watch::notify);
    let watch = enqueue.into_iter().fold(watch, Watch::enqueue);
    api.store.watch(&key, &watch).await.map(Json).map_err(failure)
}

async fn show((State(api), Path(key)): Job) -> Result<Json<WaitStatus>, Failure> {
    found(api.store.get(&key).await)
}

async fn cancel((State(api), Path(key)): Job) -> Result<Json<WaitStatus>, Failure> {
    found(api.store.cancel(&key).await)
}

async fn hint((State(api), Path(key)): Job) -> Result<Json<bool>, Failure> {
    api.store.hint(&key).await.map(Json).map_err(failure)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    project: Option<ProjectId>,
    state: Option<String>,
    after: Option<WaitKey>,
    limit: Option<u32>,
}

async fn list(api: State<Api>, Query(filter): Query<Filter>) -> Result<Json<Page>, Failure> {
    let query = ListQuery::new().limit(filter.limit.unwrap_or(100));
    let query = filter.project.into_iter().fold(query, ListQuery::project);
    let query = filter.after.into_iter().fold(query, ListQuery::after);
    let query = match filter.state.as_deref() {
        None => query,
        Some("active") => query.active(),
        Some("finished") => query.finished(),
        Some("failed") => query.failed(),
        Some("overdue") => query.overdue(),
        Some(_) => return Err((StatusCode::BAD_REQUEST, "unknown state".into())),
    };
    api.store.list(&query).await.map(Json).map_err(failure)
}

/// Streams the status of a wait whenever it has changed, until the wait has finished.
async fn events(
    (State(api), Path(key)): Job,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let Json(status) = found(api.store.get(&key).await)?;
    let first = (api, Some(status), String::new());
    Ok(Sse::new(stream::unfold(first, async |(api, mut status, sent)| {
        let clock = TokioClock::new();
        loop {
            let now = status?;
            let text = serde_json::to_string(&now).ok()?;
            if text != sent {
                let event = Ok(Event::default().data(&text));
                let next = Some(now).filter(|now| now.result.is_none());
                return Some((event, (api, next, text)));
            }
            api.stop.run_until_cancelled(clock.sleep(Duration::from_secs(1))).await?;
            // If the database fails, the stream ends, and the client connects again.
            status = api.store.get(&now.key).await.ok()?;
        }
    })))
}

fn found(status: Result<Option<WaitStatus>, StoreError>) -> Result<Json<WaitStatus>, Failure> {
    let none = || (StatusCode::NOT_FOUND, "the job has no wait".into());
    status.map_err(failure)?.map(Json).ok_or_else(none)
}

fn failure(error: StoreError) -> Failure {
    let status = match error {
        StoreError::Conflict => StatusCode::CONFLICT,
        StoreError::Receiver(_) | StoreError::TooManyReceivers => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, display_chain(&error))
}
