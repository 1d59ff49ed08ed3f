//! Stores the result of an attempt in one transaction: the wait, the budget, and the notifications.

use std::{mem, time::Duration};

use jiff::Timestamp;
use job_poller::{
    FinishedJob, WaitError, WaitErrorKind,
    budget::UrgencyBucket,
    durable::{Forecast, RowState, StoredResult, StoredWait},
    observer::WaitFinished,
    schedule::JobObservation,
};
use job_transport::{JobSnapshot, clock::Clock as _};

use super::{
    ERROR_DELAY, Worker,
    attempt::{Attempt, Next},
    claim::ClaimedWait,
    log_error,
};
use crate::{
    budget::SharedBudget,
    database::Transaction,
    error::StoreError,
    outbox,
    row::{LastReading, WaitRow, WaitState},
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
                    log_error("cannot store the result of an attempt", &error);
                    let elapsed = self.monotonic().saturating_sub(claimed.monotonic) + ERROR_DELAY;
                    let left: Duration =
                        lease.duration_since(claimed.claimed_at).try_into().unwrap_or_default();
                    if elapsed >= left {
                        break;
                    }
                    self.clock.sleep(ERROR_DELAY).await;
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
        // If the database crashes and loses a plan, the attempt is made again.
        let mut transaction = self.store.database.begin_unflushed().await?;
        let row = WaitRow::lock(&mut transaction, &claimed.row.key).await?;
        let is_same =
            |row: &WaitRow| (row.number, row.tick) == (claimed.row.number, claimed.row.tick);
        let row = row.filter(is_same);
        let mut finished = None;
        let mut urgencies = (None, None);
        if let Some(mut row) = row
            && let WaitState::Active(before, _) = row.state.clone()
        {
            // If the commit succeeds and its confirmation is lost, the next try finds another tick.
            row.tick += 1;
            row.lease = None;
            let end = match &attempt.next {
                Next::Finish(result) => Some(result).filter(|result| !row.goes_on(result)),
                Next::Plan(_) => None,
            };
            let now = match end {
                Some(result) => {
                    self.finish(&mut transaction, &mut row, claimed, result, attempt.ended_at)
                        .await?;
                    finished = Some(WaitFinished::from_result(result));
                    None
                }
                None => self.plan(&mut row, claimed, &before, attempt),
            };
            let snapshot = before.checkpoint().machine().snapshot();
            row.update(&mut transaction, snapshot, attempt.ended_at).await?;
            urgencies = (before.urgency(), now);
        }
        // The service has counted the request even if the wait was canceled, or if another worker has
        // repeated the attempt.
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.record(attempt.ended_at, &attempt.stats);
        budget.update(urgencies.0, urgencies.1);
        budget.save(&mut transaction).await?;
        transaction.commit().await?;
        if let Some(finished) = finished {
            self.store.database.flush().await?;
            let outcome = finished.outcome.as_str();
            tracing::Span::current().record("cce.wait.outcome", outcome);
            tracing::info!(key = %claimed.row.key, outcome, "wait finished");
            if let Some(observer) = &self.observer {
                observer.wait_finished(&finished);
            }
            self.store.changed.notify_waiters();
        }
        Ok(())
    }

    /// Finishes a wait: adds its notifications to the outbox, and learns from it.
    async fn finish(
        &self,
        transaction: &mut Transaction,
        row: &mut WaitRow,
        claimed: &ClaimedWait,
        result: &Result<FinishedJob, WaitError>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let stored = StoredResult::new(&row.key, result);
        outbox::insert(transaction, &row.key, row.number, &stored, &row.receivers, now).await?;
        row.state = WaitState::Finished(stored, now);
        if let Ok(finished) = result {
            let state = RowState::from_digest(finished.snapshot.digest());
            row.reading = Some(LastReading { state, at: now, forecast: None });
        }
        if self.schedule.is_none() {
            claimed.client.learned.record(transaction, observations(result)).await?;
        }
        Ok(())
    }
    /// Plans the next attempt, and returns the new urgency of the wait.
    fn plan(
        &self,
        row: &mut WaitRow,
        claimed: &ClaimedWait,
        before: &StoredWait,
        attempt: &Attempt,
    ) -> Option<UrgencyBucket> {
        let (mut wait, delay) = match &attempt.next {
            Next::Plan(delay) => (attempt.wait.clone(), *delay),
            // The wait goes on as if this attempt had not been made.
            Next::Finish(_) => (before.clone(), Duration::ZERO),
        };
        let now = attempt.ended_at;
        let forecast = wait.forecast();
        if let Some(extension) = row.extension.take() {
            wait.extend(&extension.policy, extension.at);
        }
        let urgency = wait.urgency();
        let snapshot = wait.checkpoint().machine().snapshot();
        if let Some(digest) = snapshot.map(JobSnapshot::digest) {
            row.expected_end = claimed.client.learned.expected_end(digest, now);
            let state = RowState::from_digest(digest);
            // A failed attempt is not a reading.
            let age = |forecast: &Forecast| forecast.age();
            let last = row.reading.take().filter(|last| {
                last.state == state
                    && forecast.is_some()
                    && last.forecast.as_ref().map(age) == forecast.as_ref().map(age)
            });
            row.reading = last.or(Some(LastReading { state, at: now, forecast }));
        }
        let mut due = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
        // After a hint, the attempt is due as early as permitted.
        let earliest = wait.earliest_attempt_at().filter(|_| mem::take(&mut row.is_hinted));
        due = earliest.map_or(due, |at| at.min(due));
        // During the attempt, the list may have been found wrong.
        if claimed.row.miss_probability < 1.0
            && row.miss_probability >= 1.0
            && let Some(reading) = &row.reading
        {
            let schedule = self.schedule_of(&claimed.client);
            let earlier = reading.due_without_list(&*schedule, claimed.share, now);
            due = earlier.map_or(due, |earlier| earlier.min(due));
        }
        row.state = WaitState::Active(wait.into(), due);
        urgency
    }
}

impl WaitRow {
    /// Returns whether a wait goes on although its attempt has finished it, because a caller has
    /// requested a later deadline or another goal meanwhile.
    fn goes_on(&self, result: &Result<FinishedJob, WaitError>) -> bool {
        let Some(extension) = &self.extension else { return false };
        match result {
            Ok(_) => !StoredResult::new(&self.key, result).answers(extension.policy.goal()),
            Err(error) => error.kind() == WaitErrorKind::DeadlineExceeded,
        }
    }
}

/// Returns what a wait has observed of its job and of its objects.
fn observations(result: &Result<FinishedJob, WaitError>) -> [Option<JobObservation>; 2] {
    match result {
        Ok(finished) => [finished.observation.clone(), finished.object_observation.clone()],
        Err(error) => [error.observation(), error.object_observation()],
    }
}
