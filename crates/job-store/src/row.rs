//! The row of a wait in the table `cce_waits`.

use std::time::Duration;

use jiff::Timestamp;
use job_model::ProjectId;
use job_poller::{
    WaitPolicy,
    durable::{Forecast, RowState, StoredResult, StoredWait, WaitKey},
    schedule::{BudgetShare, PollPlan, Schedule},
};
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

use crate::{
    database::{Row, Transaction, Value},
    error::StoreError,
    receiver::{MAX_RECEIVERS, Receiver},
};

/// A wait as stored.
#[derive(Clone, Debug)]
pub(crate) struct WaitRow {
    pub(crate) key: WaitKey,
    /// Differs between two waits of the same key.
    pub(crate) number: i64,
    /// Changes with each attempt and each cancellation.
    pub(crate) tick: i64,
    pub(crate) state: WaitState,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) extension: Option<Extension>,
    pub(crate) lease: Option<Timestamp>,
    pub(crate) is_hinted: bool,
    pub(crate) is_paused: bool,
    pub(crate) reading: Option<LastReading>,
    /// The probability that the list of the project does not show the next change of the job. 1 if the
    /// list replaces no readings of it. Only lists change it.
    pub(crate) miss_probability: f64,
    /// When the job is expected to end, if such jobs were observed.
    pub(crate) expected_end: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

/// What a wait is doing.
#[derive(Clone, Debug)]
pub(crate) enum WaitState {
    /// The wait, and when its next attempt is due.
    Active(Box<StoredWait>, Timestamp),
    Finished(StoredResult, Timestamp),
}

/// The last reading of a job, as far as lists concern it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastReading {
    pub(crate) state: RowState,
    /// By the clock of the database.
    pub(crate) at: Timestamp,
    /// `None` if the job has ended or settles, or if objects are read.
    pub(crate) forecast: Option<Forecast>,
}

impl LastReading {
    /// Returns what the schedule would plan at `now` for a request that shows `jobs` jobs.
    pub(crate) fn plan(
        &self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        now: Timestamp,
        jobs: u32,
    ) -> Option<PollPlan> {
        let since = now.duration_since(self.at).try_into().unwrap_or_default();
        Some(self.forecast.as_ref()?.plan(schedule, share, since, jobs))
    }

    /// Returns when the job would be read next if no list showed it, as known at `now`. `None` if a
    /// list changes nothing.
    pub(crate) fn due_without_list(
        &self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let delay = self.plan(schedule, share, now, 1)?.delay;
        Some(self.at.saturating_add(delay).unwrap_or(now).max(now))
    }
}

/// A policy that was requested while an attempt was in flight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Extension {
    pub(crate) policy: WaitPolicy,
    pub(crate) at: Timestamp,
}

impl Extension {
    /// Returns an extension to both policies, or `None` if they contradict each other.
    pub(crate) fn merge(&self, later: &Self) -> Option<Self> {
        if !self.policy.agrees_with(&later.policy) {
            return None;
        }
        let between = later.at.duration_since(self.at).try_into().unwrap_or_default();
        let policy = self.policy.extended_for(between, &later.policy, Duration::ZERO);
        Some(Self { policy, at: self.at })
    }
}

/// The columns of a wait.
macro_rules! columns {
    () => {
        "key, number, tick, wait, snapshot, extension, receivers, due, lease, hinted, paused, \
         reading, outcome, has_job_ended, is_success, result, expected_end, created_at, \
         finished_at, (SELECT missed FROM cce_lists \
         WHERE cce_lists.project = cce_waits.project AND covered = 1) AS missed"
    };
}
pub(crate) use columns;

/// Reads the result of a finished wait, with this body.
pub(crate) fn read_result(row: &Row, body: String) -> Result<StoredResult, StoreError> {
    let (outcome, has_job_ended) = (row.text("outcome")?, row.int("has_job_ended")? != 0);
    let is_success = row.opt_int("is_success")?.map(|int| int != 0);
    Ok(StoredResult::from_parts(outcome, has_job_ended, is_success, body))
}

impl WaitRow {
    pub(crate) fn from_row(row: &Row) -> Result<Self, StoreError> {
        let key = read_key(row)?;
        let created_at = row.time("created_at")?.unwrap_or_default();
        let state = match row.opt_text("outcome")? {
            Some(_) => {
                let result = read_result(row, row.text("result")?)?;
                WaitState::Finished(result, row.time("finished_at")?.unwrap_or(created_at))
            }
            None => {
                let wait: Option<StoredWait> = row.json("wait")?;
                let wait = wait.ok_or_else(|| StoreError::unreadable("wait", "it is empty"))?;
                let snapshot: Option<JobSnapshot> = row.json("snapshot")?;
                let wait = wait.with_snapshot(snapshot);
                WaitState::Active(wait.into(), row.time("due")?.unwrap_or(created_at))
            }
        };
        Ok(Self {
            key,
            number: row.int("number")?,
            tick: row.int("tick")?,
            state,
            receivers: row.json("receivers")?.unwrap_or_default(),
            extension: row.json("extension")?,
            lease: row.time("lease")?,
            is_hinted: row.int("hinted")? != 0,
            is_paused: row.int("paused")? != 0,
            // What another version wrote is forgotten.
            reading: row.json("reading").unwrap_or_default(),
            miss_probability: row.opt_int("missed")?.map_or(1.0, |missed| missed as f64 / 1e6),
            expected_end: row.time("expected_end")?,
            created_at,
        })
    }

