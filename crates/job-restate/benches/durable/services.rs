//! Checks that two services behind one address share the budget.

use std::{sync::Arc, time::Duration};

use job_sim::{Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    measurement::Measurement,
    receiver::Receiver,
    test_bed::{Programs, Setup, TestBed},
};

const JOB_COUNT: usize = 500;
const REQUESTS_PER_SECOND: f64 = 50.0;

/// How often each job is read before the measurement begins.
const WARM_UP_READINGS: u32 = 3;
const MEASUREMENT_DURATION: Duration = Duration::from_secs(60);

/// Measures the request rate of two services with the default limits.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn two_services(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("{JOB_COUNT} running jobs, two services, {REQUESTS_PER_SECOND} requests per second");
    // A deletion is polled so often that the waits need the whole budget.
    let long = || Plan::delete_node().slower(100_000);
    let sim = Arc::new(Sim::new(long(), TimeSource::Clock));
    let receiver = Receiver::start(0).await?;
    let setup = Setup { services: &[&[], &[]], ..Setup::default() };
    let bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let body = json!({"timeout": "none"});
    let jobs = bed.watch_jobs(JOB_COUNT, |_| long(), &body).await?;
    bed.check_readings(&jobs, WARM_UP_READINGS, bounds).await;
    let before = bed.attempts().await?;
    let measured = Measurement::new(&bed, &jobs, MEASUREMENT_DURATION).await?;
    measured.check(bounds, REQUESTS_PER_SECOND, 0.95..=1.05);
    let after = bed.attempts().await?;
    let least = before.iter().zip(&after).map(|(before, after)| after - before);
    let least = least.fold(f64::MAX, f64::min) / f64::from(measured.requests());
    bounds.check("fraction of the requests that a service made, the lowest", least, 0.1..=0.55);
    measured.check_cost(bounds);
    bed.print_sizes();
    Ok(())
}
