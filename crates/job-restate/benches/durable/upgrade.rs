//! Checks that no wait is lost if a new version of the service takes over.

use std::{sync::Arc, time::Duration};

use job_sim::{Plan, Sim, TimeSource};
use serde_json::json;

use crate::{
    bounds::Bounds,
    outcomes::{check_outcomes, with_failures},
    receiver::Receiver,
    test_bed::{Programs, Setup, TestBed},
};

const JOB_COUNT: usize = 300;
const JOB_DURATION: Duration = Duration::from_secs(90);

/// How often each job is read before the new service starts, and in all before the first stops.
const READINGS: [u32; 2] = [1, 3];

/// Registers a second service under another address, and later stops the first.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn new_version(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!(
        "{JOB_COUNT} jobs of {JOB_DURATION:?}; a new service takes over, the first is stopped"
    );
    let plan = |number| with_failures(Plan::create_cluster().with_duration(JOB_DURATION), number);
    let sim = Arc::new(Sim::new(plan(1), TimeSource::Clock));
    let receiver = Receiver::start(0).await?;
    let notify = receiver.address.clone();
    let flags = ["--requests-per-second", "50", "--schedule", "fixed:2s"];
    let setup = Setup { flags: &flags, ..Setup::default() };
    let mut bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let jobs = bed.watch_jobs(JOB_COUNT, plan, &json!({"notify": notify})).await?;
    bed.check_readings(&jobs, READINGS[0], bounds).await;
    bed.add_deployment(&flags, &[&[]]).await?;
    bed.check_readings(&jobs, READINGS[1], bounds).await;
    let attempts = bed.attempts().await?;
    bounds.check("attempts of the new service before the first stops", attempts[1], 1.0..=1e6);
    let began = bed.now();
    bed.services[0].process.stop()?;
    println!("  the first service stopped within {:.1?}", bed.now() - began);
    let timeout = JOB_DURATION + Duration::from_secs(60);
    let notified = || bed.receiver.received().notifications.len();
    bed.wait_until_with_timeout(timeout, "all notifications", || notified() >= jobs.len()).await?;
    check_outcomes(&bed, &jobs, 0, bounds).await?;
    bed.print_sizes();
    Ok(())
}
