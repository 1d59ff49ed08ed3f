//! Tests stores on real databases, with real time: SQLite in a file, and a PostgreSQL server that the
//! tests start. Without PostgreSQL, its part is skipped and the output says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/postgres.rs"]
mod postgres;

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use job_notify::{Notification, Notifier, NotifierError};
use job_poller::{
    observer::{AttemptFinished, Observer},
    schedule::Fixed,
};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_store::{ListQuery, Store, StoreError, WaitKey, WaitStateLabel, Watch, Worker};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::{Transport, TransportError},
};
use postgres::Postgres;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::{sync::watch, task::JoinSet};

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
    ) -> BoxFuture<'_, Result<http::Response<bytes::Bytes>, TransportError>> {
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
    ) -> BoxFuture<'a, Result<(), NotifierError>> {
        self.0.lock().unwrap().push(notification.id().to_owned());
        Box::pin(async { Ok(()) })
    }
}

/// Counts attempts.
#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

impl Observer for Attempts {
    fn attempt_finished(&self, _: &AttemptFinished) {
        self.0.fetch_add(1, Ordering::Relaxed);
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

async fn pool(postgres: &Postgres, connections: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections);
    options.connect(&postgres.url()).await.unwrap()
}

/// Waits for 200 jobs with several workers, and checks the outcomes, the notifications and the budget.
async fn check(stores: &[Store]) {
    let (cloud, receiver) = (Cloud::new(), Receiver::default());
    let keys = cloud.add(200);
    let request = Watch::new().notify("https://hooks.example/a");
    let stores: Vec<Store> =
        stores.iter().map(|store| store.clone().notifier(receiver.clone())).collect();
    for (key, store) in keys.iter().zip(stores.iter().cycle()) {
        store.watch(key, &request).await.unwrap();
    }
    let (stop, stopped) = watch::channel(false);
    let (mut workers, mut all_attempts) = (JoinSet::new(), Vec::new());
    for store in &stores {
        let attempts = Attempts::default();
        let worker = cloud.worker(store).requests_per_second(100.0).max_in_flight(8);
        let worker = worker.observer(attempts.clone());
        all_attempts.push(attempts);
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
    let attempts: Vec<usize> =
        all_attempts.iter().map(|one| one.0.load(Ordering::Relaxed)).collect();
    let lists = cloud.sim.list_requests() as usize;
    assert_eq!(attempts.iter().sum::<usize>() + lists, requests.len());
    assert!(lists > 0);
    assert!(attempts.iter().all(|one| *one >= 10), "each worker makes attempts: {attempts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_in_sqlite_finish_within_the_budget() {
    check(&[sqlite("finish.db").await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_in_postgres_are_shared_by_workers() {
    let Some(postgres) = Postgres::start("store") else { return };
    let mut stores = Vec::new();
    for _ in 0..4 {
        // Each opens the store, and only the first one creates the tables.
        stores.push(Store::postgres(pool(&postgres, 4).await).await.unwrap());
    }
    check(&stores).await;
    // Many callers start the same wait.
    let key: WaitKey = "p:started-by-many".parse().unwrap();
    let mut calls = JoinSet::new();
    for number in 0..40 {
        let (store, key) = (stores[number % 4].clone(), key.clone());
        calls.spawn(async move { store.watch(&key, &Watch::new()).await.unwrap().number });
    }
    let numbers: HashSet<i64> = calls.join_all().await.into_iter().collect();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
}

#[tokio::test]
async fn a_wait_that_is_started_while_its_project_is_paused_is_paused() {
    let Some(postgres) = Postgres::start("paused") else { return };
    let pool = pool(&postgres, 4).await;
    let store = Store::postgres(pool.clone()).await.unwrap();
    // `Store::pause` in another process, which has not committed yet.
    let mut pause = pool.begin().await.unwrap();
    for statement in [
        "SELECT pg_advisory_xact_lock(364017284, hashtext('p'))",
        "INSERT INTO cce_paused_projects (project) VALUES ('p')",
    ] {
        sqlx::query(statement).execute(&mut *pause).await.unwrap();
    }
    let key: WaitKey = "p:a".parse().unwrap();
    let started = tokio::spawn({
        let (store, key) = (store.clone(), key.clone());
        async move { store.watch(&key, &Watch::new()).await.unwrap().state }
    });
    // Without a lock, the call ends now. With one, it waits for the commit.
    let waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while !started.is_finished() && sqlx::query(waits).fetch_all(&pool).await.unwrap().is_empty() {}
    pause.commit().await.unwrap();
    assert_eq!(started.await.unwrap(), WaitStateLabel::Paused);
    store.resume(&key.project).await.unwrap();
    let status = store.get(&key).await.unwrap().unwrap();
    assert_eq!(status.state, WaitStateLabel::Waiting);
}

#[tokio::test]
async fn leases_in_postgres_are_not_released() {
    let Some(postgres) = Postgres::start("leases") else { return };
    let pool = pool(&postgres, 2).await;
    let store = Store::postgres(pool.clone()).await.unwrap();
    let key: WaitKey = "p:a".parse().unwrap();
    store.watch(&key, &Watch::new()).await.unwrap();
    let lease = "UPDATE cce_waits SET lease = 9e15";
    sqlx::query(lease).execute(&pool).await.unwrap();
    store.release_leases().await.unwrap();
    let status = store.get(&key).await.unwrap().unwrap();
    assert!(status.active.unwrap().is_in_flight, "another process makes the attempt");
}

#[tokio::test]
async fn a_store_is_opened_without_the_right_to_create_tables_but_not_with_newer_tables() {
    let Some(postgres) = Postgres::start("tables") else { return };
    let pool = pool(&postgres, 1).await;
    Store::postgres(pool.clone()).await.unwrap();
    for statement in [
        "CREATE ROLE worker LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let options: PgConnectOptions = postgres.url().parse().unwrap();
    let limited = PgPool::connect_with(options.username("worker")).await.unwrap();
    let store = Store::postgres(limited).await.unwrap();
    let key: WaitKey = "p:a".parse().unwrap();
    store.watch(&key, &Watch::new()).await.unwrap();
    assert!(store.hint(&key).await.unwrap());
    sqlx::query("INSERT INTO cce_schema (version) VALUES (99)").execute(&pool).await.unwrap();
    let error = Store::postgres(pool).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error:?}");
}
