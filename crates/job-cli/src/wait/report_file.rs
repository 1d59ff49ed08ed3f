//! The report of `wait --report`: a timeline for each wait, written to a file at the end.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use job_model::object::{ObjectId, ObjectState};
use job_poller::{Event, Outcome, machine::ObjectStatus};
use job_report::{Bar, PhaseKind, Timeline, TimelineAttempt, TimelineRow};

use super::{error_run::message_without_request_id, finished::Finished};
use crate::{
    exit::{Exit, OrExit},
    report::{ReportFormat, ReportTarget},
    terminal::{format_duration, text::hide_canonical_request},
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
        self.timelines.insert(finished.index, timeline_from_finished(finished));
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
        self.target.write(&self.format.render(&timelines), self.format)
    }
}

/// Returns the timeline of a finished wait.
pub(crate) fn timeline_from_finished(finished: &Finished) -> Timeline {
    let mut timeline = finished.job().map_or_else(Timeline::unread, Timeline::new);
    timeline = timeline
        .with_objects(object_rows(finished))
        .with_attempts(attempts_from_log(finished))
        .with_id(finished.id.as_str());
    if finished.has_no_job() {
        let kinds = finished.objects().into_iter().map(|object| object.id.kind().as_str());
        timeline = timeline.with_label(&kinds.collect::<String>());
    }
    if timeline.name().is_none() && !timeline.was_read() {
        timeline = timeline.with_name(finished.id.as_str());
    }
    let (deviations, elapsed) = match &finished.result {
        Ok(ended) => (&ended.deviations[..], ended.elapsed),
        Err(error) => (error.deviations(), error.elapsed()),
    };
    timeline = timeline.with_deviations(deviations);
    match &finished.result {
        Ok(ended) => {
            let is_success = match &ended.outcome {
                Outcome::Succeeded => true,
                Outcome::Failed(_) => false,
                _ => ended.is_success(),
            };
            let kind = if is_success { PhaseKind::Success } else { PhaseKind::Failed };
            timeline = timeline.with_status(kind, ended.outcome.as_str());
            if let Some(delay) = ended.detection_delay {
                timeline = timeline.with_detail("detected after", &format_duration(delay));
            }
        }
        Err(error) => {
            let kind = finished.job().map_or(PhaseKind::Unknown, PhaseKind::from);
            timeline = timeline
                .with_status(kind, &error.kind().as_str().replace('_', " "))
                .with_cause(&hide_canonical_request(&error.message()));
            let message = error.last_error().map(message_without_request_id);
            if let Some(message) = message.filter(|_| !timeline.was_read()) {
                timeline = timeline.with_reason(&hide_canonical_request(&message));
            }
        }
    }
    timeline
        .with_detail("waited for", &format_duration(elapsed))
        .with_detail("attempts", &finished.attempts().to_string())
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
            details.iter().chain(reason).map(|text| hide_canonical_request(text)).collect();
        let bounds = changes.first().zip(changes.last());
        let bounds = bounds.and_then(|((from, _), (to, _))| Some((time(*from)?, time(*to)?)));
        let is_open = object.state.is_none_or(|state| state == ObjectState::UnderWay);
        let kind = match object.state {
            Some(ObjectState::Ready) => PhaseKind::Success,
            Some(ObjectState::UnderWay) => PhaseKind::Running,
            Some(ObjectState::Broken) => PhaseKind::Failed,
            Some(ObjectState::Gone) | None => PhaseKind::Unknown,
        };
        let mut row = TimelineRow::new(&object.id.kind().to_string(), kind, &last)
            .with_depth(usize::from(!finished.has_no_job()))
            .with_name(object.name.as_deref().unwrap_or_else(|| object.id.as_str()));
        if !details.is_empty() {
            row = row.with_reason(&details.join("; "));
        }
        if let Some((from, to)) = bounds {
            let bar = Bar::new(from, to);
            row = row.with_bar(if is_open { bar.open() } else { bar });
        }
        row
    });
    rows.collect()
}

/// Returns the attempts of a wait. Each attempt ends with at least one event.
fn attempts_from_log(finished: &Finished) -> Vec<TimelineAttempt> {
    let mut attempts = BTreeMap::<Duration, Option<String>>::new();
    for (at, event) in &finished.log {
        let error = attempts.entry(*at).or_default();
        if let Event::AttemptFailed { error: attempt_error, .. } = event {
            *error = Some(hide_canonical_request(&attempt_error.message).into_owned());
        }
    }
    let attempt = |(at, error): (Duration, Option<String>)| {
        let mut attempt = TimelineAttempt::new(at);
        if let Some(time) = finished.started_at.and_then(|began| began.checked_add(at).ok()) {
            attempt = attempt.with_time(time);
        }
        match error {
            Some(error) => attempt.with_error(&error),
            None => attempt,
        }
    };
    attempts.into_iter().map(attempt).collect()
}
