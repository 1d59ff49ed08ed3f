//! Reads the lists of jobs of projects with many waits, while the budget is used up.
//!
//! A row that shows the end of a job is a hint: the job itself is read next. No outcome comes from a
//! list, and each row causes at most one request, so a list that is wrong costs little.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use job_model::{ProjectId, job::JobRow};
use job_poller::{
    budget::AttemptStats,
    machine::{AttemptError, Input},
};
use job_transport::{FetchError, Fetched, ListReading, Unchanged, clock::Clock as _};

use super::{
    MAX_IDLE, Worker,
    clients::{ProjectClient, served},
    log_error, until,
};
use crate::{
    budget::{IN_FLIGHT, SharedBudget},
    database::Transaction,
    error::StoreError,
    row::hint,
};

/// A list that this worker may read.
pub(super) struct DueList {
    project: ProjectId,
    client: ProjectClient,
    claimed_at: Timestamp,
    /// The time of the claim, by the monotonic clock of this process.
    monotonic: Duration,
    /// How long until the request may be sent.
    pause: Duration,
}

/// The minimum number of active waits of a project whose list is read.
const MIN_WAITS: i64 = 10;

/// The time between two searches for projects with many waits, in seconds.
const SEARCH_INTERVAL_SECS: u64 = 10;

/// The shortest time between two readings of a list.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// The part of the requests that lists may use.
const BUDGET_PART: f64 = 0.1;

/// The timeout of a list. A list that takes longer costs more than it saves.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a worker may take for a list.
const LEASE: Duration = Duration::from_secs(15);

/// The maximum size of a list, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;

/// How long a list is not read after an error. Each further error in a row doubles the time.
const MIN_SUSPENSION: Duration = Duration::from_secs(60);

/// The longest time for which a list is not read.
const MAX_SUSPENSION: Duration = Duration::from_secs(3600);

impl Worker {
    /// Reads the lists that are due. Never returns.
    pub(super) async fn read_lists(&self) {
        for second in 0_u64.. {
            let is_search = second.is_multiple_of(SEARCH_INTERVAL_SECS);
            if let Err(error) = self.read_due_list(is_search).await {
                log_error("cannot read a list of jobs", &error);
            }
            self.clock.sleep(MAX_IDLE).await;
        }
    }

    /// Reads one list, if one is due and the budget permits it. If `is_search`, first adds the lists of
    /// projects that have many waits by now.
    pub(super) async fn read_due_list(&self, is_search: bool) -> Result<(), StoreError> {
        let Some(due) = self.claim_list(is_search).await? else { return Ok(()) };
        self.clock.sleep(due.pause).await;
        let client = due.client.client.attempt_timeout(LIST_TIMEOUT);
        let began = self.monotonic();
        let result = client.jobs().await;
        let stats = stats(self.monotonic().saturating_sub(began), &result);
        let elapsed = self.monotonic().saturating_sub(due.monotonic);
        let now = due.claimed_at.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
        let mut transaction = self.store.database.begin().await?;
        match &result {
            Ok(reading) if reading.body_len <= MAX_LIST_BYTES => {
                hint_ended_jobs(&mut transaction, &due.project, reading, now).await?;
                let sql = "UPDATE cce_lists SET lease = NULL, suspensions = 0 WHERE project = $1";
                transaction.execute(sql, &[due.project.as_str().into()]).await?;
            }
            _ => suspend(&mut transaction, &due.project, now, &result).await?,
        }
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.record(now, &stats);
        budget.save(&mut transaction).await?;
        transaction.commit().await?;
        self.store.changed.notify_waiters();
        Ok(())
    }

