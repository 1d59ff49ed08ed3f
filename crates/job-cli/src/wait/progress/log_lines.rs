//! Progress as lines: one for each change, and one each minute without a change.

use std::{io, time::Duration};

use job_model::{Job, Phase, object::ObjectState};
use job_poller::{
    Event,
    machine::{AttemptReason, describe_objects},
};
use job_transport::{
    JobSnapshot,
    clock::{Clock, TokioClock},
};

use super::tree_rows::format_remaining;
use crate::{
    terminal::{Styles, format_duration, stderr, text},
    wait::{
        board::Board,
        error_run::{ErrorRun, ErrorTracker},
        snapshot::WaitSnapshot,
        totals::Totals,
        watch::Watch,
    },
};

/// Time without output after which a heartbeat line is printed.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

/// Prints progress as lines.
pub(crate) struct LogLines {
    styles: Styles,
    clock: TokioClock,
    /// When the last line was printed.
    last_line_at: Duration,
}

impl LogLines {
    pub(crate) fn new() -> Self {
        let clock = TokioClock::new();
        Self { styles: Styles::for_stream(&io::stderr()), last_line_at: clock.monotonic(), clock }
    }

    /// Prints an event, if it is a change.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        if let Event::Deviations(deviations) = event {
            for deviation in deviations {
                let line = text::sanitize_line(&format!("warning: {deviation}"));
                self.print_event(watch, at, &self.styles.warning(&line), totals);
            }
            return;
        }
        // A single job is read by itself anyway.
        if totals.total == 1 && matches!(event, Event::ListSuspended { .. }) {
            return;
        }
        let Some(line) = change_line(event, watch.errors()) else { return };
        let line = match event {
            Event::AttemptFailed { .. } | Event::Stalled { .. } | Event::StaleReply { .. } => {
                self.styles.warning(&line)
            }
            Event::Object { status, .. } if status.state == Some(ObjectState::Broken) => {
                self.styles.error(&line)
            }
            Event::Phase { to: Some(Phase::Failed), .. }
            | Event::SubJob { to: Some(Phase::Failed), .. } => self.styles.error(&line),
            _ => line,
        };
        self.print_event(watch, at, &line, totals);
    }

    fn print_event(&mut self, watch: &Watch, at: Duration, line: &str, totals: Totals) {
        let at = self.styles.dim(&format!("{:>7}", format_duration(at)));
        self.print_line(&if totals.total > 1 {
            format!("{}  {at}  {line}", text::sanitize_line(watch.id().as_str()))
        } else {
            format!("{at}  {line}")
        });
    }

    /// Prints a heartbeat line, if nothing was printed for [`HEARTBEAT_INTERVAL`].
    pub(crate) fn tick(&mut self, board: &Board, elapsed: Duration, totals: Totals) {
        if self.is_silent(self.clock.monotonic()) {
            let at = self.styles.dim(&format!("{:>7}", format_duration(elapsed)));
            let line = match board.first(1).next() {
                Some(watch) if totals.total == 1 => heartbeat_line(&watch.snapshot()),
                _ => heartbeat_line_of_many(totals, board.counts().unreadable),
            };
            self.print_line(&format!("{at}  {}", text::sanitize_line(&line)));
        }
    }

    /// Whether nothing was printed for [`HEARTBEAT_INTERVAL`].
    fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_line_at) >= HEARTBEAT_INTERVAL
    }

    /// Records that something else was printed.
    pub(crate) fn reset_heartbeat(&mut self) {
        self.last_line_at = self.clock.monotonic();
    }

    fn print_line(&mut self, line: &str) {
        self.reset_heartbeat();
        stderr::progress_line(line);
    }
}

/// Returns the line of an event; `None` if it is not a change.
fn change_line(event: &Event, errors: &ErrorTracker) -> Option<String> {
    let has_changed = errors.current().is_some_and(|run| run.has_changed);
    match event {
        // A repeated error is not a change, and the retry after it is not one either.
        Event::AttemptFailed { .. } if !has_changed => None,
        Event::NextAttempt { .. } if errors.has_recovered => {
            Some("the service answers again".into())
        }
        Event::NextAttempt {
            reason: AttemptReason::Backoff | AttemptReason::RetryAfter, ..
        } if has_changed => Some(text::sanitize_line(&event.to_string())),
        Event::NextAttempt { .. } => None,
        event => Some(text::sanitize_line(&event.to_string())),
    }
}

/// Returns the state of several waits in one line. `unreadable` is the number of jobs that cannot be
/// read at the moment.
fn heartbeat_line_of_many(totals: Totals, unreadable: usize) -> String {
    let Totals { total, finished, failed } = totals;
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let unread = match unreadable {
        0 => String::new(),
        jobs => format!("; {jobs} cannot be read"),
    };
    format!("still waiting: {finished} of {total} jobs ended{failed}{unread}")
}

