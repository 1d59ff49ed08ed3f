//! Reads the lists of jobs of projects with many waits.
//!
//! One request shows many jobs. A row that shows a change of a job is a hint: the job itself is read
//! next. No outcome comes from a list, and each row causes at most one request. While the rows of a
//! list prove fresh, the jobs' own readings are rarer.
//!
//! All workers share what is known of a list: the table `cce_lists`, and the columns `listed`, `reading`
//! and `covered` of each wait. Each decision follows from the numbers that a fleet uses, too.

mod listed;
mod state;
mod learning;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use job_model::ProjectId;
use job_poller::{
    budget::AttemptStats,
    durable::RowState,
    machine::{AttemptError, Input},
    schedule::{BudgetShare, PollPlan, Schedule},
};
use job_transport::{
    FetchError, FetchErrorKind, Fetched, ListReading, Unchanged, clock::Clock as _,
    transport::TransportErrorKind,
};

use self::{
    listed::{Comparison, Listed, ListedWait},
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
    row::{LastReading, hint, to_json},
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

/// Plans readings at one moment.
struct Planner<'a> {
    schedule: &'a dyn Schedule,
    share: BudgetShare,
    now: Timestamp,
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

    /// Reads one list, if one is due and the budget permits it. Returns how long none is due.
    pub(super) async fn read_due_list(&self) -> Result<Duration, StoreError> {
        let mut transaction = self.store.database.begin_read().await?;
        let now = transaction.now().await?;
        let sql = concat!(
            "SELECT project, due, CASE WHEN EXISTS (SELECT 1 FROM cce_waits \
             WHERE cce_waits.project = cce_lists.project AND outcome IS NULL AND paused = 0) \
             THEN 1 ELSE 0 END AS has_waits \
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
            self.remove_list(&row.text("project")?, now).await?;
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

    /// Does not read the list of a project any more whose waits have ended or are paused.
    async fn remove_list(&self, project: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.store.database.begin().await?;
        let sql = "SELECT state FROM cce_lists WHERE project = $1 FOR UPDATE";
        let row = transaction.row(sql, &[project.into()]).await?;
        let mut state = row.map(|row| read_state(&row)).unwrap_or_default();
        let urgency = state.urgency.take();
        let sql = "UPDATE cce_lists SET active = 0, missed = NULL, state = $2 WHERE project = $1";
        transaction.execute(sql, &[project.into(), (&to_json(&state)?).into()]).await?;
        // The paused waits, which are due when the project is resumed.
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
        let (text, lists) = (row.text("project")?, row.int("lists")?);
        let project: ProjectId =
            text.parse().map_err(|error| StoreError::unreadable("cce_lists.project", error))?;
        let Some(client) = self.clients.for_project(&project) else { return Ok(None) };
        let lease = now.saturating_add(LEASE).unwrap_or(now);
        let sql = "UPDATE cce_lists SET lease = $2 WHERE project = $1";
        transaction.execute(sql, &[(&text).into(), lease.into()]).await?;
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
    /// Locks the waits before the budget, as the end of an attempt does.
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
            let interval = match result {
                Ok(reading) if reading.body_len > MAX_LIST_BYTES => Err(Issue::TooLarge),
                Ok(reading) => {
                    self.read_rows(&mut transaction, due, reading, &mut state, &planner).await?
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
        }
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.record(now, &stats(latency, result));
        budget.update(urgencies.0, urgencies.1);
        budget.save(&mut transaction).await?;
        transaction.commit().await
    }

    /// Compares the rows with the jobs' own readings, and makes the attempts due whose jobs have
    /// changed. Returns when the list is read next, which is never if the project has few waits.
    async fn read_rows(
        &self,
        transaction: &mut Transaction,
        due: &DueList,
        reading: &ListReading,
        state: &mut ListState,
        planner: &Planner<'_>,
    ) -> Result<Result<Option<Duration>, Issue>, StoreError> {
        let learned_until = state.learned_until;
        let (observations, learned_until) =
            self.durations(transaction, &due.project, &due.client, reading, learned_until).await?;
        due.client.learned.record(transaction, observations).await?;
        let rows: HashMap<&str, RowState> = reading
            .list
            .rows()
            .filter_map(|row| {
                Some((row.uid()?, RowState::new(row.phase().as_ref(), row.updated_at())))
            })
            .collect();
        let mut waits = Vec::new();
        for row in rows_of_waits(transaction, &due.project, state.read_at).await? {
            waits.push(ProjectWait::from_row(&row)?);
        }
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
        (state.date, state.read_at) = (reading.date, Some(planner.now));
        state.learned_until = learned_until;
        (0..misses).for_each(|_| state.evidence.record_miss());
        if misses > 0 {
            return Ok(Err(Issue::Stale));
        }
        let bytes = reading.body_len as f64 * due.lists as f64;
        let pause = Duration::try_from_secs_f64(bytes / BYTES_PER_SECOND).unwrap_or(Duration::MAX);
        let interval = state.plan(&jobs, planner, pause);
        for (wait, comparison) in compared {
            wait.update(transaction, comparison, state.urgency.is_some(), planner).await?;
        }
        Ok(Ok(interval))
    }
}

impl Planner<'_> {
    /// Returns what the schedule would plan now for a request that shows `jobs` jobs.
    fn plan(&self, reading: &LastReading, jobs: u32) -> Option<PollPlan> {
        reading.plan(self.schedule, self.share, self.now, jobs)
    }
}

/// Reads what is known of a list. What another version wrote is forgotten.
fn read_state(row: &Row) -> ListState {
    row.json("state").ok().flatten().unwrap_or_default()
}

/// A wait of the project, as far as a list concerns it.
struct ProjectWait {
    key: String,
    /// What the last list has shown.
    before: Option<Listed>,
    reading: Option<LastReading>,
    tick: i64,
    is_in_flight: bool,
    is_covered: bool,
    is_active: bool,
}

/// Returns the active waits of a project, and those of any project that have finished since the last
/// list.
async fn rows_of_waits(
    transaction: &mut Transaction,
    project: &ProjectId,
    read_at: Option<Timestamp>,
) -> Result<Vec<Row>, StoreError> {
    // In the order in which they are updated.
    let sql = "SELECT key, tick, lease, listed, reading, covered, outcome FROM cce_waits \
               WHERE project = $1 AND outcome IS NULL AND paused = 0 ORDER BY key";
    let mut rows = transaction.rows(sql, &[project.as_str().into()]).await?;
    if let Some(read_at) = read_at {
        let since = read_at.saturating_sub(FINISHED_OVERLAP).unwrap_or(read_at);
        // The index by time finds few waits. One by project might find all that are kept.
        let sql = "SELECT key, tick, lease, listed, reading, covered, outcome FROM cce_waits \
                   WHERE finished_at >= $1 AND listed IS NOT NULL ORDER BY key";
        for row in transaction.rows(sql, &[since.into()]).await? {
            if row.text("key")?.split_once(':').is_some_and(|(of, _)| of == project.as_str()) {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

impl ProjectWait {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.text("key")?,
            // What another version wrote is forgotten.
            before: row.json::<Listed>("listed").ok().flatten(),
            reading: row.json("reading").ok().flatten(),
            tick: row.int("tick")?,
            is_in_flight: row.opt_int("lease")?.is_some(),
            is_covered: row.int("covered")? != 0,
            is_active: row.opt_text("outcome")?.is_none(),
        })
    }

    fn listed(&self) -> ListedWait {
        let own = self.reading.as_ref().map(|reading| reading.state);
        let Self { before, tick, is_in_flight, .. } = *self;
        ListedWait { before, own, tick, is_in_flight }
    }

    fn job(&self) -> &str {
        self.key.split_once(':').map_or("", |(_, job)| job)
    }

    /// Writes what the list has shown of this wait, if that has changed. `covers` is whether the list
    /// replaces readings of its jobs.
    async fn update(
        &self,
        transaction: &mut Transaction,
        comparison: Option<Comparison>,
        covers: bool,
        planner: &Planner<'_>,
    ) -> Result<(), StoreError> {
        let has_forecast = self.reading.as_ref().is_some_and(|reading| reading.forecast.is_some());
        let agrees = comparison.is_some_and(|comparison| comparison.agrees);
        let is_covered = covers && agrees && has_forecast && self.is_active;
        let listed = comparison.map(|comparison| comparison.listed);
        if listed != self.before || is_covered != self.is_covered {
            let listed = listed.as_ref().map(to_json).transpose()?;
            let sql = "UPDATE cce_waits SET listed = $2, covered = $3 WHERE key = $1";
            let values = [(&self.key).into(), listed.as_deref().into(), is_covered.into()];
            transaction.execute(sql, &values).await?;
        }
        if self.is_covered && !is_covered && self.is_active {
            plan_without_list(transaction, &self.key, self.reading.as_ref(), planner).await?;
        }
        if comparison.is_some_and(|comparison| comparison.is_hint) && self.is_active {
            hint(transaction, &self.key, planner.now).await?;
        }
        Ok(())
    }
}

/// Forgets what the list has shown, and lets the jobs be read as without it.
async fn forget_rows(
    transaction: &mut Transaction,
    project: &str,
    planner: &Planner<'_>,
) -> Result<(), StoreError> {
    let sql = "SELECT key, reading FROM cce_waits \
               WHERE project = $1 AND outcome IS NULL AND covered = 1 ORDER BY key";
    for row in transaction.rows(sql, &[project.into()]).await? {
        let reading = row.json("reading").ok().flatten();
        plan_without_list(transaction, &row.text("key")?, reading.as_ref(), planner).await?;
    }
    let sql = "UPDATE cce_waits SET listed = NULL, covered = 0 \
               WHERE project = $1 AND outcome IS NULL AND listed IS NOT NULL";
    transaction.execute(sql, &[project.into()]).await.map(drop)
}

/// Makes the next attempt of a wait due when it would be without the list, if that is earlier.
async fn plan_without_list(
    transaction: &mut Transaction,
    key: &String,
    reading: Option<&LastReading>,
    planner: &Planner<'_>,
) -> Result<(), StoreError> {
    let due = |of: &LastReading| of.due_without_list(planner.schedule, planner.share, planner.now);
    let Some(due) = reading.and_then(due) else { return Ok(()) };
    let sql = "UPDATE cce_waits SET due = $2, changed_at = $3 \
               WHERE key = $1 AND outcome IS NULL AND due > $2";
    transaction.execute(sql, &[key.into(), due.into(), planner.now.into()]).await.map(drop)
}

/// Returns how long a list is not read because of this issue.
fn suspend(
    project: &str,
    state: &mut ListState,
    issue: Issue,
    result: &Result<ListReading, FetchError>,
) -> Duration {
    let length = state.evidence.suspend(issue != Issue::Failed);
    (state.urgency, state.date) = (None, None);
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
