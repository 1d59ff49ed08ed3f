//! The timeline of a job: a row with a bar for each step, and the attempts of the wait. All of its
//! texts are sanitized.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Deviation, Job, Phase};
use job_transport::Reading;

use super::axis::Axis;
use crate::terminal::{
    format_duration,
    text::{self, sanitize_line},
};

/// The timeline of a job.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) id: String,
    /// The type of the job.
    pub(crate) label: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: PhaseKind,
    /// The outcome, or the current phase.
    pub(crate) status: String,
    /// Further details, each with a name and a value.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Which step failed and why, or how many did.
    pub(crate) failure: Option<String>,
    /// The distinct reasons, each with the names of steps, if several steps failed.
    pub(crate) failure_reasons: Vec<String>,
    /// The most frequent reason of a failure, or the error of a job that was not read. Other jobs may
    /// have the same.
    pub(crate) reason: Option<String>,
    /// Why the wait stopped before the job ended.
    pub(crate) cause: Option<String>,
    /// Whether the job, or one of its clusters and nodes, was read.
    pub(crate) was_read: bool,
    pub(crate) warnings: Vec<String>,
    /// The job and its steps, then the clusters and nodes. Steps follow their parent, in the order of
    /// their starts.
    pub(crate) rows: Vec<TimelineRow>,
    /// The attempts of the wait; empty for a saved reply.
    pub(crate) attempts: Vec<TimelineAttempt>,
    pub(crate) axis: Option<Axis>,
}

/// The job, or a step of it.
#[derive(Clone, Debug)]
pub(crate) struct TimelineRow {
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
pub(crate) struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Whether the step has not ended.
    pub(crate) is_open: bool,
}

/// One attempt of the wait.
#[derive(Debug)]
pub(crate) struct TimelineAttempt {
    /// The end of the attempt, since the start of the wait.
    pub(crate) at: Duration,
    /// The end in the service's time, if that is known.
    pub(crate) time: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

/// The phases that are drawn differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PhaseKind {
    Initializing,
    Running,
    Success,
    Failed,
    Unknown,
}

impl Timeline {
    /// Creates the timeline of a saved reply.
    pub(crate) fn from_reading(reading: &Reading) -> Self {
        let job = reading.job();
        let mut timeline = Self::new(Some(job), Vec::new(), Vec::new());
        timeline.warnings.splice(0..0, deviation_warnings(reading.snapshot.deviations()));
        timeline
    }

    /// Creates the timeline of a job as it was last read, with the rows of its clusters and nodes and
    /// the attempts of its wait.
    pub(crate) fn new(
        job: Option<&Job>,
        objects: Vec<TimelineRow>,
        attempts: Vec<TimelineAttempt>,
    ) -> Self {
        // Without a job, the clusters and nodes have the only rows.
        let was_read = job.is_some() || !objects.is_empty();
        let (none, has_job) = (Job::default(), job.is_some());
        let job = job.unwrap_or(&none);
        let failure = job.failure();
        let failing = failure.as_ref().map(|failure| failure.path.indices());
        let summary = job.failure_summary();
        let many = summary.as_ref().filter(|summary| summary.has_many());
        let reason =
            summary.as_ref().and_then(|summary| summary.reasons.first()?.reason.as_deref());
        let mut rows = if has_job { job_rows(job, failing) } else { Vec::new() };
        rows.extend(objects);
        let bars = rows.iter().filter_map(|row| row.bar).flat_map(|bar| [bar.from, bar.to]);
        let axis =
            Axis::from_timestamps(bars.chain(attempts.iter().filter_map(|attempt| attempt.time)));
        for bar in rows.iter_mut().filter_map(|row| row.bar.as_mut()) {
            if let Some(axis) = axis.filter(|_| bar.is_open) {
                bar.to = axis.end();
            }
        }
        let created =
            job.metadata.as_ref().and_then(|metadata| metadata.creation_timestamp.as_ref());
        let created = created.and_then(|created| created.instant());
        let mut details = Vec::new();
        details.extend(created.map(|created| ("created", format!("{created:.0}"))));
        let ended = job.phase().is_some_and(Phase::is_terminal);
        let name = if ended { "duration" } else { "last update after" };
        details.extend(job.duration().map(|time| (name, format_duration(time))));
        Self {
            id: sanitize_line(job.uid().unwrap_or_default()),
            label: sanitize_line(job.label()),
            name: shown_name(job),
            kind: PhaseKind::from_job(job),
            status: phase_text(job),
            details,
            failure: match many {
                Some(many) => Some(format!("{} failed", many.counts())),
                None => failure.as_ref().map(|failure| sanitize_line(&failure.to_string())),
            },
            failure_reasons: many
                .iter()
                .flat_map(|many| many.reason_lines())
                .map(|line| sanitize_line(&line))
                .collect(),
            reason: reason.map(sanitize_line),
            cause: None,
            was_read,
            warnings: job
                .inconsistencies()
                .iter()
                .map(|odd| sanitize_line(&odd.to_string()))
                .collect(),
            rows,
            attempts,
            axis,
        }
    }
}