/// Returns the state of a single wait in one line.
fn heartbeat_line(snapshot: &WaitSnapshot) -> String {
    let WaitSnapshot { last, objects, until, error_run, remaining, .. } = snapshot;
    let job = if objects.is_empty() {
        let job = last.clone().map(JobSnapshot::into_job);
        job.map_or_else(|| "the job was not read yet".into(), |job| describe_job(&job))
    } else {
        describe_objects(&**objects, *until)
    };
    let job = match remaining {
        Some(remaining) => format!("{job}, {}", format_remaining(*remaining)),
        None => job,
    };
    match error_run {
        Some(ErrorRun { message, in_a_row, .. }) => {
            format!("still waiting: {job}; {message} ({in_a_row} in a row)")
        }
        None => format!("still waiting: {job}"),
    }
}

/// Returns the state of a job in a few words.
fn describe_job(job: &Job) -> String {
    let phase = job.phase().map_or_else(|| "no phase".into(), Phase::to_string);
    let name = job.resource_name().map(|name| format!(" {name}")).unwrap_or_default();
    let label = format!("{}{name}", job.label());
    let label = label.escape_debug();
    if job.sub_jobs().is_empty() {
        return format!("{label} {phase}");
    }
    let progress = job.progress();
    format!("{label} {phase}, {} of {} steps done", progress.success, progress.total)
}

#[cfg(test)]
mod tests {
    use job_poller::{Until, WaitPolicy, machine::Input};
    use job_transport::{FetchError, FetchErrorKind};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{first_hazard, hostile_text, job_with_text, reading_input, run_wait};

    /// Returns the lines that are printed for these attempts.
    fn lines_for(inputs: Vec<Input>) -> Vec<String> {
        let (_, log) = run_wait(WaitPolicy::new(), inputs);
        let mut errors = ErrorTracker::default();
        let lines = log.iter().filter_map(|(_, event)| {
            errors.record(event);
            change_line(event, &errors)
        });
        lines.collect()
    }

    #[test]
    fn each_change_prints_one_line() {
        let error = |status, id: &str| {
            let error = FetchError::new(FetchErrorKind::Status(status));
            Input::from(error.with_request_id(Some(id.into())))
        };
        let job = |phase: &str| reading_input(&json!({"status": {"phase": phase}}));
        let lines = lines_for(vec![
            error(503, "a"),
            error(503, "b"),
            error(429, "c"),
            job("Running"),
            job("Running"),
            error(429, "d"),
            job("Success"),
        ]);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_heartbeat_line_reports_progress_every_minute() {
        let mut lines = LogLines {
            styles: Styles::DISABLED,
            clock: TokioClock::new(),
            last_line_at: HEARTBEAT_INTERVAL,
        };
        let seconds = |seconds| Duration::from_secs(seconds);
        let silent = [60, 119, 120, 240].map(|second| lines.is_silent(seconds(second)));
        assert_eq!(silent, [false, false, true, true]);
        lines.last_line_at = seconds(120);
        assert!(!lines.is_silent(seconds(179)) && lines.is_silent(seconds(180)));

        let job = json!({"spec": {"type": "CreateCluster", "subJobs": [
            {"status": {"phase": "Success"}}, {}]}, "status": {"phase": "Running"}});
        let job: Job = serde_json::from_value(job).unwrap();
        let error_run =
            ErrorRun { message: "no reply within 30s".into(), in_a_row: 4, has_changed: false };
        let snapshot = |job: Option<&Job>, error_run| WaitSnapshot {
            id: "a".parse().unwrap(),
            last: job.cloned().map(JobSnapshot::from),
            objects: Default::default(),
            until: Until::Ended,
            elapsed: HEARTBEAT_INTERVAL,
            remaining: job.map(|_| Duration::from_secs(170)),
            service_time: None,
            error_run,
            until_next_attempt: None,
        };
        let many = |failed| Totals { total: 9, finished: 7, failed };
        let rows = [
            (heartbeat_line(&snapshot(None, None)), "the job was not read yet"),
            (
                heartbeat_line(&snapshot(Some(&job), None)),
                "CreateCluster Running, 1 of 2 steps done, about 3m left",
            ),
            (
                heartbeat_line(&snapshot(None, Some(error_run))),
                "the job was not read yet; no reply within 30s (4 in a row)",
            ),
            (heartbeat_line_of_many(many(2), 1), "7 of 9 jobs ended, 2 failed; 1 cannot be read"),
            (heartbeat_line_of_many(many(0), 0), "7 of 9 jobs ended"),
        ];
        for (line, expected) in rows {
            assert_eq!(line, format!("still waiting: {expected}"));
        }
    }

    proptest! {
        #[test]
        fn progress_lines_contain_no_unprintable_characters(text in hostile_text()) {
            for line in lines_for(vec![reading_input(&job_with_text(&text))]) {
                prop_assert_eq!(first_hazard(&line), None);
                prop_assert!(!line.contains('\n'));
            }
        }
    }
}
