//! What an observer receives. All types are plain data, so an observer can keep them.

use std::time::Duration;

use job_model::JobId;
use job_transport::{ErrorClass, FetchErrorKind};

use crate::machine::{FinishedJob, Input, Machine, Outcome, WaitError, WaitErrorKind};

/// A wait has begun, or was resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitStarted {
    /// The id of the job.
    pub job_id: JobId,
    /// How long the wait took before it was resumed. Zero for a new wait.
    pub elapsed_before: Duration,
}

/// An attempt has returned a reading or an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptFinished {
    /// The id of the wait's job.
    pub job_id: JobId,
    /// Whether the attempt read a sub-job of this job by its own id.
    pub is_sub_job_lookup: bool,
    /// Whether the attempt read a cluster or a node.
    pub is_object: bool,
    /// The time from the start of the attempt to its result. In a fleet, the time in the queue is
    /// not included.
    pub latency: Duration,
    /// What the attempt returned.
    pub result: AttemptResult,
}

/// What an attempt returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptResult {
    /// A reply with a job, a cluster or a node.
    Reading,
    /// A reply that equals the last one byte for byte.
    Unchanged,
    /// An error.
    #[non_exhaustive]
    Error {
        /// The kind of the error.
        kind: FetchErrorKind,
        /// How the wait reacts to the error.
        class: ErrorClass,
    },
}

/// A wait is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitFinished {
    /// The id of the job.
    pub job_id: JobId,
    /// The type of the job, or `None` if it is unknown.
    pub job_type: Option<String>,
    /// How the wait ended.
    pub outcome: WaitOutcome,
    /// The time since the wait began, including the time before it was resumed.
    pub elapsed: Duration,
    /// The number of attempts. Sub-job lookups are not included.
    pub attempts: u32,
    /// The time from the end of the job until it was read. If the job ended before the wait began,
    /// the time since the wait began. `None` if it is unknown. See [`FinishedJob::detection_delay`].
    pub detection_delay: Option<Duration>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitOutcome {
    /// The job succeeded.
    Succeeded,
    /// The job failed.
    Failed,
    /// The clusters or nodes are ready.
    Ready,
    /// A cluster or a node is broken.
    Broken,
    /// The clusters or nodes are gone, or one that should be ready is gone.
    Gone,
    /// The wait stopped before the job ended.
    Error(WaitErrorKind),
    /// The caller dropped the wait.
    Dropped,
}

/// The request budget of a fleet at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// Number of jobs that the fleet waits for.
    pub jobs: usize,
    /// Number of waits that are queued, because the budget is used up or too many requests are in
    /// flight.
    pub queued: usize,
    /// Number of requests in flight.
    pub in_flight: usize,
    /// Maximum number of requests per second at present. Lower than configured while the service
    /// throttles, and while a rate limit applies that it has stated.
    pub requests_per_second: f64,
    /// Time until the full number of requests per second is allowed again. Zero if the service does
    /// not throttle.
    pub throttled_for: Duration,
    /// Current price of a request, as a delay (see [`BudgetShare`](crate::schedule::BudgetShare)).
    /// It rises when the budget is used up.
    pub request_price: Duration,
}

impl WaitStarted {
    /// Creates the observation of a new wait.
    #[must_use]
    pub const fn new(job_id: JobId) -> Self {
        Self { job_id, elapsed_before: Duration::ZERO }
    }
}

impl AttemptFinished {
    /// Creates the observation of an attempt to read the wait's job.
    #[must_use]
    pub const fn new(job_id: JobId, latency: Duration, result: AttemptResult) -> Self {
        Self { job_id, is_sub_job_lookup: false, is_object: false, latency, result }
    }
}

impl AttemptResult {
    /// Creates the result of an attempt that failed.
    #[must_use]
    pub const fn from_error(kind: FetchErrorKind, class: ErrorClass) -> Self {
        Self::Error { kind, class }
    }

    /// Returns the result of the attempt that led to this input of a machine. Returns `None` if the
    /// input is not the result of an attempt.
    #[must_use]
    pub const fn from_input(input: &Input) -> Option<Self> {
        match input {
            Input::Reading { .. } | Input::Object { .. } => Some(Self::Reading),
            Input::Unchanged { .. } => Some(Self::Unchanged),
            Input::Error(error) => Some(Self::from_error(error.kind, error.class)),
            Input::Wake | Input::Stop => None,
        }
    }

    /// Returns the result as one word: `reading`, `unchanged`, or the [class](ErrorClass::as_str)
    /// of the error.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Unchanged => "unchanged",
            Self::Error { class, .. } => class.as_str(),
        }
    }
}

impl WaitFinished {
    /// Creates the observation of a wait that made no attempt.
    #[must_use]
    pub const fn new(job_id: JobId, outcome: WaitOutcome) -> Self {
        Self {
            job_id,
            job_type: None,
            outcome,
            elapsed: Duration::ZERO,
            attempts: 0,
            detection_delay: None,
        }
    }

    /// Creates the observation of a wait with this result.
    #[must_use]
    pub fn from_result(result: &Result<FinishedJob, WaitError>) -> Self {
        match result {
            Ok(finished) => Self {
                job_type: finished.job.job_type().map(String::from),
                elapsed: finished.elapsed,
                attempts: finished.attempts,
                detection_delay: finished.detection_delay,
                ..Self::new(finished.job_id.clone(), WaitOutcome::from(&finished.outcome))
            },
            Err(error) => {
                let machine = error.checkpoint().machine();
                let outcome = WaitOutcome::Error(error.kind());
                Self::from_machine(machine, error.elapsed(), outcome)
            }
        }
    }

    /// Creates the observation of a wait whose machine has not finished.
    pub(crate) fn from_machine(machine: &Machine, elapsed: Duration, outcome: WaitOutcome) -> Self {
        let job_type = machine.snapshot().and_then(|last| last.digest().job_type());
        Self {
            job_type: job_type.map(String::from),
            elapsed,
            attempts: machine.attempts(),
            ..Self::new(machine.job_id().clone(), outcome)
        }
    }
}

impl WaitOutcome {
    /// Returns the outcome as one word: `succeeded`, `failed`, `ready`, `broken`,
    /// `gone`, `dropped`, or the
    /// [kind](WaitErrorKind::as_str) of the error.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Ready => "ready",
            Self::Broken => "broken",
            Self::Gone => "gone",
            Self::Error(kind) => kind.as_str(),
            Self::Dropped => "dropped",
        }
    }
}

impl From<&Outcome> for WaitOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Ready => Self::Ready,
            Outcome::Broken => Self::Broken,
            Outcome::Gone => Self::Gone,
        }
    }
}
