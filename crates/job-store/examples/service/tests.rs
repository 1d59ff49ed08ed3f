//! Tests of the service with a simulated cloud and SQLite in memory.

use std::{sync::Arc, time::Duration};

use axum::{Router, body, http};
use job_poller::{observer::MetricsObserver, schedule::Fixed};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_store::{Store, Worker};
use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::sqlite::SqlitePoolOptions;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::api::{self, Api};

/// Returns a simulated cloud, and the routes and the worker of a service.
async fn start() -> (Arc<Sim>, Router, Worker) {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let client = sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await;
    let store = Store::sqlite(pool.unwrap()).await.unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    let worker = Worker::new(store.clone(), client)
        .schedule(Fixed::new(Duration::from_millis(100)))
        .observer(metrics::with_local_recorder(&recorder, MetricsObserver::new));
    let api = Api { store, stop: CancellationToken::new() };
    (sim, api::routes(api, recorder.handle()), worker)
}

async fn call(routes: &Router, method: &str, path: &str, content: &'static str) -> (u16, String) {
    let request = http::Request::builder().method(method).uri(path);
    let request =
        request.header("content-type", "application/json").body(body::Body::from(content));
    let (head, reply) = routes.clone().oneshot(request.unwrap()).await.unwrap().into_parts();
    let reply = body::to_bytes(reply, usize::MAX).await.unwrap();
    (head.status.as_u16(), String::from_utf8(reply.to_vec()).unwrap())
}

#[tokio::test]
async fn each_end_of_a_wait_has_its_outcome() {
    let (sim, routes, worker) = start().await;
    let short = Plan::create_cluster().with_duration(Duration::from_millis(400));
    let failing = short.clone().with_failure("no such flavor");
    let (project, slow) = (sim.project(), sim.job());
    let rows = [
        (sim.add(short).to_string(), "{}", "succeeded"),
        (sim.add(failing).to_string(), "{}", "failed"),
        ("unknown".into(), r#"{"policy": {"not_found_grace": "0s"}}"#, "not_found"),
        (slow.to_string(), r#"{"policy": {"timeout": "500ms"}}"#, "deadline_exceeded"),
    ];
    for (job, body, _) in &rows {
        assert_eq!(call(&routes, "PUT", &format!("/jobs/{project}:{job}"), body).await.0, 200);
    }
    // A process that is killed before the first attempt leaves the store as it is now.
    tokio::spawn(worker.run(std::future::pending()));
    for (job, _, outcome) in rows {
        let path = format!("/jobs/{project}:{job}");
        let (_, events) = call(&routes, "GET", &format!("{path}/events"), "").await;
        let last = events.trim().lines().last().unwrap();
        assert!(last.contains(&format!("\"outcome\":\"{outcome}\"")), "{events}");
        assert_eq!(last, format!("data: {}", call(&routes, "GET", &path, "").await.1));
        let metric = format!("cce_job_waits_finished_total{{outcome=\"{outcome}\"}} 1");
        assert!(call(&routes, "GET", "/metrics", "").await.1.contains(&metric), "{metric}");
    }
}

#[tokio::test]
async fn waits_are_listed_changed_and_canceled() {
    let (_sim, routes, _worker) = start().await;
    let rows = [
        ("GET /jobs/p:a", "", 404, "the job has no wait"),
        ("PUT /jobs/p:a", r#"{"enqueue": ["billing"]}"#, 200, r#""state":"waiting""#),
        ("PUT /jobs/p:a", r#"{"policy": {"strict": true}}"#, 409, "another policy"),
        ("PUT /jobs/p:a", r#"{"notify": ["https://x.example"]}"#, 400, "receiver"),
        ("PUT /jobs/p:b", "{}", 200, "waiting"),
        ("POST /jobs/p:b/hint", "", 200, "true"),
        ("DELETE /jobs/p:b", "", 200, r#""outcome":"stopped""#),
        ("GET /jobs?state=active&limit=1", "", 200, r#""next":null"#),
        ("GET /jobs?limit=1", "", 200, r#""next":"p:a""#),
        ("GET /jobs?state=failed&after=p:a", "", 200, r#""outcome":"stopped""#),
    ];
    for (request, body, code, text) in rows {
        let (method, path) = request.split_once(' ').unwrap();
        let reply = call(&routes, method, path, body).await;
        assert!(reply.0 == code && reply.1.contains(text), "{request}: {reply:?}");
    }
}
