//! Whole waits through the real client, under a paused clock: in memory, and over TLS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use job_poller::{Ended, Event, Fixed, Outcome, Wait, WaitErrorKind};
use job_sim::{Fault, Pace, Plan, Sim, SimServer, SimTransport};
use job_transport::{Client, Credentials, HyperTransport, Tls, TlsProvider};
use tokio::{sync::mpsc, time::Instant};

fn in_memory(sim: &Arc<Sim>) -> Wait {
    let transport = SimTransport::new(sim.clone());
    Wait::new(sim.client("https://cce.example".parse().unwrap(), transport), sim.job().clone())
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
    sim.fault(Fault::Reset);
    sim.fault(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
    sim.fault(Fault::Status(StatusCode::TOO_MANY_REQUESTS));
    let (wait, events) = recorded(in_memory(&sim));
    assert!(wait.await.unwrap().into_success().is_ok());
    insta::assert_snapshot!(events.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_day_of_faults_ends_at_the_deadline() {
    let sim = on_the_clock(Plan::create_cluster());
    (0..10_000).for_each(|_| sim.fault(Fault::Status(StatusCode::BAD_GATEWAY)));
    let day = Duration::from_secs(24 * 60 * 60);
    #[expect(clippy::disallowed_methods, reason = "the paused clock, to see what the wait took")]
    let began = Instant::now();
    let error = in_memory(&sim).timeout(day).await.unwrap_err();
    assert_eq!(error.kind, WaitErrorKind::DeadlineExceeded);
    assert!(began.elapsed() <= day && began.elapsed() >= day - Duration::from_secs(2));
    assert!(error.fault.unwrap().message.contains("502"));
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
            sim.fault(Fault::Reset);
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
    assert_eq!((error.kind, service.sim.requests()), (WaitErrorKind::Unauthorized, 1));
    assert_eq!(error.fault.as_ref().and_then(|fault| fault.status), Some(401));
    assert!(!format!("{error} {error:?}").contains("canary"));
}
