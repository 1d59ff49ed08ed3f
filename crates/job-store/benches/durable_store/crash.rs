//! Checks that no outcome and no notification is lost while workers and the database are killed.

use std::time::Duration;

use fastrand::Rng;
use job_poller::WaitPolicy;
use job_sim::Plan;
use job_store::Watch;

use crate::{
    Form,
    bounds::Bounds,
    outcomes::{Kill, check_outcomes, wait_for_notifications, with_failures},
    postgres::Postgres,
    test_bed::{Kind, Limits, TestBed},
};

const WORKER_COUNT: usize = 4;

/// The seed of the times, and of the workers that are killed.
const SEED: u64 = 20_261_201;

/// The maximum number of deliveries of one worker at the same time.
const MAX_DELIVERIES: usize = 16;

/// The timeout of an attempt. A wait whose worker was killed is read again after this time and 30 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the notifications may take after the last kill. Another worker repeats a delivery after
/// two minutes.
const MAX_DELAY: Duration = Duration::from_secs(300);

/// Kills random workers, which are started again at once, and at times the database.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn killed_processes(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let job_count = form.select(10_000, 300);
    let limits = Limits { requests_per_second: 100.0, max_in_flight: 50, ..Limits::DEFAULT };
    let Some(mut bed) = TestBed::new("crash", Kind::Postgres, limits).await? else { return Ok(()) };
    println!(
        "{job_count} jobs; {WORKER_COUNT} workers and PostgreSQL are killed at random (seed {SEED})"
    );
    let mut random = Rng::with_seed(SEED);
    let durations = form.select(30..420, 2..25);
    let durations: Vec<u64> = (0..job_count).map(|_| random.u64(durations.clone())).collect();
    let plan = |number| {
        let duration = Duration::from_secs(durations[number]);
        with_failures(Plan::create_cluster().with_duration(duration), number)
    };
    let policy = WaitPolicy::new().attempt_timeout(ATTEMPT_TIMEOUT);
    let watch = Watch::new().policy(policy).notify(&bed.receiver.address);
    let began = bed.now();
    bed.add_workers(WORKER_COUNT).await?;
    let jobs = bed.watch_jobs(job_count, plan, &watch).await?;
    println!("  submitted in {:.1?}", bed.now() - began);
    let end = bed.now() + Duration::from_secs(form.select(600, 20));
    let pauses = form.select(1.0..5.0, 0.5..2.0);
    let database_pauses = form.select(15.0..45.0, 4.0..8.0);
    let seconds = |random: &mut Rng, range: &std::ops::Range<f64>| {
        Duration::from_secs_f64(range.start + random.f64() * (range.end - range.start))
    };
    let mut kills: Vec<Kill> = Vec::new();
    let mut database_kills = 0;
    let mut next_database = bed.now() + seconds(&mut random, &database_pauses);
    while bed.now() < end {
        bed.sleep(seconds(&mut random, &pauses)).await;
        let index = random.usize(..WORKER_COUNT);
        bed.workers[index].kill()?;
        kills.push((index as u32 + 1, bed.now()));
        bed.workers[index].restart()?;
        if bed.now() >= next_database {
            let down = seconds(&mut random, &(0.0..3.0));
            bed.postgres.as_mut().map(Postgres::kill);
            bed.sleep(down).await;
            // Blocks this thread. The cloud and the receiver have another one.
            bed.postgres.as_mut().map(Postgres::restart);
            database_kills += 1;
            next_database = bed.now() + seconds(&mut random, &database_pauses);
        }
    }
    println!(
        "  {} workers and {database_kills} databases killed, {} of {job_count} notified",
        kills.len(),
        bed.notified()
    );
    wait_for_notifications(&bed, &jobs, MAX_DELAY).await?;
    println!("  all notified after {:.1?}", bed.now() - began);
    // Each kill may repeat the deliveries in flight, and a database the records of all workers.
    let max_repeated = MAX_DELIVERIES * (kills.len() + WORKER_COUNT * database_kills);
    check_outcomes(&bed, &jobs, &kills, max_repeated, bounds).await
}
