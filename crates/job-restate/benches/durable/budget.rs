//! Checks that all waits together use exactly the budget, and that each wait gets its share.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use job_sim::{Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    receiver::Receiver,
    test_bed::{Programs, TestBed},
};

const JOB_COUNT: u32 = 2_000;
const REQUESTS_PER_SECOND: f64 = 50.0;

/// How long the request rate is measured, after all jobs were submitted.
const MEASUREMENT_DURATION: Duration = Duration::from_secs(240);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// The number of samples in ten seconds.
const SAMPLES_PER_WINDOW: usize = 100;

/// Measures the request rate for thousands of jobs that do not end, under a small budget.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn shared_budget(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("{JOB_COUNT} running jobs, {REQUESTS_PER_SECOND} requests per second");
    let long = || Plan::create_cluster().slower(10_000);
    let sim = Sim::new(long(), TimeSource::Clock);
    let receiver = Receiver::start(0).await?;
    let bed = TestBed::new(programs, sim, receiver, &["--requests-per-second", "50"]).await?;
    let submit = |_| {
        let bed = &bed;
        async move {
            let job = bed.sim.add(long());
            bed.call(&job, "watch", &json!({"timeout": "none"})).await?;
            anyhow::Ok(job)
        }
    };
    let jobs: Vec<_> = stream::iter(0..JOB_COUNT).map(submit).buffered(64).try_collect().await?;
    let began = bed.now();
    let mut samples = Vec::new();
    let mut last_readings = vec![(0, began); jobs.len()];
    let mut longest = Duration::ZERO;
    while bed.now() - began < MEASUREMENT_DURATION {
        samples.push((bed.now(), bed.sim.requests()));
        for (job, (before, at)) in jobs.iter().zip(&mut last_readings) {
            let (readings, _) = bed.sim.readings(job).unwrap_or_default();
            if readings != *before {
                longest = longest.max(bed.now() - *at);
                (*before, *at) = (readings, bed.now());
            }
        }
        bed.sleep(SAMPLE_INTERVAL).await;
    }
    let waiting = last_readings.iter().map(|(_, at)| bed.now() - *at).max().unwrap_or_default();
    let rates = samples.iter().zip(samples.iter().skip(SAMPLES_PER_WINDOW)).map(
        |((from, before), (to, after))| {
            f64::from(after - before) / (*to - *from).as_secs_f64() / REQUESTS_PER_SECOND
        },
    );
    let (least, most) =
        rates.fold((f64::MAX, f64::MIN), |(least, most), rate| (least.min(rate), most.max(rate)));
    bounds.check("fraction of the budget used, lowest in any ten seconds", least, 0.95..=1.05);
    bounds.check("fraction of the budget used, highest in any ten seconds", most, 0.95..=1.05);
    let round_robin_gap = f64::from(JOB_COUNT) / REQUESTS_PER_SECOND;
    let gap = longest.max(waiting).as_secs_f64() / round_robin_gap;
    bounds.check("longest gap of any wait, relative to round-robin", gap, 0.0..=2.0);
    let fewest = last_readings.iter().map(|(readings, _)| *readings).min().unwrap_or_default();
    bounds.check("lowest number of readings of any job", fewest.into(), 2.0..=1e6);
    bed.print_sizes();
    Ok(())
}
