//! Checks that a service with a wrong clock does not break pauses and deadlines.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use job_model::JobId;
use job_sim::{Plan, Sim, TimeSource};
use serde_json::{Value, json};

use crate::{
    bounds::Bounds,
    cloud::Cloud,
    faketime,
    receiver::Receiver,
    test_bed::{Programs, Setup, TestBed},
};

/// The number of waits with a deadline, and of those without one.
const JOB_COUNT: usize = 20;
const JOB_DURATION: Duration = Duration::from_secs(75);
const TIMEOUT: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_secs(5);

/// How much a time may differ from the right one, in seconds.
const TOLERANCE_SECS: f64 = 2.0;

/// Runs two services behind one address, one of them with a clock that is two minutes ahead.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn wrong_clock(programs: &Programs, bounds: &mut Bounds) -> anyhow::Result<()> {
    println!(
        "{} jobs, two services, the clock of one is off by {}",
        2 * JOB_COUNT,
        faketime::OFFSET
    );
    let skewed = faketime::variables()?;
    let plan = || Plan::create_cluster().with_duration(JOB_DURATION);
    let sim = Arc::new(Sim::new(plan(), TimeSource::Clock));
    let cloud = Cloud::start(sim.clone(), Duration::ZERO).await?;
    let receiver = Receiver::start(0).await?;
    let flags = ["--schedule", "fixed:5s"];
    let setup = Setup { flags: &flags, services: &[&[], &skewed], cloud: Some(&cloud) };
    let bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let without: Vec<_> = (0..JOB_COUNT).map(|_| bed.sim.add(plan())).collect();
    let began_without = [bed.now(); JOB_COUNT];
    // The replies have the time of the cloud, from which both services find out their offset.
    watch(&bed, &without, &json!({"timeout": "none"})).await?;
    check_readiness(&bed, bounds).await?;

    let with_deadline: Vec<_> = (0..JOB_COUNT).map(|_| bed.sim.add(plan())).collect();
    let body = json!({"timeout": format!("{}s", TIMEOUT.as_secs())});
    let refused = bed.refusals();
    let began = watch(&bed, &with_deadline, &body).await?;
    let refused = bed.refusals() - refused;
    bounds.check("refused requests that set a deadline", refused.into(), 1.0..=1e3);
    let (stopped, ended) = tokio::try_join!(
        observe_ends(&bed, &with_deadline, &began),
        observe_ends(&bed, &without, &began_without)
    )?;
    let (earliest, latest) = range(stopped.iter().map(|(at, _)| at.as_secs_f64()));
    let allowed = TIMEOUT.as_secs_f64() - TOLERANCE_SECS..=TIMEOUT.as_secs_f64() + TOLERANCE_SECS;
    bounds.check("earliest stop at a deadline, in seconds", earliest, allowed.clone());
    bounds.check("latest stop at a deadline, in seconds", latest, allowed);
    let count = |ends: &[(Duration, String)], outcome| {
        ends.iter().filter(|(_, end)| end == outcome).count() as f64
    };
    let all = JOB_COUNT as f64;
    bounds.check(
        "waits that stopped at their deadline",
        count(&stopped, "deadline_exceeded"),
        all..=all,
    );
    bounds.check("waits that ended with their job", count(&ended, "succeeded"), all..=all);
    let (_, latest) = range(ended.iter().map(|(at, _)| at.as_secs_f64()));
    let until = (JOB_DURATION + PAUSE).as_secs_f64() + TOLERANCE_SECS;
    let from = JOB_DURATION.as_secs_f64() - TOLERANCE_SECS;
    bounds.check("latest end of a wait with its job, in seconds", latest, from..=until);
    let pauses = without.iter().flat_map(|job| {
        let times = cloud.reading_times(job);
        times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect::<Vec<_>>()
    });
    let (shortest, longest) = range(pauses);
    let allowed = PAUSE.as_secs_f64() - TOLERANCE_SECS..=PAUSE.as_secs_f64() + TOLERANCE_SECS;
    bounds.check("shortest pause between two readings, in seconds", shortest, allowed.clone());
    bounds.check("longest pause between two readings, in seconds", longest, allowed);
    Ok(())
}

