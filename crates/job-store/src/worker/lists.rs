//! Reads the lists of jobs of projects with many waits.
//!
//! One request shows many jobs. A row that shows a change of a job is a hint: the job itself is read
//! next. No outcome comes from a list, and each row causes at most one request. While the rows of a
//! list prove fresh, the jobs' own readings are rarer.
//!
//! All workers share what is known of a list: the table `cce_lists`, and the columns `listed`,
//! `own_state`, `urgency` and `trust` of each wait.

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
};
use job_transport::{
    FetchError, FetchErrorKind, Fetched, ListReading, Unchanged, clock::Clock as _,
    transport::TransportErrorKind,
};

pub(super) use self::state::miss_probability;
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
    database::{Row, Transaction},
    error::StoreError,
    row::{hint, to_json},
};

/// A list that this worker may read.
struct DueList {
    project: ProjectId,
    client: ProjectClient,
    /// Identifies the claim.
    lease: Timestamp,
    claimed_at: Timestamp,
    /// The time of the claim, by the monotonic clock of this process.
    monotonic: Duration,
    /// How long until the request may be sent.
    pause: Duration,
    /// The price of a request, in seconds.
    request_price: f64,
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

/// The minimum number while the list proves fresh.
const MIN_TRUSTED_WAITS: u64 = 5;

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
                   ON CONFLICT (project) DO NOTHING";
        transaction.execute(sql, &[now.into(), (MIN_WAITS as i64).into()]).await?;
        let sql = "UPDATE cce_lists SET active = 1 WHERE active = 0 AND (SELECT count(*) \
                   FROM cce_waits WHERE cce_waits.project = cce_lists.project \
                   AND outcome IS NULL AND paused = 0) >= $1";
        transaction.execute(sql, &[(MIN_WAITS as i64).into()]).await?;
        transaction.commit().await
    }

    /// Reads one list, if one is due and the budget permits it. Returns how long none is due.
    pub(super) async fn read_due_list(&self) -> Result<Duration, StoreError> {
        let mut transaction = self.store.database.begin_read().await?;
        let now = transaction.now().await?;
        let sql = concat!(
            "SELECT project, due, (SELECT count(*) FROM cce_waits \
             WHERE cce_waits.project = cce_lists.project AND outcome IS NULL AND paused = 0) \
             AS waits FROM cce_lists WHERE active = 1 AND (lease IS NULL OR lease <= $1) AND ",
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
        if row.int("waits")? == 0 {
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

    /// Does not read the list of a project without waits that are not paused.
    async fn remove_list(&self, project: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.store.database.begin().await?;
        let sql = "SELECT state FROM cce_lists WHERE project = $1 FOR UPDATE";
        let row = transaction.row(sql, &[project.into()]).await?;
        let mut state = row.map(|row| read_state(&row)).unwrap_or_default();
        let urgency = state.urgency.take();
        let sql = "UPDATE cce_lists SET active = 0, state = $2 WHERE project = $1";
        transaction.execute(sql, &[project.into(), (&to_json(&state)?).into()]).await?;
        forget_rows(&mut transaction, project, now).await?;
        let mut budget = SharedBudget::lock(&mut transaction).await?;
        budget.update(urgency, None);
        budget.save(&mut transaction).await?;
        transaction.commit().await
    }

    /// Claims a list, with a slot for its request.
    async fn claim_list(&self) -> Result<Option<DueList>, StoreError> {
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
        let request_price = budget.share().request_price.as_secs_f64();
        Ok(Some(DueList {
            project,
            client,
            lease,
            claimed_at: now,
            monotonic,
            pause,
            request_price,
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
            let issue = match result {
                Ok(reading) if reading.body_len > MAX_LIST_BYTES => Err(Issue::TooLarge),
                Ok(reading) => {
                    self.read_rows(&mut transaction, due, reading, &mut state, now).await?
                }
                Err(error) => Err(issue(error)),
            };
            let interval = match issue {
                Ok(interval) => interval,
                Err(issue) => Some(suspend(project, &mut state, issue, result)),
            };
            if issue.is_err() {
                forget_rows(&mut transaction, project, now).await?;
            }
            urgencies.1 = state.urgency;
            let next = now.saturating_add(interval.unwrap_or_default()).unwrap_or(now);
            let sql = "UPDATE cce_lists SET due = $2, lease = NULL, active = $3, state = $4 \
                       WHERE project = $1";
            let state = to_json(&state)?;
            let is_active = interval.is_some();
            let values = [project.into(), next.into(), is_active.into(), (&state).into()];
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
        now: Timestamp,
    ) -> Result<Result<Option<Duration>, Issue>, StoreError> {
        let learned_until = state.learned_until;
        let (observations, learned_until) =
            self.durations(transaction, &due.project, &due.client, reading, learned_until).await?;
        let rows: HashMap<&str, RowState> = reading
            .list
            .rows()
            .filter_map(|row| {
                Some((row.uid()?, RowState::new(row.phase().as_ref(), row.updated_at())))
            })
            .collect();
        let (dates, mut jobs, mut misses) = ((state.date, reading.date), Jobs::default(), 0);
        let mut compared = Vec::new();
        for row in waits(transaction, &due.project, state.read_at).await? {
            let wait = ProjectWait::from_row(&row)?;
            let comparison =
                rows.get(wait.job()).map(|row| wait.listed.compare(*row, dates.0, dates.1));
            match comparison.and_then(|comparison| comparison.evidence) {
                Some(true) => state.evidence.record_fresh(),
                Some(false) => misses += 1,
                None => {}
            }
            if wait.is_active {
                jobs.add(wait.urgency, comparison.is_some_and(|comparison| comparison.agrees));
            }
            compared.push((wait, comparison));
        }
        (0..misses).for_each(|_| state.evidence.record_miss());
        let bytes = reading.body_len as f64 * due.lists as f64;
        let least = Duration::try_from_secs_f64(bytes / BYTES_PER_SECOND).unwrap_or(Duration::MAX);
        let plan = state.plan(&jobs, due.request_price, least);
        for (wait, comparison) in &compared {
            let trust = if misses > 0 { 0 } else { plan.trust };
            wait.update(transaction, *comparison, trust, now).await?;
        }
        (state.date, state.read_at, state.learned_until) = (dates.1, Some(now), learned_until);
        due.client.learned.record(transaction, observations).await?;
        if misses > 0 {
            return Ok(Err(Issue::Stale));
        }
        if plan.interval.is_none() {
            forget_rows(transaction, due.project.as_str(), now).await?;
        }
        Ok(Ok(plan.interval))
    }
}

/// Reads what is known of a list. What another version wrote is forgotten.
fn read_state(row: &Row) -> ListState {
    row.json("state").ok().flatten().unwrap_or_default()
}

/// Makes the next attempt of a wait due earlier under a condition, because no list replaces readings of
/// its job any more. A delay of 300 s becomes one of 15 s, and the delays of many waits stay apart. The
/// attempt then plans the next one as usual.
macro_rules! earlier {
    ($condition:literal, $now:literal) => {
        concat!(
            "due = CASE WHEN ",
            $condition,
            " AND due > ",
            $now,
            " THEN ",
            $now,
            " + (due - ",
            $now,
            ") / 20 ELSE due END, changed_at = CASE WHEN ",
            $condition,
            " THEN ",
            $now,
            " ELSE changed_at END"
        )
    };
}

/// A wait of the project, as far as a list concerns it.
struct ProjectWait {
    key: String,
    listed: ListedWait,
    urgency: Option<i64>,
    trust: i64,
    is_active: bool,
}

/// Returns the active waits of a project, and those of any project that have finished since the last
/// list.
async fn waits(
    transaction: &mut Transaction,
    project: &ProjectId,
    read_at: Option<Timestamp>,
) -> Result<Vec<Row>, StoreError> {
    // In the order in which they are updated.
    let sql = "SELECT key, tick, lease, listed, own_state, urgency, trust, outcome FROM cce_waits \
               WHERE project = $1 AND outcome IS NULL AND paused = 0 ORDER BY key";
    let mut rows = transaction.rows(sql, &[project.as_str().into()]).await?;
    if let Some(read_at) = read_at {
        let since = read_at.saturating_sub(FINISHED_OVERLAP).unwrap_or(read_at);
        // The index by time finds few waits. One by project might find all that are kept.
        let sql = "SELECT key, tick, lease, listed, own_state, urgency, trust, outcome \
                   FROM cce_waits WHERE finished_at >= $1 AND listed IS NOT NULL ORDER BY key";
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
            listed: ListedWait {
                // What another version wrote is forgotten.
                before: row.json::<Listed>("listed").ok().flatten(),
                own: row.json("own_state").ok().flatten(),
                tick: row.int("tick")?,
                is_in_flight: row.opt_int("lease")?.is_some(),
            },
            urgency: row.opt_int("urgency")?,
            trust: row.int("trust")?,
            is_active: row.opt_text("outcome")?.is_none(),
        })
    }

    fn job(&self) -> &str {
        self.key.split_once(':').map_or("", |(_, job)| job)
    }

    /// Writes what the list has shown of this wait, if that has changed. `trust` is that in the list.
    async fn update(
        &self,
        transaction: &mut Transaction,
        comparison: Option<Comparison>,
        trust: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let agrees = comparison.is_some_and(|comparison| comparison.agrees);
        let trust = if agrees && self.is_active { trust } else { 0 };
        let listed = comparison.map(|comparison| comparison.listed);
        if listed != self.listed.before || trust != self.trust {
            let listed = listed.as_ref().map(to_json).transpose()?;
            let sql = concat!(
                "UPDATE cce_waits SET listed = $2, trust = $3, ",
                earlier!("$3 = 0 AND trust > 0", "$4"),
                " WHERE key = $1"
            );
            let values = [(&self.key).into(), listed.as_deref().into(), trust.into(), now.into()];
            transaction.execute(sql, &values).await?;
        }
        if comparison.is_some_and(|comparison| comparison.is_hint) && self.is_active {
            hint(transaction, &self.key, now).await?;
        }
        Ok(())
    }
}

/// Forgets what the list has shown, and lets the jobs be read as without it.
async fn forget_rows(
    transaction: &mut Transaction,
    project: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = concat!(
        "UPDATE cce_waits SET listed = NULL, trust = 0, ",
        earlier!("trust > 0", "$2"),
        " WHERE project = $1 AND outcome IS NULL AND listed IS NOT NULL"
    );
    transaction.execute(sql, &[project.into(), now.into()]).await.map(drop)
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
