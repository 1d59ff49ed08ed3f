//! The rows of a timeline, with their bars and kinds of phases, and its attempts.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, Phase};

use crate::text::{self, format_duration, sanitize_line};

/// The job, a step of it, or a cluster or node that it makes.
///
/// # Examples
///
/// ```
/// use job_report::{Bar, PhaseKind, Timeline, TimelineRow, job_model::Job, svg};
///
/// let job = Job::from_slice(br#"{"status": {"phase": "Success"}}"#)?;
/// let bar = Bar::new("2026-12-01T12:00:00Z".parse()?, "2026-12-01T12:09:00Z".parse()?);
/// let cluster = TimelineRow::new("cluster", PhaseKind::Success, "Available")
///     .with_depth(1)
///     .with_name("blue")
///     .with_bar(bar);
/// let timeline = Timeline::new(&job).with_objects([cluster]);
/// assert!(svg(&[&timeline]).contains("9m"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimelineRow {
    pub(crate) depth: usize,
    pub(crate) label: String,
    pub(crate) name: Option<String>,
    pub(crate) phase: String,
    pub(crate) kind: PhaseKind,
    /// Whether the row is the failed step or one of its ancestors.
    pub(crate) is_failing: bool,
    pub(crate) duration: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) bar: Option<Bar>,
}

/// A period in the service's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Whether the step has not ended.
    pub(crate) is_open: bool,
}

/// One attempt of the wait.
#[derive(Clone, Debug)]
pub struct TimelineAttempt {
    /// The end of the attempt, since the start of the wait.
    pub(crate) at: Duration,
    /// The end in the service's time, if that is known.
    pub(crate) time: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

/// The phases that are drawn differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PhaseKind {
    /// Not started.
    Initializing,
    /// Going on.
    Running,
    /// Ended successfully.
    Success,
    /// Failed.
    Failed,
    /// Not known.
    Unknown,
}

impl TimelineRow {
    /// Creates a row. A row that has failed is one that made the job fail.
    pub fn new(label: &str, kind: PhaseKind, phase: &str) -> Self {
        Self {
            depth: 0,
            label: sanitize_line(label),
            name: None,
            phase: sanitize_line(phase),
            kind,
            is_failing: kind == PhaseKind::Failed,
            duration: None,
            reason: None,
            bar: None,
        }
    }

    /// Sets how many rows are above this one in the tree of steps; default 0, the job itself.
    pub const fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets the name of the cluster, node or step.
    pub fn with_name(self, name: &str) -> Self {
        Self { name: Some(sanitize_line(name)), ..self }
    }

    /// Sets why the row has its phase.
    pub fn with_reason(self, reason: &str) -> Self {
        Self { reason: Some(sanitize_line(reason)), ..self }
    }

    /// Sets the period, and its duration.
    pub fn with_bar(self, bar: Bar) -> Self {
        Self { bar: Some(bar), duration: Some(format_duration(bar.duration())), ..self }
    }

    pub(crate) fn from_job(depth: usize, job: &Job, is_failing: bool) -> Self {
        Self {
            depth,
            label: sanitize_line(job.label()),
            name: shown_name(job),
            phase: phase_text(job),
            kind: PhaseKind::from(job),
            is_failing,
            duration: job.duration().map(format_duration),
            reason: job.reason().map(sanitize_line),
            bar: Bar::from_job(job),
        }
    }

    /// Returns the label and the name.
    pub(crate) fn title(&self) -> String {
        text::title(&self.label, self.name.as_deref())
    }

    /// Whether the row has the mark of a failure, which is visible without colors.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_failing || self.kind == PhaseKind::Failed
    }
}

impl Bar {
    /// Creates the bar of a period that has ended. If `to` is before `from`, the bar has no length.
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from), is_open: false }
    }

    /// Lets the bar reach to the end of the timeline, because its period has not ended.
    pub const fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Returns the bar of a job; `None` if the job has no valid timestamp.
    fn from_job(job: &Job) -> Option<Self> {
        let (created, updated) = (job.created_at(), job.updated_at());
        let from = created.or(updated)?;
        let is_open = !job.phase().is_some_and(Phase::is_terminal);
        Some(Self { is_open, ..Self::new(from, updated.unwrap_or(from)) })
    }

    /// Returns the period from the start of the earlier to the end of the later one.
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            is_open: self.is_open || other.is_open,
        }
    }

    pub(crate) fn duration(self) -> Duration {
        self.to.duration_since(self.from).try_into().unwrap_or_default()
    }
}

impl TimelineAttempt {
    /// Creates a successful attempt that ended at this time since the start of the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use job_report::{Timeline, TimelineAttempt, html, job_model::Job};
    ///
    /// let job = Job::from_slice(br#"{"status": {"phase": "Running"}}"#)?;
    /// let failed = TimelineAttempt::new(Duration::from_secs(12)).with_error("the connection closed");
    /// let timeline = Timeline::new(&job).with_attempts([failed]);
    /// assert!(html(&[&timeline]).contains("<td>12s</td><td>the connection closed</td>"));
    /// # Ok::<(), job_report::job_model::DecodeError>(())
    /// ```
    pub const fn new(at: Duration) -> Self {
        Self { at, time: None, error: None }
    }

    /// Sets the end of the attempt in the service's time.
    pub fn with_time(self, time: Timestamp) -> Self {
        Self { time: Some(time), ..self }
    }

    /// Sets the error of the attempt.
    pub fn with_error(self, error: &str) -> Self {
        Self { error: Some(sanitize_line(error)), ..self }
    }
}

/// Returns the kind of the job's phase.
impl From<&Job> for PhaseKind {
    fn from(job: &Job) -> Self {
        match job.phase() {
            Some(Phase::Initializing) => Self::Initializing,
            Some(Phase::Running) => Self::Running,
            Some(Phase::Success) => Self::Success,
            Some(Phase::Failed) => Self::Failed,
            Some(Phase::Unknown(_)) | None => Self::Unknown,
        }
    }
}

/// Returns the phase of a job as text.
pub(crate) fn phase_text(job: &Job) -> String {
    job.phase().map_or_else(|| "no phase".into(), |phase| sanitize_line(&phase.to_string()))
}

/// Returns the name to show for a job, unless it has no type, so that its label is its id already.
pub(crate) fn shown_name(job: &Job) -> Option<String> {
    let name = job.display_name()?;
    (!job.label().starts_with(&*name)).then(|| sanitize_line(&name))
}
