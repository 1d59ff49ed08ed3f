//! Compares the results and the notifications of waits with the outcomes of their jobs.

use std::time::Duration;

use job_model::JobId;
use job_sim::Plan;

use crate::{bounds::Bounds, test_bed::TestBed};

/// Every tenth job fails.
const FAILURE_INTERVAL: usize = 10;

/// When a worker was killed: the number of its endpoint, and the time.
pub(crate) type Kill = (u32, Duration);

/// How late the cloud may notice that a worker was killed.
const NOTICE_DELAY: Duration = Duration::from_millis(100);

/// Returns the plan of the job with this number: every tenth fails.
pub(crate) fn with_failures(plan: Plan, number: usize) -> Plan {
    if number.is_multiple_of(FAILURE_INTERVAL) { plan.with_failure("sold out") } else { plan }
}

/// Waits until each wait has sent its notification, and a second longer for deliveries that are
/// repeated by mistake.
pub(crate) async fn wait_for_notifications(
    bed: &TestBed,
    jobs: &[JobId],
    timeout: Duration,
) -> anyhow::Result<()> {
    bed.wait_until(timeout, "all notifications", || bed.notified() >= jobs.len()).await?;
    bed.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Compares the results and the notifications with the outcomes of the jobs, whose plans have been
/// made by [`with_failures`]. Up to `max_repeated` deliveries may have been repeated.
///
/// A job may be read again after a reading of its end only if the worker that made this reading was
/// killed in between.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn check_outcomes(
    bed: &TestBed,
    jobs: &[JobId],
    kills: &[Kill],
    max_repeated: usize,
    bounds: &mut Bounds,
) -> anyhow::Result<()> {
    let statuses = bed.statuses().await?;
    let outcomes: std::collections::HashMap<_, _> = statuses
        .into_iter()
        .filter_map(|status| Some((status.key.job, status.result?.outcome)))
        .collect();
    let readings = bed.cloud.readings();
    let (mut right, mut notified, mut repeated, mut unexplained) = (0, 0, 0, 0);
    let (deliveries, distinct, rejected) = {
        let received = bed.receiver.received();
        for (number, job) in jobs.iter().enumerate() {
            let is_failure = number.is_multiple_of(FAILURE_INTERVAL);
            let outcome = if is_failure { "failed" } else { "succeeded" };
            right += u32::from(outcomes.get(job).is_some_and(|found| found == outcome));
            // The number of the wait follows.
            let id = format!("{}:{job}:{outcome}:", bed.sim.project());
            let mut ids = received.notifications.range(id.clone()..);
            notified += u32::from(ids.next().is_some_and(|(first, (_, content))| {
                first.starts_with(&id) && content["outcome"] == outcome
            }));
        }
        let deliveries: u32 = received.notifications.values().map(|(times, _)| times).sum();
        (deliveries, received.notifications.len() as f64, received.rejected)
    };
    for readings in jobs.iter().filter_map(|job| readings.get(job.as_str())) {
        for (index, later) in readings.iter().enumerate() {
            let end = readings[..index].iter().rev().find(|reading| {
                reading.is_end && reading.answered_at.is_some_and(|at| at < later.received_at)
            });
            let Some(end) = end else { continue };
            repeated += 1;
            let is_explained = kills.iter().any(|(endpoint, at)| {
                let answered_at = end.answered_at.unwrap_or_default();
                *endpoint == end.endpoint
                    && *at + NOTICE_DELAY >= answered_at
                    && *at <= later.received_at
            });
            unexplained += u32::from(!is_explained);
        }
    }
    println!("  {repeated} requests after a reading of the end, {deliveries} deliveries");
    let count = jobs.len() as f64;
    bounds.check("waits with the right outcome", right.into(), count..=count);
    bounds.check("jobs with a notification of the right outcome", notified.into(), count..=count);
    bounds.check("distinct ids of notifications", distinct, count..=count);
    let repeated = f64::from(deliveries) - distinct;
    bounds.check("repeated deliveries, with the same id", repeated, 0.0..=max_repeated as f64);
    let what = "requests after the end, without a kill of the worker";
    bounds.check(what, unexplained.into(), 0.0..=0.0);
    bounds.check("deliveries with a wrong signature", rejected.into(), 0.0..=0.0);
    Ok(())
}
