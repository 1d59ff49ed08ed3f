//! Checks that waits end with the outcome of their job, and send one notification each, although
//! the service and the engine are killed in between.

use std::time::Duration;

use job_model::JobId;
use job_sim::{Fault, Plan, Sim, TimeSource};
use serde_json::{Value, json};

use crate::{
    bounds::Bounds,
    outcomes::{check_outcomes, with_failures},
    receiver::Receiver,
    test_bed::{Programs, TestBed},
};

/// How much longer the simulated jobs take than their plans: 60 s instead of 5 s.
const SLOWDOWN_FACTOR: u32 = 12;

/// Waits for one job while the service is killed, and later the engine.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn one_wait(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!("1 job of 60 s: the service is killed during an attempt, later the engine");
    let sim = Sim::new(Plan::create_cluster().slower(SLOWDOWN_FACTOR), TimeSource::Clock);
    let receiver = Receiver::start(2).await?;
    let mut bed = TestBed::new(programs, sim, receiver, &["--schedule", "fixed:1s"]).await?;
    let job = bed.sim.job().clone();
    let notify = bed.receiver.address.clone();
    bed.call(&job, "watch", &json!({"notify": notify})).await?;
    let (sim, readings) =
        (bed.sim.clone(), |sim: &Sim, job: &JobId| sim.readings(job).unwrap_or_default());
    bed.wait_until("10 readings", || readings(&sim, &job).0 >= 10).await?;
    // The service and the engine are each killed during an attempt.
    stall_next_request(&bed).await?;
    bed.services[0].process.kill()?;
    bed.sleep(Duration::from_secs(3)).await;
    bed.services[0].process.restart()?;
    let before = readings(&sim, &job).0;
    bed.wait_until("5 more readings", || readings(&sim, &job).0 >= before + 5).await?;
    stall_next_request(&bed).await?;
    bed.engine.kill()?;
    bed.sleep(Duration::from_secs(3)).await;
    bed.engine.restart()?;
    let two = Duration::from_secs(120);
    bed.wait_until_with_timeout(two, "the notification", || {
        !bed.receiver.received().notifications.is_empty()
    })
    .await?;
    // Wait for a possible second delivery.
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
    bounds.check("waits with the right outcome", f64::from(u8::from(is_right)), 1.0..=1.0);
    bounds.check(
        "readings that the wait did not record",
        f64::from(reading_count) - counted,
        0.0..=1.0,
    );
    bounds.check("readings of the end", ends.into(), 1.0..=1.0);
    let received = bed.receiver.received();
    let deliveries: u32 = received.notifications.values().map(|(times, _)| times).sum();
    bounds.check("notifications", received.notifications.len() as f64, 1.0..=1.0);
    bounds.check(
        "accepted deliveries, after two that were answered with a 503",
        deliveries.into(),
        1.0..=1.0,
    );
    bounds.check("deliveries with a wrong signature", received.rejected.into(), 0.0..=0.0);
    drop(received);
    bed.print_sizes();
    Ok(())
}

/// Makes the cloud leave the next request unanswered, and waits until that request arrives.
async fn stall_next_request(bed: &TestBed) -> anyhow::Result<()> {
    let before = bed.sim.stalled();
    bed.sim.inject_fault(Fault::Stall);
    bed.wait_until("an attempt", || bed.sim.stalled() > before).await
}

/// The number of jobs.
const JOB_COUNT: usize = 10_000;
/// The maximum number of requests in flight.
const MAX_IN_FLIGHT: u32 = 50;
/// How often the service and the engine are killed.
const KILL_COUNT: u32 = 2;

/// Waits for thousands of jobs while the service and the engine are killed twice.
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
    let plan = |number| with_failures(Plan::create_cluster().slower(SLOWDOWN_FACTOR), number);
    let jobs = bed.watch_jobs(JOB_COUNT, plan, &json!({"notify": notify})).await?;
    println!("  submitted in {:.1?}", bed.now() - began);
    let notified = |bed: &TestBed| bed.receiver.received().notifications.len();
    for part in [JOB_COUNT / 10, JOB_COUNT / 2] {
        let minutes = Duration::from_secs(15 * 60);
        bed.wait_until_with_timeout(minutes, "a part of the notifications", || {
            notified(&bed) >= part
        })
        .await?;
        println!("  killed after {:.1?}, {} notified", bed.now() - began, notified(&bed));
        bed.services[0].process.kill()?;
        bed.engine.kill()?;
        bed.sleep(Duration::from_secs(2)).await;
        bed.engine.restart()?;
        bed.services[0].process.restart()?;
    }
    let minutes = Duration::from_secs(15 * 60);
    bed.wait_until_with_timeout(minutes, "all notifications", || notified(&bed) >= JOB_COUNT)
        .await?;
    println!("  all notified after {:.1?}", bed.now() - began);
    bed.sleep(Duration::from_secs(10)).await;
    // A kill between a reading or a delivery and its record repeats it, at most for each request in
    // flight.
    check_outcomes(&bed, &jobs, MAX_IN_FLIGHT * KILL_COUNT, bounds).await?;
    bed.print_sizes();
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("no outcome")
}
