//! Starts fleets and drops them with their waits at different moments.

use std::time::Duration;

use anyhow::Context;
use job_model::JobId;
use job_poller::{Event, Fleet, WaitPolicy, fleet::FleetEvents, schedule::Exponential};
use job_transport::Client;

use crate::{
    RequestCounter,
    server::Server,
    usage::{Growth, SAMPLES, Sample},
};

/// Number of fleets, and of the waits of each.
const FLEETS: u32 = 1_000;
pub(crate) const WAITS: u32 = 10;

/// Large enough that the first request for each job is sent at once.
const REQUESTS_PER_SECOND: f64 = 10_000.0;

/// The bounds. A leak of 1 KiB for each fleet exceeds that of the memory. Dropped fleets leave no
/// descriptor and no task.
pub(crate) const MAX_GROWTH: Growth = Growth { memory_kib: 768, descriptors: 0, tasks: 0 };

/// When a fleet is dropped.
#[derive(Clone, Copy, Debug)]
enum DropAt {
    /// Before its task runs.
    Start,
    /// While its requests are in flight.
    Requests,
    /// When each job was read.
    Readings,
}

const DROPS: [DropAt; 3] = [DropAt::Start, DropAt::Requests, DropAt::Readings];

/// Starts and drops all fleets, and takes a sample after each hundredth part of them. Every second
/// fleet has connections of its own, which end with it.
pub(crate) async fn run(server: &Server) -> anyhow::Result<Vec<Sample>> {
    let jobs = server.endless_jobs()?;
    let counter = RequestCounter::default();
    let client = || server.client(counter.transport(server.transport()?));
    let shared_client = client()?;
    // Opens the shared connection. A fault can be the reply.
    let first = jobs.first().context("there are jobs")?;
    while shared_client.job(first).await.is_err() {}
    let idle = Sample::take(0)?;
    let mut samples = vec![idle];
    for fleet in 1..=FLEETS {
        let client = if fleet % 2 == 0 { shared_client.clone() } else { client()? };
        let drop_at = DROPS[fleet as usize % DROPS.len()];
        start_and_drop(client, &jobs, drop_at, &counter).await?;
        if fleet % (FLEETS / SAMPLES as u32) == 0 {
            samples.push(Sample::take_settled(fleet, &idle).await?);
        }
    }
    Ok(samples)
}

/// Starts a fleet that waits for all jobs, and drops it.
async fn start_and_drop(
    client: Client,
    jobs: &[JobId],
    drop_at: DropAt,
    counter: &RequestCounter,
) -> anyhow::Result<()> {
    let backoff = Exponential::new(Duration::from_millis(1)..=Duration::from_millis(20));
    let fleet = Fleet::builder(client)
        .requests_per_second(REQUESTS_PER_SECOND)
        .policy(WaitPolicy::new().backoff(backoff))
        .start();
    let mut waits: Vec<FleetEvents> =
        jobs.iter().map(|id| fleet.watch(id.clone()).events()).collect();
    match drop_at {
        DropAt::Start => {}
        DropAt::Requests => counter.next().await,
        DropAt::Readings => {
            for wait in &mut waits {
                read(wait).await?;
            }
        }
    }
    Ok(())
}

/// Waits until the job was read.
async fn read(wait: &mut FleetEvents) -> anyhow::Result<()> {
    loop {
        let (_, event) = wait.next().await.context("a wait for an endless job ended")??;
        if matches!(event, Event::Phase { .. }) {
            return Ok(());
        }
    }
}
