//! Waits for a hundred jobs that end after a thousand readings each, ten at a time, on a server that
//! resets connections, drains them, cuts bodies short and answers 503.

use std::{pin::pin, time::Duration};

use anyhow::{Context, ensure};
use futures_util::{
    StreamExt, TryStreamExt,
    future::{Either, select},
    stream,
};
use job_model::JobId;
use job_poller::{
    Outcome, Wait, WaitPolicy,
    schedule::{Exponential, Fixed},
};
use job_transport::Client;

use crate::{
    RequestCounter,
    server::Server,
    usage::{Growth, SAMPLES, Sample},
};

/// Number of jobs, and of waits at a time.
pub(crate) const JOBS: u32 = 100;
const CONCURRENCY: usize = 10;

/// Number of readings until a job ends, and of all polls.
const READINGS: u32 = 1_000;
const POLLS: u32 = JOBS * READINGS;

/// The delay between two polls of a job, and after a failed one.
const DELAY: Duration = Duration::from_millis(1);
const MAX_ERROR_DELAY: Duration = Duration::from_millis(20);

/// The bounds. A leak of 10 bytes for each poll exceeds that of the memory. For a moment after a
/// reset, each wait can have a connection. The server resets or drains a hundred connections, so a
/// leak of one each exceeds the other bounds.
pub(crate) const MAX_GROWTH: Growth = Growth { memory_kib: 768, descriptors: 10, tasks: 20 };

/// Waits for all jobs, and takes a sample after each hundredth part of the polls.
///
/// # Errors
///
/// Returns an error if a wait fails, or if the waits leave descriptors or tasks behind.
pub(crate) async fn run(server: &Server) -> anyhow::Result<Vec<Sample>> {
    let idle = Sample::take(0)?;
    let mut samples = vec![idle];
    poll_all(server, &mut samples).await?;
    let Sample { descriptors, tasks, .. } = idle;
    let end = Sample::take_settled(POLLS, &idle).await?;
    ensure!(
        end.has_settled(&idle),
        "the polls began with {descriptors} descriptors and {tasks} tasks, and left {} and {}",
        end.descriptors,
        end.tasks,
    );
    Ok(samples)
}

async fn poll_all(server: &Server, samples: &mut Vec<Sample>) -> anyhow::Result<()> {
    let counter = RequestCounter::default();
    let client = server.client(counter.transport(server.transport()?))?;
    let waits = stream::iter(server.jobs()?).map(|id| wait(client.clone(), id));
    let mut waits = Box::pin(waits.buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>());
    loop {
        let is_over = match select(waits.as_mut(), pin!(counter.next())).await {
            Either::Left((result, _)) => {
                result?;
                true
            }
            Either::Right(_) => false,
        };
        let polls = counter.count();
        if is_over {
            ensure!(polls >= POLLS, "only {polls} polls were made");
            return Ok(());
        }
        let due = POLLS / SAMPLES as u32 * samples.len() as u32;
        if polls >= due && samples.len() <= SAMPLES {
            samples.push(Sample::take(polls)?);
        }
    }
}

/// Waits for a job, which must succeed.
async fn wait(client: Client, id: JobId) -> anyhow::Result<()> {
    let backoff = Exponential::new(DELAY..=MAX_ERROR_DELAY);
    let wait = Wait::new(client, id.clone());
    let wait = wait.policy(WaitPolicy::new().backoff(backoff)).schedule(Fixed::new(DELAY));
    let job = wait.await.with_context(|| format!("the wait for {id} failed"))?;
    ensure!(job.outcome == Outcome::Succeeded, "{id} ended as {:?}", job.outcome);
    ensure!(job.attempts > READINGS, "{id} ended after {} polls", job.attempts);
    Ok(())
}
