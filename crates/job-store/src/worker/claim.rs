//! Claims the waits that are due, each with a slot for one request, in one short transaction.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::schedule::BudgetShare;
use job_transport::transport::display_chain;

use super::{
    MAX_IDLE, Worker,
    clients::{ProjectClient, served},
    until,
};
use crate::{
    budget::{IN_FLIGHT, SharedBudget},
    database::Transaction,
    error::StoreError,
    row::{WaitRow, WaitState, columns},
};

/// The result of a claim.
pub(super) struct Claim {
    pub(super) waits: Vec<ClaimedWait>,
    /// When the next claim may succeed.
    pub(super) idle: Duration,
}

/// A wait that this worker may make an attempt for.
pub(super) struct ClaimedWait {
    pub(super) row: WaitRow,
    pub(super) client: ProjectClient,
    /// The share of the budget with which the next attempt is planned.
    pub(super) share: BudgetShare,
    /// The time of the claim, by the clock of the database.
    pub(super) claimed_at: Timestamp,
    /// The time of the claim, by the monotonic clock of this process.
    pub(super) monotonic: Duration,
    /// How long until the request may be sent.
    pub(super) pause: Duration,
}

/// How far ahead slots are claimed, so that many workers need few transactions.
const CLAIM_AHEAD: Duration = Duration::from_millis(50);

/// How long a lease lasts after the timeout of its attempt: long enough for lookups after a failure, and
/// for the transactions.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// The maximum number of waits that are postponed in one claim because they cannot be read.
const MAX_UNREADABLE: usize = 100;

/// How long a wait is postponed whose row cannot be read.
const UNREADABLE_DELAY: Duration = Duration::from_secs(60);

impl Worker {
    /// Locks the budget for a transaction. Also returns the time of the database.
    pub(super) async fn lock_budget(
        &self,
        transaction: &mut Transaction,
    ) -> Result<(SharedBudget, Timestamp), StoreError> {
        let mut budget = SharedBudget::lock(transaction).await?;
        let now = transaction.now().await?;
        budget.set_limits(self.limits);
        budget.advance_to(now);
        Ok((budget, now))
    }

    /// Claims waits, at most as many as the budget allows within [`CLAIM_AHEAD`].
    pub(super) async fn claim(&self) -> Result<Claim, StoreError> {
        // So that the budget is not locked while the disk writes.
        let mut transaction = self.store.database.begin_unflushed().await?;
        let (mut budget, now) = self.lock_budget(&mut transaction).await?;
        let monotonic = self.monotonic();
        let in_flight = transaction.count(IN_FLIGHT, now).await?;
        let free = budget.max_in_flight().saturating_sub(in_flight);
        // If too many requests are in flight, look again soon: another worker may end one.
        let mut claim = Claim { waits: Vec::new(), idle: CLAIM_AHEAD };
        let ahead = now.saturating_add(CLAIM_AHEAD).unwrap_or(now);
        let share = budget.share();
        while claim.waits.len() < free {
            let slot = budget.next_slot();
            if slot > ahead {
                // Half of the time ahead, so that the next claim finds more than one slot.
                claim.idle = until(slot, now).saturating_sub(CLAIM_AHEAD / 2);
                break;
            }
            let at = slot.max(now);
            let next = self.next_wait(&mut transaction, at, now, budget.may_advance()).await?;
            let Some((row, client)) = next else {
                claim.idle = idle_until_due(&mut transaction, now).await?;
                break;
            };
            budget.consume(at);
            let row = lease(&mut transaction, row, at).await?;
            let pause = until(at, now);
            claim.waits.push(ClaimedWait { row, client, share, claimed_at: now, monotonic, pause });
        }
        // A claim that takes nothing writes nothing.
        if !claim.waits.is_empty() {
            budget.save(&mut transaction).await?;
        }
        transaction.commit().await?;
        if !claim.waits.is_empty() {
            // Before any request. If a crash lost the claim, another worker could make the same attempt.
            self.store.database.flush().await?;
        }
        Ok(claim)
    }

    /// Returns the wait that has been due longest at `at`, and the client of its project. If there is
    /// none and the budget permits it, returns the wait that is due next and may be read already.
    async fn next_wait(
        &self,
        transaction: &mut Transaction,
        at: Timestamp,
        now: Timestamp,
        may_advance: bool,
    ) -> Result<Option<(WaitRow, ProjectClient)>, StoreError> {
        let due = concat!(
            "SELECT ",
            columns!(),
            " FROM cce_waits WHERE outcome IS NULL AND paused = 0 AND due <= $1 \
             AND (lease IS NULL OR lease <= $2) AND ",
            served!("$3"),
            " ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let early = concat!(
            "SELECT ",
            columns!(),
            " FROM cce_waits WHERE outcome IS NULL AND paused = 0 AND earliest <= $1 \
             AND (lease IS NULL OR lease <= $2) AND ",
            served!("$3"),
            " ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let projects = self.clients.filter();
        let values = [at.into(), now.into(), (&projects).into()];
        for _ in 0..MAX_UNREADABLE {
            let mut row = transaction.row(due, &values).await?;
            if row.is_none() && may_advance {
                row = transaction.row(early, &values).await?;
            }
            let Some(row) = row else { return Ok(None) };
            match WaitRow::from_row(&row) {
                Ok(row) => {
                    let client = self.clients.for_project(&row.key.project);
                    return Ok(client.map(|client| (row, client)));
                }
                Err(error) => postpone(transaction, &row.text("key")?, now, &error).await?,
            }
        }
        Ok(None)
    }
}

/// Postpones a wait that this version cannot read, so that the others go on. A newer version that
/// shares the database may read it.
async fn postpone(
    transaction: &mut Transaction,
    key: &String,
    now: Timestamp,
    error: &StoreError,
) -> Result<(), StoreError> {
    let error = display_chain(error);
    tracing::error!(key, %error, "cannot read this wait; it is tried again in a minute");
    let later = now.saturating_add(UNREADABLE_DELAY).unwrap_or(now);
    let sql = "UPDATE cce_waits SET due = $2, earliest = NULL WHERE key = $1";
    transaction.execute(sql, &[key.into(), later.into()]).await.map(drop)
}

/// Returns how long until a wait is due, at most [`MAX_IDLE`].
async fn idle_until_due(
    transaction: &mut Transaction,
    now: Timestamp,
) -> Result<Duration, StoreError> {
    let sql = "SELECT min(due) AS due FROM cce_waits \
               WHERE outcome IS NULL AND paused = 0 AND due > $1";
    let row = transaction.row(sql, &[now.into()]).await?;
    let due = row.map(|row| row.time("due")).transpose()?.flatten();
    Ok(due.map_or(MAX_IDLE, |due| until(due, now)))
}

/// Sets the lease of a wait, and a new number for its attempt.
async fn lease(
    transaction: &mut Transaction,
    mut row: WaitRow,
    at: Timestamp,
) -> Result<WaitRow, StoreError> {
    let timeout = match &row.state {
        WaitState::Active(wait, _) => wait.checkpoint().policy().max_attempt_time(),
        WaitState::Finished(..) => Duration::ZERO,
    };
    let until = at.saturating_add(timeout.saturating_add(LEASE_MARGIN)).unwrap_or(Timestamp::MAX);
    (row.tick, row.lease, row.is_hinted) = (row.tick + 1, Some(until), false);
    let sql = "UPDATE cce_waits SET tick = $2, lease = $3, hinted = 0 WHERE key = $1";
    let key = row.key.to_string();
    transaction.execute(sql, &[(&key).into(), row.tick.into(), until.into()]).await?;
    Ok(row)
}
