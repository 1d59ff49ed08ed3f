//! The list of waits, and of notifications that are not delivered.

use std::time::Duration;

use jiff::Timestamp;
use job_model::ProjectId;
use job_notify::{Delivery, receiver_name};
use job_poller::durable::WaitKey;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::{
    database::{Row, Value},
    error::StoreError,
    outbox,
    row::{columns, read_key},
    status::{NotificationStatus, WaitStatus},
};

/// Which waits to list. By default all, 100 per page.
///
/// # Examples
///
/// ```
/// use job_store::ListQuery;
///
/// let overdue = ListQuery::new().project("10d0b3a1".parse()?).overdue();
/// # Ok::<(), job_model::IdError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a query does nothing until it is passed to `Store::list`"]
pub struct ListQuery {
    project: Option<ProjectId>,
    state: Option<State>,
    after: Option<WaitKey>,
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Active,
    Finished,
    Failed,
    Overdue,
}

/// The maximum number of waits in a page.
const MAX_PAGE: u32 = 1000;

/// The number of waits that are read from the database at once.
const CHUNK: u32 = 50;

/// A page ends after this many bytes of the database's rows.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A wait is overdue if its attempt has been due for longer than this. A request that is queued waits
/// for a shorter time.
pub(super) const OVERDUE_AFTER: Duration = Duration::from_secs(120);

impl ListQuery {
    /// Creates a query for all waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists only the waits of this project.
    pub fn project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    /// Lists only active waits.
    pub const fn active(mut self) -> Self {
        self.state = Some(State::Active);
        self
    }

    /// Lists only finished waits.
    pub const fn finished(mut self) -> Self {
        self.state = Some(State::Finished);
        self
    }

    /// Lists only waits that finished otherwise than with success.
    pub const fn failed(mut self) -> Self {
        self.state = Some(State::Failed);
        self
    }

    /// Lists only active waits whose attempt has been due for more than two minutes: no worker runs, or
    /// the budget is too small. A wait of a paused project is not overdue.
    pub const fn overdue(mut self) -> Self {
        self.state = Some(State::Overdue);
        self
    }

    /// Continues after the last key of the page before.
    pub fn after(mut self, key: WaitKey) -> Self {
        self.after = Some(key);
        self
    }

    /// Sets the number of waits per page. The default is 100, the maximum 1,000. A page has fewer if
    /// their jobs are large: it ends after about 4 MiB.
    pub const fn limit(mut self, waits: u32) -> Self {
        self.limit = Some(waits);
        self
    }
}

/// A page of waits, ordered by their keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page {
    /// The waits.
    pub waits: Vec<WaitStatus>,
    /// The key after which the next page begins, or `None` if this is the last one.
    pub next: Option<WaitKey>,
}

impl Store {
    /// Lists waits, page by page.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let now = transaction.now().await?;
        let limit = query.limit.unwrap_or(100).clamp(1, MAX_PAGE);
        let overdue = now.saturating_sub(OVERDUE_AFTER).unwrap_or(Timestamp::MIN);
        // $3 selects the state: each condition applies only to its number.
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM cce_waits WHERE key > $1 AND ($2 = '' OR project = $2) AND ($3 = 0 \
             OR ($3 = 1 AND outcome IS NULL) \
             OR ($3 = 2 AND outcome IS NOT NULL) \
             OR ($3 = 3 AND (is_success = 0 OR (is_success IS NULL \
             AND outcome NOT IN ('succeeded', 'ready', 'gone')))) \
             OR ($3 = 4 AND outcome IS NULL AND paused = 0 AND due < $4)) \
             ORDER BY key LIMIT $5"
        );
        let state = match query.state {
            None => 0_i64,
            Some(State::Active) => 1,
            Some(State::Finished) => 2,
            Some(State::Failed) => 3,
            Some(State::Overdue) => 4,
        };
        let project = query.project.as_ref().map_or("", ProjectId::as_str);
        let mut page = Page { waits: Vec::new(), next: query.after.clone() };
        let mut bytes = 0;
        loop {
            let after = page.next.as_ref().map(ToString::to_string).unwrap_or_default();
            let chunk = CHUNK.min(limit - page.waits.len() as u32);
            let values: [Value<'_>; 5] = [
                (&after).into(),
                project.into(),
                state.into(),
                overdue.into(),
                // One more, to find out whether another page follows.
                i64::from(chunk + 1).into(),
            ];
            let rows = transaction.rows(sql, &values).await?;
            for row in rows.iter().take(chunk as usize) {
                bytes += row.text("result")?.len() + row.text("snapshot")?.len();
                page.waits.push(WaitStatus::read(row, now)?);
            }
            page.next = page.waits.last().map(|last| last.key.clone());
            if rows.len() <= chunk as usize {
                page.next = None;
                return Ok(page);
            }
            if page.waits.len() >= limit as usize || bytes > MAX_PAGE_BYTES {
                return Ok(page);
            }
        }
    }

    /// Returns the notifications of a wait.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn notifications(
        &self,
        key: &WaitKey,
    ) -> Result<Vec<NotificationStatus>, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let sql = concat!(
            "SELECT ",
            outbox::columns!(),
            " FROM cce_outbox WHERE key = $1 ORDER BY created_at, id"
        );
        let rows = transaction.rows(sql, &[(&key.to_string()).into()]).await?;
        rows.iter().map(NotificationStatus::from_row).collect()
    }

    /// Returns up to 1,000 notifications whose last try failed, the oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn undelivered(&self) -> Result<Vec<NotificationStatus>, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let sql = concat!(
            "SELECT ",
            outbox::columns!(),
            " FROM cce_outbox WHERE state <> 'delivered' AND last_error IS NOT NULL \
             ORDER BY created_at, id LIMIT 1000"
        );
        let rows = transaction.rows(sql, &[]).await?;
        rows.iter().map(NotificationStatus::from_row).collect()
    }
}

impl NotificationStatus {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let delivery: Delivery = row.json("delivery")?.unwrap_or_default();
        Ok(Self {
            id: row.text("id")?,
            key: read_key(row)?,
            receiver: row.opt_text("receiver")?.and_then(|address| receiver_name(&address)),
            queue: row.opt_text("queue")?,
            state: delivery.state(),
            tries: row.int("tries")?,
            last_error: row.opt_text("last_error")?,
            next_try_at: row.time("next_try")?,
        })
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use super::*;
    use crate::{
        Watch,
        testing::{Reply, TestBed, key},
    };

    /// Waits whose jobs are large: each page ends after some MiB, and none is skipped.
    #[tokio::test]
    async fn a_page_of_large_jobs_is_short() {
        let reason = "x".repeat(100_000);
        let job = format!(r#"{{"status": {{"phase": "Running", "reason": "{reason}"}}}}"#);
        let bed = TestBed::new(&[Reply::Body(job.leak())]).await;
        for number in 0..200 {
            bed.store.watch(&key(&format!("j{number:03}")), &Watch::new()).await.unwrap();
        }
        bed.run_until(10).await;
        let (mut query, mut sizes, mut keys) = (ListQuery::new().limit(1000), vec![], vec![]);
        loop {
            let page = bed.store.list(&query).await.unwrap();
            sizes.push(page.waits.len());
            keys.extend(page.waits.iter().map(|wait| wait.key.to_string()));
            let Some(next) = page.next else { break };
            query = query.after(next);
        }
        assert_eq!(sizes, [50, 50, 50, 50]);
        let expected: Vec<_> = (0..200).map(|number| format!("p:j{number:03}")).collect();
        assert_eq!(keys, expected);
    }
}
