//! How many waits and notifications there are, the shared budget, and which waits have changed.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::observer::BudgetStatus;
use serde::{Deserialize, Serialize};

use super::{Store, list::OVERDUE_AFTER};
use crate::{
    budget::{IN_FLIGHT, SharedBudget},
    database::{Row, Transaction},
    error::StoreError,
    row::{columns, read_result},
    status::WaitStatus,
};

/// The numbers of waits and notifications in a store, and the budget that its workers share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The time of the summary, by the clock of the database.
    pub time: Timestamp,
    /// The numbers of waits.
    pub waits: WaitCounts,
    /// The numbers of notifications.
    pub notifications: NotificationCounts,
    /// The request budget.
    pub budget: BudgetSummary,
}

/// The numbers of waits in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitCounts {
    /// Waits that have not finished.
    pub active: usize,
    /// Active waits of paused projects.
    pub paused: usize,
    /// Active waits whose attempt has been due for more than two minutes, except those of paused
    /// projects.
    pub overdue: usize,
    /// Waits that have reached their goal.
    pub succeeded: usize,
    /// Waits whose job has failed, whose cluster or node is broken, or whose cluster or node is gone
    /// although it should be ready.
    pub failed: usize,
    /// Waits that stopped before the job ended.
    pub stopped: usize,
}

/// The numbers of notifications that are not delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotificationCounts {
    /// Notifications for webhooks that will be sent, for the first time or again.
    pub pending: usize,
    /// Pending notifications whose last try failed.
    #[serde(default)]
    pub retrying: usize,
    /// Notifications for webhooks that are given up.
    pub failed: usize,
    /// Notifications in queues. The consumers of the queues delete them.
    #[serde(default)]
    pub queued: usize,
}

/// The request budget of all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetSummary {
    /// Waits that are due, but have to wait until a request is permitted.
    pub queued: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// The maximum number of requests per second at present.
    pub requests_per_second: f64,
    /// Time until the full number of requests per second is permitted again, in seconds.
    pub throttled_for: f64,
}

/// Waits that have changed, in the order of their changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Changes {
    /// The waits.
    pub waits: Vec<WaitStatus>,
    /// The position to pass to the next call.
    pub next: ChangeCursor,
    /// Whether there are more, so that the next call should follow at once.
    pub has_more: bool,
}

/// A position in the changes of a store. The default is before all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeCursor {
    at: Timestamp,
    key: String,
}

impl From<Timestamp> for ChangeCursor {
    /// Returns the position before the changes at this time.
    fn from(at: Timestamp) -> Self {
        Self { at, key: String::new() }
    }
}

/// The maximum number of changes that one call returns.
const MAX_CHANGES: i64 = 1000;

/// How long a change may take from its time until its commit. Changes are returned again within this
/// time, so that none is missed.
const COMMIT_TIME: Duration = Duration::from_secs(5);

/// Counts the waits that are due.
const QUEUED: &str = "SELECT count(*) AS count FROM cce_waits WHERE outcome IS NULL \
                      AND paused = 0 AND due <= $1 AND (lease IS NULL OR lease <= $1)";

