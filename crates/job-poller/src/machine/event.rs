//! The events of a wait, and their serialized form.

mod attempt_failed_fields;
mod deviation_fields;
mod display;

use std::time::Duration;

use job_model::{Deviation, JobId, Phase, Progress, object::ObjectId, tree::SubJobPath};
use serde::{Deserialize, Serialize};

use super::{attempt_error::AttemptError, object_status::ObjectStatus, seconds, until::Until};

/// An event of a wait. Displays as one line.
///
/// # Serialized form
///
/// An event is serialized as one object. Its first field is the name of the event, and the other
/// fields are those of a line of `cce-job wait -o jsonl`:
///
/// | `event` | other fields |
/// |---|---|
/// | `phase` | `type`, `name`, `from`, `to`, `change` |
/// | `sub_job` | `path`, `type`, `name`, `from`, `to` |
/// | `deviation` | `path` and `kind` of the first one; if there are others, a list of them as `more` |
/// | `progress` | the fields of [`Progress`] |
/// | `settling`, `credentials_refreshed`, `heartbeat` | none |
/// | `stale_reply` | `in_a_row` |
/// | `stalled` | `unchanged_for` |
/// | `attempt_failed` | `class`, `status`, `message`, `request_id`, `retry_after`, `in_a_row`; also `kind`, if it does not follow from the class and the status |
/// | `sub_job_lookup` | `sub_job` |
/// | `reading_objects` | `objects`, `until`, `is_job_gone` |
/// | `object` | `from`, and the fields of an [`ObjectStatus`] |
/// | `listed_ended` | none |
/// | `list_suspended` | `issue`, `length` |
/// | `next_attempt` | `next`, `reason` |
///
/// Durations and times are seconds as a number with three decimals, rounded down. Later versions
/// may add fields, but never remove any.
///
/// An event is read from any self-describing format, such as JSON. Unknown fields are ignored, so
/// an event can also be read from a line of `cce-job wait -o jsonl`. An unknown event is an error
/// that contains its name. These details are lost:
///
/// - fractions of a millisecond
/// - [`AttemptError::credentials_refreshed`], because
///   [`CredentialsRefreshed`](Self::CredentialsRefreshed) is a separate event
/// - a class that differs from the [class of the kind](job_transport::FetchErrorKind::class), if the
///   serialized class is `wrong_signature`, `mismatch` or `unreadable`
///
/// ```
/// use job_poller::Event;
/// use serde::Serialize;
///
/// let line = r#"{"v":1,"event":"next_attempt","job":"4a5b","at":1.0,"next":11.0,"reason":"scheduled"}"#;
/// let event: Event = serde_json::from_str(line)?;
/// assert_eq!(event.to_string(), "next attempt at 11s");
///
/// #[derive(Serialize)]
/// struct Row {
///     job: &'static str,
///     #[serde(flatten)]
///     event: Event,
/// }
/// assert_eq!(
///     serde_json::to_string(&Row { job: "4a5b", event })?,
///     r#"{"job":"4a5b","event":"next_attempt","next":11.0,"reason":"scheduled"}"#,
/// );
///
/// let error = serde_json::from_str::<Event>(r#"{"event":"postponed"}"#).unwrap_err();
/// assert!(error.to_string().starts_with("unknown variant `postponed`"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The phase of the job was read for the first time, or has changed.
    #[non_exhaustive]
    Phase {
        /// The job's type, or its uid if it has no type.
        #[serde(rename = "type")]
        label: String,
        /// The name of the job's resource, if it has one.
        #[serde(default)]
        name: Option<String>,
        /// The previous phase. `None` if this is the first reading, or if the phase was absent.
        from: Option<Phase>,
        /// The current phase. `None` if it is absent.
        to: Option<Phase>,
        /// Whether the phase moved forward.
        change: PhaseChange,
    },
    /// The phase of a sub-job was read for the first time, or has changed.
    #[non_exhaustive]
    SubJob {
        /// The sub-job's position in this reading. It may differ in the next reading.
        path: SubJobPath,
        /// The sub-job's type, or its uid if it has no type.
        #[serde(rename = "type")]
        label: String,
        /// The sub-job's name ([`Job::display_name`](job_model::Job::display_name)): that of its
        /// resource, or the first 8 characters of its uid.
        #[serde(default)]
        name: Option<String>,
        /// The previous phase. `None` if this is the first reading, or if the phase was absent.
        from: Option<Phase>,
        /// The current phase. `None` if it is absent.
        to: Option<Phase>,
    },
    /// The reply has deviations that the last accepted reply did not have. Contains the new ones.
    #[serde(rename = "deviation", with = "deviation_fields")]
    Deviations(Vec<Deviation>),
    /// The numbers of known, running and finished steps have changed.
    Progress(Progress),
    /// The job is `Success` while a sub-job is still active. The wait continues for a short time;
    /// see [`WaitPolicy::settle`](crate::WaitPolicy::settle).
    Settling,
    /// A reply was dropped because it is older than the last accepted one. Such a reply comes from
    /// a replica that lags behind.
    #[non_exhaustive]
    StaleReply {
        /// The number of stale replies in a row, including this one.
        in_a_row: u32,
    },
    /// The job has not changed for [`WaitPolicy::stalled_after`](crate::WaitPolicy::stalled_after).
    /// Emitted once, until the job changes again.
    #[non_exhaustive]
    Stalled {
        /// The time since the last change.
        #[serde(with = "seconds")]
        unchanged_for: Duration,
    },
    /// An attempt failed.
    #[non_exhaustive]
    AttemptFailed {
        /// The error.
        #[serde(flatten, with = "attempt_failed_fields")]
        error: AttemptError,
        /// The number of failed attempts in a row, including this one.
        in_a_row: u32,
    },
    /// The credentials were refreshed during an attempt.
    CredentialsRefreshed,
    /// A sub-job is fetched by its own id, because the job's reply lacks details of it.
    #[non_exhaustive]
    SubJobLookup {
        /// The sub-job's id.
        #[serde(rename = "sub_job")]
        id: JobId,
    },
    /// The job has ended, and the wait goes on until its clusters or nodes are ready or gone.
    #[non_exhaustive]
    ReadingObjects {
        /// The clusters or nodes that the job names.
        objects: Vec<ObjectId>,
        /// What the wait is for: [`Until::Ready`] or [`Until::Gone`].
        until: Until,
        /// Whether the service has deleted the job, so that its end was not read.
        is_job_gone: bool,
    },
    /// A cluster or a node was read for the first time, or its phase or state has changed.
    #[non_exhaustive]
    Object {
        /// The previous phase.
        from: Option<String>,
        /// The object as read now.
        #[serde(flatten)]
        status: Box<ObjectStatus>,
    },
    /// A list of jobs shows that the job has ended. Its own reading follows, and decides.
    ///
    /// Emitted only in a [`Fleet`](crate::Fleet), at most once.
    ListedEnded,
    /// A fleet does not read a list of jobs for some time. It reads each job by itself.
    ///
    /// Emitted for one of the jobs that belong to the list.
    #[non_exhaustive]
    ListSuspended {
        /// What is wrong with the list.
        issue: ListIssue,
        /// For how long the list is not read.
        #[serde(with = "seconds")]
        length: Duration,
    },
    /// The wait continues. Emitted after each [`heartbeat`](crate::WaitPolicy::heartbeat) interval
    /// in which only planned attempts were reported.
    Heartbeat,
    /// The next attempt is planned. Emitted before the delay.
    #[non_exhaustive]
    NextAttempt {
        /// The time of the attempt, since the wait began.
        #[serde(rename = "next", with = "seconds")]
        at: Duration,
        /// Why the attempt is planned for this time.
        reason: AttemptReason,
    },
}