    /// Claims a list, with a slot for its request.
    async fn claim_list(&self, is_search: bool) -> Result<Option<DueList>, StoreError> {
        let mut transaction = self.store.database.begin().await?;
        let (mut budget, now) = self.lock_budget(&mut transaction).await?;
        let monotonic = self.monotonic();
        let in_flight = transaction.count(IN_FLIGHT, now).await?;
        if !budget.may_advance() || in_flight >= budget.max_in_flight() {
            return Ok(None);
        }
        // Not only a slot that is free now, because the waits take each slot as soon as they can.
        let slot = budget.next_slot().max(now);
        if until(slot, now) > MAX_IDLE {
            return Ok(None);
        }
        if is_search {
            add_lists(&mut transaction, now).await?;
        }
        let row = transaction.row("SELECT count(*) AS lists FROM cce_lists", &[]).await?;
        let lists = row.map_or(Ok(0), |row| row.int("lists"))?;
        let sql = concat!(
            "SELECT project FROM cce_lists WHERE due <= $1 AND (lease IS NULL OR lease <= $1) AND ",
            served!("$2"),
            " AND EXISTS (SELECT 1 FROM cce_waits WHERE cce_waits.project = cce_lists.project \
             AND outcome IS NULL AND paused = 0) \
             ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let projects = self.clients.filter();
        let Some(row) = transaction.row(sql, &[now.into(), (&projects).into()]).await? else {
            transaction.commit().await?;
            return Ok(None);
        };
        let text = row.text("project")?;
        let project: ProjectId =
            text.parse().map_err(|error| StoreError::unreadable("cce_lists.project", error))?;
        let Some(client) = self.clients.for_project(&project) else { return Ok(None) };
        let seconds = lists as f64 / (BUDGET_PART * self.limits.per_second);
        let interval = Duration::try_from_secs_f64(seconds).unwrap_or(MAX_SUSPENSION);
        let next = now.saturating_add(interval.max(MIN_INTERVAL)).unwrap_or(now);
        let lease = now.saturating_add(LEASE).unwrap_or(now);
        let sql = "UPDATE cce_lists SET due = $2, lease = $3 WHERE project = $1";
        transaction.execute(sql, &[(&text).into(), next.into(), lease.into()]).await?;
        budget.consume(slot);
        budget.save(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(DueList { project, client, claimed_at: now, monotonic, pause: until(slot, now) }))
    }
}

/// Adds the lists of projects that have many waits.
async fn add_lists(transaction: &mut Transaction, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO cce_lists (project, due) SELECT project, $1 FROM cce_waits \
               WHERE outcome IS NULL AND paused = 0 GROUP BY project \
               HAVING count(*) >= $2 ON CONFLICT (project) DO NOTHING";
    transaction.execute(sql, &[now.into(), MIN_WAITS.into()]).await.map(drop)
}

/// Makes the attempts due whose jobs have ended as the list shows, each once.
async fn hint_ended_jobs(
    transaction: &mut Transaction,
    project: &ProjectId,
    reading: &ListReading,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ended: HashMap<&str, String> = reading
        .list
        .rows()
        .filter(|row| row.phase().is_some_and(|phase| phase.is_terminal()))
        .filter_map(|row| Some((row.uid()?, end(row))))
        .collect();
    let sql = "SELECT key, listed_end FROM cce_waits WHERE project = $1 AND outcome IS NULL";
    for row in transaction.rows(sql, &[project.as_str().into()]).await? {
        let key = row.text("key")?;
        let job = key.split_once(':').map_or("", |(_, job)| job);
        let Some(end) = ended.get(job) else { continue };
        if row.opt_text("listed_end")?.as_ref() != Some(end) {
            let sql = "UPDATE cce_waits SET listed_end = $2 WHERE key = $1";
            transaction.execute(sql, &[(&key).into(), end.into()]).await?;
            hint(transaction, &key, now).await?;
        }
    }
    Ok(())
}

/// Identifies the end of a job that a row shows.
fn end(row: JobRow<'_>) -> String {
    let phase = row.phase();
    let phase = phase.as_ref().map_or("", |phase| phase.as_str());
    let updated_at = row.updated_at().map(|at| at.to_string()).unwrap_or_default();
    format!("{phase} {updated_at}")
}

/// Does not read a list for some time, because it could not be read or is too large.
async fn suspend(
    transaction: &mut Transaction,
    project: &ProjectId,
    now: Timestamp,
    result: &Result<ListReading, FetchError>,
) -> Result<(), StoreError> {
    let project = project.as_str();
    let sql = "SELECT suspensions FROM cce_lists WHERE project = $1 FOR UPDATE";
    let row = transaction.row(sql, &[project.into()]).await?;
    let suspensions = row.map_or(Ok(0), |row| row.int("suspensions"))?;
    let doublings = u32::try_from(suspensions).unwrap_or_default().min(6);
    let length = MIN_SUSPENSION.saturating_mul(1 << doublings).min(MAX_SUSPENSION);
    let due = now.saturating_add(length).unwrap_or(now);
    let sql = "UPDATE cce_lists SET due = $2, lease = NULL, suspensions = suspensions + 1 \
               WHERE project = $1";
    transaction.execute(sql, &[project.into(), due.into()]).await?;
    let seconds = length.as_secs();
    match result {
        Ok(_) => tracing::warn!(project, seconds, "the list of jobs is too large; it is not read"),
        Err(error) => tracing::warn!(project, seconds, %error, "the list of jobs is not read"),
    }
    Ok(())
}

fn stats(latency: Duration, result: &Result<ListReading, FetchError>) -> AttemptStats {
    let input = match result {
        Ok(reading) => {
            let mut unchanged = Unchanged::new();
            unchanged.credentials_refreshed = reading.credentials_refreshed;
            Input::from(Ok(Fetched::Unchanged(unchanged)))
        }
        Err(error) => Input::Error(AttemptError::from(error)),
    };
    AttemptStats::from_input(latency, &input)
}
