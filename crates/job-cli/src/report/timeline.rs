//! A job's timeline: a row for each step, with a bar on one axis of time, and what befell the wait. All texts
//! in it can be shown. Knows no form of report.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use job_model::{Job, Node, Phase};
use job_poller::{Event, Outcome};
use job_transport::{Reading, display_chain};

use super::axis::Axis;
use crate::{
    terminal::{format_duration, text::sanitize_line},
    wait::Finished,
};

/// A job's timeline.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) kind: PhaseKind,
    /// How it ended, or how it is.
    pub(crate) status: String,
    /// What more is known: a name and a value each.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Where and why it failed.
    pub(crate) failure: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) rows: Vec<TimelineRow>,
    /// The attempts of the wait; none where there was no wait.
    pub(crate) attempts: Vec<TimelineAttempt>,
    pub(crate) axis: Option<Axis>,
}

/// The job, or a step of it.
#[derive(Debug)]
pub(crate) struct TimelineRow {
    pub(crate) depth: usize,
    pub(crate) label: String,
    pub(crate) name: Option<String>,
    pub(crate) phase: String,
    pub(crate) kind: PhaseKind,
    /// Whether it is on the way to what failed.
    pub(crate) is_failing: bool,
    pub(crate) duration: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) bar: Option<Bar>,
}

/// A span of the service's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Whether it goes on.
    pub(crate) is_open: bool,
}

/// One attempt of the wait.
#[derive(Debug)]
pub(crate) struct TimelineAttempt {
    /// When it was over, since the wait began.
    pub(crate) at: Duration,
    /// The same by the service's time, where that was told.
    pub(crate) time: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

/// What a phase looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseKind {
    Initializing,
    Running,
    Success,
    Failed,
    Unknown,
}

impl Timeline {
    /// Takes a saved reply.
    pub(crate) fn from_reading(reading: &Reading) -> Self {
        let job = &reading.job;
        let mut timeline = Self::new(Some(job), Vec::new());
        timeline
            .warnings
            .splice(0..0, reading.deviations.iter().map(|odd| sanitize_line(&odd.to_string())));
        timeline
    }

    /// Takes a wait that is over.
    pub(crate) fn from_finished(finished: &Finished) -> Self {
        let mut timeline = Self::new(finished.job.as_deref(), attempts_from_log(finished));
        timeline.id = sanitize_line(finished.id.as_str());
        let (elapsed, attempts) = match &finished.result {
            Ok(ended) => (ended.elapsed, ended.attempts),
            Err(error) => (error.elapsed(), error.attempts()),
        };
        match &finished.result {
            Ok(ended) => {
                (timeline.kind, timeline.status) = match &ended.outcome {
                    Outcome::Succeeded => (PhaseKind::Success, "succeeded".into()),
                    Outcome::Failed(_) => (PhaseKind::Failed, "failed".into()),
                };
                let delay = ended.detection_delay.map(format_duration);
                timeline.details.extend(delay.map(|delay| ("seen after its end", delay)));
            }
            Err(error) => {
                timeline.status = error.kind().as_str().replace('_', " ");
                let cause = sanitize_line(&display_chain(error));
                timeline.details.push(("the wait stopped", cause));
            }
        }
        timeline.details.push(("waited for", format_duration(elapsed)));
        timeline.details.push(("attempts", attempts.to_string()));
        timeline
    }

    fn new(job: Option<&Job>, attempts: Vec<TimelineAttempt>) -> Self {
        let none = Job::default();
        let job = job.unwrap_or(&none);
        let failure = job.failure();
        let failing = failure.as_ref().map(|failure| failure.path.indices());
        let mut rows: Vec<_> = job
            .walk()
            .map(|node| {
                let indices = node.path.indices();
                TimelineRow::new(&node, failing.is_some_and(|failing| failing.starts_with(indices)))
            })
            .collect();
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
        let name = if ended { "running time" } else { "last changed after" };
        details.extend(job.duration().map(|time| (name, format_duration(time))));
        Self {
            id: sanitize_line(job.uid().unwrap_or_default()),
            label: sanitize_line(job.label()),
            kind: PhaseKind::from_job(job),
            status: phase_text(job),
            details,
            failure: failure.map(|failure| sanitize_line(&failure.to_string())),
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

impl TimelineRow {
    fn new(node: &Node<'_>, is_failing: bool) -> Self {
        let job = node.job;
        let name = job.spec.as_ref().and_then(|spec| spec.resource_name.as_deref());
        Self {
            depth: node.path.depth(),
            label: sanitize_line(job.label()),
            name: name.filter(|name| !name.is_empty()).map(sanitize_line),
            phase: phase_text(job),
            kind: PhaseKind::from_job(job),
            is_failing,
            duration: job.duration().map(format_duration),
            reason: job.reason().map(sanitize_line),
            bar: Bar::from_job(job),
        }
    }
}

impl Bar {
    /// Returns a job's own; `None` where its times say nothing.
    fn from_job(job: &Job) -> Option<Self> {
        let metadata = job.metadata.as_ref()?;
        let created = metadata.creation_timestamp.as_ref().and_then(|at| at.instant());
        let updated = metadata.update_timestamp.as_ref().and_then(|at| at.instant());
        let from = created.or(updated)?;
        let is_open = !job.phase().is_some_and(Phase::is_terminal);
        Some(Self { from, to: updated.unwrap_or(from).max(from), is_open })
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

/// Returns a job's phase as it is shown.
fn phase_text(job: &Job) -> String {
    job.phase().map_or_else(|| "no phase".into(), |phase| sanitize_line(&phase.to_string()))
}

/// Returns each attempt of a wait, by what it told when it was over.
fn attempts_from_log(finished: &Finished) -> Vec<TimelineAttempt> {
    let mut attempts = BTreeMap::<Duration, Option<String>>::new();
    for (at, event) in &finished.log {
        let fault = attempts.entry(*at).or_default();
        if let Event::AttemptFailed { error: of, .. } = event {
            *fault = Some(sanitize_line(&of.message));
        }
    }
    let attempt = |(at, fault)| {
        let time = finished.started_at.and_then(|began| began.checked_add(at).ok());
        TimelineAttempt { at, time, error: fault }
    };
    attempts.into_iter().map(attempt).collect()
}