impl Timeline {
    /// Returns the type and the name of the job.
    pub(crate) fn title(&self) -> String {
        text::title(&self.label, self.name.as_deref())
    }

    /// Returns the index of the step that made the job fail.
    pub(crate) fn failing_row(&self) -> Option<usize> {
        self.rows.iter().rposition(|row| row.is_failing)
    }

    /// Returns why the job failed, with the reasons of all its steps, or why it could not be read, or why
    /// the wait for it stopped.
    pub(crate) fn why(&self) -> Option<String> {
        let failure = self.failure.as_ref().map(|failure| match &self.failure_reasons[..] {
            [] => failure.clone(),
            reasons => format!("{failure}: {}", reasons.join("; ")),
        });
        failure.or_else(|| self.cause.clone())
    }

    /// Returns the period of the job itself, or that of its clusters and nodes.
    pub(crate) fn bar(&self) -> Option<Bar> {
        let bars = self.rows.iter().filter_map(|row| row.bar);
        let first = self.rows.first().filter(|row| row.depth == 0).and_then(|row| row.bar);
        first.or_else(|| bars.reduce(Bar::union))
    }

    /// Returns the lines about the failure: which steps failed, each distinct reason, and why the wait
    /// stopped.
    pub(super) fn why_lines(&self) -> impl Iterator<Item = &String> {
        self.failure.iter().chain(&self.failure_reasons).chain(&self.cause)
    }

    /// Returns the duration of the job itself, if it is known.
    pub(crate) fn duration(&self) -> Option<&str> {
        self.rows.first().filter(|row| row.depth == 0)?.duration.as_deref()
    }
}

/// Returns a warning for each deviation of a body.
pub(crate) fn deviation_warnings(deviations: &[Deviation]) -> impl Iterator<Item = String> {
    deviations.iter().map(|deviation| sanitize_line(&deviation.to_string()))
}

/// Returns the rows of a job and its steps. A step follows its parent, and steps with the same parent
/// are in the order of their starts. Those without a known start come last, in the order of the reply.
/// `failing` is the path of the failed step.
fn job_rows(job: &Job, failing: Option<&[usize]>) -> Vec<TimelineRow> {
    let mut rows = Vec::new();
    let mut rest = vec![(0, job, failing)];
    while let Some((depth, job, failing)) = rest.pop() {
        rows.push(TimelineRow::new(depth, job, failing.is_some()));
        let mut steps: Vec<_> = job.sub_jobs().iter().enumerate().collect();
        steps.sort_by_key(|(_, step)| {
            let start = step.created_at().or_else(|| step.updated_at());
            (start.is_none(), start)
        });
        rest.extend(steps.into_iter().rev().map(|(index, step)| {
            let below = failing.and_then(<[usize]>::split_first);
            let failing = below.filter(|(first, _)| **first == index).map(|(_, below)| below);
            (depth + 1, step, failing)
        }));
    }
    rows
}

/// Returns the name to show for a job, unless it has no type, so that its label is its id already.
fn shown_name(job: &Job) -> Option<String> {
    let name = job.display_name()?;
    (!job.label().starts_with(&*name)).then(|| sanitize_line(&name))
}

impl TimelineRow {
    fn new(depth: usize, job: &Job, is_failing: bool) -> Self {
        Self {
            depth,
            label: sanitize_line(job.label()),
            name: shown_name(job),
            phase: phase_text(job),
            kind: PhaseKind::from_job(job),
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
    pub(super) fn is_marked(&self) -> bool {
        self.is_failing || self.kind == PhaseKind::Failed
    }
}

impl Bar {
    /// Returns the bar of a job; `None` if the job has no valid timestamp.
    fn from_job(job: &Job) -> Option<Self> {
        let (created, updated) = (job.created_at(), job.updated_at());
        let from = created.or(updated)?;
        let is_open = !job.phase().is_some_and(Phase::is_terminal);
        Some(Self { from, to: updated.unwrap_or(from).max(from), is_open })
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

impl PhaseKind {
    fn from_job(job: &Job) -> Self {
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
fn phase_text(job: &Job) -> String {
    job.phase().map_or_else(|| "no phase".into(), |phase| sanitize_line(&phase.to_string()))
}