/// The direction of a phase change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PhaseChange {
    /// The phase moved forward, or was read for the first time.
    Forward,
    /// The phase moved back to an earlier one. The newer reply is accepted.
    Backward,
    /// The phase is absent or unknown, so the job has not ended.
    Unrecognized,
}

/// What is wrong with a list of jobs, so that a fleet does not read it for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ListIssue {
    /// It did not show a change that a job's own reading has shown.
    Stale,
    /// It took longer than 5 s.
    Slow,
    /// It was larger than 4 MiB.
    Oversized,
    /// The service refused it (403, 404, 405, 501).
    Refused,
    /// It could not be read for another reason.
    Failed,
}

/// Why the next attempt is planned for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptReason {
    /// The schedule chose the delay.
    Scheduled,
    /// The attempt is delayed because attempts have failed.
    Backoff,
    /// The service asked for the delay (`Retry-After`).
    RetryAfter,
    /// The attempt was moved forward because it is the last one before the deadline.
    Deadline,
    /// The schedule chose a longer delay because the shared request budget is used up. The attempt
    /// may be made earlier, if a request would be unused.
    Budget,
    /// The schedule chose a longer delay because a list of jobs shows the job meanwhile. The attempt
    /// is made earlier, if the list shows a change.
    Listed,
    /// The schedule chose a longer delay because hints have announced the ends of the last jobs. The
    /// attempt is made earlier, if there is a hint.
    Hinted,
}