    /// Reads the row with this key, and locks it until the end of the transaction.
    pub(crate) async fn lock(
        transaction: &mut Transaction,
        key: &WaitKey,
    ) -> Result<Option<Self>, StoreError> {
        let sql = concat!("SELECT ", columns!(), " FROM cce_waits WHERE key = $1 FOR UPDATE");
        let row = transaction.row(sql, &[(&key.to_string()).into()]).await?;
        row.as_ref().map(Self::from_row).transpose()
    }

    /// Inserts the row. Returns false if another transaction has inserted one with the same key.
    pub(crate) async fn insert(&self, transaction: &mut Transaction) -> Result<bool, StoreError> {
        let sql = "INSERT INTO cce_waits (key, project, number, tick, receivers, paused, created_at) \
                   VALUES ($1, $2, $3, $4, '[]', $5, $6) ON CONFLICT (key) DO NOTHING";
        let key = self.key.to_string();
        let values: [Value<'_>; 6] = [
            (&key).into(),
            self.key.project.as_str().into(),
            self.number.into(),
            self.tick.into(),
            self.is_paused.into(),
            self.created_at.into(),
        ];
        if transaction.execute(sql, &values).await? == 0 {
            return Ok(false);
        }
        self.update(transaction, None, self.created_at).await?;
        Ok(true)
    }

    /// Writes what changes during a wait, and that it has changed at `now`. The snapshot is written only
    /// if it differs from `before`, because it is the largest part and changes rarely.
    pub(crate) async fn update(
        &self,
        transaction: &mut Transaction,
        before: Option<&JobSnapshot>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = self.key.to_string();
        let receivers = to_json(&self.receivers)?;
        let extension = self.extension.as_ref().map(to_json).transpose()?;
        let reading = self.reading.as_ref().map(to_json).transpose()?;
        match &self.state {
            WaitState::Active(wait, due) => {
                let snapshot = wait.checkpoint().machine().snapshot();
                let text = to_json(&wait.as_ref().clone().with_snapshot(None))?;
                let sql = "UPDATE cce_waits SET tick = $2, wait = $3, extension = $4, receivers = $5, \
                           due = $6, earliest = $7, lease = $8, hinted = $9, expected_end = $10, \
                           changed_at = $11, reading = $12 WHERE key = $1";
                let values: [Value<'_>; 12] = [
                    (&key).into(),
                    self.tick.into(),
                    (&text).into(),
                    extension.as_deref().into(),
                    (&receivers).into(),
                    (*due).into(),
                    wait.earliest_attempt_at().into(),
                    self.lease.into(),
                    self.is_hinted.into(),
                    self.expected_end.into(),
                    now.into(),
                    reading.as_deref().into(),
                ];
                transaction.execute(sql, &values).await?;
                let is_same = match (before, snapshot) {
                    (Some(before), Some(now)) => before == now,
                    (None, None) => true,
                    _ => false,
                };
                if !is_same {
                    let text = snapshot.map(to_json).transpose()?;
                    let sql = "UPDATE cce_waits SET snapshot = $2 WHERE key = $1";
                    transaction.execute(sql, &[(&key).into(), text.as_deref().into()]).await?;
                }
            }
            WaitState::Finished(result, finished_at) => {
                let sql = "UPDATE cce_waits SET tick = $2, wait = NULL, snapshot = NULL, \
                           extension = NULL, receivers = $3, due = NULL, earliest = NULL, \
                           lease = NULL, hinted = 0, outcome = $4, has_job_ended = $5, result = $6, \
                           finished_at = $7, expected_end = NULL, changed_at = $8, \
                           is_success = $9, reading = $10 WHERE key = $1";
                let values: [Value<'_>; 10] = [
                    (&key).into(),
                    self.tick.into(),
                    (&receivers).into(),
                    (&result.outcome).into(),
                    result.has_job_ended.into(),
                    (&result.body).into(),
                    (*finished_at).into(),
                    now.into(),
                    result.is_success().into(),
                    reading.as_deref().into(),
                ];
                transaction.execute(sql, &values).await?;
            }
        }
        Ok(())
    }

    /// Returns whether a worker makes an attempt.
    pub(crate) fn is_in_flight(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|until| until > now)
    }

    /// Adds receivers that are not in the list, and returns them.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many.
    pub(crate) fn add_receivers(
        &mut self,
        receivers: &[Receiver],
    ) -> Result<Vec<Receiver>, StoreError> {
        let mut added = Vec::new();
        for receiver in receivers {
            if self.receivers.contains(receiver) {
                continue;
            }
            if self.receivers.len() >= MAX_RECEIVERS {
                return Err(StoreError::TooManyReceivers);
            }
            self.receivers.push(receiver.clone());
            added.push(receiver.clone());
        }
        Ok(added)
    }
}

/// Makes the next attempt of an active wait due as early as permitted. Returns whether there is such a
/// wait. During an attempt, the hint is kept for the next plan.
pub(crate) async fn hint(
    transaction: &mut Transaction,
    key: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE cce_waits SET hinted = 1, changed_at = $2, \
               due = CASE WHEN earliest < due THEN earliest ELSE due END \
               WHERE key = $1 AND outcome IS NULL";
    Ok(transaction.execute(sql, &[key.into(), now.into()]).await? > 0)
}

/// Reads the key of a wait from a row of any table.
pub(crate) fn read_key(row: &Row) -> Result<WaitKey, StoreError> {
    row.text("key")?.parse().map_err(|error| StoreError::unreadable("key", error))
}

/// Reads the id of a project from a row of any table.
pub(crate) fn read_project(row: &Row) -> Result<ProjectId, StoreError> {
    row.text("project")?.parse().map_err(|error| StoreError::unreadable("project", error))
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable("a value", error))
}
