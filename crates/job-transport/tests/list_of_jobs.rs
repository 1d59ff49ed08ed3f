//! Tests that the list of jobs is read like a job: the same requests, credentials and errors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use jiff::SignedDuration;
use job_sim::{Fault, ListFault, Plan, Sim, SimTransport, TimeSource};
use job_transport::{
    Client, Credentials, ErrorClass, FetchErrorKind,
    auth::{AccessKey, Identity},
    clock::{Clock, TokioClock},
    transport::{Transport, TransportError, TransportErrorKind},
};

/// Records each request and replies with an empty list.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Request<Bytes>>>>);

impl Transport for Recorder {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.0.lock().unwrap().push(request);
        Box::pin(async { Ok(Response::new(Bytes::from_static(b"[]"))) })
    }
}

#[tokio::test]
async fn list_requests_match_the_documentation() {
    let rows = [
        ("https://cce.example", "/api/v2/projects/the%20project/jobs"),
        ("https://cce.example/prefix/", "/prefix/api/v2/projects/the%20project/jobs"),
        ("https://cce.example/autopilot", "/autopilot/v2/projects/the%20project/jobs"),
        ("https://cce.example/x/autopilot/", "/x/autopilot/v2/projects/the%20project/jobs"),
    ];
    for (endpoint, path) in rows {
        let recorder = Recorder::default();
        let credentials = Credentials::token("canary").unwrap();
        let client = Client::new(endpoint.parse().unwrap(), credentials, recorder.clone())
            .project("the project".parse().unwrap());
        assert!(client.jobs().await.unwrap().list.is_empty());

        let requests = recorder.0.lock().unwrap();
        let [request] = &requests[..] else { panic!("one attempt, one request: {requests:?}") };
        assert_eq!((request.method().as_str(), request.uri().path()), ("GET", path));
        assert_eq!((request.uri().query(), request.body().len()), (None, 0));
        let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-auth-token"]);
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.headers()["X-Auth-Token"], "canary");
        assert!(!format!("{request:?} {client:?}").contains("canary"));
    }
}

/// Returns a client of a simulated service in memory, without a project of its own.
fn in_memory(sim: &Arc<Sim>, endpoint: &str, credentials: Credentials) -> Client {
    Client::new(endpoint.parse().unwrap(), credentials, SimTransport::new(sim.clone()))
}

const ENDPOINT: &str = "https://cce.example";

fn sim() -> Arc<Sim> {
    Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock))
}

fn login(sim: &Arc<Sim>) -> Credentials {
    let endpoint = "https://iam.example".parse().unwrap();
    let identity = Identity::new(endpoint, sim.login(), SimTransport::new(sim.clone()));
    Credentials::from_provider(identity)
}

