//! Tests of waits whose replies need more memory than their limit, and of deadlines while a large
//! reply is decoded.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::future::join_all;
use http::{Request, Response};
use job_model::JobId;
use job_poller::{Event, Fleet, Outcome, Wait, WaitErrorKind, schedule::Fixed};
use job_transport::{
    Client, Credentials,
    transport::{MemoryLimit, Transport, TransportError},
};
use tokio::time::Instant;

/// A service whose jobs fail after a time. Each reply has `padding` bytes, which change each time.
struct Service {
    started_at: Instant,
    padding: usize,
    fails_after: Duration,
}

impl Service {
    fn body(&self, id: &str) -> String {
        let elapsed = self.started_at.elapsed();
        let (phase, padding) = match elapsed < self.fails_after {
            true => ("Running", "x".repeat(self.padding)),
            false => ("Failed", "y".repeat(self.padding)),
        };
        format!(
            r#"{{"metadata": {{"uid": "{id}"}}, "spec": {{"type": "CreateNode",
                "subJobs": [{{}}, {{"spec": {{"type": "InstallNode", "padding": "{padding}"}},
                    "status": {{"phase": "{phase}", "reason": "sold out"}}}}]}},
                "status": {{"phase": "{phase}", "message": "{}"}}}}"#,
            elapsed.as_secs()
        )
    }
}

impl Transport for Service {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move { Ok(Response::new(self.body(&id).into())) })
    }
}

fn client(transport: impl Transport + 'static) -> Client {
    let credentials = Credentials::token("token").unwrap();
    let endpoint = "https://cce.example".parse().unwrap();
    Client::new(endpoint, credentials, transport).project("p".parse().unwrap())
}

fn ids(count: usize) -> impl Iterator<Item = JobId> {
    (0..count).map(|number| format!("job-{number}").parse().unwrap())
}

fn service(padding: usize) -> Client {
    #[expect(clippy::disallowed_methods, reason = "virtual time")]
    let (started_at, fails_after) = (Instant::now(), Duration::from_secs(60));
    client(Service { started_at, padding, fails_after })
}

const PADDING: usize = 100_000;

#[tokio::test(start_paused = true)]
async fn results_above_the_limit_are_truncated_and_keep_the_failed_step() {
    // Room for two results: each counts its text and its decoded job.
    let limit = MemoryLimit::new(5 * PADDING);
    let client = service(PADDING);
    let wait = |id| {
        let schedule = Fixed::new(Duration::from_secs(10));
        tokio::spawn(Wait::new(client.clone(), id).schedule(schedule).memory_limit(limit.clone()))
    };
    let results = join_all(ids(10).map(wait)).await;
    let results: Vec<_> = results.into_iter().map(|result| result.unwrap().unwrap()).collect();
    let whole = results.iter().filter(|result| !result.is_truncated).count();
    assert_eq!(whole, 2, "{limit:?}");
    assert!(limit.used_bytes() <= limit.max_bytes());
    for result in &results {
        let Outcome::Failed(failure) = &result.outcome else { panic!("{:?}", result.outcome) };
        assert_eq!(failure.to_string(), r#"CreateNode > InstallNode: "sold out""#);
        assert_eq!(failure.path.to_string(), "spec.subJobs[1]");
        assert_eq!(result.job.sub_jobs().is_empty(), result.is_truncated);
    }
    drop(results);
    assert_eq!(limit.used_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn running_jobs_above_the_limit_are_followed_without_their_steps() {
    let limit = MemoryLimit::new(PADDING / 2);
    let fleet = Fleet::builder(service(PADDING)).memory_limit(limit.clone()).start();
    let mut events = fleet.watch(ids(1).next().unwrap()).events();
    let (mut phases, mut steps) = (Vec::new(), 0);
    while let Some(event) = events.next().await {
        match event.unwrap().1 {
            Event::Phase { to, .. } => phases.extend(to),
            Event::SubJob { .. } => steps += 1,
            _ => {}
        }
    }
    let phases: Vec<_> = phases.iter().map(job_model::Phase::as_str).collect();
    assert_eq!((phases, steps), (vec!["Running", "Failed"], 0));
    assert!(events.finish().await.unwrap().is_truncated);
    assert!(limit.used_bytes() <= limit.max_bytes());
}

/// Replies with the same body to each request.
struct Same(String);

impl Transport for Same {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async { Ok(Response::new(self.0.clone().into())) })
    }
}

#[tokio::test(start_paused = true)]
async fn another_jobs_reply_is_refused_although_its_text_does_not_fit() {
    let padding = "x".repeat(PADDING);
    for uid in ["999", "\"job-1\"", "{}"] {
        let body = format!(
            r#"{{"metadata": {{"uid": {uid}}}, "spec": {{"padding": "{padding}"}},
                "status": {{"phase": "Success"}}}}"#
        );
        let wait = Wait::new(client(Same(body)), "job-0".parse().unwrap());
        let error = wait.memory_limit(MemoryLimit::new(1)).await.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::Mismatch, "{uid}");
    }
}

/// Replies to `job-0` with a large body, and to other jobs with a small one.
struct OneLarge {
    large: Bytes,
}

impl Transport for OneLarge {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let is_large = request.uri().path().ends_with("job-0");
            let small = Bytes::from_static(br#"{"status": {"phase": "Success"}}"#);
            Ok(Response::new(if is_large { self.large.clone() } else { small }))
        })
    }
}

#[test]
fn deadlines_hold_and_other_waits_go_on_while_a_large_reply_is_decoded() {
    let padding = "x".repeat(300_000);
    let large = format!(r#"{{"status": {{"phase": "Success", "message": "{padding}"}}}}"#);
    // The only thread for decoding is busy until `release` is dropped.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || released.recv());
        let client = client(OneLarge { large: large.into() });
        let [large, small] = ["job-0", "job-1"].map(|id| id.parse::<JobId>().unwrap());
        let fleet = Fleet::builder(client.clone()).start();
        let unlimited = Wait::new(client.clone(), large.clone());
        let unlimited = tokio::spawn(unlimited);
        let in_fleet = fleet.watch(large.clone());
        let short = Wait::new(client.clone(), large).timeout(Duration::from_millis(20));
        let error = short.await.unwrap_err();
        assert_eq!((error.kind(), error.snapshot()), (WaitErrorKind::DeadlineExceeded, None));
        let ended = [Wait::new(client, small.clone()).await, fleet.watch(small).await];
        assert!(ended.iter().all(|ended| matches!(ended, Ok(job) if job.attempts == 1)));
        assert!(!unlimited.is_finished());

        drop(release);
        for ended in [unlimited.await.unwrap(), in_fleet.await] {
            assert_eq!(ended.unwrap().outcome, Outcome::Succeeded);
        }
    });
}
