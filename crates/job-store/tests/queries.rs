//! Runs the SQL of the README: the queries for operators, and two consumers of a queue.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/postgres.rs"]
mod postgres;

use std::{sync::Arc, time::Duration};

use job_notify::{Notification, Notifier, NotifierError};
use job_poller::{WaitPolicy, schedule::Fixed};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_store::{Store, WaitKey, Watch, Worker};
use job_transport::clock::{Clock, TokioClock};
use postgres::Postgres;
use sqlx::{AssertSqlSafe, Executor as _, PgPool, Row as _, SqlitePool, postgres::PgListener};
use tokio_util::sync::CancellationToken;

const README: &str = include_str!("../README.md");

/// The number of jobs, half of which fail.
const JOBS: usize = 20;

/// Returns the SQL of the README: the statement of a consumer, and the queries for operators.
fn statements() -> Vec<String> {
    let blocks = README.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().trim().to_owned()).collect()
}

/// A receiver of webhooks that is down.
struct Down;

impl Notifier for Down {
    fn deliver<'a>(
        &'a self,
        _: &'a str,
        _: &'a Notification,
    ) -> futures_core::future::BoxFuture<'a, Result<(), NotifierError>> {
        Box::pin(async { Err(NotifierError::transient("hooks.example is down")) })
    }

    fn check(&self, _: &str) -> Result<(), NotifierError> {
        Ok(())
    }
}

