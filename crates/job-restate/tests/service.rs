//! Tests the service over HTTP on loopback, as an engine and an operator use it: the manifest,
//! health checks, metrics, and the reports to the budget object.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use job_restate::{Deployment, Notification, Notifier, NotifierError};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::{
    clock::{Clock, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The reports that the engine received.
type Reports = Arc<Mutex<Vec<Value>>>;

/// Starts a mock engine that answers reports with a grant, and nothing else. Returns its address.
async fn start_engine(reports: Reports) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let reports = reports.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let reports = reports.clone();
                async move {
                    if request.uri().path() == "/restate/health" {
                        return Ok::<_, Infallible>(Response::new(Full::default()));
                    }
                    assert_eq!(request.uri().path(), "/JobBudget/all/grant");
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    reports.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    let nothing = json!({"secs": 0, "nanos": 0});
                    let second = json!({"secs": 1, "nanos": 0});
                    let grant = json!({
                        "first_slot": "2027-01-15T08:00:00Z", "gap": nothing, "generation": 0,
                        "needed": 0, "advanced": 0, "retry_after": second, "max_candidates": 0,
                        "max_in_flight": 2, "min_gap": nothing, "blocked_for": nothing,
                        "share": {"request_price": nothing, "max_gap": nothing}, "rotation": null,
                    });
                    Ok(Response::new(Full::new(Bytes::from(grant.to_string()))))
                }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    address
}

/// Accepts every notification.
struct AcceptAllNotifier;

impl Notifier for AcceptAllNotifier {
    fn deliver<'a>(
        &'a self,
        _: &'a str,
        _: &'a Notification,
    ) -> futures_core::future::BoxFuture<'a, Result<(), NotifierError>> {
        Box::pin(async { Ok(()) })
    }
}

struct TestService {
    address: String,
    transport: HyperTransport,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl TestService {
    async fn start(ingress: String) -> Self {
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        let client =
            sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
        let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs()).unwrap());
        let deployment =
            Deployment::new(client, transport.clone(), ingress).notifier(AcceptAllNotifier);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let until = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(async { deployment.serve(listener, until).await.unwrap() });
        Self { address, transport, stop, served }
    }

    async fn get(&self, path: &str, accept: &str) -> (u16, String) {
        let request = Request::get(format!("{}{path}", self.address)).header("accept", accept);
        let reply = self.transport.send(request.body(Bytes::new()).unwrap()).await.unwrap();
        (reply.status().as_u16(), String::from_utf8(reply.body().to_vec()).unwrap())
    }
}

/// Polls until the condition is met.
///
/// # Panics
///
/// Panics if the condition is not met within ten seconds.
async fn poll_until(expected: &str, is_met: impl AsyncFn() -> bool) {
    let clock = TokioClock::new();
    let deadline = clock.monotonic() + Duration::from_secs(10);
    while !is_met().await {
        assert!(clock.monotonic() < deadline, "waited 10 s for {expected}");
        clock.sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn health_metrics_and_manifest_are_served() {
    let service = TestService::start(start_engine(Reports::default()).await).await;
    assert_eq!(service.get("/health", "*/*").await, (200, "ok\n".into()));
    // The service is ready once it has a grant.
    poll_until("/ready to answer 200", async || service.get("/ready", "*/*").await.0 == 200).await;
    let (status, metrics) = service.get("/metrics", "*/*").await;
    assert_eq!(status, 200);
    for name in [
        "cce_job_attempts",
        "cce_job_attempt_seconds",
        "cce_job_slots",
        "cce_job_waits",
        "cce_job_notifications",
        "cce_job_undelivered_notifications",
        "cce_job_stalled_waits",
    ] {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{metrics}");
    }
    let accept = "application/vnd.restate.endpointmanifest.v4+json";
    let (status, manifest) = service.get("/discover", accept).await;
    assert_eq!(status, 200, "{manifest}");
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut manifest_text = String::new();
    for one in manifest["services"].as_array().unwrap() {
        manifest_text += &format!("{} {}\n", one["name"], one["ty"]);
        for handler in one["handlers"].as_array().unwrap() {
            let is_private = handler["ingressPrivate"] == true || one["ingressPrivate"] == true;
            let private = if is_private { ", only for the engine" } else { "" };
            manifest_text += &format!("  {}{private}\n", handler["name"]);
        }
        let retries = &one["retryPolicyMaxAttempts"];
        manifest_text +=
            &format!("  journal retention {} ms, {retries} attempts\n", one["journalRetention"]);
    }
    insta::assert_snapshot!(manifest_text);
    assert_eq!(service.get("/invoke/JobWait/nothing", "*/*").await.0 / 100, 4);
}

#[tokio::test]
async fn usage_is_reported_regularly_until_the_service_leaves() {
    let reports = Reports::default();
    let service = TestService::start(start_engine(reports.clone()).await).await;
    poll_until("a second report", async || reports.lock().unwrap().len() >= 2).await;
    service.stop.send(()).unwrap();
    service.served.await.unwrap();
    let reports = reports.lock().unwrap();
    let numbers: Vec<_> = reports.iter().map(|one| one["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=reports.len() as u64).collect::<Vec<_>>());
    let leaving: Vec<_> = reports.iter().map(|one| one["is_leaving"] == true).collect();
    assert_eq!(leaving.iter().position(|is| *is), Some(reports.len() - 1));
    assert!(reports.iter().all(|one| one["service"] == reports[0]["service"]));
}

#[tokio::test]
async fn a_service_without_a_grant_is_healthy_but_not_ready() {
    // Nothing listens on this port.
    let service = TestService::start("http://127.0.0.1:1".into()).await;
    assert_eq!(service.get("/health", "*/*").await.0, 200);
    let (status, message) = service.get("/ready", "*/*").await;
    assert!(status == 503 && message.contains("cannot reach the engine's ingress"), "{message}");
}
