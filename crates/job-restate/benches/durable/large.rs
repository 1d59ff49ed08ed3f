//! Checks that a job of several megabytes is waited for to its end.

use std::time::Duration;

use job_sim::{Plan, Sim, TimeSource};
use serde_json::{Value, json};

use crate::{
    bounds::Bounds,
    receiver::Receiver,
    test_bed::{Programs, TestBed},
};

/// The number of nodes. Each has three sub-jobs, and a job can have 10,000.
const NODE_COUNT: u32 = 3_200;
/// The length of the cluster's id, which each sub-job has.
const CLUSTER_ID_LEN: usize = 400;
const JOB_DURATION: Duration = Duration::from_secs(40);
const MAX_DURATION: Duration = Duration::from_secs(120);

/// The time between two calls of `status`. Each one reads the job from the engine.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two calls of `watch`, which also store the job.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);

/// Waits for a job with thousands of steps.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn large_job(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    let plan = Plan::scale_up_cluster(NODE_COUNT)
        .with_cluster(&"c".repeat(CLUSTER_ID_LEN), "large")
        .with_duration(JOB_DURATION);
    let size = serde_json::to_vec(&plan.job_at(JOB_DURATION))?.len();
    println!("1 job of {JOB_DURATION:?} and {:.1} MB", size as f64 / 1e6);
    bounds.check("size of the job, in MB", size as f64 / 1e6, 6.5..=8.0);
    let sim = Sim::new(plan, TimeSource::Clock);
    let receiver = Receiver::start(0).await?;
    let notify = receiver.address.clone();
    let bed = TestBed::new(programs, sim, receiver, &["--schedule", "fixed:1s"]).await?;
    let job = bed.sim.job().clone();
    bed.call(&job, "watch", &json!({ "notify": notify })).await?;
    let began = bed.now();
    let (mut slowest_status, mut slowest_watch) = (Duration::ZERO, Duration::ZERO);
    let mut watched = began;
    let end = loop {
        let called = bed.now();
        let status = bed.call(&job, "status", &Value::Null).await?;
        slowest_status = slowest_status.max(bed.now() - called);
        if status["state"] != "waiting" || called - began > MAX_DURATION {
            break status;
        }
        if bed.now() - watched > WATCH_INTERVAL {
            watched = bed.now();
            bed.call(&job, "watch", &json!({ "notify": notify })).await?;
            slowest_watch = slowest_watch.max(bed.now() - watched);
        }
        bed.sleep(STATUS_INTERVAL).await;
    };
    let late = (bed.now() - began).saturating_sub(JOB_DURATION);
    println!("  {} after {} attempts", end["end"]["outcome"], end["end"]["attempts"]);
    let is_right = end["end"]["outcome"] == "succeeded";
    bounds.check("waits with the right outcome", f64::from(u8::from(is_right)), 1.0..=1.0);
    bounds.check("seconds from the end of the job to its report", late.as_secs_f64(), 0.0..=10.0);
    bounds.check("slowest `status`, in seconds", slowest_status.as_secs_f64(), 0.0..=2.0);
    bounds.check("slowest `watch`, in seconds", slowest_watch.as_secs_f64(), 0.0..=2.0);
    bounds.check(
        "readings of the job",
        bed.sim.readings(&job).unwrap_or_default().0.into(),
        10.0..=100.0,
    );
    let notified = || bed.receiver.received().notifications.len();
    bed.wait_until("the notification", || notified() > 0).await?;
    let kib = bed.receiver.received().largest_body as f64 / 1024.0;
    bounds.check("size of the notification, in KiB", kib, 0.1..=256.0);
    bed.print_sizes();
    Ok(())
}
