//! Whole waits through the real client, under a paused clock: in memory, and over TLS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use job_model::Phase;
use job_poller::{Ended, Event, Fault, FaultKind, Fixed, Outcome, Wait, WaitErrorKind};
use job_sim::{Fault as SimFault, Pace, Plan, Sim, SimServer, SimTransport};
use job_transport::{
    AccessKey, Client, Credentials, Endpoint, HyperTransport, Identity, Tls, TlsProvider,
};
use tokio::{sync::mpsc, time::Instant};

fn in_memory(sim: &Arc<Sim>) -> Wait {
    let transport = SimTransport::new(sim.clone());
    let client = sim.client("https://cce.example".parse().unwrap(), transport);
    Wait::new(client, sim.job().clone()).seed(0)
}

fn on_the_clock(plan: Plan) -> Arc<Sim> {
    Arc::new(Sim::new(plan, Pace::Clock))
}

/// Collects each event as a line.
fn recorded(wait: Wait) -> (Wait, Arc<Mutex<String>>) {
    let lines = Arc::<Mutex<String>>::default();
    let record = lines.clone();
    (wait.on_event(move |_, event| *record.lock().unwrap() += &format!("{event}\n")), lines)
}

#[tokio::test(start_paused = true)]
async fn a_job_is_waited_for_until_it_succeeds() {
    let sim = on_the_clock(Plan::create_cluster());
    let (wait, events) = recorded(in_memory(&sim).schedule(Fixed::new(Duration::from_millis(500))));
    let ended = wait.await.unwrap();
    assert_eq!((ended.attempts, ended.elapsed), (11, Duration::from_secs(5)));
    assert_eq!(ended.into_success().unwrap().uid(), Some(sim.job().as_str()));
    insta::assert_snapshot!(events.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_ends_with_its_failing_step_and_reason() {
    let sim = on_the_clock(Plan::create_cluster().failing("no such flavor"));
    let ended = in_memory(&sim).await.unwrap();
    assert!(matches!(ended.outcome, Outcome::Failed(_)));
    insta::assert_snapshot!(ended.into_success().unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn transient_faults_do_not_end_a_wait() {
    let sim = on_the_clock(Plan::create_cluster());
    sim.fault(SimFault::Reset);
    sim.fault(SimFault::Status(StatusCode::SERVICE_UNAVAILABLE));
    sim.fault(SimFault::Status(StatusCode::TOO_MANY_REQUESTS));
    let (wait, events) = recorded(in_memory(&sim));
    assert!(wait.await.unwrap().into_success().is_ok());
    insta::assert_snapshot!(events.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_day_of_faults_ends_at_the_deadline() {
    let sim = on_the_clock(Plan::create_cluster());
    (0..10_000).for_each(|_| sim.fault(SimFault::Status(StatusCode::BAD_GATEWAY)));
    let day = Duration::from_secs(24 * 60 * 60);
    #[expect(clippy::disallowed_methods, reason = "the paused clock, to see what the wait took")]
    let began = Instant::now();
    let error = in_memory(&sim).timeout(day).await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
    assert!(began.elapsed() <= day && began.elapsed() >= day - Duration::from_secs(2));
    assert!(error.fault().unwrap().message.contains("502"));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_beyond_any_clock_is_no_panic() {
    let sim = on_the_clock(Plan::create_cluster());
    assert!(in_memory(&sim).timeout(Duration::MAX).await.unwrap().into_success().is_ok());
}

/// A TLS server in the test's own runtime, so that the paused clock holds for both sides. Its job
/// moves on by a second with each reading.
struct OverTls {
    sim: Arc<Sim>,
    server: SimServer,
}

impl OverTls {
    async fn start() -> Self {
        let pace = Pace::PerReading(Duration::from_secs(1));
        let sim = Arc::new(Sim::new(Plan::create_cluster(), pace));
        let server = SimServer::start(sim.clone()).await.unwrap();
        Self { sim, server }
    }

    fn wait(&self, credentials: Credentials) -> Wait {
        let tls = Tls::ca_pem(TlsProvider::aws_lc_rs(), self.server.ca_pem()).unwrap();
        let endpoint = self.server.endpoint().parse().unwrap();
        let project = self.sim.project().clone();
        let client = Client::new(endpoint, credentials, HyperTransport::new(tls)).project(project);
        Wait::new(client, self.sim.job().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_killed_and_brought_back_does_not_end_the_wait() {
    let mut service = OverTls::start().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let wait = service.wait(service.sim.credentials());
    let wait = wait.on_event(move |_, event| tell.send(event.clone()).unwrap());
    let ended = tokio::spawn(wait.into_future());

    while !matches!(told.recv().await.unwrap(), Event::Phase { .. }) {}
    service.server.kill().await.unwrap();
    while !matches!(told.recv().await.unwrap(), Event::Fault { in_a_row: 3, .. }) {}
    service.server.revive().await.unwrap();

    let ended: Ended = ended.await.unwrap().unwrap();
    assert_eq!(ended.outcome, Outcome::Succeeded);
    assert_eq!(service.server.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_reset_in_the_middle_does_not_end_the_wait() {
    let service = OverTls::start().await;
    let sim = service.sim.clone();
    let reset = move |event: &Event| {
        if matches!(event, Event::Phase { .. } | Event::SubJob { .. }) {
            sim.fault(SimFault::Reset);
        }
    };
    let wait = service.wait(service.sim.credentials()).on_event(move |_, event| reset(event));
    assert_eq!(wait.await.unwrap().outcome, Outcome::Succeeded);
    assert!(service.server.connections() > 3, "{}", service.server.connections());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_ends_the_wait_at_once() {
    let service = OverTls::start().await;
    let error = service.wait(Credentials::token("canary").unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), service.sim.requests()), (WaitErrorKind::Unauthorized, 1));
    assert_eq!(error.fault().and_then(Fault::status), Some(401));
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_the_reply_is_heeded() {
    let sim = on_the_clock(Plan::create_cluster());
    let mut reply = Response::new("".into());
    *reply.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("20"));
    sim.fault(SimFault::Reply(reply));
    let ended = in_memory(&sim).await.unwrap();
    assert_eq!((ended.attempts, ended.elapsed), (2, Duration::from_secs(20)));
    // It ended at 5 s; `Date` has whole seconds.
    let delay = ended.detection_delay.unwrap();
    assert!((14..=15).contains(&delay.as_secs()), "{delay:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_is_renewed_and_told_once() {
    let sim = on_the_clock(Plan::create_cluster());
    let transport = SimTransport::new(sim.clone());
    let endpoint: Endpoint = "https://cce.example".parse().unwrap();
    let identity = Identity::new(endpoint.clone(), sim.login(), transport.clone());
    let client = Client::new(endpoint, Credentials::provided(identity), transport);
    let client = client.project(sim.project().clone());
    let mut renewed = 0;
    let mut events = Wait::new(client, sim.job().clone()).events();
    while let Some((_, event)) = events.next().await {
        match event {
            Event::Phase { to: Some(Phase::Initializing), .. } => sim.expire_tokens(),
            Event::Renewed => renewed += 1,
            _ => {}
        }
    }
    assert_eq!(events.finish().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!((renewed, sim.logins()), (1, 2));
}

/// The second time, the token is new, and its age is not what is wrong: but not for as long as it
/// takes to believe three refusals.
#[tokio::test(start_paused = true)]
async fn tokens_that_are_revoked_twice_in_a_row_do_not_end_the_wait() {
    let sim = on_the_clock(Plan::create_cluster().slower(10));
    let transport = SimTransport::new(sim.clone());
    let endpoint: Endpoint = "https://cce.example".parse().unwrap();
    let identity = Identity::new(endpoint.clone(), sim.login(), transport.clone());
    let client = Client::new(endpoint, Credentials::provided(identity), transport);
    let client = client.project(sim.project().clone());
    let schedule = Fixed::new(Duration::from_secs(2));
    let mut events = Wait::new(client, sim.job().clone()).schedule(schedule).events();
    let mut renewed = 0;
    while let Some((_, event)) = events.next().await {
        match event {
            Event::Phase { to: Some(Phase::Initializing), .. } => sim.expire_tokens(),
            Event::Renewed => {
                renewed += 1;
                if renewed == 1 {
                    sim.expire_tokens();
                }
            }
            _ => {}
        }
    }
    assert_eq!(events.finish().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!((renewed, sim.logins()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_signature_ends_the_wait_at_once() {
    let sim = on_the_clock(Plan::create_cluster());
    let key = AccessKey::new(sim.access_key().access_key(), "rotated").unwrap();
    let client = Client::new(
        "https://cce.example".parse().unwrap(),
        Credentials::access_key(key),
        SimTransport::new(sim.clone()),
    );
    let wait = Wait::new(client.project(sim.project().clone()), sim.job().clone());
    let error = wait.await.unwrap_err();
    assert_eq!((error.kind(), sim.requests()), (WaitErrorKind::Unauthorized, 1));
    assert_eq!(error.fault().map(|fault| fault.kind), Some(FaultKind::WrongSignature));
}
