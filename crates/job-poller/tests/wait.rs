//! Whole waits with the real client under a paused clock, in memory and over TLS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use job_model::{Job, Phase};
use job_poller::{
    Event, FinishedJob, Outcome, Wait, WaitErrorKind, machine::AttemptError, schedule::Fixed,
    source::source_fn,
};
use job_sim::{Fault as SimFault, Plan, Sim, SimServer, SimTransport, TimeSource};
use job_transport::{
    Client, Credentials, Endpoint, FetchErrorKind, Reading,
    auth::{AccessKey, Identity},
    clock::{Clock, TokioClock},
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};
use tokio::{sync::mpsc, time::Instant};

fn in_memory_wait(sim: &Arc<Sim>) -> Wait {
    let transport = SimTransport::new(sim.clone());
    let client = sim.client("https://cce.example".parse().unwrap(), transport);
    Wait::new(client, sim.job().clone()).seed(0)
}

fn sim_on_clock(plan: Plan) -> Arc<Sim> {
    Arc::new(Sim::new(plan, TimeSource::Clock))
}

/// Collects each event as a line.
fn with_event_log(wait: Wait) -> (Wait, Arc<Mutex<String>>) {
    let lines = Arc::<Mutex<String>>::default();
    let record = lines.clone();
    (wait.on_event(move |_, event| *record.lock().unwrap() += &format!("{event}\n")), lines)
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_job_succeeds() {
    let sim = sim_on_clock(Plan::create_cluster());
    let (wait, events) =
        with_event_log(in_memory_wait(&sim).schedule(Fixed::new(Duration::from_millis(500))));
    let ended = wait.await.unwrap();
    assert_eq!((ended.attempts, ended.elapsed), (11, Duration::from_secs(5)));
    assert_eq!(ended.into_success().unwrap().uid(), Some(sim.job().as_str()));
    insta::assert_snapshot!(events.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_reports_its_failed_step_and_reason() {
    let sim = sim_on_clock(Plan::create_cluster().with_failure("no such flavor"));
    let ended = in_memory_wait(&sim).await.unwrap();
    assert!(matches!(ended.outcome, Outcome::Failed(_)));
    insta::assert_snapshot!(ended.into_success().unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn transient_errors_do_not_end_a_wait() {
    let sim = sim_on_clock(Plan::create_cluster());
    sim.inject_fault(SimFault::Reset);
    sim.inject_fault(SimFault::HtmlPage(StatusCode::SERVICE_UNAVAILABLE));
    sim.inject_fault(SimFault::HtmlPage(StatusCode::TOO_MANY_REQUESTS));
    let (wait, events) = with_event_log(in_memory_wait(&sim));
    assert!(wait.await.unwrap().into_success().is_ok());
    insta::assert_snapshot!(events.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_day_of_errors_ends_at_the_deadline() {
    let sim = sim_on_clock(Plan::create_cluster());
    (0..10_000).for_each(|_| sim.inject_fault(SimFault::HtmlPage(StatusCode::BAD_GATEWAY)));
    let day = Duration::from_secs(24 * 60 * 60);
    #[expect(clippy::disallowed_methods, reason = "the paused clock, to see what the wait took")]
    let began = Instant::now();
    let error = in_memory_wait(&sim).timeout(day).await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
    assert!(began.elapsed() <= day && began.elapsed() >= day - Duration::from_secs(2));
    assert!(error.last_error().unwrap().message.contains("502"));
}

#[tokio::test(start_paused = true)]
async fn the_maximum_timeout_does_not_panic() {
    let sim = sim_on_clock(Plan::create_cluster());
    assert!(in_memory_wait(&sim).timeout(Duration::MAX).await.unwrap().into_success().is_ok());
}

/// A TLS server in the runtime of the test, so that the paused clock applies to both sides. Each
/// reading advances its job by one second.
struct TlsService {
    sim: Arc<Sim>,
    server: SimServer,
}

impl TlsService {
    async fn start() -> Self {
        let pace = TimeSource::PerRequest(Duration::from_secs(1));
        let sim = Arc::new(Sim::new(Plan::create_cluster(), pace));
        let server = SimServer::start(sim.clone()).await.unwrap();
        Self { sim, server }
    }

    fn wait(&self, credentials: Credentials) -> Wait {
        let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), self.server.ca_pem()).unwrap();
        let endpoint = self.server.endpoint().parse().unwrap();
        let project = self.sim.project().clone();
        let client = Client::new(endpoint, credentials, HyperTransport::new(tls)).project(project);
        Wait::new(client, self.sim.job().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_restart_does_not_end_the_wait() {
    let mut service = TlsService::start().await;
    let (sender, mut events) = mpsc::unbounded_channel();
    let wait = service.wait(service.sim.credentials());
    let wait = wait.on_event(move |_, event| sender.send(event.clone()).unwrap());
    let ended = tokio::spawn(wait);

    while !matches!(events.recv().await.unwrap(), Event::Phase { .. }) {}
    service.server.kill().await.unwrap();
    while !matches!(events.recv().await.unwrap(), Event::AttemptFailed { in_a_row: 3, .. }) {}
    service.server.restart().await.unwrap();

    let ended: FinishedJob = ended.await.unwrap().unwrap();
    assert_eq!(ended.outcome, Outcome::Succeeded);
    assert_eq!(service.server.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn connection_resets_do_not_end_the_wait() {
    let service = TlsService::start().await;
    let sim = service.sim.clone();
    let reset = move |event: &Event| {
        if matches!(event, Event::Phase { .. } | Event::SubJob { .. }) {
            sim.inject_fault(SimFault::Reset);
        }
    };
    let wait = service.wait(service.sim.credentials()).on_event(move |_, event| reset(event));
    assert_eq!(wait.await.unwrap().outcome, Outcome::Succeeded);
    assert!(service.server.connections() > 3, "{}", service.server.connections());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_ends_the_wait_immediately() {
    let service = TlsService::start().await;
    let error = service.wait(Credentials::token("canary").unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), service.sim.requests()), (WaitErrorKind::Unauthorized, 1));
    assert_eq!(error.last_error().and_then(AttemptError::status), Some(401));
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_in_the_reply_is_honored() {
    let sim = sim_on_clock(Plan::create_cluster());
    let mut reply = Response::new("".into());
    *reply.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("20"));
    sim.inject_fault(SimFault::Reply(reply));
    let ended = in_memory_wait(&sim).await.unwrap();
    assert_eq!((ended.attempts, ended.elapsed), (2, Duration::from_secs(20)));
    // The job ended at 5 s. `Date` has a resolution of one second.
    let delay = ended.detection_delay.unwrap();
    assert!((14..=15).contains(&delay.as_secs()), "{delay:?}");
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_refreshed_and_reported_once() {
    let sim = sim_on_clock(Plan::create_cluster());
    let transport = SimTransport::new(sim.clone());
    let endpoint: Endpoint = "https://cce.example".parse().unwrap();
    let identity = Identity::new(endpoint.clone(), sim.login(), transport.clone());
    let client = Client::new(endpoint, Credentials::from_provider(identity), transport);
    let client = client.project(sim.project().clone());
    let mut refreshes = 0;
    let mut events = Wait::new(client, sim.job().clone()).events();
    while let Some((_, event)) = events.next().await {
        match event {
            Event::Phase { to: Some(Phase::Initializing), .. } => sim.expire_tokens(),
            Event::CredentialsRefreshed => refreshes += 1,
            _ => {}
        }
    }
    assert_eq!(events.finish().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!((refreshes, sim.logins()), (1, 2));
}

/// The client does not refresh a token again within 5 s of a refresh, so the second revocation
/// causes failed attempts. Three of them over at least 10 s would end the wait.
#[tokio::test(start_paused = true)]
async fn two_token_revocations_in_a_row_do_not_end_the_wait() {
    let sim = sim_on_clock(Plan::create_cluster().slower(10));
    let transport = SimTransport::new(sim.clone());
    let endpoint: Endpoint = "https://cce.example".parse().unwrap();
    let identity = Identity::new(endpoint.clone(), sim.login(), transport.clone());
    let client = Client::new(endpoint, Credentials::from_provider(identity), transport);
    let client = client.project(sim.project().clone());
    let schedule = Fixed::new(Duration::from_secs(2));
    let mut events = Wait::new(client, sim.job().clone()).schedule(schedule).events();
    let mut refreshes = 0;
    while let Some((_, event)) = events.next().await {
        match event {
            Event::Phase { to: Some(Phase::Initializing), .. } => sim.expire_tokens(),
            Event::CredentialsRefreshed => {
                refreshes += 1;
                if refreshes == 1 {
                    sim.expire_tokens();
                }
            }
            _ => {}
        }
    }
    assert_eq!(events.finish().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!((refreshes, sim.logins()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_signature_ends_the_wait_immediately() {
    let sim = sim_on_clock(Plan::create_cluster());
    let key = AccessKey::new(sim.access_key().access_key(), "rotated").unwrap();
    let client = Client::new(
        "https://cce.example".parse().unwrap(),
        Credentials::access_key(key),
        SimTransport::new(sim.clone()),
    );
    let wait = Wait::new(client.project(sim.project().clone()), sim.job().clone());
    let error = wait.await.unwrap_err();
    assert_eq!((error.kind(), sim.requests()), (WaitErrorKind::Unauthorized, 1));
    assert_eq!(error.last_error().map(|error| error.kind), Some(FetchErrorKind::WrongSignature));
}

/// A wait for a job that ends after 5 s. Each attempt takes `latency`, and the schedule reads the job
/// once in an hour. Also returns when the attempts began, in seconds.
fn hourly_wait(latency: Duration) -> (Wait, mpsc::UnboundedReceiver<f64>) {
    let (sender, attempts) = mpsc::unbounded_channel();
    let began_at = TokioClock::new().monotonic();
    let source = source_fn(move |_| {
        let elapsed = TokioClock::new().monotonic() - began_at;
        sender.send(elapsed.as_secs_f64()).unwrap();
        let phase = if elapsed < Duration::from_secs(5) { "Running" } else { "Success" };
        let body = format!(r#"{{"status": {{"phase": "{phase}"}}}}"#);
        async move {
            TokioClock::new().sleep(latency).await;
            Ok(Reading::new(Job::from_slice(body.as_bytes()).unwrap()))
        }
    });
    let schedule = Fixed::new(Duration::from_secs(3600));
    (Wait::new(source, "job-1".parse().unwrap()).schedule(schedule), attempts)
}

#[tokio::test(start_paused = true)]
async fn a_hint_reads_the_job_two_seconds_after_the_last_attempt() {
    let (mut wait, mut attempts) = hourly_wait(Duration::ZERO);
    let clock = TokioClock::new();
    let began_at = clock.monotonic();
    for hint_at in [0.5, 1.9, 2.5, 3.0, 6.5].map(Duration::from_secs_f64) {
        let left = (began_at + hint_at).saturating_sub(clock.monotonic());
        tokio::select! {
            _ = &mut wait => panic!("the wait is over"),
            () = clock.sleep(left) => wait.hint(),
        }
    }
    let ended = wait.await.unwrap();
    assert_eq!((ended.outcome, ended.attempts), (Outcome::Succeeded, 4));
    let mut began = Vec::new();
    while let Ok(at) = attempts.try_recv() {
        began.push(at);
    }
    // The hints at 0.5 s and 1.9 s read the job once, and so do those at 2.5 s and 3 s.
    assert_eq!(began, [0.0, 2.0, 4.0, 6.5]);
}

/// The reply may be older than the change that the hint announces.
#[tokio::test(start_paused = true)]
async fn a_hint_during_an_attempt_reads_the_job_again() {
    let (mut wait, mut attempts) = hourly_wait(Duration::from_secs(1));
    let mut began = Vec::new();
    while began.len() < 3 {
        tokio::select! {
            _ = &mut wait => panic!("the wait is over"),
            Some(at) = attempts.recv() => {
                began.push(at);
                wait.hint();
            }
        }
    }
    // An attempt takes one second, and the next one begins two seconds later.
    assert_eq!(began, [0.0, 3.0, 6.0]);
    assert_eq!(wait.await.unwrap().attempts, 3);
}
