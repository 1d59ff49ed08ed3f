//! The report of `wait --report`: a timeline for each wait, written to a file at the end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use job_poller::{Event, Outcome};

use super::finished::Finished;
use crate::{
    exit::{Exit, OrExit},
    files::TargetFile,
    report::{
        PhaseKind, ReportFormat, Timeline, TimelineAttempt, deviation_warnings, render,
        write_error_context, write_report,
    },
    terminal::{format_duration, text::sanitize_line},
};

/// The report of all waits, written at their end.
pub(crate) struct ReportFile {
    file: PathBuf,
    target: TargetFile,
    format: ReportFormat,
    /// The timelines, by the position of the job on the command line.
    timelines: BTreeMap<usize, Timeline>,
}

impl ReportFile {
    /// Creates the file, if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the file cannot be written, so that the user learns it before the
    /// waits and not after them.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Self> {
        let format = ReportFormat::from_path(file).context("--report").or_exit(Exit::Usage)?;
        let target = TargetFile::new(file).and_then(|target| target.create().map(|()| target));
        let target = target.with_context(|| write_error_context(file)).or_exit(Exit::Usage)?;
        Ok(Self { file: file.into(), target, format, timelines: BTreeMap::new() })
    }

    /// Adds a finished wait.
    pub(crate) fn add(&mut self, finished: &Finished) {
        self.timelines.insert(finished.index, Timeline::from_finished(finished));
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let timelines: Vec<_> = self.timelines.values().collect();
        let text = render(&timelines, self.format)?;
        write_report(&self.target, &self.file, &text)
    }
}

impl Timeline {
    /// Returns the timeline of a finished wait.
    pub(crate) fn from_finished(finished: &Finished) -> Self {
        let mut timeline = Self::new(finished.job(), attempts_from_log(finished));
        let deviations = match &finished.result {
            Ok(ended) => &ended.deviations,
            Err(error) => error.deviations(),
        };
        timeline.warnings.splice(0..0, deviation_warnings(deviations));
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
                let cause = sanitize_line(&error.message());
                timeline.details.push(("the wait stopped", cause));
            }
        }
        timeline.details.push(("waited for", format_duration(elapsed)));
        timeline.details.push(("attempts", attempts.to_string()));
        timeline
    }
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
