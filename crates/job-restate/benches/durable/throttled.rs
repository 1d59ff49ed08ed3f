//! Checks that the request rate falls while the cloud throttles, and recovers afterwards.

use std::{sync::Arc, time::Duration};

use job_sim::{Fault, Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    cloud::{Cloud, without_retry_after},
    measurement::Measurement,
    outcomes::{check_outcomes, with_failures},
    receiver::Receiver,
    test_bed::{Programs, Setup, TestBed},
};

const JOB_COUNT: usize = 300;
const REQUESTS_PER_SECOND: f64 = 50.0;
const JOB_DURATION: Duration = Duration::from_secs(180);

/// How often each job is read before the measurement begins.
const WARM_UP_READINGS: u32 = 2;
const BEFORE: Duration = Duration::from_secs(15);
/// How long the cloud throttles with `Retry-After`, and then without.
const THROTTLING: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(30)];
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long the rate may take to recover.
const RECOVERY: Duration = Duration::from_secs(45);
const AFTER: Duration = Duration::from_secs(15);

/// Measures the request rate before, during and after a minute of throttling.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn throttled_minute(
    programs: &Programs,
    bounds: &mut Bounds,
) -> anyhow::Result<()> {
    println!("{JOB_COUNT} jobs of {JOB_DURATION:?}; the cloud throttles all requests for 60 s");
    let plan = |number| with_failures(Plan::create_cluster().with_duration(JOB_DURATION), number);
    let sim = Arc::new(Sim::new(plan(1), TimeSource::Clock));
    let cloud = Cloud::start(sim.clone(), Duration::ZERO).await?;
    let receiver = Receiver::start(0).await?;
    let notify = receiver.address.clone();
    let flags = ["--requests-per-second", "50", "--schedule", "fixed:2s"];
    let setup = Setup { flags: &flags, cloud: Some(&cloud), ..Setup::default() };
    let bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let jobs = bed.watch_jobs(JOB_COUNT, plan, &json!({"notify": notify})).await?;
    bed.check_readings(&jobs, WARM_UP_READINGS, bounds).await;
    let before = Measurement::new(&bed, &jobs, BEFORE).await?.mean_rate();
    let mut rates = Vec::new();
    for (fault, duration) in
        [Fault::Throttled(RETRY_AFTER), without_retry_after()?].into_iter().zip(THROTTLING)
    {
        cloud.set_fault(Some(fault));
        rates.push(Measurement::new(&bed, &jobs, duration).await?.mean_rate());
    }
    cloud.set_fault(None);
    let recovering = Measurement::new(&bed, &jobs, RECOVERY).await?.mean_rate();
    let after = Measurement::new(&bed, &jobs, AFTER).await?;
    println!(
        "  requests per second: {before:.1} before, {:.2} with Retry-After, {:.2} without, \
         {recovering:.1} in the next {RECOVERY:?}, {:.1} afterwards",
        rates[0],
        rates[1],
        after.mean_rate()
    );
    let fraction = |rate| rate / REQUESTS_PER_SECOND;
    bounds.check("fraction of the budget used before", fraction(before), 0.95..=1.05);
    bounds.check("fraction with 429 and Retry-After", fraction(rates[0]), 0.001..=0.1);
    // Without `Retry-After`, the rate falls by 30 % per second, and recovers slowly.
    bounds.check("fraction with 429 without Retry-After", fraction(rates[1]), 0.001..=0.2);
    bounds.check(
        "fraction after the recovery, lowest in any ten seconds",
        fraction(after.rates().0),
        0.95..=1.05,
    );
    let notified = || bed.receiver.received().notifications.len();
    let timeout = JOB_DURATION + Duration::from_secs(60);
    bed.wait_until_with_timeout(timeout, "all notifications", || notified() >= jobs.len()).await?;
    check_outcomes(&bed, &jobs, 0, bounds).await?;
    bed.print_sizes();
    Ok(())
}