/// Checks that the service with the wrong clock, and only that one, reports it.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
async fn check_readiness(bed: &TestBed, bounds: &mut Bounds) -> anyhow::Result<()> {
    let (wrong, reason) =
        ready_page(bed, 1, |status, reason| !status.is_success() && reason.contains("clock"))
            .await?;
    let (right, _) = ready_page(bed, 0, |status, _| status.is_success()).await?;
    println!("  /ready of the service with the wrong clock: {wrong}: {}", reason.trim());
    bounds.check("status of /ready with the right clock", right.as_u16().into(), 200.0..=200.0);
    bounds.check("status of /ready with the wrong clock", wrong.as_u16().into(), 503.0..=503.0);
    let names_clock = f64::from(u8::from(reason.contains("clock")));
    bounds.check("reasons of /ready that name the clock", names_clock, 1.0..=1.0);
    let is_error = |line: &&str| line.contains("ERROR") && line.contains("clock");
    let errors = |service: usize| bed.services[service].log().lines().filter(is_error).count();
    bounds.check("errors about the clock, of the right one", errors(0) as f64, 0.0..=0.0);
    bounds.check("errors about the clock, of the wrong one", errors(1) as f64, 1.0..=10.0);
    Ok(())
}

/// How long a service may take to get its first grant, and to notice that its clock is wrong.
const MAX_DETECTION: Duration = Duration::from_secs(30);

/// Returns `/ready` of a service, when it is as expected.
async fn ready_page(
    bed: &TestBed,
    service: usize,
    is_expected: impl Fn(StatusCode, &str) -> bool,
) -> anyhow::Result<(StatusCode, String)> {
    let began = bed.now();
    loop {
        let (status, reason) = bed.services[service].page("ready").await?;
        if is_expected(status, &reason) || bed.now() - began > MAX_DETECTION {
            return Ok((status, reason));
        }
        bed.sleep(Duration::from_millis(200)).await;
    }
}

/// Starts the waits, and returns when each request was accepted. The test bed sends a request again
/// that a service refuses.
async fn watch(bed: &TestBed, jobs: &[JobId], body: &Value) -> anyhow::Result<Vec<Duration>> {
    let start = |job| async move {
        bed.call(job, "watch", body).await?;
        anyhow::Ok(bed.now())
    };
    stream::iter(jobs).map(start).buffered(4).try_collect().await
}

/// Waits until all waits have finished. Returns how long after its time in `began` each one had, and
/// its outcome.
async fn observe_ends(
    bed: &TestBed,
    jobs: &[JobId],
    began: &[Duration],
) -> anyhow::Result<Vec<(Duration, String)>> {
    let mut ends: Vec<Option<(Duration, String)>> = vec![None; jobs.len()];
    let (limit, first) = (3 * JOB_DURATION, bed.now());
    while ends.iter().any(Option::is_none) && bed.now() - first < limit {
        let statuses = bed.call_all(jobs, "status").await?;
        for ((end, began), status) in ends.iter_mut().zip(began).zip(statuses) {
            let has_finished = status["state"] == "ended" || status["state"] == "stopped";
            if end.is_none() && has_finished {
                let outcome = status["end"]["outcome"].as_str().unwrap_or("no outcome").to_owned();
                *end = Some((bed.now() - *began, outcome));
            }
        }
        bed.sleep(Duration::from_millis(200)).await;
    }
    Ok(ends.into_iter().map(|end| end.unwrap_or_else(|| (limit, "none".into()))).collect())
}

fn range(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    figures
        .fold((f64::MAX, f64::MIN), |(least, most), figure| (least.min(figure), most.max(figure)))
}
