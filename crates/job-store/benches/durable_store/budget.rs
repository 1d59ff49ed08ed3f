//! Checks that all workers together use exactly the budget, that each wait gets its share, and what
//! this costs.

use std::time::Duration;

use job_poller::WaitPolicy;
use job_sim::Plan;
use job_store::Watch;

use crate::{
    Form,
    bounds::Bounds,
    measurement::Measurement,
    test_bed::{Kind, Limits, TestBed},
};

/// The bound of the processor time of a database at 50 requests per second, in cores.
const MAX_CORES: f64 = 0.25;

/// The number of workers that share a PostgreSQL server.
const WORKER_COUNT: usize = 8;

/// Measures the request rate, the longest gap and the processor time, with PostgreSQL and with SQLite.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn shared_budget(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (kind, worker_count) in [(Kind::Postgres, WORKER_COUNT), (Kind::Sqlite, 1)] {
        rows.extend(measure(kind, worker_count, form, bounds).await?);
    }
    println!("  database   workers  requests/s  longest gap  cores of: PostgreSQL  workers");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
async fn measure(
    kind: Kind,
    worker_count: usize,
    form: Form,
    bounds: &mut Bounds,
) -> anyhow::Result<Option<String>> {
    let limits = Limits::DEFAULT;
    let rate = limits.requests_per_second;
    let job_count = form.select(2000, 200);
    let Some(mut bed) = TestBed::new("budget", kind, limits).await? else { return Ok(None) };
    println!(
        "{job_count} running jobs, {worker_count} workers, {kind:?}, {rate} requests per second"
    );
    let plan = |_| Plan::create_cluster().slower(100_000);
    let watch = Watch::new().policy(WaitPolicy::new().no_timeout());
    let jobs = bed.watch_jobs(job_count, plan, &watch).await?;
    bed.add_workers(worker_count).await?;
    // After the second reading, all waits have their place in the order.
    bed.wait_for_readings(&jobs, 2, Duration::from_secs(300)).await?;
    let span = form.select(120, 20);
    let measured = Measurement::new(&bed, &jobs, Duration::from_secs(span)).await;
    measured.check_rates(bounds, rate);
    measured.check_gap(bounds, rate);
    bounds.check(
        "highest number of requests in flight",
        bed.cloud.most_in_flight().into(),
        1.0..=20.0,
    );
    let (postgres, workers) = (measured.postgres_cores(), measured.worker_cores());
    match kind {
        Kind::Postgres => {
            bounds.check("processor time of PostgreSQL, in cores", postgres, 0.0..=MAX_CORES);
        }
        Kind::Sqlite => {
            bounds.check(
                "processor time of the process with SQLite, in cores",
                workers,
                0.0..=MAX_CORES,
            );
        }
    }
    Ok(Some(format!(
        "  {:<10} {worker_count:>7}  {:>10.2}  {:>9.2} s  {postgres:>20.3}  {workers:>7.3}",
        format!("{kind:?}"),
        measured.mean_rate(),
        measured.longest_gap().as_secs_f64(),
    )))
}