/// Runs waits to their end, each with a webhook that fails and a notification in the queue.
async fn finish_waits(store: &Store) {
    let store = store.clone().notifier(Down);
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let client = SimTransport::new(sim.clone());
    let client = sim.client("https://cce.example".parse().unwrap(), client);
    let short = Plan::create_cluster().with_duration(Duration::from_millis(100));
    let mut keys = Vec::new();
    for number in 0..JOBS {
        let failing = short.clone().with_failure("no such flavor");
        let plan = if number % 2 == 0 { short.clone() } else { failing };
        let key = WaitKey { project: sim.project().clone(), job: sim.add(plan) };
        let watch = Watch::new().policy(WaitPolicy::new()).enqueue("billing");
        store.watch(&key, &watch.notify("https://hooks.example/a?token=secret")).await.unwrap();
        keys.push(key);
    }
    let stop = CancellationToken::new();
    let worker =
        Worker::new(store.clone(), client).schedule(Fixed::new(Duration::from_millis(100)));
    let worker = tokio::spawn(worker.run(stop.clone().cancelled_owned()));
    let is_finished = async {
        for key in &keys {
            while store.get(key).await.unwrap().unwrap().result.is_none() {
                TokioClock::new().sleep(Duration::from_millis(50)).await;
            }
        }
        while store.undelivered().await.unwrap().len() < JOBS {
            TokioClock::new().sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_finished).await.unwrap();
    stop.cancel();
    worker.await.unwrap();
    // An overdue wait: no worker runs, and its attempt has been due for an hour.
    store.watch(&"p:overdue".parse().unwrap(), &Watch::new()).await.unwrap();
}

const MAKE_OVERDUE: &str = "UPDATE cce_waits SET due = due - 3600000000 WHERE key = 'p:overdue'";

/// Returns the values of a row as one text.
macro_rules! text {
    ($row:expr) => {{
        let value = |index| {
            let text = $row.try_get_unchecked::<Option<String>, _>(index);
            text.unwrap_or_else(|_| {
                $row.try_get_unchecked::<Option<i64>, _>(index)
                    .ok()
                    .flatten()
                    .map(|n| n.to_string())
            })
        };
        (0..$row.len()).map(|index| value(index).unwrap_or_default()).collect::<Vec<_>>().join(" ")
    }};
}

/// Checks the rows of the four queries, each as one text.
fn check(rows: &[Vec<String>]) {
    let [outcomes, overdue, failing, queues] = rows else { panic!("{rows:?}") };
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    let half = (JOBS / 2).to_string();
    for (outcome, count) in [("succeeded", &*half), ("failed", &half), ("waiting", "1")] {
        assert!(outcomes.contains(&format!("{outcome} {count}")), "{outcomes:?}");
    }
    assert!(overdue.len() == 1 && overdue[0].starts_with("p:overdue 3"), "{overdue:?}");
    assert_eq!(failing.len(), JOBS);
    let is_explained =
        |row: &String| row.contains("pending") && row.ends_with("hooks.example is down");
    assert!(failing.iter().all(is_explained), "{failing:?}");
    assert!(!failing[0].contains("secret"), "{failing:?}");
    assert!(queues.len() == 1 && queues[0].starts_with(&format!("billing {JOBS} ")), "{queues:?}");
}

#[tokio::test]
async fn the_queries_of_the_readme_run_in_sqlite() {
    let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool: SqlitePool = options.connect("sqlite::memory:").await.unwrap();
    finish_waits(&Store::sqlite(pool.clone()).await.unwrap()).await;
    pool.execute(MAKE_OVERDUE).await.unwrap();
    let mut rows = Vec::new();
    for sql in &statements()[1..] {
        // As described in the README.
        let sql = AssertSqlSafe(sql.replace("extract(epoch FROM now())", "unixepoch()"));
        let found = sqlx::query(sql).fetch_all(&pool).await.unwrap();
        rows.push(found.iter().map(|row| text!(row)).collect());
    }
    check(&rows);
    let take = AssertSqlSafe(statements()[0].replace(" FOR UPDATE SKIP LOCKED", ""));
    assert_eq!(sqlx::query(take).fetch_all(&pool).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_crash_read_each_notification_of_a_queue_exactly_once() {
    let Some(postgres) = Postgres::start("queries") else { return };
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let store = Store::postgres(pool.clone()).await.unwrap();
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("cce_outbox").await.unwrap();
    finish_waits(&store).await;
    assert_eq!(listener.recv().await.unwrap().channel(), "cce_outbox");

    pool.execute(MAKE_OVERDUE).await.unwrap();
    let statements = statements();
    let mut rows = Vec::new();
    for sql in &statements[1..] {
        let found = sqlx::raw_sql(AssertSqlSafe(sql.clone())).fetch_all(&pool).await.unwrap();
        rows.push(found.iter().map(|row| text!(row)).collect());
    }
    check(&rows);

    pool.execute("CREATE TABLE invoices (job TEXT, outcome TEXT, body TEXT)").await.unwrap();
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        consumers.spawn(consume(pool.clone(), statements[0].clone()));
    }
    let crashes: usize = consumers.join_all().await.into_iter().sum();
    assert!(crashes > 0, "no consumer crashed");
    let sql =
        "SELECT count(*) AS all, count(DISTINCT job) AS jobs FROM invoices WHERE body LIKE '{%'";
    let row = sqlx::query(sql).fetch_one(&pool).await.unwrap();
    let counts: (i64, i64) = (row.get("all"), row.get("jobs"));
    assert_eq!(counts, (20, 20));
    // The example program has the same statement.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let example = words(include_str!("../examples/consumer.rs"));
    assert!(example.contains(&words(&statements[0].replace("'billing'", "$1"))));
}

/// Consumes the queue. Crashes before each third commit. Returns how often.
async fn consume(pool: PgPool, sql: String) -> usize {
    let mut crashes = 0;
    for number in 0.. {
        let mut transaction = pool.begin().await.unwrap();
        let taken = sqlx::query_as::<_, (String, String, String)>(AssertSqlSafe(sql.clone()));
        let Some((key, outcome, body)) = taken.fetch_optional(&mut *transaction).await.unwrap()
        else {
            // Another consumer may have taken the last row, and crash.
            let sql = "SELECT count(*) FROM cce_outbox WHERE queue = 'billing'";
            let left: i64 = sqlx::query_scalar(sql).fetch_one(&mut *transaction).await.unwrap();
            if left == 0 {
                break;
            }
            continue;
        };
        let insert = sqlx::query("INSERT INTO invoices VALUES ($1, $2, $3)");
        let insert = insert.bind(key).bind(outcome).bind(body);
        insert.execute(&mut *transaction).await.unwrap();
        if number % 3 == 0 {
            crashes += 1;
            drop(transaction);
        } else {
            transaction.commit().await.unwrap();
        }
    }
    crashes
}
