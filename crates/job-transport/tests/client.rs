//! Tests the requests of the client, and its reactions to refusals, with in-memory transports.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response, StatusCode};
use jiff::SignedDuration;
use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};
use job_transport::{
    Client, Credentials, ErrorClass, FetchErrorKind, Fetched, JobSnapshot,
    auth::{
        AccessKey, CredentialsProviderError, Identity, PasswordLogin, ProvideCredentials,
        ProvidedCredential,
    },
    transport::{RequestSent, Transport, TransportError, TransportErrorKind},
};

/// Records each request and replies with a running job.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Request<Bytes>>>>);

impl Transport for Recorder {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.0.lock().unwrap().push(request);
        let body = Bytes::from_static(br#"{"kind": "Job", "status": {"phase": "Running"}}"#);
        Box::pin(async { Ok(Response::new(body)) })
    }
}

#[tokio::test]
async fn job_request_matches_the_api_reference() {
    let recorder = Recorder::default();
    let client = Client::new(
        "https://cce.example/prefix/".parse().unwrap(),
        Credentials::token("canary").unwrap(),
        recorder.clone(),
    )
    .project("the project".parse().unwrap());
    client.job(&"354331b2c-229a-11e8-9c75-0255ac100ceb".parse().unwrap()).await.unwrap();

    let requests = recorder.0.lock().unwrap();
    let [request] = &requests[..] else { panic!("one attempt, one request: {requests:?}") };
    insta::assert_debug_snapshot!((request.method(), request.uri(), request.headers()));
    insta::assert_debug_snapshot!(client);
    assert_eq!(request.headers()["X-Auth-Token"], "canary");
    assert!(request.body().is_empty());
    assert!(!format!("{request:?}").contains("canary"));
}

/// Returns a client of a simulated service in memory, without a project of its own.
fn in_memory(sim: &Arc<Sim>, credentials: Credentials) -> Client {
    let transport = SimTransport::new(sim.clone());
    Client::new("https://cce.example".parse().unwrap(), credentials, transport)
}

fn identity(sim: &Arc<Sim>, login: PasswordLogin) -> Credentials {
    let endpoint = "https://iam.example".parse().unwrap();
    Credentials::from_provider(Identity::new(endpoint, login, SimTransport::new(sim.clone())))
}

fn sim() -> Arc<Sim> {
    Arc::new(Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1))))
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refreshed_and_the_request_retried_once() {
    let sim = sim();
    let client = in_memory(&sim, identity(&sim, sim.login()));
    assert!(!client.job(sim.job()).await.unwrap().credentials_refreshed);
    sim.expire_tokens();
    assert!(client.job(sim.job()).await.unwrap().credentials_refreshed);
    assert!(!client.job(sim.job()).await.unwrap().credentials_refreshed);
    // Two logins, and four requests for the job, one of which was refused.
    assert_eq!((sim.logins(), sim.requests()), (2, 6));
    // The new token is refused immediately, so its age is not the reason.
    sim.expire_tokens();
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!(
        (error.class(), error.credentials_refreshed(), sim.logins()),
        (ErrorClass::Unauthorized, false, 2)
    );
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(client.job(sim.job()).await.unwrap().credentials_refreshed);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_before_it_expires() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    let sim = Arc::new(sim.token_lifetime(SignedDuration::from_hours(24)));
    let client = in_memory(&sim, identity(&sim, sim.login()));
    for _ in 0..100 {
        assert!(!client.job(sim.job()).await.unwrap().credentials_refreshed, "a token was refused");
        tokio::time::advance(Duration::from_secs(60 * 60)).await;
    }
    assert!((5..=6).contains(&sim.logins()), "{}", sim.logins());
}

