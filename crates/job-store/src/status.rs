//! What a store reports about a wait.

use jiff::Timestamp;
use job_model::{Job, Phase, Progress};
use job_notify::DeliveryState;
use job_poller::durable::WaitKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    database::Row,
    error::StoreError,
    row::{WaitRow, WaitState, read_key},
};

/// The status of a wait. It can be serialized as JSON; fields may be added, but are never removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitStatus {
    /// The project and the job.
    pub key: WaitKey,
    /// The number of the wait, which differs between two waits for the same job.
    pub number: i64,
    /// What the wait is doing.
    pub state: WaitStateLabel,
    /// When the wait began, by the clock of the database.
    pub created_at: Timestamp,
    /// The details of an active wait.
    pub active: Option<ActiveStatus>,
    /// The result of a finished wait.
    pub result: Option<ResultStatus>,
}

/// What a wait is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitStateLabel {
    /// The next attempt is planned or in flight.
    Waiting,
    /// The project is paused, so no attempt is made.
    Paused,
    /// The job has ended.
    Ended,
    /// The wait stopped before the job ended.
    Stopped,
    /// This version cannot read the wait. It continues when a version that can read it runs.
    Unreadable,
}

/// The status of an active wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActiveStatus {
    /// The type of the job as last read.
    pub job_type: Option<String>,
    /// The phase of the job as last read.
    pub phase: Option<Phase>,
    /// The name of the job's resource, if it has one.
    pub name: Option<String>,
    /// The steps of the job as last read, by phase.
    pub progress: Option<Progress>,
    /// When the job was created, by the clock of the service.
    pub began_at: Option<Timestamp>,
    /// When the job is expected to end, or `None` if too few such jobs were observed.
    pub expected_end_at: Option<Timestamp>,
    /// The number of attempts.
    pub attempts: u32,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<String>,
    /// When the next attempt is due.
    pub next_attempt_at: Timestamp,
    /// The deadline, or `None` if there is none.
    pub deadline_at: Option<Timestamp>,
    /// Whether an attempt is in flight.
    pub is_in_flight: bool,
}

/// The result of a finished wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResultStatus {
    /// The outcome in one word: see [`Report::outcome`](job_poller::Report::outcome).
    pub outcome: String,
    /// Whether the wait ended as it was asked to: see
    /// [`Report::is_success`](job_poller::Report::is_success).
    pub is_success: bool,
    /// A [`Report`](job_poller::Report) with the project and the job, as JSON. It is the body of a
    /// notification.
    pub report: Box<RawValue>,
    /// When the wait finished.
    pub finished_at: Timestamp,
}

/// The delivery of a notification.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotificationStatus {
    /// The id of the row in `cce_outbox`, for [`Store::retry`](crate::Store::retry).
    pub id: String,
    /// The project and the job.
    pub key: WaitKey,
    /// The host and the path of the receiver, without its secrets. `None` for a queue.
    pub receiver: Option<String>,
    /// The queue, if the notification is for a consumer of the database.
    pub queue: Option<String>,
    /// Whether the notification is delivered.
    pub state: DeliveryState,
    /// The number of tries.
    pub tries: i64,
    /// The error of the last try that failed.
    pub last_error: Option<String>,
    /// When the next try is due.
    pub next_try_at: Option<Timestamp>,
}

impl WaitStatus {
    /// Reads the status from a row of `cce_waits`.
    pub(crate) fn read(row: &Row, now: Timestamp) -> Result<Self, StoreError> {
        match WaitRow::from_row(row) {
            Ok(row) => Ok(Self::from_row(&row, now)),
            Err(StoreError::Unreadable { .. }) => Ok(Self {
                key: read_key(row)?,
                number: row.int("number")?,
                state: WaitStateLabel::Unreadable,
                created_at: row.time("created_at")?.unwrap_or_default(),
                active: None,
                result: None,
            }),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn from_row(row: &WaitRow, now: Timestamp) -> Self {
        let (state, active, result) = match &row.state {
            WaitState::Active(wait, due) => {
                let checkpoint = wait.checkpoint();
                let machine = checkpoint.machine();
                let digest = machine.snapshot().map(|last| last.digest());
                let job = machine.snapshot().map(|last| last.job());
                let active = ActiveStatus {
                    job_type: digest.and_then(|digest| digest.job_type()).map(String::from),
                    phase: digest.and_then(|digest| digest.phase()).cloned(),
                    name: job.and_then(Job::resource_name).map(String::from),
                    progress: job.map(Job::progress),
                    began_at: digest.and_then(|digest| digest.created_at()),
                    expected_end_at: row.expected_end,
                    attempts: machine.attempts(),
                    last_error: machine.last_error().map(ToString::to_string),
                    next_attempt_at: *due,
                    deadline_at: checkpoint.deadline_at(),
                    is_in_flight: row.is_in_flight(now),
                };
                let state =
                    if row.is_paused { WaitStateLabel::Paused } else { WaitStateLabel::Waiting };
                (state, Some(active), None)
            }
            WaitState::Finished(result, finished_at) => {
                let state = if result.has_job_ended {
                    WaitStateLabel::Ended
                } else {
                    WaitStateLabel::Stopped
                };
                let report = RawValue::from_string(result.body.clone());
                let report = report.unwrap_or_else(|_| RawValue::NULL.to_owned());
                let result = ResultStatus {
                    outcome: result.outcome.clone(),
                    is_success: result.is_success(),
                    report,
                    finished_at: *finished_at,
                };
                (state, None, Some(result))
            }
        };
        let (key, number, created_at) = (row.key.clone(), row.number, row.created_at);
        Self { key, number, state, created_at, active, result }
    }

    /// Returns the job as last read, from the report of a finished wait.
    ///
    /// Returns `None` while the wait is active, and if the job was never read.
    #[must_use]
    pub fn job(&self) -> Option<Job> {
        #[derive(Deserialize)]
        struct Document {
            document: Option<Job>,
        }
        let report = self.result.as_ref()?.report.get();
        serde_json::from_str::<Document>(report).ok()?.document
    }
}
