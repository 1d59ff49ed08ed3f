//! The report of `wait --report`: a timeline for each wait, written to a file at the end.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use job_model::object::{ObjectId, ObjectState};
use job_poller::{Event, Outcome, machine::ObjectStatus};

use super::{error_run::message_without_request_id, finished::Finished};
use crate::{
    exit::{Exit, OrExit},
    report::{
        Bar, PhaseKind, ReportFormat, ReportTarget, Timeline, TimelineAttempt, TimelineRow,
        deviation_warnings, render,
    },
    terminal::{format_duration, text::sanitize_line},
};

/// The report of all waits, written at their end.
pub(crate) struct ReportFile {
    target: ReportTarget,
    format: ReportFormat,
    /// The timelines, by the position of the job on the command line.
    timelines: BTreeMap<usize, Timeline>,
}

impl ReportFile {
    /// Checks that the file can be written, without creating it.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the file cannot be written, so that the user learns it before the
    /// waits and not after them.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Self> {
        let format = ReportFormat::from_path(file).context("--report").or_exit(Exit::Usage)?;
        let target = ReportTarget::new(file).or_exit(Exit::Usage)?;
        target.check_writable().or_exit(Exit::Usage)?;
        Ok(Self { target, format, timelines: BTreeMap::new() })
    }

    /// Adds a finished wait.
    pub(crate) fn add(&mut self, finished: &Finished) {
        self.timelines.insert(finished.index, Timeline::from_finished(finished));
    }

    /// Whether the report is appended to the file, and does not replace it.
    pub(crate) fn is_appended(&self) -> bool {
        self.format == ReportFormat::Markdown
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let timelines: Vec<_> = self.timelines.values().collect();
        self.target.write(&render(&timelines, self.format)?, self.format)
    }
}

impl Timeline {
    /// Returns the timeline of a finished wait.
    pub(crate) fn from_finished(finished: &Finished) -> Self {
        let objects = object_rows(finished);
        let mut timeline = Self::new(finished.job(), objects, attempts_from_log(finished));
        if finished.has_no_job() {
            timeline.label =
                finished.objects().iter().map(|object| object.id.kind().as_str()).collect();
        }
        let deviations = match &finished.result {
            Ok(ended) => &ended.deviations,
            Err(error) => error.deviations(),
        };
        timeline.warnings.splice(0..0, deviation_warnings(deviations));
        timeline.id = sanitize_line(finished.id.as_str());
        if timeline.name.is_none() && !timeline.was_read {
            timeline.name = Some(timeline.id.clone());
        }
        let elapsed = match &finished.result {
            Ok(ended) => ended.elapsed,
            Err(error) => error.elapsed(),
        };
        match &finished.result {
            Ok(ended) => {
                (timeline.kind, timeline.status) = match &ended.outcome {
                    Outcome::Succeeded => (PhaseKind::Success, "succeeded".into()),
                    Outcome::Failed(_) => (PhaseKind::Failed, "failed".into()),
                    outcome => {
                        let is_success = ended.is_success();
                        let kind = if is_success { PhaseKind::Success } else { PhaseKind::Failed };
                        (kind, outcome.as_str().into())
                    }
                };
                let delay = ended.detection_delay.map(format_duration);
                timeline.details.extend(delay.map(|delay| ("detected after", delay)));
            }
            Err(error) => {
                timeline.status = error.kind().as_str().replace('_', " ");
                timeline.cause = Some(sanitize_line(&error.message()));
                if !timeline.was_read {
                    let message = error.last_error().map(message_without_request_id);
                    timeline.reason = message.as_deref().map(sanitize_line);
                }
            }
        }
        timeline.details.push(("waited for", format_duration(elapsed)));
        timeline.details.push(("attempts", finished.attempts().to_string()));
        timeline
    }
}

/// Returns a row for each cluster and node that the wait has read, with its phases.
fn object_rows(finished: &Finished) -> Vec<TimelineRow> {
    let time = |at| finished.started_at.and_then(|began| began.checked_add(at).ok());
    let mut changes = HashMap::<&ObjectId, Vec<(Duration, &ObjectStatus)>>::new();
    for (at, event) in &finished.log {
        if let Event::Object { status, .. } = event {
            changes.entry(&status.id).or_default().push((*at, status));
        }
    }
    let rows = finished.objects().into_iter().map(|object| {
        let changes = changes.get(&object.id).map(Vec::as_slice).unwrap_or_default();
        let phases = changes.iter().zip(changes.iter().skip(1)).map(|((from, status), (to, _))| {
            format!("{} for {}", status.phase_or_state(), format_duration(*to - *from))
        });
        let last = object.phase_or_state().to_owned();
        let phases: Vec<_> = phases.chain([last.clone()]).collect();
        let reason = [&object.reason, &object.message].into_iter().flatten().next();
        let details = (phases.len() > 1).then(|| phases.join(", "));
        let details: Vec<_> =
            details.iter().chain(reason).map(|text| sanitize_line(text)).collect();
        let bounds = changes.first().zip(changes.last());
        let bounds = bounds.and_then(|((from, _), (to, _))| Some((time(*from)?, time(*to)?)));
        let is_open = object.state.is_none_or(|state| state == ObjectState::UnderWay);
        TimelineRow {
            depth: usize::from(!finished.has_no_job()),
            label: object.id.kind().to_string(),
            name: Some(sanitize_line(object.name.as_deref().unwrap_or_else(|| object.id.as_str()))),
            phase: sanitize_line(&last),
            kind: match object.state {
                Some(ObjectState::Ready) => PhaseKind::Success,
                Some(ObjectState::UnderWay) => PhaseKind::Running,
                Some(ObjectState::Broken) => PhaseKind::Failed,
                Some(ObjectState::Gone) | None => PhaseKind::Unknown,
            },
            is_failing: object.state == Some(ObjectState::Broken),
            duration: bounds
                .map(|(from, to)| Bar { from, to, is_open }.duration())
                .map(format_duration),
            reason: (!details.is_empty()).then(|| details.join("; ")),
            bar: bounds.map(|(from, to)| Bar { from, to, is_open }),
        }
    });
    rows.collect()
}

/// Returns the attempts of a wait. Each attempt ends with at least one event.
fn attempts_from_log(finished: &Finished) -> Vec<TimelineAttempt> {
    let mut attempts = BTreeMap::<Duration, Option<String>>::new();
    for (at, event) in &finished.log {
        let error = attempts.entry(*at).or_default();
        if let Event::AttemptFailed { error: attempt_error, .. } = event {
            *error = Some(sanitize_line(&attempt_error.message));
        }
    }
    let attempt = |(at, error)| {
        let time = finished.started_at.and_then(|began| began.checked_add(at).ok());
        TimelineAttempt { at, time, error }
    };
    attempts.into_iter().map(attempt).collect()
}
