//! Checks that all waits together use exactly the budget, and that each wait gets its share.

use std::time::Duration;

use job_sim::{Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    measurement::Measurement,
    receiver::Receiver,
    test_bed::{Programs, TestBed},
};

const JOB_COUNT: usize = 2_000;
const REQUESTS_PER_SECOND: f64 = 50.0;

/// How long the request rate is measured, after all jobs were submitted.
const MEASUREMENT_DURATION: Duration = Duration::from_secs(240);

/// Measures the request rate for thousands of jobs that do not end, under a small budget.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn shared_budget(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("{JOB_COUNT} running jobs, {REQUESTS_PER_SECOND} requests per second");
    let long = || Plan::create_cluster().slower(10_000);
    let sim = Sim::new(long(), TimeSource::Clock);
    let receiver = Receiver::start(0).await?;
    let bed = TestBed::new(programs, sim, receiver, &["--requests-per-second", "50"]).await?;
    let jobs = bed.watch_jobs(JOB_COUNT, |_| long(), &json!({"timeout": "none"})).await?;
    let measured = Measurement::new(&bed, &jobs, MEASUREMENT_DURATION).await?;
    measured.check(bounds, REQUESTS_PER_SECOND, 0.95..=1.05);
    measured.check_cost(bounds);
    bed.print_sizes();
    Ok(())
}
