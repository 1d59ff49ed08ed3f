//! Compares the results and the notifications of waits with the outcomes of their jobs.

use futures_util::{StreamExt, TryStreamExt, stream};
use job_model::JobId;
use job_sim::Plan;
use serde_json::Value;

use crate::{bounds::Bounds, test_bed::TestBed};

/// Every tenth job fails.
const FAILURE_INTERVAL: usize = 10;

/// Returns the plan of the job with this number: every tenth fails.
pub(crate) fn with_failures(plan: Plan, number: usize) -> Plan {
    if number.is_multiple_of(FAILURE_INTERVAL) { plan.with_failure("sold out") } else { plan }
}

/// Compares the results and the notifications with the outcomes of the jobs, whose plans have been
/// made by [`with_failures`]. `most_repeated` readings and deliveries may have been repeated.
pub(crate) async fn check_outcomes(
    bed: &TestBed,
    jobs: &[JobId],
    most_repeated: u32,
    bounds: &mut Bounds,
) -> anyhow::Result<()> {
    let status = |job| async move { bed.call(job, "status", &Value::Null).await };
    let statuses: Vec<_> = stream::iter(jobs).map(status).buffered(64).try_collect().await?;
    let (mut right, mut notified, mut late) = (0_u32, 0_u32, 0_u32);
    let received = bed.receiver.received();
    for (number, (job, status)) in jobs.iter().zip(&statuses).enumerate() {
        let outcome = if number.is_multiple_of(FAILURE_INTERVAL) { "failed" } else { "succeeded" };
        // The number of the wait follows.
        let id = format!("{}:{job}:{outcome}:", bed.sim.project());
        right += u32::from(status["end"]["outcome"] == outcome);
        notified += u32::from(received.notifications.range(id.clone()..).next().is_some_and(
            |(first, (_, content))| first.starts_with(&id) && content["outcome"] == outcome,
        ));
        let (_, ends) = bed.sim.readings(job).unwrap_or_default();
        late += ends.saturating_sub(1);
    }
    let deliveries: u32 = received.notifications.values().map(|(times, _)| times).sum();
    let jobs = jobs.len() as f64;
    bounds.check("waits with the right outcome", right.into(), jobs..=jobs);
    bounds.check("notifications with the right outcome", notified.into(), jobs..=jobs);
    bounds.check("distinct notifications", received.notifications.len() as f64, jobs..=jobs);
    let most = f64::from(most_repeated);
    let twice = f64::from(deliveries) - received.notifications.len() as f64;
    bounds.check("repeated deliveries, which receivers recognize by the id", twice, 0.0..=most);
    bounds.check("repeated readings of an end", late.into(), 0.0..=most);
    bounds.check("deliveries with a wrong signature", received.rejected.into(), 0.0..=0.0);
    Ok(())
}
