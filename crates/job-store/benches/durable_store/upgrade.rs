//! Checks that nothing is lost or repeated if workers are replaced one after the other.

use std::time::Duration;

use job_sim::Plan;
use job_store::Watch;

use crate::{
    Form,
    bounds::Bounds,
    outcomes::{check_outcomes, wait_for_notifications, with_failures},
    test_bed::{Kind, Limits, TestBed},
};

const WORKER_COUNT: usize = 3;

/// Replaces each worker in the middle of the waits: a new one starts, and then the old one stops.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn rolling_upgrade(form: Form, bounds: &mut Bounds) -> anyhow::Result<()> {
    let job_count = form.select(2_000, 300);
    let Some(mut bed) = TestBed::new("upgrade", Kind::Postgres, Limits::DEFAULT).await? else {
        return Ok(());
    };
    println!("{job_count} jobs; {WORKER_COUNT} workers are replaced one after the other");
    let (shortest, step) = form.select((20, 4), (2, 1));
    let plan = |number| {
        // The ends are spread over the time in which workers are replaced.
        let duration = Duration::from_secs(shortest + step * (number as u64 % 15));
        with_failures(Plan::create_cluster().with_duration(duration), number)
    };
    let watch = Watch::new().notify(&bed.receiver.address);
    let jobs = bed.watch_jobs(job_count, plan, &watch).await?;
    bed.add_workers(WORKER_COUNT).await?;
    let pause = Duration::from_secs(form.select(20, 4));
    for index in 0..WORKER_COUNT {
        bed.sleep(pause).await;
        bed.add_worker(&[]).await?;
        bed.sleep(Duration::from_secs(1)).await;
        let began = bed.now();
        bed.workers[index].stop()?;
        println!(
            "  worker {index} stopped within {:.1?}, {} notified",
            bed.now() - began,
            bed.notified()
        );
    }
    // A delivery that a stop has interrupted is repeated after two minutes.
    wait_for_notifications(&bed, &jobs, Duration::from_secs(200)).await?;
    check_outcomes(&bed, &jobs, &[], 0, bounds).await?;
    let mut of_endpoint = [0_u32; 2 * WORKER_COUNT + 1];
    for reading in bed.cloud.readings().values().flatten() {
        of_endpoint[reading.endpoint as usize] += 1;
    }
    let least = of_endpoint[1..].iter().min().copied().unwrap_or_default();
    bounds.check("requests of any worker, the lowest number", least.into(), 1.0..=1e6);
    Ok(())
}
