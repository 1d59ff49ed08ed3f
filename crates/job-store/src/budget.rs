//! The request budget that all workers share: one row of the database.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::{
    budget::{AttemptStats, Budget, UrgencyBucket},
    observer::BudgetStatus,
    schedule::BudgetShare,
};
use serde::{Deserialize, Serialize};

use crate::{database::Transaction, error::StoreError};

/// The limits of the requests of all workers together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) per_second: f64,
    pub(crate) max_in_flight: usize,
}

impl Limits {
    /// The limits of a fleet.
    pub(crate) const DEFAULT: Self = Self { per_second: 50.0, max_in_flight: 20 };
}

/// Counts the requests in flight. Those of a worker that crashed count until their lease ends.
pub(crate) const IN_FLIGHT: &str = "SELECT (SELECT count(*) FROM cce_waits WHERE lease > $1) \
                                    + (SELECT count(*) FROM cce_lists WHERE lease > $1) AS count";

/// The budget as stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SharedBudget {
    budget: Budget,
    /// The latest time of any call, since 1970. It never decreases, although the clock
    /// of the database may.
    now: Duration,
}

impl SharedBudget {
    fn new() -> Self {
        let Limits { per_second, max_in_flight } = Limits::DEFAULT;
        Self { budget: Budget::new(per_second, max_in_flight), now: Duration::ZERO }
    }

    /// Reads the budget, and locks it until the end of the transaction.
    ///
    /// Read the current time afterwards, because the wait for the lock takes time.
    pub(crate) async fn lock(transaction: &mut Transaction) -> Result<Self, StoreError> {
        Self::select(transaction, "SELECT state FROM cce_budget WHERE id = 1 FOR UPDATE").await
    }

    /// Reads the budget, without a lock.
    pub(crate) async fn read(transaction: &mut Transaction) -> Result<Self, StoreError> {
        Self::select(transaction, "SELECT state FROM cce_budget WHERE id = 1").await
    }

    async fn select(transaction: &mut Transaction, sql: &'static str) -> Result<Self, StoreError> {
        let row = transaction.row(sql, &[]).await?;
        let text = row.map(|row| row.text("state")).transpose()?.unwrap_or_default();
        // If the state is missing or from another version, start over. Only the counts are lost until
        // each wait has made its next attempt.
        Ok(serde_json::from_str(&text).unwrap_or_else(|_| Self::new()))
    }

    pub(crate) async fn save(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let text = serde_json::to_string(self)
            .map_err(|error| StoreError::unreadable("cce_budget.state", error))?;
        let sql = "UPDATE cce_budget SET state = $1 WHERE id = 1";
        transaction.execute(sql, &[(&text).into()]).await.map(drop)
    }

    /// Advances the time of the budget, which never decreases.
    pub(crate) fn advance_to(&mut self, now: Timestamp) {
        let since = now.duration_since(Timestamp::UNIX_EPOCH).try_into().unwrap_or_default();
        self.now = self.now.max(since);
        self.budget.reprice(self.now, self.budget.waiters());
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.budget.set_limits(limits.per_second, limits.max_in_flight);
    }

    pub(crate) fn max_in_flight(&self) -> usize {
        self.budget.max_in_flight()
    }

    /// Returns when the next request may be sent, not earlier than now.
    pub(crate) fn next_slot(&self) -> Timestamp {
        timestamp(self.budget.next_slot().max(self.now))
    }

    /// Returns whether an attempt may be made before it is due, because its request would stay unused.
    pub(crate) fn may_advance(&self) -> bool {
        let earliest = self.budget.throttled_until().max(self.budget.next_early_slot());
        self.budget.is_binding() && earliest <= self.now
    }

    /// Takes the slot at `at`, which becomes the current time of the budget.
    pub(crate) fn consume(&mut self, at: Timestamp) {
        self.advance_to(at);
        self.budget.consume(self.now, 1);
    }

    /// Records attempts that have ended by now.
    pub(crate) fn record(&mut self, now: Timestamp, stats: &AttemptStats) {
        self.advance_to(now);
        self.budget.record(self.now, stats);
    }

    /// Replaces the urgency of a wait, which is `None` before its first plan and after its end.
    pub(crate) fn update(&mut self, before: Option<UrgencyBucket>, now: Option<UrgencyBucket>) {
        self.budget.update(before, now);
    }

    /// Returns the budget for an observer.
    pub(crate) fn status(&self, queued: usize, in_flight: usize) -> BudgetStatus {
        let mut status = BudgetStatus::default();
        status.jobs = self.budget.waiters();
        (status.queued, status.in_flight) = (queued, in_flight);
        status.requests_per_second = self.budget.current_rate();
        status.throttled_for = self.budget.throttled_until().saturating_sub(self.now);
        status.request_price = self.share().request_price;
        status
    }

    /// Returns the share of each wait.
    pub(crate) fn share(&self) -> BudgetShare {
        self.budget.share(self.budget.waiters())
    }
}

fn timestamp(since: Duration) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(since).unwrap_or(Timestamp::MAX)
}
