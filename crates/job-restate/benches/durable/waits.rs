//! Waits whose service and engine are killed in the middle: each ends as its job did, and sends one notification.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use job_model::JobId;
use job_sim::{Fault, Plan, Sim, TimeSource};
use serde_json::{Value, json};

use crate::{
    bounds::Bounds,
    receiver::Receiver,
    test_bed::{Programs, TestBed},
};

/// What the simulated jobs take, of which the plans know a twelfth.
const SLOWDOWN_FACTOR: u32 = 12;

/// One job; the service is killed in the middle, and the engine after that.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn one_wait(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("1 job of 60 s: the service is killed in the middle, then the engine");
    let sim = Sim::new(Plan::create_cluster().slower(SLOWDOWN_FACTOR), TimeSource::Clock);
    let receiver = Receiver::start(2).await?;
    let mut bed = TestBed::new(programs, sim, receiver, &["--schedule", "fixed:1s"]).await?;
    let job = bed.sim.job().clone();
    let notify = bed.receiver.address.clone();
    bed.call(&job, "watch", &json!({"notify": notify})).await?;
    let (sim, readings) =
        (bed.sim.clone(), |sim: &Sim, job: &JobId| sim.readings(job).unwrap_or_default());
    bed.wait_until("it is asked for", || readings(&sim, &job).0 >= 10).await?;
    // Each is killed while an attempt is under way.
    stall_next_request(&bed).await?;
    bed.service.kill()?;
    bed.sleep(Duration::from_secs(3)).await;
    bed.service.restart()?;
    let before = readings(&sim, &job).0;
    bed.wait_until("it is asked for again", || readings(&sim, &job).0 >= before + 5).await?;
    stall_next_request(&bed).await?;
    bed.engine.kill()?;
    bed.sleep(Duration::from_secs(3)).await;
    bed.engine.restart()?;
    let two = Duration::from_secs(120);
    bed.wait_until_with_timeout(two, "the notification", || {
        !bed.receiver.received().notifications.is_empty()
    })
    .await?;
    // One that comes twice comes soon.
    bed.sleep(Duration::from_secs(5)).await;
    let status = bed.call(&job, "status", &Value::Null).await?;
    println!(
        "  {} after {} attempts, {} s",
        text(&status["end"]["outcome"]),
        status["end"]["attempts"],
        status["end"]["elapsed"]
    );
    let (reading_count, ends) = readings(&sim, &job);
    let counted = status["end"]["attempts"].as_f64().unwrap_or_default();
    let is_right = status["end"]["outcome"] == "succeeded";
    bounds.check("ended as its job did", f64::from(u8::from(is_right)), 1.0..=1.0);
    bounds.check(
        "readings more than the wait knows of",
        f64::from(reading_count) - counted,
        0.0..=1.0,
    );
    bounds.check("readings of the end", ends.into(), 1.0..=1.0);
    let received = bed.receiver.received();
    let deliveries: u32 = received.notifications.values().map(|(times, _)| times).sum();
    bounds.check("notifications", received.notifications.len() as f64, 1.0..=1.0);
    bounds.check(
        "deliveries, after two that were answered with a 503",
        deliveries.into(),
        1.0..=1.0,
    );
    bounds.check("deliveries with a wrong signature", received.rejected.into(), 0.0..=0.0);
    drop(received);
    bed.print_sizes();
    Ok(())
}

/// Lets the next request have no answer, and waits until it is there.
async fn stall_next_request(bed: &TestBed) -> anyhow::Result<()> {
    let before = bed.sim.stalled();
    bed.sim.inject_fault(Fault::Stall);
    bed.wait_until("an attempt is under way", || bed.sim.stalled() > before).await
}

/// How many jobs there are, and how many of them fail: every tenth.
const JOB_COUNT: usize = 10_000;
const FAILURE_INTERVAL: usize = 10;

/// How many requests may be in flight, and how often all is killed.
const MAX_IN_FLIGHT: u32 = 50;
const KILL_COUNT: u32 = 2;

