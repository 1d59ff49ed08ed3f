//! Tests the tracing span of each wait. It is the only test of its binary, because a subscriber of
//! one test can hide spans from the tests in other threads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use job_model::JobId;
use job_poller::{Fleet, Wait, schedule::Fixed};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::Client;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan, util::SubscriberInitExt};

const SECOND: Duration = Duration::from_secs(1);

fn service(plan: Plan) -> (Arc<Sim>, Client, JobId) {
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let client = sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
    let id = sim.job().clone();
    (sim, client, id)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Logs all events, and all spans when they begin and end, until the guard is dropped.
    fn install(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::DEBUG)
            .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || log.clone())
            .finish();
        subscriber.set_default()
    }

    /// Returns the log without times, and without most fields of requests.
    fn take(&self) -> String {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text.lines().map(|line| {
            let line = line.split(" time.busy").next().unwrap();
            let Some((before, request)) = line.split_once("http.request{") else {
                return line.to_owned();
            };
            let (_, after) = request.split_once("}: ").unwrap();
            format!("{before}http.request{{..}}: {after}")
        });
        lines.map(|line| line + "\n").collect()
    }
}

#[tokio::test(start_paused = true)]
async fn each_wait_is_a_span_around_its_requests() {
    let log = Log::default();
    let _guard = log.install();
    let plan = Plan::delete_node().faster(10);
    let (_sim, client, id) = service(plan.clone());
    let schedule = Fixed::new(SECOND);
    assert!(Wait::new(client, id.clone()).schedule(schedule).await.is_ok());
    let wait = log.take();

    let (sim, client, id) = service(plan.clone());
    let other = sim.add(Plan::create_cluster());
    let fleet = Fleet::builder(client).schedule(schedule).start();
    let caller = tracing::info_span!("caller");
    let watch = caller.in_scope(|| fleet.watch(id));
    assert!(watch.await.is_ok());
    drop(fleet.watch(other.clone()));
    fleet.shutdown().await;
    let fleet = log.take();

    let client = sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
    drop(tokio::time::timeout(SECOND, Wait::new(client, other)).await);
    let dropped = log.take();
    insta::assert_snapshot!(format!("A wait\n{wait}\nA fleet\n{fleet}\nA dropped wait\n{dropped}"));
}
