//! Checks that waits continue whose ticks an operator has ended at the engine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::StatusCode;
use job_model::JobId;
use job_sim::{Fault, Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    receiver::Receiver,
    test_bed::{Programs, Setup, TestBed},
};

/// The number of waits whose ticks are ended in each way, and of those that are left alone.
const GROUP_SIZE: usize = 4;
const JOB_COUNT: usize = 8 * GROUP_SIZE;

/// Until when a wait must have continued.
const MAX_REVIVAL: Duration = Duration::from_secs(120);

/// The gauge of waits that stand still.
const GAUGE: &str = "cce_job_stalled_waits";

/// The state of a tick, and how it is ended. The engine refuses to purge a tick that has not ended.
const WAYS: [(&str, &str); 5] = [
    ("scheduled", "kill"),
    ("scheduled", "cancel"),
    ("scheduled", "purge"),
    ("running", "kill"),
    ("running", "cancel"),
];

/// A wait whose tick was ended.
struct Ended {
    way: (&'static str, &'static str),
    job: JobId,
    readings: u32,
    /// The seconds until the next reading.
    revived_after: Option<Duration>,
    was_stalled: bool,
}

/// Kills, cancels and purges ticks of waits.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn ended_ticks(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("{JOB_COUNT} running jobs; ticks are killed, canceled and purged at the engine");
    let long = || Plan::create_cluster().slower(100_000);
    let sim = Arc::new(Sim::new(long(), TimeSource::Clock));
    let receiver = Receiver::start(0).await?;
    let setup = Setup { flags: &["--schedule", "fixed:15s"], ..Setup::default() };
    let bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let body = json!({"timeout": "none", "attempt_timeout": "10s"});
    let jobs = bed.watch_jobs(JOB_COUNT, |_| long(), &body).await?;
    let readings = |job: &JobId| bed.sim.readings(job).unwrap_or_default().0;
    bed.check_readings(&jobs, 1, bounds).await;
    let keys: BTreeMap<_, _> =
        jobs.iter().map(|job| (format!("{}:{job}", bed.sim.project()), job)).collect();
    let mut ended: Vec<Ended> = Vec::new();
    for (status, how) in WAYS {
        if status == "running" {
            bed.sim.inject_faults((0..GROUP_SIZE).map(|_| Some(Fault::Stall)));
            bed.wait_until("attempts in flight", || bed.sim.stalled() as usize >= GROUP_SIZE)
                .await?;
        }
        let mut count = 0;
        for tick in bed.admin.ticks().await? {
            let Some(&job) = keys.get(&tick.key) else { continue };
            let is_first = ended.iter().all(|ended| ended.job != *job);
            if tick.status == status && is_first && count < GROUP_SIZE {
                let reply = bed.admin.end(&tick.id, how).await?;
                if reply == StatusCode::CONFLICT {
                    println!("  {how} of a {status} tick: {reply}");
                    break;
                }
                // The tick may have ended since the query.
                if !reply.is_success() {
                    continue;
                }
                count += 1;
                ended.push(Ended {
                    way: (status, how),
                    job: job.clone(),
                    readings: readings(job),
                    revived_after: None,
                    was_stalled: false,
                });
            }
        }
        println!("  {how} of a {status} tick: {count} times");
        // The attempts that are left stalled must not be those of the next group.
        bed.wait_until("the end of the stalled attempts", || bed.sim.stalled() == 0).await?;
    }
    let began = bed.now();
    let mut gauge: f64 = 0.0;
    while bed.now() - began < MAX_REVIVAL && ended.iter().any(|wait| wait.revived_after.is_none()) {
        let waiting = ended.iter().filter(|wait| wait.revived_after.is_none());
        let waiting: Vec<_> = waiting.map(|wait| wait.job.clone()).collect();
        let statuses = bed.call_all(&waiting, "status").await?;
        for (job, status) in waiting.iter().zip(statuses) {
            let wait = ended.iter_mut().find(|wait| wait.job == *job);
            let Some(wait) = wait else { continue };
            wait.was_stalled |= status["state"] == "stalled";
            if readings(job) > wait.readings {
                wait.revived_after = Some(bed.now() - began);
            }
        }
        gauge = gauge.max(bed.metric_sum(GAUGE).await?);
        bed.sleep(Duration::from_secs(1)).await;
    }
    for way in WAYS {
        let group = || ended.iter().filter(|wait| wait.way == way);
        let count = group().count();
        let revived = group().filter_map(|wait| wait.revived_after).max();
        let stalled = group().filter(|wait| wait.was_stalled).count();
        let lost = group().filter(|wait| wait.revived_after.is_none()).count();
        let (status, how) = way;
        println!(
            "  {status}, {how}: {count} ticks; {stalled} waits stalled, {lost} lost, the last one \
             continued after {revived:.0?}"
        );
    }
    let lost = ended.iter().filter(|wait| wait.revived_after.is_none()).count();
    bounds.check("waits that had not continued after two minutes", lost as f64, 0.0..=0.0);
    bounds.check("highest number of stalled waits in the gauge", gauge, 1.0..=JOB_COUNT as f64);
    let (began, mut left) = (bed.now(), bed.metric_sum(GAUGE).await?);
    while left > 0.0 && bed.now() - began < MAX_REVIVAL {
        bed.sleep(Duration::from_secs(1)).await;
        left = bed.metric_sum(GAUGE).await?;
    }
    bounds.check("stalled waits at the end", left, 0.0..=0.0);
    Ok(())
}
