//! The checkpoints and the results in SQLite.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use job_model::{JobId, Phase};
use job_poller::{Checkpoint, Report};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A database. Its calls run on threads for blocking work.
#[derive(Clone)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

/// `outcome` is null while the wait is in progress. Queries need not read the checkpoint.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, phase TEXT, attempts INTEGER NOT NULL, next_attempt_at TEXT,
    deadline_at TEXT, checkpoint TEXT NOT NULL, outcome TEXT, detail TEXT) STRICT";

const SAVE: &str = "INSERT OR REPLACE INTO jobs (id, phase, attempts, next_attempt_at, deadline_at,
    checkpoint) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const FINISH: &str = "UPDATE jobs SET phase = ?2, attempts = ?3, next_attempt_at = NULL,
    outcome = ?4, detail = ?5 WHERE id = ?1";

const STATE: &str = "SELECT iif(outcome IS NULL, checkpoint, NULL), json_object('phase', phase,
    'attempts', attempts, 'next_attempt_at', next_attempt_at, 'deadline_at', deadline_at,
    'outcome', outcome, 'detail', detail) FROM jobs WHERE id = ?1";

impl Store {
    pub(crate) fn open(path: &str) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute(SCHEMA, [])?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    pub(crate) async fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        self.call(move |connection| {
            let text = serde_json::to_string(&checkpoint)?;
            let (id, phase) = (checkpoint.job_id().as_str(), checkpoint.phase().map(Phase::as_str));
            let next = checkpoint.next_attempt_at().map(|at| at.to_string());
            let deadline = checkpoint.deadline_at().map(|at| at.to_string());
            let values = params![id, phase, checkpoint.attempts(), next, deadline, text];
            Ok(connection.execute(SAVE, values).map(drop)?)
        })
        .await
    }

    /// Saves the result of a wait.
    pub(crate) async fn finish(&self, id: JobId, report: &Report<'_>) -> Result<()> {
        let phase = report.phase.map(|phase| phase.as_str().to_owned());
        let (outcome, attempts) = (report.outcome, report.attempts);
        let detail = report.failure.map(ToString::to_string).or_else(|| report.error.clone());
        self.call(move |connection| {
            let values = params![id.as_str(), phase, attempts, outcome, detail];
            Ok(connection.execute(FINISH, values).map(drop)?)
        })
        .await
    }

    /// Returns the checkpoint of a wait if it has not ended, and its state as JSON.
    pub(crate) async fn get(&self, id: JobId) -> Result<Option<(Option<Checkpoint>, String)>> {
        self.call(move |connection| {
            let columns = |row: &Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get(1)?));
            let row = connection.query_row(STATE, [id.as_str()], columns).optional()?;
            let Some((checkpoint, state)) = row else { return Ok(None) };
            Ok(Some((checkpoint.map(|text| serde_json::from_str(&text)).transpose()?, state)))
        })
        .await
    }

    /// Returns the checkpoints of the waits that have not ended.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Checkpoint>> {
        self.call(|connection| {
            let mut query =
                connection.prepare("SELECT checkpoint FROM jobs WHERE outcome IS NULL")?;
            let texts = query.query_map([], |row| row.get::<_, String>(0))?;
            texts.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.0.clone();
        let call = move || f(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(call).await?
    }
}
