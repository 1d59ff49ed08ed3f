//! Checks that the request rate falls while the cloud throttles, and recovers afterwards.

use std::time::Duration;

use job_poller::WaitPolicy;
use job_sim::{Fault, Plan};
use job_store::Watch;

use crate::{
    Form,
    bounds::Bounds,
    cloud::without_retry_after,
    measurement::Measurement,
    test_bed::{Kind, Limits, TestBed},
};

const JOB_COUNT: usize = 300;
const WORKER_COUNT: usize = 2;
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Measures the request rate before, during and after a minute of throttling.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn throttled_minute(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let seconds = |long, short| Duration::from_secs(form.select(long, short));
    // With `Retry-After`, and then without. The rate recovers within half a minute.
    let throttling = [seconds(30, 5), seconds(30, 5)];
    let (before, recovery, after) = (seconds(20, 5), seconds(45, 30), seconds(20, 5));
    let limits = Limits::DEFAULT;
    let Some(mut bed) = TestBed::new("throttled", Kind::Postgres, limits).await? else {
        return Ok(());
    };
    let in_all: Duration = throttling.iter().sum();
    println!(
        "{JOB_COUNT} jobs, {WORKER_COUNT} workers; the cloud throttles all requests for {in_all:?}"
    );
    let watch = Watch::new().policy(WaitPolicy::new().no_timeout());
    let plan = |_| Plan::create_cluster().slower(100_000);
    let jobs = bed.watch_jobs(JOB_COUNT, plan, &watch).await?;
    bed.add_workers(WORKER_COUNT).await?;
    bed.wait_for_readings(&jobs, 1, Duration::from_secs(60)).await?;
    let before = Measurement::new(&bed, &jobs, before).await.mean_rate();
    let mut rates = Vec::new();
    for (fault, span) in
        [Fault::Throttled(RETRY_AFTER), without_retry_after()?].into_iter().zip(throttling)
    {
        bed.cloud.set_fault(Some(fault));
        rates.push(Measurement::new(&bed, &jobs, span).await.mean_rate());
    }
    bed.cloud.set_fault(None);
    let recovering = Measurement::new(&bed, &jobs, recovery).await.mean_rate();
    let after = Measurement::new(&bed, &jobs, after).await;
    println!(
        "  requests per second: {before:.1} before, {:.2} with Retry-After, {:.2} without, \
         {recovering:.1} in the next {recovery:?}, {:.1} afterwards",
        rates[0],
        rates[1],
        after.mean_rate()
    );
    let fraction = |rate| rate / limits.requests_per_second;
    bounds.check("fraction of the budget used before", fraction(before), 0.98..=1.02);
    // Each pause ends with a few requests, which are refused again. In a short time, those that were
    // in flight when the throttling began count more.
    let highest = form.select(0.1, 0.2);
    bounds.check("fraction with 429 and Retry-After", fraction(rates[0]), 0.001..=highest);
    // Without `Retry-After`, the rate falls by 30 % per second.
    let highest = form.select(0.2, 0.5);
    bounds.check("fraction with 429 without Retry-After", fraction(rates[1]), 0.0..=highest);
    let rate = fraction(after.mean_rate());
    bounds.check("fraction of the budget used after the recovery", rate, 0.98..=1.02);
    let statuses = bed.statuses().await?;
    let active = statuses.iter().filter(|status| status.active.is_some()).count() as f64;
    let count = jobs.len() as f64;
    bounds.check("waits that are active", active, count..=count);
    Ok(())
}
