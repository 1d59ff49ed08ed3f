//! The state of the service: health, readiness, metrics, the summary, and the description of the API.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use job_poller::observer::{
    AttemptFinished, BudgetStatus, MetricsObserver, Observer, WaitFinished, WaitStarted,
};
use job_store::Summary;
use job_transport::{
    clock::{Clock as _, TokioClock},
    transport::display_chain,
};
use tokio::time::timeout;

use super::Api;
use crate::problem::{self, Problem};

/// How long the database may take to answer, for the service to be ready.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long ago the worker may have looked for waits, for the service to be ready. It looks each second.
const WORKER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a scrape waits for the numbers in the database.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(5);

const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn health() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(api): State<Api>) -> Result<&'static str, Problem> {
    let not_ready = |detail| Problem::new(problem::NOT_READY, detail);
    match timeout(DATABASE_TIMEOUT, api.store().ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %display_chain(&error), "not ready");
            return Err(not_ready("the database cannot be reached; the log has the reason"));
        }
        Err(_) => return Err(not_ready("the database has not answered within a second")),
    }
    if api.worker.is_idle() {
        return Err(not_ready("the worker does not look for waits; the log has the reason"));
    }
    Ok("ready\n")
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    // Without the numbers, the other metrics are still useful.
    let summary = timeout(SUMMARY_TIMEOUT, api.store().summary()).await;
    let text = api.metrics.render(summary.ok().and_then(Result::ok).as_ref());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

pub(super) async fn summary(State(api): State<Api>) -> Result<Json<Summary>, Problem> {
    Ok(Json(api.store().summary().await?))
}

/// Passes the figures of waits to the metrics, and records when the worker was last active.
#[derive(Clone)]
pub(crate) struct WorkerObserver {
    metrics: Arc<MetricsObserver>,
    clock: TokioClock,
    /// Milliseconds by the monotonic clock.
    last_active: Arc<AtomicU64>,
}

impl std::fmt::Debug for WorkerObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerObserver").finish_non_exhaustive()
    }
}

impl WorkerObserver {
    pub(crate) fn new(metrics: MetricsObserver) -> Self {
        let clock = TokioClock::new();
        // The worker has some time for its first look.
        Self { metrics: Arc::new(metrics), clock, last_active: Arc::default() }
    }

    /// Returns whether the worker has not looked for waits for a while.
    pub(super) fn is_idle(&self) -> bool {
        let last = Duration::from_millis(self.last_active.load(Ordering::Relaxed));
        self.clock.monotonic().saturating_sub(last) > WORKER_TIMEOUT
    }
}

impl Observer for WorkerObserver {
    fn wait_started(&self, wait: &WaitStarted) {
        self.metrics.wait_started(wait);
    }

    fn attempt_finished(&self, attempt: &AttemptFinished) {
        self.metrics.attempt_finished(attempt);
    }

    fn wait_finished(&self, wait: &WaitFinished) {
        self.metrics.wait_finished(wait);
    }

    fn budget_changed(&self, budget: &BudgetStatus) {
        // The worker reports the budget each second, before it claims.
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.last_active.store(now, Ordering::Relaxed);
        self.metrics.budget_changed(budget);
    }
}