impl Store {
    /// Counts the waits and the notifications, and returns the state of the budget.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn summary(&self) -> Result<Summary, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let time = transaction.now().await?;
        let budget = budget_status(&mut transaction, time).await?;
        Ok(Summary {
            time,
            waits: WaitCounts::read(&mut transaction, time).await?,
            notifications: NotificationCounts::read(&mut transaction).await?,
            budget: BudgetSummary {
                queued: budget.queued,
                in_flight: budget.in_flight,
                requests_per_second: budget.requests_per_second,
                throttled_for: budget.throttled_for.as_secs_f64(),
            },
        })
    }

    /// Returns the waits that have changed since `cursor`, at most 1,000.
    ///
    /// Begin with the time of a [`summary`](Self::summary), or with the default for all waits. Pass
    /// [`Changes::next`] to each following call. A change is returned again for five seconds, because
    /// changes are not committed in the order of their times. A wait that was deleted is not returned.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn changes(&self, cursor: &ChangeCursor) -> Result<Changes, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let now = transaction.now().await?;
        let sql = concat!(
            "SELECT changed_at, ",
            columns!(),
            " FROM cce_waits WHERE (changed_at, key) > ($1, $2) ORDER BY changed_at, key LIMIT $3"
        );
        let values = [cursor.at.into(), (&cursor.key).into(), MAX_CHANGES.into()];
        let rows = transaction.rows(sql, &values).await?;
        let waits: Vec<_> =
            rows.iter().map(|row| WaitStatus::read(row, now)).collect::<Result<_, _>>()?;
        let last = rows.last().filter(|_| rows.len() as i64 == MAX_CHANGES);
        let more = last.map(|row| {
            let at = row.time("changed_at")?.unwrap_or_default();
            Ok::<_, StoreError>(ChangeCursor { at, key: row.text("key")? })
        });
        let (has_more, next) = match more {
            Some(cursor) => (true, cursor?),
            None => (false, now.saturating_sub(COMMIT_TIME).unwrap_or_default().into()),
        };
        Ok(Changes { waits, next, has_more })
    }

    /// Returns the request budget of all workers together.
    pub(crate) async fn budget_status(&self) -> Result<BudgetStatus, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let now = transaction.now().await?;
        budget_status(&mut transaction, now).await
    }
}

/// Returns the budget. Reads without a lock, so that no claim waits for it.
async fn budget_status(
    transaction: &mut Transaction,
    now: Timestamp,
) -> Result<BudgetStatus, StoreError> {
    let mut budget = SharedBudget::read(transaction).await?;
    budget.advance_to(now);
    let queued = transaction.count(QUEUED, now).await?;
    let in_flight = transaction.count(IN_FLIGHT, now).await?;
    Ok(budget.status(queued, in_flight))
}

impl WaitCounts {
    async fn read(transaction: &mut Transaction, now: Timestamp) -> Result<Self, StoreError> {
        // Each part is counted in an index of its own.
        let sql = "SELECT \
            (SELECT count(*) FROM cce_waits WHERE outcome IS NULL AND paused = 0) AS running, \
            (SELECT count(*) FROM cce_waits WHERE outcome IS NULL AND paused = 1) AS paused, \
            (SELECT count(*) FROM cce_waits WHERE outcome IS NULL AND paused = 0 AND due < $1) \
            AS overdue";
        let overdue = now.saturating_sub(OVERDUE_AFTER).unwrap_or(Timestamp::MIN);
        let mut counts = Self::default();
        if let Some(row) = transaction.row(sql, &[overdue.into()]).await? {
            counts.paused = size(&row, "paused")?;
            counts.active = size(&row, "running")? + counts.paused;
            counts.overdue = size(&row, "overdue")?;
        }
        let sql = "SELECT outcome, has_job_ended, is_success, count(*) AS count FROM cce_waits \
                   WHERE outcome IS NOT NULL GROUP BY outcome, has_job_ended, is_success";
        for row in transaction.rows(sql, &[]).await? {
            let result = read_result(&row, String::new())?;
            let count = match (result.is_success(), result.has_job_ended) {
                (true, _) => &mut counts.succeeded,
                (false, true) => &mut counts.failed,
                (false, false) => &mut counts.stopped,
            };
            *count += size(&row, "count")?;
        }
        Ok(counts)
    }
}

impl NotificationCounts {
    async fn read(transaction: &mut Transaction) -> Result<Self, StoreError> {
        let sql = "SELECT state, count(*) AS count, count(last_error) AS errors FROM cce_outbox \
                   WHERE state <> 'delivered' AND receiver IS NOT NULL GROUP BY state";
        let mut counts = Self::default();
        for row in transaction.rows(sql, &[]).await? {
            let count = size(&row, "count")?;
            if row.text("state")? == "failed" {
                counts.failed += count;
            } else {
                counts.pending += count;
                counts.retrying += size(&row, "errors")?;
            }
        }
        let sql = "SELECT count(*) AS count FROM cce_outbox WHERE queue IS NOT NULL";
        if let Some(row) = transaction.row(sql, &[]).await? {
            counts.queued = size(&row, "count")?;
        }
        Ok(counts)
    }
}

fn size(row: &Row, column: &str) -> Result<usize, StoreError> {
    Ok(usize::try_from(row.int(column)?).unwrap_or_default())
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
