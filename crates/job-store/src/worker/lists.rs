//! Reads the lists of jobs of projects with many waits.
//!
//! One request shows many jobs. A row that shows a change of a job is a hint: the job itself is read
//! next. No outcome comes from a list, and each row causes at most one request. While the rows of a
//! list prove fresh, the jobs' own readings are rarer.
//!
//! All workers share what is known of a list: the table `cce_lists`, and the columns `listed`, `reading`
//! and `covered` of each wait. A fleet decides from the same numbers.

mod listed;
mod state;
mod project_waits;
mod learning;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use job_model::{ProjectId, job::JobRow};
use job_poller::{
    budget::AttemptStats,
    durable::RowState,
    machine::{AttemptError, Input},
    schedule::BudgetShare,
};
use job_transport::{
    FetchError, FetchErrorKind, Fetched, ListReading, Unchanged, clock::Clock as _,
    transport::TransportErrorKind,
};

use self::{
    project_waits::{Planner, forget_rows, waits},
    state::{Jobs, ListState},
};
use super::{
    ERROR_DELAY, MAX_IDLE, MIN_IDLE, Worker,
    clients::{ProjectClient, served},
    log_error, until,
};
use crate::{
    budget::{IN_FLIGHT, SharedBudget},
    database::{Row, Transaction, Value},
    error::StoreError,
    row::{read_project, to_json},
};

/// A list that this worker may read.
pub(super) struct DueList {
    project: ProjectId,
    client: ProjectClient,
    /// Identifies the claim.
    lease: Timestamp,
    claimed_at: Timestamp,
    /// The time of the claim, by the monotonic clock of this process.
    monotonic: Duration,
    /// How long until the request may be sent.
    pause: Duration,
    /// The share of the budget with which the next reading is planned.
    share: BudgetShare,
    /// The number of lists that share the limit of bytes per second.
    lists: i64,
}

/// Why a list is not read for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Issue {
    Stale,
    TooLarge,
    Slow,
    Refused,
    Failed,
}

/// The minimum number of waits of a project whose list is read.
const MIN_WAITS: u64 = 10;

/// The time between two searches for projects with many waits.
const SEARCH_INTERVAL: Duration = Duration::from_secs(10);

/// The maximum number of bytes per second of all lists together.
const BYTES_PER_SECOND: f64 = 262_144.0;

/// The timeout of a list. A list that takes longer costs more than it saves.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a worker may take for a list.
const LEASE: Duration = Duration::from_secs(15);

/// The maximum size of a list, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;

/// The ends of waits are compared with the list for this long after the last list, because the times
/// of two workers differ a little.
const FINISHED_OVERLAP: Duration = Duration::from_secs(5);

impl Worker {
    /// Reads the lists that are due. Never returns.
    pub(super) async fn read_lists(&self) {
        let mut next_search = Duration::ZERO;
        loop {
            let result = async {
                let now = self.monotonic();
                if now >= next_search {
                    self.add_lists().await?;
                    next_search = now + SEARCH_INTERVAL;
                }
                self.read_due_list().await
            };
            let idle = match result.await {
                Ok(idle) => idle.clamp(MIN_IDLE, MAX_IDLE),
                Err(error) => {
                    log_error("cannot read a list of jobs", &error);
                    ERROR_DELAY
                }
            };
            self.clock.sleep(idle).await;
        }
    }

    /// Adds the lists of projects that have many waits by now.
    pub(super) async fn add_lists(&self) -> Result<(), StoreError> {
        let mut transaction = self.store.database.begin().await?;
        let now = transaction.now().await?;
        let sql = "INSERT INTO cce_lists (project, due) SELECT project, $1 FROM cce_waits \
                   WHERE outcome IS NULL AND paused = 0 GROUP BY project HAVING count(*) >= $2 \
                   ON CONFLICT (project) DO UPDATE SET active = 1 WHERE cce_lists.active = 0";
        transaction.execute(sql, &[now.into(), (MIN_WAITS as i64).into()]).await?;
        transaction.commit().await
    }

    /// Reads one list, if one is due and the budget permits it. Returns the time until the next one is
    /// due.
    pub(super) async fn read_due_list(&self) -> Result<Duration, StoreError> {
        let mut transaction = self.store.database.begin_read().await?;
        let now = transaction.now().await?;
        let sql = concat!(
            "SELECT project, due, (SELECT count(*) FROM (SELECT 1 FROM cce_waits \
             WHERE cce_waits.project = cce_lists.project AND outcome IS NULL AND paused = 0 \
             LIMIT 1) AS first) AS has_waits \
             FROM cce_lists WHERE active = 1 AND (lease IS NULL OR lease <= $1) AND ",
            served!("$2"),
            " ORDER BY due LIMIT 1"
        );
        let projects = self.clients.filter();
        let row = transaction.row(sql, &[now.into(), (&projects).into()]).await?;
        drop(transaction);
        let Some(row) = row else { return Ok(MAX_IDLE) };
        let due = row.time("due")?.unwrap_or(now);
        if due > now {
            return Ok(until(due, now));
        }
        if row.int("has_waits")? == 0 {
            self.remove_list(&read_project(&row)?, now).await?;
            return Ok(Duration::ZERO);
        }
        let Some(due) = self.claim_list().await? else { return Ok(MAX_IDLE) };
        self.clock.sleep(due.pause).await;
        let client = due.client.client.clone().attempt_timeout(LIST_TIMEOUT);
        let began = self.monotonic();
        let result = client.jobs().await;
        let latency = self.monotonic().saturating_sub(began);
        self.store_list(&due, latency, &result).await?;
        self.store.changed.notify_waiters();
        Ok(Duration::ZERO)
    }

