//! `--at-most`: ends the command while jobs are still running, and prints what is known and the
//! command that goes on.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use job_model::{Job, JobId, Progress};
use job_poller::{
    WaitError,
    machine::{AttemptError, ObjectStatus},
};
use serde::Serialize;

use super::{board::Board, finished::Finished};
use crate::{
    exit::Exit,
    terminal::{
        DurationArg,
        json::{line_time, to_single_line},
        text::hide_canonical_request,
    },
};

/// The maximum number of jobs without a checkpoint file. The next command names all of them.
pub(crate) const MAX_JOBS: usize = 300;

/// The maximum number of jobs of which the line has a row.
const MAX_ROWS: usize = 100;

/// Parses the value of `--at-most`.
///
/// # Errors
///
/// Returns an error if the text is not a duration, or is so short that no job could be read.
pub(crate) fn parse_at_most(text: &str) -> anyhow::Result<DurationArg> {
    // Without a unit, only zero is a duration.
    let span = if text == "0" { DurationArg(Duration::ZERO) } else { text.parse()? };
    let is_long_enough = span.0 >= Duration::from_millis(100);
    anyhow::ensure!(is_long_enough, "must be at least 100ms; --timeout 0 checks each job once");
    Ok(span)
}

/// The waits that `--at-most` stopped, by the position of the job on the command line.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// The mean remaining time of the jobs that were running; `None` if it is unknown.
    remaining: BTreeMap<usize, Option<Duration>>,
    rows: BTreeMap<usize, Row>,
    /// The number of jobs that are still running.
    running: usize,
}

/// What is known of a job that is still running.
#[derive(Debug, Serialize)]
struct Row {
    /// `None` if the wait is for a cluster or a node.
    job: Option<JobId>,
    name: Option<String>,
    #[serde(rename = "type")]
    job_type: Option<String>,
    phase: Option<String>,
    steps: Option<Progress>,
    /// The clusters and nodes that are read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<ObjectStatus>,
    /// The error of the last attempt, if it failed.
    error: Option<String>,
    attempts: u32,
    elapsed: f64,
    remaining: Option<f64>,
}

/// The line on stdout.
#[derive(Serialize)]
struct StillRunning<'a> {
    v: u8,
    event: &'static str,
    time: String,
    /// The exit code of the command.
    exit: u8,
    /// The most severe exit code of the jobs that are not waited for any more, also in earlier slices.
    worst: u8,
    running: usize,
    jobs: Vec<&'a Row>,
    /// The mean remaining time until all jobs have ended; `None` if that of a job is unknown.
    remaining: Option<f64>,
    deadline: Option<Timestamp>,
    next: &'a str,
}

impl Slice {
    /// Records what the history expects of the waits that are running. Call it before they are stopped.
    pub(crate) fn new(board: &Board) -> Self {
        let waits = board.iter();
        let remaining = waits.map(|(index, watch)| (index, watch.snapshot().remaining)).collect();
        Self { remaining, ..Self::default() }
    }

    /// Adds a wait that was stopped.
    pub(crate) fn add(&mut self, finished: &Finished, error: &WaitError) {
        self.running += 1;
        if self.rows.len() >= MAX_ROWS {
            return;
        }
        let job = finished.job().filter(|_| !finished.has_no_job());
        let remaining = self.remaining.get(&finished.index).copied().flatten();
        let row = Row {
            job: (!finished.has_no_job()).then(|| finished.id.clone()),
            name: job.and_then(Job::display_name).map(Into::into),
            job_type: job.and_then(Job::job_type).map(Into::into),
            phase: job.and_then(Job::phase).map(|phase| phase.as_str().into()),
            steps: job.map(Job::progress),
            objects: finished.objects().into_iter().cloned().collect(),
            error: error
                .last_error()
                .map(|error: &AttemptError| hide_canonical_request(&error.message).into_owned()),
            attempts: finished.attempts(),
            elapsed: to_seconds(error.elapsed()),
            remaining: remaining.map(to_seconds),
        };
        self.rows.insert(finished.index, row);
    }

    /// Returns the number of jobs that are still running.
    pub(crate) const fn running(&self) -> usize {
        self.running
    }

    /// Returns the line for stdout. `now` is the wall-clock time, and `worst` the most severe exit code of
    /// the other jobs.
    pub(crate) fn line(
        &self,
        now: Timestamp,
        worst: Exit,
        deadline: Option<Timestamp>,
        next: &str,
    ) -> String {
        let all: Option<Vec<_>> = self.remaining.values().copied().collect();
        let longest = all.and_then(|all| all.into_iter().max());
        let line = StillRunning {
            v: 1,
            event: "still_running",
            time: line_time(now),
            exit: Exit::StillRunning as u8,
            worst: worst as u8,
            running: self.running,
            jobs: self.rows.values().collect(),
            remaining: longest.map(to_seconds),
            deadline,
            next,
        };
        // Serialization fails only for maps with keys that are not strings, and there are none.
        to_single_line(&serde_json::to_string(&line).unwrap_or_default())
    }
}

/// Returns seconds in milliseconds precision.
fn to_seconds(span: Duration) -> f64 {
    span.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use job_poller::WaitPolicy;
    use job_transport::{FetchError, FetchErrorKind};

    use super::*;
    use crate::testing::{finished, run_wait};

    #[test]
    fn the_line_has_no_canonical_request() {
        let error = FetchError::new(FetchErrorKind::Status(503))
            .with_request_id(Some("the canonical request is: GET|/a/||host; check the key".into()));
        let finished = finished(run_wait(WaitPolicy::new(), [error.into()]));
        let mut slice = Slice::default();
        slice.add(&finished, finished.result.as_ref().unwrap_err());
        let line = slice.line(Timestamp::UNIX_EPOCH, Exit::StillRunning, None, "next");
        assert!(line.contains("canonical request is shown with -v; check the key"), "{line}");
        assert!(!line.contains("GET|"), "{line}");
    }
}