/// Thousands of jobs; the service and the engine are killed twice.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn many_waits(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("{JOB_COUNT} jobs of 60 s: the service and the engine are killed twice");
    let sim = Sim::new(Plan::delete_node(), TimeSource::Clock);
    let receiver = Receiver::start(0).await?;
    let in_flight = MAX_IN_FLIGHT.to_string();
    let flags = ["--requests-per-second", "200", "--max-in-flight", &in_flight];
    let mut bed = TestBed::new(programs, sim, receiver, &flags).await?;
    let began = bed.now();
    let notify = bed.receiver.address.clone();
    let plan = |number: usize| {
        let plan = Plan::create_cluster().slower(SLOWDOWN_FACTOR);
        if number.is_multiple_of(FAILURE_INTERVAL) { plan.with_failure("sold out") } else { plan }
    };
    let submit = |number| {
        let (bed, body) = (&bed, json!({"notify": notify}));
        async move {
            let job = bed.sim.add(plan(number));
            bed.call(&job, "watch", &body).await?;
            anyhow::Ok(job)
        }
    };
    let jobs: Vec<_> = stream::iter(0..JOB_COUNT).map(submit).buffered(64).try_collect().await?;
    println!("  submitted in {:.1?}", bed.now() - began);
    let notified = |bed: &TestBed| bed.receiver.received().notifications.len();
    for part in [JOB_COUNT / 10, JOB_COUNT / 2] {
        let minutes = Duration::from_secs(15 * 60);
        bed.wait_until_with_timeout(minutes, "the first notifications", || notified(&bed) >= part)
            .await?;
        println!("  killed after {:.1?}, {} notified", bed.now() - began, notified(&bed));
        bed.service.kill()?;
        bed.engine.kill()?;
        bed.sleep(Duration::from_secs(2)).await;
        bed.engine.restart()?;
        bed.service.restart()?;
    }
    let minutes = Duration::from_secs(15 * 60);
    bed.wait_until_with_timeout(minutes, "all notifications", || notified(&bed) >= JOB_COUNT)
        .await?;
    println!("  all notified after {:.1?}", bed.now() - began);
    bed.sleep(Duration::from_secs(10)).await;
    check_outcomes(&bed, &jobs, bounds).await?;
    bed.print_sizes();
    Ok(())
}

/// Compares the waits and the notifications with the outcomes of the jobs.
async fn check_outcomes(bed: &TestBed, jobs: &[JobId], bounds: &mut Bounds) -> anyhow::Result<()> {
    let status = |job| async move { bed.call(job, "status", &Value::Null).await };
    let statuses: Vec<_> = stream::iter(jobs).map(status).buffered(64).try_collect().await?;
    let (mut right, mut notified, mut late) = (0_u32, 0_u32, 0_u32);
    let received = bed.receiver.received();
    for (number, (job, status)) in jobs.iter().zip(&statuses).enumerate() {
        let outcome = if number.is_multiple_of(FAILURE_INTERVAL) { "failed" } else { "succeeded" };
        let id = format!("{}:{job}:{outcome}", bed.sim.project());
        right += u32::from(status["end"]["outcome"] == outcome);
        notified += u32::from(
            received
                .notifications
                .get(&id)
                .is_some_and(|(_, content)| content["outcome"] == outcome),
        );
        let (_, ends) = bed.sim.readings(job).unwrap_or_default();
        late += ends.saturating_sub(1);
    }
    let deliveries: u32 = received.notifications.values().map(|(times, _)| times).sum();
    let jobs = jobs.len() as f64;
    bounds.check("outcomes that are right", right.into(), jobs..=jobs);
    bounds.check("notifications that are right", notified.into(), jobs..=jobs);
    bounds.check("distinct notifications", received.notifications.len() as f64, jobs..=jobs);
    // What died between a delivery, or a reading, and its record makes it once more: as many as were in flight.
    let most = f64::from(MAX_IN_FLIGHT * KILL_COUNT);
    let twice = f64::from(deliveries) - received.notifications.len() as f64;
    bounds.check("deliveries that the key absorbs", twice, 0.0..=most);
    bounds.check("readings of an end that was lost in a kill", late.into(), 0.0..=most);
    bounds.check("deliveries with a wrong signature", received.rejected.into(), 0.0..=0.0);
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("not over")
}
