//! Stores the result of an attempt in one transaction: the wait, the budget, and the notifications.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::{
    FinishedJob, WaitError, WaitErrorKind,
    durable::{StoredResult, StoredWait},
    observer::WaitFinished,
    schedule::JobObservation,
};
use job_transport::clock::Clock as _;

use super::{
    ERROR_DELAY, ScheduleSource, Worker,
    attempt::{Attempt, Next},
    claim::ClaimedWait,
};
use crate::{
    budget::SharedBudget,
    error::StoreError,
    outbox,
    row::{WaitRow, WaitState},
};

impl Worker {
    /// Stores the result of an attempt. Tries until the lease ends, because then another worker
    /// repeats the attempt.
    pub(super) async fn complete(&self, claimed: ClaimedWait, attempt: Attempt) {
        let lease = claimed.row.lease.unwrap_or(claimed.claimed_at);
        loop {
            match self.store_result(&claimed, &attempt).await {
                Ok(()) => break,
                Err(error) => {
                    let delay = self.log_error("cannot store the result of an attempt", &error);
                    let elapsed = self.monotonic().saturating_sub(claimed.monotonic) + ERROR_DELAY;
                    let left: Duration =
                        lease.duration_since(claimed.claimed_at).try_into().unwrap_or_default();
                    if elapsed >= left {
                        break;
                    }
                    self.clock.sleep(delay).await;
                }
            }
        }
    }

    /// Writes the result, unless the wait has changed since the claim.
    async fn store_result(
        &self,
        claimed: &ClaimedWait,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        let mut transaction = self.store.database.begin().await?;
        let row = WaitRow::lock(&mut transaction, &claimed.row.key).await?;
        let row = row.filter(|row| row.tick == claimed.row.tick);
        let (mut finished, mut counted) = (None, (None, None));
        if let Some(mut row) = row
            && let WaitState::Active(before, _) = &row.state
        {
            let before = before.clone();
            let (urgency, snapshot) = (before.urgency(), before.checkpoint().machine().snapshot());
            row.lease = None;
            let extension = row.extension.take();
            let mut now_urgency = None;
            match &attempt.next {
                Next::Finish(result) if !is_extended(result, extension.is_some()) => {
                    let result_row = StoredResult::new(&row.key, result);
                    let receivers = row.receivers.clone();
                    let (key, number) = (row.key.clone(), row.number);
                    let at = attempt.ended_at;
                    outbox::insert(&mut transaction, &key, number, &result_row, &receivers, at)
                        .await?;
                    row.state = WaitState::Finished(result_row, at);
                    finished = Some(WaitFinished::from_result(result));
                    if let ScheduleSource::Learned(learned) = &self.schedule {
                        learned.record(&mut transaction, observations(result)).await?;
                    }
                }
                next => {
                    let (mut wait, delay) = match next {
                        Next::Plan(delay) => (attempt.wait.clone(), *delay),
                        // The deadline has passed, but a later one was requested meanwhile.
                        Next::Finish(_) => ((*before).clone(), Duration::ZERO),
                    };
                    if let Some(extension) = extension {
                        wait.extend(&extension.policy, extension.at);
                    }
                    now_urgency = wait.urgency();
                    let due = planned_at(&wait, attempt.ended_at, delay, row.is_hinted);
                    row.is_hinted = false;
                    row.state = WaitState::Active(wait.into(), due);
                }
            }
            row.update(&mut transaction, snapshot).await?;
            counted = (urgency, now_urgency);
        }
        // The service has counted the request even if the wait was canceled, or if another worker has
        // repeated the attempt.
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.record(attempt.ended_at, &attempt.stats);
        budget.update(counted.0, counted.1);
        budget.save(&mut transaction).await?;
        transaction.commit().await?;
        if let Some(finished) = finished {
            tracing::Span::current().record("cce.wait.outcome", finished.outcome.as_str());
            tracing::info!(key = %claimed.row.key, outcome = finished.outcome.as_str(), "wait finished");
            if let Some(observer) = &self.observer {
                observer.wait_finished(&finished);
            }
            self.store.changed.notify_waiters();
        }
        Ok(())
    }
}

/// Returns whether a wait goes on although its deadline has passed, because a caller has requested a
/// later one during the attempt.
fn is_extended(result: &Result<FinishedJob, WaitError>, has_extension: bool) -> bool {
    let is_deadline =
        matches!(result, Err(error) if error.kind() == WaitErrorKind::DeadlineExceeded);
    has_extension && is_deadline
}

/// Returns what a wait has observed of its job and of its objects.
fn observations(result: &Result<FinishedJob, WaitError>) -> [Option<JobObservation>; 2] {
    match result {
        Ok(finished) => [finished.observation.clone(), finished.object_observation.clone()],
        Err(error) => [error.observation(), error.object_observation()],
    }
}

/// Returns when the next attempt is due. After a hint, as early as permitted.
fn planned_at(wait: &StoredWait, now: Timestamp, delay: Duration, is_hinted: bool) -> Timestamp {
    let due = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    match wait.earliest_attempt_at() {
        Some(earliest) if is_hinted => earliest.min(due),
        _ => due,
    }
}
