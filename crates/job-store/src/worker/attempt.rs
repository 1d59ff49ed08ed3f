//! Makes the attempt of a wait: one request, and lookups of sub-jobs if the job has failed.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::{
    Event, FinishedJob, WaitError,
    budget::AttemptStats,
    durable::StoredWait,
    machine::{Action, Input},
    observer::{AttemptFinished, AttemptResult, WaitStarted},
};
use job_transport::{Client, clock::Clock as _};
use tracing::{Instrument as _, field::Empty};

use super::{Worker, claim::ClaimedWait};
use crate::row::WaitState;

/// What follows an attempt.
pub(super) enum Next {
    /// The next attempt is due after this delay.
    Plan(Duration),
    Finish(Box<Result<FinishedJob, WaitError>>),
}

/// The result of an attempt.
pub(super) struct Attempt {
    pub(super) wait: StoredWait,
    pub(super) next: Next,
    pub(super) stats: AttemptStats,
    /// The time of the result, by the clock of the database.
    pub(super) ended_at: Timestamp,
}

impl Worker {
    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Makes the attempt of a wait, and stores its result.
    pub(super) async fn attempt(&self, claimed: ClaimedWait) {
        self.clock.sleep(claimed.pause).await;
        let WaitState::Active(wait, _) = &claimed.row.state else { return };
        if let Some(observer) = &self.observer
            && wait.checkpoint().attempts() == 0
        {
            observer.wait_started(&WaitStarted::new(claimed.row.key.job.clone()));
        }
        let span = tracing::info_span!(
            target: "job_store::wait",
            "cce.wait",
            cce.job.id = claimed.row.key.job.as_str(),
            cce.wait.outcome = Empty,
        );
        let wait = (**wait).clone();
        let attempt = self.make_attempt(&claimed, wait).instrument(span.clone()).await;
        self.complete(claimed, attempt).instrument(span).await;
    }

    /// Makes the attempt that the machine asks for.
    async fn make_attempt(&self, claimed: &ClaimedWait, mut wait: StoredWait) -> Attempt {
        let ClaimedWait { row, client, share, claimed_at, monotonic, .. } = claimed;
        let now = || {
            let since = self.monotonic().saturating_sub(*monotonic);
            claimed_at.saturating_add(since).unwrap_or(Timestamp::MAX)
        };
        let schedule = self.schedule_of(client);
        let missed = if self.reads_lists { row.miss_probability } else { 1.0 };
        let mut stats = AttemptStats::default();
        // The wait is due, or a request would stay unused.
        wait.advance(now());
        let mut input = Input::Wake;
        let mut made_request = false;
        loop {
            let at = now();
            let step = wait.step_listed(&*schedule, *share, missed, at, input);
            log_events(claimed, &wait, &step.events);
            let next = match step.action {
                // Each object needs a slot of its own, because a job may have hundreds of nodes.
                Action::FetchObject { .. } if made_request => Next::Plan(Duration::ZERO),
                action @ (Action::Fetch { .. } | Action::FetchObject { .. }) => {
                    let extra = made_request;
                    let (reply, latency) = self.fetch(&client.client, action).await;
                    let mut of_request = AttemptStats::from_input(latency, &reply);
                    // A lookup of a sub-job has no slot of its own.
                    of_request.extra_requests += u32::from(extra);
                    stats = stats.merge(of_request);
                    self.observe(claimed, latency, &reply, extra);
                    (input, made_request) = (reply, true);
                    continue;
                }
                Action::SleepUntil(due) => {
                    Next::Plan(due.saturating_sub(wait.checkpoint().elapsed()))
                }
                Action::Finish(result) => Next::Finish(result),
            };
            return Attempt { wait, next, stats, ended_at: at };
        }
    }

    async fn fetch(&self, client: &Client, action: Action) -> (Input, Duration) {
        let began = self.monotonic();
        let client = client.clone();
        let input = match action {
            Action::Fetch { id, timeout, last } => {
                client.attempt_timeout(timeout).job_since(&id, last.as_ref()).await.into()
            }
            Action::FetchObject { id, timeout } => {
                client.attempt_timeout(timeout).object(&id).await.into()
            }
            Action::SleepUntil(_) | Action::Finish(_) => Input::Wake,
        };
        (input, self.monotonic().saturating_sub(began))
    }

    fn observe(&self, claimed: &ClaimedWait, latency: Duration, input: &Input, extra: bool) {
        if let (Some(observer), Some(result)) = (&self.observer, AttemptResult::from_input(input)) {
            let mut attempt = AttemptFinished::new(claimed.row.key.job.clone(), latency, result);
            attempt.is_sub_job_lookup = extra;
            attempt.is_object = matches!(input, Input::Object { .. });
            observer.attempt_finished(&attempt);
        }
    }
}

fn log_events(claimed: &ClaimedWait, wait: &StoredWait, events: &[Event]) {
    let at = wait.checkpoint().elapsed().as_secs_f64();
    for event in events {
        tracing::debug!(key = %claimed.row.key, at, "{event}");
    }
}
