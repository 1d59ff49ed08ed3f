//! Tests of the service with a fake source and paused time.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header::CONTENT_TYPE},
};
use job_poller::{observer::MetricsObserver, testing::FakeSource};
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::ServiceExt;

use crate::{api, jobs::Jobs, store::Store};

async fn start(script: &str, store: &Store) -> (Arc<Jobs>, Router) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let observer = metrics::with_local_recorder(&recorder, MetricsObserver::new);
    let source = FakeSource::new(script).unwrap();
    let jobs = Jobs::start(source, observer, store.clone()).await.unwrap();
    (jobs.clone(), api::routes(jobs, recorder.handle()))
}

async fn call(api: &Router, method: &str, path: &str, body: &'static str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body));
    let reply = api.clone().oneshot(request.unwrap()).await.unwrap();
    let (head, body) = reply.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_end_of_a_wait_has_its_outcome() {
    let rows = [
        ("init running success", "succeeded", "null"),
        ("running failed", "failed", "\"CreateCluster: \\\"no such flavor\\\"\""),
        ("404", "not_found", "\""),
        ("running", "deadline_exceeded", "\""),
    ];
    for (script, outcome, detail) in rows {
        let (jobs, api) = start(script, &Store::open(":memory:").unwrap()).await;
        assert_eq!(call(&api, "PUT", "/jobs/a", r#"{"timeout": "10m"}"#).await.0, 202);
        assert_eq!(call(&api, "PUT", "/jobs/a", "{}").await.0, 200);
        let (_, events) = call(&api, "GET", "/jobs/a/events", "").await;
        assert!(events.contains(&format!("\"outcome\":\"{outcome}\"")), "{events}");
        jobs.stop().await;
        let (_, state) = call(&api, "GET", "/jobs/a", "").await;
        let expected = format!("\"outcome\":\"{outcome}\",\"detail\":{detail}");
        assert!(state.contains(&expected), "{state}");
        let metric = format!("cce_job_waits_finished_total{{outcome=\"{outcome}\"}} 1");
        assert!(call(&api, "GET", "/metrics", "").await.1.contains(&metric), "{metric}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_goes_on_after_the_process_was_killed() {
    let store = Store::open(":memory:").unwrap();
    let (_killed, api) = start("running", &store).await;
    call(&api, "PUT", "/jobs/a", "{}").await;
    assert_eq!(store.unfinished().await.unwrap().len(), 1);
    let (_, api) = start("success", &store).await;
    let (_, events) = call(&api, "GET", "/jobs/a/events", "").await;
    assert!(events.contains("\"outcome\":\"succeeded\""), "{events}");
    assert_eq!(call(&api, "GET", "/jobs/b", "").await.0, 404);
}
