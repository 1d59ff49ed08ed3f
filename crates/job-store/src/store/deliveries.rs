//! The tries to deliver notifications.

use std::time::Duration;

use job_notify::{Delivery, DeliveryState, receiver_name};
use job_transport::transport::display_chain;

use super::Store;
use crate::{
    database::Value,
    error::StoreError,
    outbox::{DueNotification, columns},
    row::to_json,
};

/// How long a worker may take for a try.
const TRY_LEASE: Duration = Duration::from_secs(120);

/// Maximum number of deliveries in flight to one receiver, over all workers.
/// Also the maximum number that one transaction leases.
const MAX_PER_RECEIVER: usize = 4;

/// How long a notification is left to other workers.
const POSTPONED_FOR: Duration = Duration::from_secs(10);

/// Delay before a notification that cannot be read is tried again.
const UNREADABLE_DELAY: Duration = Duration::from_secs(60);

impl Store {
    /// Tries again to deliver a notification, for example after its receiver was repaired. Returns
    /// whether it was not delivered yet.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn retry(&self, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM cce_outbox WHERE id = $1 AND state <> 'delivered' AND receiver IS NOT NULL \
             FOR UPDATE"
        );
        let Some(row) = transaction.row(sql, &[id.into()]).await? else { return Ok(false) };
        let now = transaction.now().await?;
        let seed = row.int("number")?.unsigned_abs();
        let delivery = to_json(&Delivery::new().with_seed(seed))?;
        let sql = "UPDATE cce_outbox SET delivery = $2, state = 'pending', ended_at = NULL, \
                   next_try = $3 WHERE id = $1";
        transaction.execute(sql, &[id.into(), (&delivery).into(), now.into()]).await?;
        transaction.commit().await?;
        self.changed.notify_waiters();
        Ok(true)
    }

    /// Returns some of the notifications that are due, at most `limit`, with a lease on them. Call it
    /// again if it returned any.
    ///
    /// A receiver to which [`MAX_PER_RECEIVER`] deliveries are in flight gets no other one, so that a
    /// receiver that does not answer does not delay the others.
    pub(crate) async fn due_notifications(
        &self,
        limit: usize,
    ) -> Result<Vec<DueNotification>, StoreError> {
        // If the database crashes and loses a lease, the notification is sent again.
        let mut transaction = self.database.begin_unflushed().await?;
        let now = transaction.now().await?;
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM cce_outbox WHERE next_try <= $1 AND (lease IS NULL OR lease <= $1) \
             AND receiver NOT IN (SELECT receiver FROM cce_outbox WHERE lease > $1 \
             GROUP BY receiver HAVING count(*) >= $3) \
             ORDER BY next_try LIMIT $2 FOR UPDATE SKIP LOCKED"
        );
        let limit = limit.min(MAX_PER_RECEIVER) as i64;
        let values = [now.into(), limit.into(), (MAX_PER_RECEIVER as i64).into()];
        let rows = transaction.rows(sql, &values).await?;
        let lease = now.saturating_add(TRY_LEASE).unwrap_or(now);
        let mut due = Vec::new();
        for row in rows {
            let notification = match DueNotification::from_row(&row) {
                Ok(notification) => notification,
                Err(error) => {
                    // A newer version that shares the database may read it.
                    let (id, error) = (row.text("id")?, display_chain(&error));
                    tracing::error!(id, %error, "cannot read this notification");
                    let later = now.saturating_add(UNREADABLE_DELAY).unwrap_or(now);
                    let sql = "UPDATE cce_outbox SET next_try = $2 WHERE id = $1";
                    transaction.execute(sql, &[(&id).into(), later.into()]).await?;
                    continue;
                }
            };
            let sql = "UPDATE cce_outbox SET lease = $2 WHERE id = $1";
            transaction.execute(sql, &[(&notification.id).into(), lease.into()]).await?;
            due.push(notification);
        }
        transaction.commit().await?;
        Ok(due)
    }

    /// Makes one try to deliver a notification, and records its result.
    ///
    /// If this process may not deliver to the receiver, the notification is left to other workers.
    pub(crate) async fn deliver(&self, due: DueNotification) -> Result<(), StoreError> {
        let DueNotification { id, address, notification, mut delivery } = due;
        let receiver = receiver_name(&address).unwrap_or_default();
        let notifier = match self.notifier_for(&address) {
            Ok(notifier) => notifier,
            Err(error) => {
                tracing::warn!(notification = notification.id(), receiver, %error, "notification left to other workers");
                return self.postpone_delivery(&id, &error.to_string()).await;
            }
        };
        let result = notifier.deliver(&address, &notification).await;
        if let Err(error) = &result {
            tracing::warn!(notification = notification.id(), receiver, %error, "notification not delivered");
        }
        let mut transaction = self.database.begin().await?;
        let now = transaction.now().await?;
        delivery.handle_result(result, now);
        let stored = to_json(&delivery)?;
        let sql = "UPDATE cce_outbox SET delivery = $2, state = $3, tries = tries + 1, \
                   last_error = $4, next_try = $5, ended_at = $6, lease = NULL \
                   WHERE id = $1 AND state = 'pending'";
        let ended_at = (delivery.state() != DeliveryState::Pending).then_some(now);
        let values: [Value<'_>; 6] = [
            (&id).into(),
            (&stored).into(),
            delivery.state().as_str().into(),
            delivery.last_error().into(),
            delivery.next_try_at().into(),
            ended_at.into(),
        ];
        transaction.execute(sql, &values).await?;
        transaction.commit().await
    }

    /// Leaves a notification to other workers, without counting a try.
    async fn postpone_delivery(&self, id: &str, error: &str) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        let until = transaction.now().await?.saturating_add(POSTPONED_FOR);
        let sql = "UPDATE cce_outbox SET next_try = $2, last_error = $3, lease = NULL \
                   WHERE id = $1 AND state = 'pending'";
        transaction.execute(sql, &[id.into(), until.ok().into(), error.into()]).await?;
        transaction.commit().await
    }
}
