//! Checks that no outcome is lost if an SQLite database has reached its largest size.

use std::{
    fs::{self, File},
    path::Path,
    sync::Mutex,
    time::Duration,
};

use anyhow::Context;
use job_sim::Plan;
use job_store::{Store, Watch};
use sqlx::{AssertSqlSafe, Row, SqlitePool, sqlite::SqlitePoolOptions};
use tokio::sync::watch;

use crate::{
    Form,
    bounds::Bounds,
    database::{Address, sqlite_options},
    outcomes::{check_outcomes, wait_for_notifications, with_failures},
    test_bed::{Kind, Limits, TestBed},
    worker,
};

/// The number of pages that the database may have in the end.
const MAX_PAGES: i64 = 1_000_000;

/// Returns the number of lines of a log with this text.
fn count(log: &Path, text: &str) -> usize {
    let log = fs::read_to_string(log).unwrap_or_default();
    log.lines().filter(|line| line.contains(text)).count()
}

/// Fills an SQLite database while waits are active, and permits it to grow later.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn full_database(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let job_count = form.select(2_000, 200);
    let limits = Limits { requests_per_second: 100.0, ..Limits::DEFAULT };
    let bed = TestBed::new("full", Kind::Sqlite, limits).await?.context("it needs no server")?;
    println!("{job_count} jobs; SQLite reaches its max_page_count, which is raised later");
    let log = bed.folder().join("worker.log");
    // The worker logs from several tasks.
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let _ = subscriber.with_writer(Mutex::new(File::create(&log)?)).try_init();
    let Address::Sqlite(file) = &bed.address else { return Ok(()) };
    // The limit belongs to a connection.
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(sqlite_options(file)).await?;
    let store = Store::sqlite(pool.clone()).await?.notifier(worker::notifier()?);
    let worker = bed.config(bed.cloud.endpoint()).worker(store)?;
    let plan = |number| {
        let duration = Duration::from_secs(form.select(20, 5) + number as u64 % 10);
        with_failures(Plan::create_cluster().with_duration(duration), number)
    };
    let watch_options = Watch::new().notify(&bed.receiver.address);
    let jobs = bed.watch_jobs(job_count, plan, &watch_options).await?;
    let (stop, mut stopped) = watch::channel(false);
    let worker = worker.run(async move { _ = stopped.wait_for(|is_stopped| *is_stopped).await });
    let worker = tokio::spawn(worker);
    bed.sleep(Duration::from_secs(2)).await;
    let pages = fill(&pool).await?;
    println!("  full with {pages} pages, {} notified", bed.notified());
    let errors = || count(&log, "database or disk is full");
    bed.wait_until(Duration::from_secs(60), "an error", || errors() > 0).await?;
    let (requests, notified) = (requests(&bed), bed.notified());
    bed.sleep(Duration::from_secs(form.select(30, 5))).await;
    println!(
        "  {} errors logged; {} requests and {} notifications while full",
        errors(),
        self::requests(&bed) - requests,
        bed.notified() - notified
    );
    bounds.check("logged errors", errors() as f64, 1.0..=1e5);
    let before = count(&log, "database or disk is full");
    set_max_page_count(&pool, MAX_PAGES).await?;
    wait_for_notifications(&bed, &jobs, Duration::from_secs(300)).await?;
    println!("  {} errors logged after the limit was raised", errors() - before);
    check_outcomes(&bed, &jobs, &[], job_count, bounds).await?;
    let _ = stop.send(true);
    worker.await?;
    Ok(())
}

fn requests(bed: &TestBed) -> usize {
    bed.cloud.readings().values().map(Vec::len).sum()
}

/// Fills the database with rows of another table, and returns the number of pages.
async fn fill(pool: &SqlitePool) -> anyhow::Result<i64> {
    sqlx::query("CREATE TABLE filler (bytes BLOB)").execute(pool).await?;
    let pages: i64 = sqlx::query("PRAGMA page_count").fetch_one(pool).await?.try_get(0)?;
    set_max_page_count(pool, pages).await?;
    for size in [4000, 1000, 100] {
        let sql = "INSERT INTO filler (bytes) VALUES (zeroblob($1))";
        while sqlx::query(sql).bind(size).execute(pool).await.is_ok() {}
    }
    Ok(pages)
}

async fn set_max_page_count(pool: &SqlitePool, pages: i64) -> anyhow::Result<()> {
    let pragma = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(pragma).fetch_one(pool).await?;
    Ok(())
}
