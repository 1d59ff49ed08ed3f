//! Tests stores on real databases, with real time: SQLite in a file, and a PostgreSQL server that the
//! tests start. Without PostgreSQL, its part is skipped and the output says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/postgres.rs"]
mod postgres;

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use job_notify::{Notification, Notifier, NotifierError};
use job_poller::schedule::Fixed;
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_store::{ListQuery, Store, StoreError, WaitKey, Watch, Worker};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::{Transport, TransportError},
};
use postgres::Postgres;
use sqlx::{
    PgPool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

/// The simulated cloud with a latency, which counts requests.
#[derive(Clone)]
struct Cloud {
    sim: Arc<Sim>,
    transport: SimTransport,
    /// The times of the requests, and how many are in flight, now and at most.
    requests: Arc<Mutex<(Vec<Duration>, usize, usize)>>,
}

impl Cloud {
    fn new() -> Self {
        let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
        let transport = SimTransport::new(sim.clone());
        Self { sim, transport, requests: Arc::default() }
    }

    /// Adds jobs that end after some seconds, and returns the keys of their waits.
    fn add(&self, jobs: usize) -> Vec<WaitKey> {
        let add = |number: usize| {
            let duration = Duration::from_millis(1000 + 37 * (number as u64 % 100));
            let plan = Plan::create_cluster().with_duration(duration);
            let plan =
                if number.is_multiple_of(5) { plan.with_failure("no such flavor") } else { plan };
            WaitKey { project: self.sim.project().clone(), job: self.sim.add(plan) }
        };
        (0..jobs).map(add).collect()
    }

    fn worker(&self, store: &Store) -> Worker {
        let client = self.sim.client("https://cce.example".parse().unwrap(), self.clone());
        Worker::new(store.clone(), client).schedule(Fixed::new(Duration::from_millis(200)))
    }
}

impl Transport for Cloud {
    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> futures_core::future::BoxFuture<'_, Result<http::Response<bytes::Bytes>, TransportError>>
    {
        Box::pin(async move {
            {
                let mut requests = self.requests.lock().unwrap();
                let now = TokioClock::new().monotonic();
                requests.0.push(now);
                requests.1 += 1;
                requests.2 = requests.2.max(requests.1);
            }
            TokioClock::new().sleep(Duration::from_millis(20)).await;
            let reply = self.transport.send(request).await;
            self.requests.lock().unwrap().1 -= 1;
            reply
        })
    }
}

/// Records the ids of the notifications that it delivers.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<String>>>);

impl Notifier for Receiver {
    fn deliver<'a>(
        &'a self,
        _: &'a str,
        notification: &'a Notification,
    ) -> futures_core::future::BoxFuture<'a, Result<(), NotifierError>> {
        self.0.lock().unwrap().push(notification.id().to_owned());
        Box::pin(async { Ok(()) })
    }
}

async fn sqlite(name: &str) -> Store {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    Store::sqlite(pool).await.unwrap()
}

/// Waits for 200 jobs with several workers, and checks the outcomes, the notifications and the budget.
async fn check(stores: &[Store]) {
    let (cloud, receiver) = (Cloud::new(), Receiver::default());
    let keys = cloud.add(200);
    let watch = Watch::new().notify("https://hooks.example/a");
    let stores: Vec<Store> =
        stores.iter().map(|store| store.clone().notifier(receiver.clone())).collect();
    for (key, store) in keys.iter().zip(stores.iter().cycle()) {
        store.watch(key, &watch).await.unwrap();
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut workers = tokio::task::JoinSet::new();
    for store in &stores {
        let worker = cloud.worker(store).requests_per_second(100.0).max_in_flight(8);
        let mut stopped = stopped.clone();
        workers.spawn(worker.run(async move { _ = stopped.wait_for(|stop| *stop).await }));
    }
    let clock = TokioClock::new();
    let began = clock.monotonic();
    loop {
        let active = stores[0].list(&ListQuery::new().active()).await.unwrap().waits.len();
        let delivered = receiver.0.lock().unwrap().len();
        if active == 0 && delivered >= keys.len() {
            break;
        }
        let elapsed = clock.monotonic() - began;
        assert!(elapsed < Duration::from_secs(60), "{active} active, {delivered} delivered");
        clock.sleep(Duration::from_millis(100)).await;
    }
    stop.send(true).unwrap();
    while workers.join_next().await.is_some() {}
    let mut failed = 0;
    for key in &keys {
        let result = stores[0].get(key).await.unwrap().unwrap().result.unwrap();
        failed += usize::from(result.outcome == "failed");
        assert!(matches!(&*result.outcome, "failed" | "succeeded"), "{result:?}");
    }
    assert_eq!(failed, 40);
    let delivered = receiver.0.lock().unwrap().clone();
    assert_eq!(delivered.len(), 200, "no notification is delivered twice");
    assert_eq!(delivered.iter().collect::<HashSet<_>>().len(), 200);
    let (requests, _, most) = cloud.requests.lock().unwrap().clone();
    assert!(most <= 8, "{most} in flight");
    let span = (requests[requests.len() - 1] - requests[0]).as_secs_f64();
    let rate = (requests.len() - 1) as f64 / span;
    assert!(rate <= 101.0, "{rate} requests per second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_in_sqlite_finish_within_the_budget() {
    check(&[sqlite("finish.db").await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_in_postgres_are_shared_by_workers_and_survive_migrations() {
    let Some(postgres) = Postgres::start("store") else { return };
    let mut stores = Vec::new();
    for _ in 0..4 {
        // Each opens the store, which applies the migrations once.
        stores.push(Store::postgres(postgres.pool(4).await).await.unwrap());
    }
    check(&stores).await;
    // Many callers start the same wait.
    let key: WaitKey = "p:started-by-many".parse().unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (store, key) = (stores[number % 4].clone(), key.clone());
        calls.spawn(async move { store.watch(&key, &Watch::new()).await.unwrap().number });
    }
    let numbers: HashSet<i64> = calls.join_all().await.into_iter().collect();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    let pool = postgres.pool(1).await;
    // A user who may not create tables.
    for statement in [
        "CREATE ROLE worker LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let limited = PgPool::connect_with(postgres.options().username("worker")).await.unwrap();
    let store = Store::postgres(limited).await.unwrap();
    assert!(store.hint(&key).await.unwrap());
    // A later version has changed the tables.
    sqlx::query("INSERT INTO cce_schema (version) VALUES (99)").execute(&pool).await.unwrap();
    let error = Store::postgres(pool).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error:?}");
}