    /// Stops reading the list of a project whose waits all have ended or are paused.
    async fn remove_list(&self, project: &ProjectId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.store.database.begin().await?;
        transaction.lock_project(project, false).await?;
        let project = project.as_str();
        let sql = "SELECT state FROM cce_lists WHERE project = $1 FOR UPDATE";
        let row = transaction.row(sql, &[project.into()]).await?;
        let mut state = row.map(|row| read_state(&row)).unwrap_or_default();
        let urgency = state.urgency.take();
        state.read_at = None;
        let sql = "UPDATE cce_lists SET active = 0, missed = NULL, state = $2 WHERE project = $1";
        transaction.execute(sql, &[project.into(), (&to_json(&state)?).into()]).await?;
        // These waits are paused. They are read at once when the project is resumed.
        let sql = "UPDATE cce_waits SET listed = NULL, covered = 0, \
                   due = CASE WHEN covered = 1 AND due > $2 THEN $2 ELSE due END \
                   WHERE project = $1 AND outcome IS NULL AND listed IS NOT NULL";
        transaction.execute(sql, &[project.into(), now.into()]).await?;
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.update(urgency, None);
        budget.save(&mut transaction).await?;
        transaction.commit().await
    }

    /// Claims a list, with a slot for its request.
    pub(super) async fn claim_list(&self) -> Result<Option<DueList>, StoreError> {
        let mut transaction = self.store.database.begin().await?;
        let (mut budget, now) = self.lock_budget(&mut transaction).await?;
        let monotonic = self.monotonic();
        let in_flight = transaction.count(IN_FLIGHT, now).await?;
        // Not only a slot that is free now, because the waits take each slot as soon as they can.
        let slot = budget.next_slot().max(now);
        if in_flight >= budget.max_in_flight() || until(slot, now) > MAX_IDLE {
            return Ok(None);
        }
        let sql = concat!(
            "SELECT project, (SELECT count(*) FROM cce_lists WHERE active = 1) AS lists \
             FROM cce_lists WHERE active = 1 AND due <= $1 AND (lease IS NULL OR lease <= $1) AND ",
            served!("$2"),
            " AND EXISTS (SELECT 1 FROM cce_waits WHERE cce_waits.project = cce_lists.project \
             AND outcome IS NULL AND paused = 0) ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let projects = self.clients.filter();
        let values = [now.into(), (&projects).into()];
        let Some(row) = transaction.row(sql, &values).await? else { return Ok(None) };
        let (project, lists) = (read_project(&row)?, row.int("lists")?);
        let Some(client) = self.clients.for_project(&project) else { return Ok(None) };
        let lease = now.saturating_add(LEASE).unwrap_or(now);
        let sql = "UPDATE cce_lists SET lease = $2 WHERE project = $1";
        transaction.execute(sql, &[project.as_str().into(), lease.into()]).await?;
        budget.consume(slot);
        budget.save(&mut transaction).await?;
        transaction.commit().await?;
        let pause = until(slot, now);
        let share = budget.share();
        Ok(Some(DueList {
            project,
            client,
            lease,
            claimed_at: now,
            monotonic,
            pause,
            share,
            lists,
        }))
    }

    /// Stores what a list has shown.
    ///
    /// Locks the waits before the history and the budget, as the end of an attempt does.
    async fn store_list(
        &self,
        due: &DueList,
        latency: Duration,
        result: &Result<ListReading, FetchError>,
    ) -> Result<(), StoreError> {
        let elapsed = self.monotonic().saturating_sub(due.monotonic);
        let now = due.claimed_at.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
        let project = due.project.as_str();
        let mut transaction = self.store.database.begin().await?;
        // The waits of the project are not paused or resumed meanwhile, which would lock them in
        // another order.
        transaction.lock_project(&due.project, false).await?;
        let sql = "SELECT state FROM cce_lists WHERE project = $1 AND lease = $2 FOR UPDATE";
        let row = transaction.row(sql, &[project.into(), due.lease.into()]).await?;
        let mut urgencies = (None, None);
        // If the lease has ended, another worker has read the list.
        if let Some(row) = row {
            let mut state = read_state(&row);
            urgencies.0 = state.urgency;
            let schedule = self.schedule_of(&due.client);
            let planner = Planner { schedule: &*schedule, share: due.share, now };
            let mut observations = Vec::new();
            let interval = match result {
                Ok(reading) if reading.body_len > MAX_LIST_BYTES => Err(Issue::TooLarge),
                Ok(reading) => {
                    let since = state.learned_until;
                    (observations, state.learned_until) = self
                        .durations(&mut transaction, &due.project, &due.client, reading, since)
                        .await?;
                    read_rows(&mut transaction, due, reading, &mut state, &planner).await?
                }
                Err(error) => Err(issue(error)),
            };
            if !matches!(interval, Ok(Some(_))) {
                forget_rows(&mut transaction, project, &planner).await?;
            }
            let interval =
                interval.unwrap_or_else(|issue| Some(suspend(project, &mut state, issue, result)));
            urgencies.1 = state.urgency;
            let next = now.saturating_add(interval.unwrap_or_default()).unwrap_or(now);
            let sql = "UPDATE cce_lists SET due = $2, lease = NULL, active = $3, state = $4, \
                       missed = $5 WHERE project = $1";
            let text = to_json(&state)?;
            let values: [Value<'_>; 5] = [
                project.into(),
                next.into(),
                interval.is_some().into(),
                (&text).into(),
                state.missed().into(),
            ];
            transaction.execute(sql, &values).await?;
            due.client.learned.record(&mut transaction, observations).await?;
        }
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.record(now, &stats(latency, result));
        budget.update(urgencies.0, urgencies.1);
        budget.save(&mut transaction).await?;
        transaction.commit().await
    }
}

/// Compares the rows with the jobs' own readings. If a job has changed, its next attempt becomes due.
/// Returns the time until the next reading of the list, or `None` if the project has too few waits.
async fn read_rows(
    transaction: &mut Transaction,
    due: &DueList,
    reading: &ListReading,
    state: &mut ListState,
    planner: &Planner<'_>,
) -> Result<Result<Option<Duration>, Issue>, StoreError> {
    let row_state = |row: JobRow<'_>| RowState::new(row.phase().as_ref(), row.updated_at());
    let rows = reading.list.rows().filter_map(|row| Some((row.uid()?, row_state(row))));
    let rows: HashMap<&str, RowState> = rows.collect();
    let waits = waits(transaction, &due.project, state.read_at).await?;
    let (mut jobs, mut compared, mut misses) = (Jobs::default(), Vec::new(), 0);
    for wait in &waits {
        let row = rows.get(wait.job());
        let comparison = row.map(|row| wait.listed().compare(*row, state.date, reading.date));
        match comparison.and_then(|comparison| comparison.evidence) {
            Some(true) => state.evidence.record_fresh(),
            Some(false) => misses += 1,
            None => {}
        }
        if wait.is_active {
            jobs.add(planner, wait.reading.as_ref().filter(|_| row.is_some()));
        }
        compared.push((wait, comparison));
    }
    (0..misses).for_each(|_| state.evidence.record_miss());
    (state.date, state.read_at) = (reading.date, Some(planner.now));
    let interval = if misses == 0 {
        let bytes = reading.body_len as f64 * due.lists as f64;
        let pause = Duration::try_from_secs_f64(bytes / BYTES_PER_SECOND);
        Ok(state.plan(&jobs, planner, pause.unwrap_or(Duration::MAX)))
    } else {
        Err(Issue::Stale)
    };
    let covers = misses == 0 && state.urgency.is_some();
    for (wait, comparison) in compared {
        wait.update(transaction, comparison, covers, planner).await?;
    }
    Ok(interval)
}

/// Reads what is known of a list. What another version wrote is forgotten.
fn read_state(row: &Row) -> ListState {
    row.json("state").ok().flatten().unwrap_or_default()
}

/// Returns how long a list is not read because of this issue.
fn suspend(
    project: &str,
    state: &mut ListState,
    issue: Issue,
    result: &Result<ListReading, FetchError>,
) -> Duration {
    let length = state.evidence.suspend(issue != Issue::Failed);
    (state.urgency, state.date, state.read_at) = (None, None, None);
    let seconds = length.as_secs();
    let error = result.as_ref().err().map(tracing::field::display);
    tracing::warn!(project, seconds, ?issue, error, "the list of jobs is not read for some time");
    length
}

fn issue(error: &FetchError) -> Issue {
    match error.kind() {
        FetchErrorKind::Status(403 | 404 | 405 | 501) => Issue::Refused,
        FetchErrorKind::Transport(TransportErrorKind::BodyTooLarge) => Issue::TooLarge,
        FetchErrorKind::Transport(TransportErrorKind::Timeout) => Issue::Slow,
        _ => Issue::Failed,
    }
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