/// The simulated gateway computes the canonical path of a signature on its own.
#[tokio::test(start_paused = true)]
async fn all_credentials_read_the_list_of_both_kinds_of_clusters() {
    for endpoint in [ENDPOINT, "https://cce.example/autopilot"] {
        let sim = sim();
        let key = Credentials::access_key(sim.access_key());
        for (name, credentials) in
            [("token", sim.credentials()), ("key", key), ("login", login(&sim))]
        {
            let client = in_memory(&sim, endpoint, credentials).project(sim.project().clone());
            let reading = client.jobs().await.unwrap();
            let ids: Vec<_> = reading.list.rows().map(|row| row.uid().unwrap()).collect();
            assert_eq!(ids, [sim.job().as_str()], "{name}");
            assert!(reading.request_id.is_some() && reading.date.is_some(), "{name}");
            assert!(!reading.credentials_refreshed, "{name}");
            assert!(reading.body_len > 100, "{name}");
        }
        assert_eq!(sim.list_requests(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refreshed_and_the_list_requested_again_once() {
    let sim = sim();
    let client = in_memory(&sim, ENDPOINT, login(&sim));
    assert!(!client.jobs().await.unwrap().credentials_refreshed);
    sim.expire_tokens();
    assert!(client.jobs().await.unwrap().credentials_refreshed);
    assert!(!client.jobs().await.unwrap().credentials_refreshed);
    // The job's own requests use the new token, too.
    assert!(!client.job(sim.job()).await.unwrap().credentials_refreshed);
    // Two logins, four requests for the list, one of which was refused, and one for the job.
    assert_eq!((sim.logins(), sim.list_requests(), sim.requests()), (2, 4, 7));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_refreshed_is_refused_once() {
    let sim = sim();
    let client = in_memory(&sim, ENDPOINT, sim.credentials()).project(sim.project().clone());
    sim.expire_tokens();
    let error = client.jobs().await.unwrap_err();
    assert_eq!((error.class(), error.credentials_refreshed()), (ErrorClass::Unauthorized, false));
    assert_eq!(sim.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_signature_blocks_the_key_for_lists_and_jobs() {
    let sim = sim();
    let key = AccessKey::new(sim.access_key().access_key(), "wrong").unwrap();
    let client = in_memory(&sim, ENDPOINT, Credentials::access_key(key));
    let client = client.project(sim.project().clone());
    let error = client.jobs().await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::WrongSignature);
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!((error.kind(), sim.requests()), (FetchErrorKind::WrongSignature, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected_by_a_list() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    let sim = Arc::new(sim.clock_offset(SignedDuration::from_hours(2)));
    let client = in_memory(&sim, ENDPOINT, Credentials::access_key(sim.access_key()));
    let client = client.project(sim.project().clone());
    assert_eq!(client.jobs().await.unwrap().list.len(), 1);
    assert!(client.job(sim.job()).await.is_ok());
    assert_eq!(sim.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn errors_have_the_same_kind_and_class_as_those_of_a_job() {
    let faults = "refuse, reset, stall, stall-body, truncated, truncated:401, truncated:503, oversized, \
        oversized:99, garbage, html, page:302, page:404, page:503, 400, 401, 403, 404, 405, 408, 409, 413, \
        429, 500, 501, 503, throttled:30";
    for (name, fault) in faults.split(',').map(str::trim).zip(Fault::parse_script(faults).unwrap())
    {
        let sim = sim();
        let client = sim.client(ENDPOINT.parse().unwrap(), SimTransport::new(sim.clone()));
        let client = client.attempt_timeout(Duration::from_secs(5));
        if name == "refuse" {
            sim.inject_faults([fault.clone(), fault]);
        } else {
            sim.set_list_faults(fault.clone().map(ListFault::Reply));
            sim.inject_faults([fault]);
        }
        let list = client.jobs().await.unwrap_err();
        let job = client.job(sim.job()).await.unwrap_err();
        assert_eq!((list.kind(), list.class()), (job.kind(), job.class()), "{name}");
        assert_eq!(list.retry_after(), job.retry_after(), "{name}");
        assert_eq!(list.status(), job.status(), "{name}");
        let code = |error: &job_transport::FetchError| {
            error.service_error().and_then(|error| error.code().map(String::from))
        };
        assert_eq!(code(&list), code(&job), "{name}");
        let text = job.to_string().replace("not a valid job", "not a valid list of jobs");
        assert_eq!(list.to_string(), text.replace("id 1", "id 0"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_to_read_the_list_ends_within_its_timeout() {
    let sim = sim();
    let client = sim.client(ENDPOINT.parse().unwrap(), SimTransport::new(sim.clone()));
    let client = client.attempt_timeout(Duration::from_secs(5));
    let timeout = FetchErrorKind::Transport(TransportErrorKind::Timeout);
    for (seconds, expected) in [(4, None), (6, Some(timeout))] {
        sim.set_list_faults([ListFault::Slow(Duration::from_secs(seconds))]);
        let clock = TokioClock::new();
        let start = clock.monotonic();
        assert_eq!(client.jobs().await.err().map(|error| error.kind()), expected);
        assert_eq!((clock.monotonic() - start).as_secs(), seconds.min(5));
        assert!(client.job(sim.job()).await.is_ok());
    }
}

#[tokio::test]
async fn no_list_is_requested_without_a_project_or_with_an_overlong_uri() {
    let sim = sim();
    let error = in_memory(&sim, ENDPOINT, sim.credentials()).jobs().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (FetchErrorKind::NoProject, ErrorClass::Permanent));
    let endpoint = format!("https://cce.example/{}", "a".repeat(65_500));
    let client = in_memory(&sim, &endpoint, sim.credentials()).project(sim.project().clone());
    let error = client.jobs().await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Transport(TransportErrorKind::InvalidRequest));
    assert_eq!(sim.requests(), 0);
}

/// A large list is decoded off the async thread.
#[tokio::test]
async fn a_list_of_thousands_of_jobs_is_read() {
    let sim = sim();
    for _ in 0..5_000 {
        sim.add_finished(Plan::delete_node(), Duration::from_secs(60));
    }
    let client = sim.client(ENDPOINT.parse().unwrap(), SimTransport::new(sim.clone()));
    let reading = client.jobs().await.unwrap();
    assert_eq!((reading.list.len(), reading.list.deviations().len()), (5_001, 0));
    assert!(reading.body_len > 2 << 20, "{}", reading.body_len);
}
