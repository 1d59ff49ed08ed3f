//! Tests that PostgreSQL keeps what a worker has reported, also if it crashes at that moment. Without
//! PostgreSQL, the test is skipped and the output says so.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/postgres.rs"]
mod postgres;
#[path = "common/postgres_restart.rs"]
mod postgres_restart;

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use job_poller::{
    observer::{Observer, WaitFinished},
    schedule::Fixed,
};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_store::{Store, WaitKey, Watch, Worker};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::postgres::Postgres;

/// Kills the database when a wait is reported as finished.
struct Crash {
    postgres: Mutex<Postgres>,
    killed: UnboundedSender<()>,
}

impl Observer for Crash {
    fn wait_finished(&self, _: &WaitFinished) {
        self.postgres.lock().unwrap().kill();
        self.killed.send(()).unwrap();
    }
}

async fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(4).connect(url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_was_reported_survives_a_crash_of_the_database() {
    let Some(postgres) = Postgres::start("crash") else { return };
    let url = postgres.url();
    let store = Store::postgres(pool(&url).await).await.unwrap();
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let job = sim.add(Plan::create_cluster().with_duration(Duration::from_millis(300)));
    let key = WaitKey { project: sim.project().clone(), job };
    store.watch(&key, &Watch::new()).await.unwrap();
    let (killed, mut crashes) = unbounded_channel();
    let crash = Arc::new(Crash { postgres: Mutex::new(postgres), killed });
    let client = sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
    let worker = Worker::new(store, client)
        .schedule(Fixed::new(Duration::from_millis(100)))
        .observer(crash.clone());
    let running = tokio::spawn(worker.run(pending()));
    crashes.recv().await.unwrap();
    running.abort();
    crash.postgres.lock().unwrap().restart();

    let store = Store::postgres(pool(&url).await).await.unwrap();
    let result = store.get(&key).await.unwrap().unwrap().result;
    assert_eq!(result.map(|result| result.outcome).as_deref(), Some("succeeded"));
}
