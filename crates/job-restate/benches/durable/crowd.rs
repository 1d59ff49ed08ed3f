//! Checks that more services than requests in flight all make progress.

use std::{sync::Arc, time::Duration};

use job_sim::{Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    cloud::Cloud,
    measurement::Measurement,
    receiver::Receiver,
    test_bed::{Programs, Setup, TestBed},
};

const JOB_COUNT: usize = 60;
const REQUESTS_PER_SECOND: f64 = 10.0;

/// How long the cloud takes for a reply. One request in flight allows twice the rate.
const LATENCY: Duration = Duration::from_millis(50);

/// How often each job is read before the measurement begins.
const WARM_UP_READINGS: u32 = 3;
const MEASUREMENT_DURATION: Duration = Duration::from_secs(60);

/// Measures three services that may have one request in flight together.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn more_services(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!(
        "{JOB_COUNT} running jobs, three services, one request in flight, {REQUESTS_PER_SECOND} \
         requests per second"
    );
    let long = || Plan::create_cluster().slower(100_000);
    let sim = Arc::new(Sim::new(long(), TimeSource::Clock));
    let cloud = Cloud::start(sim.clone(), LATENCY).await?;
    let receiver = Receiver::start(0).await?;
    let flags = ["--max-in-flight", "1", "--requests-per-second", "10", "--schedule", "fixed:2s"];
    let setup = Setup { flags: &flags, services: &[&[], &[], &[]], cloud: Some(&cloud) };
    let bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let body = json!({"timeout": "none"});
    let jobs = bed.watch_jobs(JOB_COUNT, |_| long(), &body).await?;
    bed.check_readings(&jobs, WARM_UP_READINGS, bounds).await;
    let before = bed.attempts().await?;
    let measured = Measurement::new(&bed, &jobs, MEASUREMENT_DURATION).await?;
    let most = cloud.most_in_flight();
    bounds.check("highest number of requests in flight", most.into(), 1.0..=1.0);
    let mean = measured.mean_rate() / REQUESTS_PER_SECOND;
    bounds.check("fraction of the budget used", mean, 0.95..=1.05);
    // The waits of a service come together in its turn.
    measured.check(bounds, REQUESTS_PER_SECOND, 0.85..=1.1);
    let after = bed.attempts().await?;
    let least = before.iter().zip(&after).map(|(before, after)| after - before);
    let least = least.fold(f64::MAX, f64::min) / f64::from(measured.requests());
    bounds.check("fraction of the requests that a service made, the lowest", least, 0.1..=0.34);
    Ok(())
}