/// Constructors, for tests of code that handles events.
impl Event {
    /// Creates a [`Phase`](Self::Phase) event. The direction follows from the phases.
    ///
    /// ```
    /// use job_model::Phase;
    /// use job_poller::Event;
    ///
    /// let event = Event::phase("CreateNode", Some(Phase::Running), Some(Phase::Success));
    /// assert_eq!(event.to_string(), "CreateNode: Success");
    /// ```
    #[must_use]
    pub fn phase(label: impl Into<String>, from: Option<Phase>, to: Option<Phase>) -> Self {
        let change = PhaseChange::new(from.as_ref(), to.as_ref());
        Self::Phase { label: label.into(), name: None, from, to, change }
    }

    /// Creates a [`SubJob`](Self::SubJob) event.
    #[must_use]
    pub fn sub_job(
        path: SubJobPath,
        label: impl Into<String>,
        from: Option<Phase>,
        to: Option<Phase>,
    ) -> Self {
        Self::SubJob { path, label: label.into(), name: None, from, to }
    }

    /// Sets the name of a [`Phase`](Self::Phase) or [`SubJob`](Self::SubJob) event.
    ///
    /// Does nothing if this is another event.
    ///
    /// ```
    /// use job_model::{Phase, tree::SubJobPath};
    /// use job_poller::Event;
    ///
    /// let path = SubJobPath::from_iter([3]);
    /// let event = Event::sub_job(path, "CreateNode", None, Some(Phase::Running));
    /// assert_eq!(event.with_name("pool-3").to_string(), "  CreateNode pool-3: Running");
    /// ```
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        if let Self::Phase { name: field, .. } | Self::SubJob { name: field, .. } = &mut self {
            *field = Some(name.into());
        }
        self
    }

    /// Creates a [`StaleReply`](Self::StaleReply) event.
    #[must_use]
    pub const fn stale_reply(in_a_row: u32) -> Self {
        Self::StaleReply { in_a_row }
    }

    /// Creates a [`Stalled`](Self::Stalled) event.
    #[must_use]
    pub const fn stalled(unchanged_for: Duration) -> Self {
        Self::Stalled { unchanged_for }
    }

    /// Creates an [`AttemptFailed`](Self::AttemptFailed) event.
    #[must_use]
    pub const fn attempt_failed(error: AttemptError, in_a_row: u32) -> Self {
        Self::AttemptFailed { error, in_a_row }
    }

    /// Creates a [`SubJobLookup`](Self::SubJobLookup) event.
    #[must_use]
    pub const fn sub_job_lookup(id: JobId) -> Self {
        Self::SubJobLookup { id }
    }

    /// Creates a [`ReadingObjects`](Self::ReadingObjects) event of a job that has succeeded.
    #[must_use]
    pub const fn reading_objects(objects: Vec<ObjectId>, until: Until) -> Self {
        Self::ReadingObjects { objects, until, is_job_gone: false }
    }

    /// Creates an [`Object`](Self::Object) event. `from` is the previous phase.
    #[must_use]
    pub fn object(from: Option<String>, status: ObjectStatus) -> Self {
        Self::Object { from, status: Box::new(status) }
    }

    /// Creates a [`NextAttempt`](Self::NextAttempt) event. `at` is the time since the wait began.
    #[must_use]
    pub const fn next_attempt(at: Duration, reason: AttemptReason) -> Self {
        Self::NextAttempt { at, reason }
    }
}

impl PhaseChange {
    /// Returns the direction of a change, or of the first reading.
    pub(super) fn new(from: Option<&Phase>, to: Option<&Phase>) -> Self {
        match (from.and_then(phase_rank), to.and_then(phase_rank)) {
            (_, None) => Self::Unrecognized,
            (Some(from), Some(to)) if to < from => Self::Backward,
            (_, Some(_)) => Self::Forward,
        }
    }

    /// Returns the change as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Unrecognized => "unrecognized",
        }
    }
}

fn phase_rank(phase: &Phase) -> Option<u8> {
    match phase {
        Phase::Initializing => Some(0),
        Phase::Running => Some(1),
        Phase::Success | Phase::Failed => Some(2),
        Phase::Unknown(_) => None,
    }
}

impl AttemptReason {
    /// Returns the reason as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Backoff => "backoff",
            Self::RetryAfter => "retry_after",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
            Self::Listed => "listed",
            Self::Hinted => "hinted",
        }
    }
}

impl ListIssue {
    /// Returns the issue as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Slow => "slow",
            Self::Oversized => "oversized",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests;
