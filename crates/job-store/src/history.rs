//! What the workers have learned about the jobs of an endpoint: one row of the database.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use job_poller::schedule::{Adaptive, History, JobObservation, Schedule};
use job_transport::{Endpoint, JobDigest, transport::is_loopback};

use crate::{
    database::{Database, Row, Transaction},
    error::StoreError,
    row::to_json,
};

/// The adaptive schedule of a worker, which is built from the history in the database.
pub(crate) struct LearnedSchedule {
    /// The host. `None` on loopback, because nothing is learned from a service on this machine.
    host: Option<String>,
    current: Mutex<Current>,
}

struct Current {
    schedule: Arc<dyn Schedule>,
    history: Arc<History>,
    /// When the history was read, by a monotonic clock.
    read_at: Option<Duration>,
}

/// The time between two readings of the history.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

impl LearnedSchedule {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        let host = Some(endpoint.host()).filter(|host| !is_loopback(host));
        let (schedule, history) = (Arc::new(Adaptive::new()), Arc::default());
        let current = Current { schedule, history, read_at: None };
        Self { host, current: Mutex::new(current) }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the schedule.
    pub(crate) fn schedule(&self) -> Arc<dyn Schedule> {
        self.current().schedule.clone()
    }

    /// Returns when a job is expected to end, or `None` if too few such jobs were observed.
    pub(crate) fn expected_end(&self, digest: &JobDigest, now: Timestamp) -> Option<Timestamp> {
        let age = now.duration_since(digest.created_at()?).try_into().ok()?;
        let history = self.current().history.clone();
        now.saturating_add(history.remaining(digest, age)?).ok()
    }

    /// Builds the schedule again, if a minute has passed since the last time.
    pub(crate) async fn refresh(
        &self,
        database: &Database,
        now: Duration,
    ) -> Result<(), StoreError> {
        let Some(host) = &self.host else { return Ok(()) };
        let is_recent = |at: Duration| now.saturating_sub(at) < REFRESH_INTERVAL;
        if self.current().read_at.is_some_and(is_recent) {
            return Ok(());
        }
        let mut transaction = database.begin_read().await?;
        let sql = "SELECT history FROM cce_history WHERE endpoint = $1";
        let history = decode(transaction.row(sql, &[host.into()]).await?)?;
        let schedule = Arc::new(Adaptive::new().history(&history));
        *self.current() = Current { schedule, history: Arc::new(history), read_at: Some(now) };
        Ok(())
    }

    /// Returns whether the history is stored, because the endpoint is not on loopback.
    pub(crate) const fn is_stored(&self) -> bool {
        self.host.is_some()
    }

    /// Adds what waits have observed to the history in the database.
    pub(crate) async fn record(
        &self,
        transaction: &mut Transaction,
        observations: impl AsRef<[Option<JobObservation>]>,
    ) -> Result<(), StoreError> {
        let Some(host) = &self.host else { return Ok(()) };
        let observations = observations.as_ref();
        if observations.iter().all(Option::is_none) {
            return Ok(());
        }
        let insert = "INSERT INTO cce_history (endpoint, history) VALUES ($1, '') \
                      ON CONFLICT (endpoint) DO NOTHING";
        transaction.execute(insert, &[host.into()]).await?;
        let lock = "SELECT history FROM cce_history WHERE endpoint = $1 FOR UPDATE";
        let mut history = decode(transaction.row(lock, &[host.into()]).await?)?;
        for observation in observations {
            history.record(observation.as_ref());
        }
        let update = "UPDATE cce_history SET history = $2 WHERE endpoint = $1";
        let history = to_json(&history)?;
        transaction.execute(update, &[host.into(), (&history).into()]).await.map(drop)
    }
}

/// Decodes a history. One that is missing or from another version counts as empty.
fn decode(row: Option<Row>) -> Result<History, StoreError> {
    let text = row.map(|row| row.text("history")).transpose()?.unwrap_or_default();
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
