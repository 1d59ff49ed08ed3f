//! Measures how long a claim takes if PostgreSQL has 100,000 waits, the size of the database, and the
//! processor time.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::{Context, ensure};
use job_poller::WaitPolicy;
use job_sim::Plan;
use job_store::Watch;
use sqlx::{PgPool, Row};

use crate::{
    Form,
    bounds::Bounds,
    measurement::Measurement,
    test_bed::{Kind, Limits, TestBed},
};

const WORKER_COUNT: usize = 4;

/// The bound of the time to claim waits, in milliseconds: 99 % of the transactions take less.
const MAX_CLAIM_MILLIS: f64 = 20.0;

/// Measures the claims of many waits: first all are due, then their times are spread as after a
/// complete round.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn many_waits(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let job_count = form.select(100_000, 10_000);
    let limits = Limits::DEFAULT;
    let Some(mut bed) = TestBed::new("many", Kind::Postgres, limits).await? else { return Ok(()) };
    println!("{job_count} waits in PostgreSQL, {WORKER_COUNT} workers");
    let url = bed.postgres.as_ref().context("it runs")?.url();
    let pool = PgPool::connect(&url).await?;
    // Only the start of the waits is faster with it. The measurement has the default.
    execute(&pool, "ALTER SYSTEM SET synchronous_commit = off").await?;
    execute(&pool, "SELECT pg_reload_conf()").await?;
    let began = bed.now();
    let watch = Watch::new().policy(WaitPolicy::new().no_timeout());
    let plan = |_| Plan::delete_node().slower(1_000_000);
    let jobs = bed.watch_jobs(job_count, plan, &watch).await?;
    println!("  started in {:.1?}", bed.now() - began);
    execute(&pool, "ALTER SYSTEM RESET synchronous_commit").await?;
    execute(&pool, "SELECT pg_reload_conf()").await?;
    bed.add_workers(WORKER_COUNT).await?;
    let span = Duration::from_secs(form.select(60, 8));
    for (name, statement) in [
        ("all due", "SELECT 1"),
        (
            "spread over 2,000 s",
            "UPDATE cce_waits SET earliest = now.micros, \
             due = now.micros + (random() * 2000e6)::bigint \
             FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS micros) AS now \
             WHERE lease IS NULL",
        ),
    ] {
        execute(&pool, statement).await?;
        execute(&pool, "VACUUM ANALYZE cce_waits").await?;
        bed.sleep(Duration::from_secs(2)).await;
        let measured = Measurement::new(&bed, &jobs, span).await;
        println!(
            "  {name}: {:.1} requests per second; {:.3} cores in PostgreSQL, {:.3} in the workers",
            measured.mean_rate(),
            measured.postgres_cores(),
            measured.worker_cores()
        );
        let claims = claim_millis(&bed, &pool, span / 2).await?;
        let at = |part: f64| claims[((claims.len() - 1) as f64 * part) as usize];
        println!(
            "  {name}: {} claims, p50 {:.1} ms, p90 {:.1} ms, max {:.1} ms",
            claims.len(),
            at(0.5),
            at(0.9),
            at(1.0)
        );
        let what = format!("{name}: time to claim in ms, p99");
        bounds.check(&what, at(0.99), 0.0..=MAX_CLAIM_MILLIS);
    }
    let size: i64 = sqlx::query("SELECT pg_database_size(current_database())")
        .fetch_one(&pool)
        .await?
        .try_get(0)?;
    println!("  size of the database: {} MiB", size >> 20);
    Ok(())
}

/// Measures the transactions that claim waits, in milliseconds, from the log of the server. Returns
/// them in order.
async fn claim_millis(bed: &TestBed, pool: &PgPool, span: Duration) -> anyhow::Result<Vec<f64>> {
    let log = bed.postgres.as_ref().context("it runs")?.folder.join("log");
    let earlier = fs::read(&log)?.len();
    for setting in [
        // The process and the time in milliseconds, and each statement with its duration.
        "ALTER SYSTEM SET log_line_prefix = '%p %n '",
        "ALTER SYSTEM SET log_parameter_max_length = 0",
        "ALTER SYSTEM SET log_min_duration_statement = 0",
        "SELECT pg_reload_conf()",
    ] {
        execute(pool, setting).await?;
    }
    bed.sleep(span).await;
    execute(pool, "ALTER SYSTEM RESET log_min_duration_statement").await?;
    execute(pool, "SELECT pg_reload_conf()").await?;
    let log = fs::read(&log)?;
    let log = String::from_utf8_lossy(log.get(earlier..).unwrap_or_default());
    let mut claims = Vec::new();
    // By process: when its transaction began, and whether it claims waits, if that is known.
    let mut transactions: HashMap<&str, (f64, Option<bool>)> = HashMap::new();
    for line in log.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let Some((time, text)) = rest.split_once(' ') else { continue };
        let Ok(time) = time.parse::<f64>() else { continue };
        if text.contains("statement: BEGIN") {
            transactions.insert(process, (time, None));
        } else if text.ends_with("statement: COMMIT") {
            if let Some((began, Some(true))) = transactions.remove(process) {
                claims.push((time - began) * 1000.0);
            }
        } else if let Some((_, is_claim @ None)) = transactions.get_mut(process)
            && text.contains(": SELECT")
        {
            // A claim locks the budget first.
            *is_claim = Some(text.contains("FROM cce_budget"));
        }
    }
    ensure!(claims.len() > 10, "the log of PostgreSQL contains only {} claims", claims.len());
    claims.sort_by(f64::total_cmp);
    Ok(claims)
}

async fn execute(pool: &PgPool, statement: &'static str) -> anyhow::Result<()> {
    sqlx::raw_sql(statement).execute(pool).await?;
    Ok(())
}