#[tokio::test(start_paused = true)]
async fn identity_service_errors_keep_their_class() {
    let sim = sim();
    let login = PasswordLogin::new("simulated-user", "wrong", "simulated-domain");
    let client = in_memory(&sim, identity(&sim, login));
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!((error.class(), sim.requests()), (ErrorClass::Unauthorized, 1));
    // An outage of the identity service is transient and does not end a wait.
    let client = in_memory(&sim, identity(&sim, sim.login()));
    sim.inject_fault(Fault::HtmlPage(StatusCode::SERVICE_UNAVAILABLE));
    let error = client.job(sim.job()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(client.job(sim.job()).await.is_ok());
}

#[tokio::test]
async fn no_request_is_sent_without_a_project() {
    let sim = sim();
    let error = in_memory(&sim, sim.credentials()).job(sim.job()).await.unwrap_err();
    assert_eq!((error.class(), sim.requests()), (ErrorClass::Permanent, 0));
    assert_eq!(error.kind(), FetchErrorKind::NoProject);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_within_its_timeout() {
    let sim = sim();
    let client = in_memory(&sim, sim.credentials()).project(sim.project().clone());
    sim.inject_fault(Fault::Stall);
    let error = client.attempt_timeout(Duration::from_secs(5)).job(sim.job()).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Transport(TransportErrorKind::Timeout));
    let error = error.transport_error().unwrap();
    assert_eq!((error.request_sent(), sim.stalled()), (RequestSent::Maybe, 0));
}

/// Returns these keys, the last one first.
struct Keys(Mutex<Vec<AccessKey>>);

impl ProvideCredentials for Keys {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        let next = self.0.lock().unwrap().pop();
        let none = || CredentialsProviderError::new(ErrorClass::Permanent, "no more keys");
        Box::pin(async move { next.map(ProvidedCredential::access_key).ok_or_else(none) })
    }
}

#[tokio::test]
async fn a_refused_key_from_a_provider_is_replaced() {
    let sim = sim();
    let old = AccessKey::new(sim.access_key().access_key(), "rotated").unwrap();
    let keys = Keys(Mutex::new(vec![sim.access_key(), old]));
    let client = in_memory(&sim, Credentials::from_provider(keys)).project(sim.project().clone());
    assert!(client.job(sim.job()).await.unwrap().credentials_refreshed);
    assert_eq!(sim.requests(), 2);
}

#[tokio::test]
async fn an_overlong_uri_is_an_invalid_request_error() {
    let client = Client::new(
        format!("https://cce.example/{}", "a".repeat(65_500)).parse().unwrap(),
        Credentials::token("canary").unwrap(),
        Recorder::default(),
    )
    .project("project".parse().unwrap());
    let error = client.job(&"job".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Transport(TransportErrorKind::InvalidRequest));
}

/// Replies with each of these bodies in turn.
struct Bodies(Mutex<std::vec::IntoIter<&'static str>>);

impl Transport for Bodies {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let body = self.0.lock().unwrap().next().unwrap();
        let response = Response::builder().header("Date", "Sun, 02 Feb 2020 08:12:40 GMT");
        Box::pin(async move { Ok(response.body(Bytes::from_static(body.as_bytes())).unwrap()) })
    }
}

#[tokio::test]
async fn only_a_reply_that_equals_the_last_snapshot_is_unchanged() {
    let running = r#"{"status": {"phase": "Running"}}"#;
    let spaced = r#"{"status": {"phase":  "Running"}}"#;
    let rows = [
        // The last body, this body, and whether it counts as unchanged.
        (None, running, false),
        (Some(running), running, true),
        (Some(running), spaced, false),
        (Some(running), r#"{"status": {"phase": "Success"}}"#, false),
    ];
    let client = Client::new(
        "https://cce.example".parse().unwrap(),
        Credentials::token("canary").unwrap(),
        Bodies(Mutex::new(rows.map(|(_, body, _)| body).to_vec().into_iter())),
    )
    .project("p".parse().unwrap());
    let id = "j".parse().unwrap();
    for (last, body, is_unchanged) in rows {
        let last = last.map(|last| JobSnapshot::from_slice(last.as_bytes()).unwrap());
        let date = match client.job_since(&id, last.as_ref()).await.unwrap() {
            Fetched::Unchanged(unchanged) => {
                assert!(is_unchanged, "{last:?} {body}");
                unchanged.date
            }
            Fetched::Reading(reading) => {
                assert!(!is_unchanged, "{last:?} {body}");
                assert_eq!(reading.snapshot.text(), body.as_bytes());
                reading.date
            }
        };
        assert_eq!(date, "2020-02-02T08:12:40Z".parse().ok());
    }
}

#[tokio::test]
async fn an_unreadable_reply_is_an_error_even_beside_a_last_snapshot() {
    let last = JobSnapshot::from_slice(br#"{"status": {"phase": "Running"}}"#).unwrap();
    let client = Client::new(
        "https://cce.example".parse().unwrap(),
        Credentials::token("canary").unwrap(),
        Bodies(Mutex::new(vec!["<html>"].into_iter())),
    )
    .project("p".parse().unwrap());
    let error = client.job_since(&"j".parse().unwrap(), Some(&last)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
}
