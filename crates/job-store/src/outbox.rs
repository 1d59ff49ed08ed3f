//! The table `cce_outbox`: one row for each notification.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use job_notify::{Delivery, Notification};
use job_poller::durable::{StoredResult, WaitKey};
use sha2::{Digest, Sha256};

use crate::{
    database::{Row, Transaction, Value},
    error::StoreError,
    receiver::Receiver,
    row::{read_key, to_json},
};

/// The columns of a notification.
macro_rules! columns {
    () => {
        "id, key, number, outcome, receiver, queue, body, delivery, tries, last_error, next_try"
    };
}
pub(crate) use columns;

/// A notification that is to be delivered now.
pub(crate) struct DueNotification {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) notification: Notification,
    pub(crate) delivery: Delivery,
}

/// Adds the notifications of a result, one for each receiver.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    key: &WaitKey,
    number: i64,
    result: &StoredResult,
    receivers: &[Receiver],
    now: Timestamp,
) -> Result<(), StoreError> {
    let wait_number = u64::try_from(number).unwrap_or_default();
    let (project, job) = (&key.project, &key.job);
    let notification = Notification::new(project, job, &result.outcome, wait_number, &*result.body);
    let key = key.to_string();
    for (index, receiver) in (0..).zip(receivers) {
        // Contains a hash, because the address may contain a secret.
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(to_json(receiver)?));
        let id = format!("{}.{hash}", notification.id());
        let delivery = Delivery::new().with_seed(wait_number.wrapping_add(index));
        let delivery = to_json(&delivery)?;
        let sql = "INSERT INTO cce_outbox (id, key, number, outcome, receiver, queue, body, delivery, \
                   state, next_try, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10) \
                   ON CONFLICT (id) DO NOTHING";
        let values: [Value<'_>; 10] = [
            (&id).into(),
            (&key).into(),
            number.into(),
            notification.outcome().into(),
            receiver.webhook().into(),
            receiver.queue().into(),
            notification.body().into(),
            (&delivery).into(),
            receiver.webhook().map(|_| now).into(),
            now.into(),
        ];
        transaction.execute(sql, &values).await?;
    }
    if !receivers.is_empty() {
        transaction.notify("cce_outbox").await?;
    }
    Ok(())
}

impl DueNotification {
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        let key = read_key(row)?;
        let number = row.int("number")?.unsigned_abs();
        let (outcome, body) = (row.text("outcome")?, row.text("body")?);
        Ok(Self {
            id: row.text("id")?,
            address: row.text("receiver")?,
            notification: Notification::new(&key.project, &key.job, &outcome, number, body),
            delivery: row.json("delivery")?.unwrap_or_default(),
        })
    }
}
