//! Checks that a worker with a wrong clock does not break pauses and deadlines.

use std::{collections::HashMap, time::Duration};

use job_model::JobId;
use job_poller::WaitPolicy;
use job_sim::Plan;
use job_store::Watch;

use crate::{
    Form,
    bounds::Bounds,
    faketime,
    test_bed::{Kind, Limits, TestBed},
};

/// The number of waits with a deadline, and of those without one.
const JOB_COUNT: usize = 20;

/// The time between two readings of a job.
const PAUSE: Duration = Duration::from_secs(4);

/// How much a time may differ from the right one, in seconds.
const TOLERANCE_SECS: f64 = 2.0;

/// Runs two workers, one of them with a clock that is two minutes ahead.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn wrong_clock(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let (duration, timeout) = form.select((75, 40), (18, 10));
    let (duration, timeout) = (Duration::from_secs(duration), Duration::from_secs(timeout));
    let limits = Limits { interval: Some(PAUSE), ..Limits::DEFAULT };
    let Some(mut bed) = TestBed::new("clock", Kind::Postgres, limits).await? else { return Ok(()) };
    println!(
        "{} jobs, two workers, the clock of one is off by {}",
        2 * JOB_COUNT,
        faketime::OFFSET
    );
    bed.add_worker(&[]).await?;
    bed.add_worker(&faketime::variables()?).await?;
    let plan = |_| Plan::create_cluster().with_duration(duration);
    let began = bed.now();
    let policy = WaitPolicy::new().no_timeout();
    let without = bed.watch_jobs(JOB_COUNT, plan, &Watch::new().policy(policy)).await?;
    let policy = WaitPolicy::new().timeout(timeout);
    let with_deadline = bed.watch_jobs(JOB_COUNT, plan, &Watch::new().policy(policy)).await?;

    let ends = observe_ends(&bed, 2 * JOB_COUNT, began, 3 * duration).await?;
    let of = |jobs: &[JobId], outcome: &str| -> Vec<f64> {
        let ends = jobs.iter().filter_map(|job| ends.get(job));
        ends.filter(|(_, found)| found == outcome).map(|(at, _)| at.as_secs_f64()).collect()
    };
    let (stopped, ended) = (of(&with_deadline, "deadline_exceeded"), of(&without, "succeeded"));
    let all = JOB_COUNT as f64;
    bounds.check("waits that stopped at their deadline", stopped.len() as f64, all..=all);
    bounds.check("waits that ended with their job", ended.len() as f64, all..=all);
    let allowed = timeout.as_secs_f64() - TOLERANCE_SECS..=timeout.as_secs_f64() + TOLERANCE_SECS;
    let (earliest, latest) = range(stopped.into_iter());
    bounds.check("earliest stop at a deadline, in seconds", earliest, allowed.clone());
    bounds.check("latest stop at a deadline, in seconds", latest, allowed);
    let (_, latest) = range(ended.into_iter());
    let until = (duration + PAUSE).as_secs_f64() + TOLERANCE_SECS;
    let from = duration.as_secs_f64() - TOLERANCE_SECS;
    bounds.check("latest end of a wait with its job, in seconds", latest, from..=until);
    let pauses = without.iter().flat_map(|job| {
        let times = bed.cloud.reading_times(job);
        times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect::<Vec<_>>()
    });
    let (shortest, longest) = range(pauses);
    let allowed = PAUSE.as_secs_f64() - TOLERANCE_SECS..=PAUSE.as_secs_f64() + TOLERANCE_SECS;
    bounds.check("shortest pause between two readings, in seconds", shortest, allowed.clone());
    bounds.check("longest pause between two readings, in seconds", longest, allowed);
    let readings = bed.cloud.readings();
    for endpoint in [1, 2] {
        let count = readings.values().flatten().filter(|reading| reading.endpoint == endpoint);
        let what = format!("requests of worker {endpoint}");
        bounds.check(&what, count.count() as f64, 10.0..=1e4);
    }
    Ok(())
}

/// Waits until all waits have finished. Returns how long after `began` each one had, and its outcome.
async fn observe_ends(
    bed: &TestBed,
    count: usize,
    began: Duration,
    timeout: Duration,
) -> anyhow::Result<HashMap<JobId, (Duration, String)>> {
    let mut ends = HashMap::new();
    while ends.len() < count && bed.now() - began < timeout {
        for status in bed.statuses().await? {
            if let Some(result) = status.result {
                let end = (bed.now() - began, result.outcome);
                ends.entry(status.key.job).or_insert(end);
            }
        }
        bed.sleep(Duration::from_millis(100)).await;
    }
    Ok(ends)
}

fn range(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    figures
        .fold((f64::MAX, f64::MIN), |(least, most), figure| (least.min(figure), most.max(figure)))
}
