//! Progress as lines: one for each change, and one each minute without a change.

mod changes;

use std::{io, time::Duration};

use job_model::{Job, JobId, Phase, Progress};
use job_poller::{Event, machine::describe_objects};
use job_transport::{
    JobSnapshot,
    clock::{Clock, TokioClock},
};

use self::changes::{Changes, Line, LineStyle};
use super::tree_rows::format_remaining;
use crate::{
    terminal::{Styles, format_duration, stderr, text},
    wait::{
        board::{Board, WaitCounts},
        error_run::ErrorRun,
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
    changes: Changes,
}

impl LogLines {
    pub(crate) fn new() -> Self {
        let clock = TokioClock::new();
        let styles = Styles::for_stream(&io::stderr());
        Self { styles, last_line_at: clock.monotonic(), clock, changes: Changes::default() }
    }

    /// Prints an event, if it is a change.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        // A single job is read by itself anyway.
        if totals.total == 1 && matches!(event, Event::ListSuspended { .. }) {
            return;
        }
        // No line begins with a text of the service, such as the id in its reply.
        let at = self.styles.dim(&format!("{:>7}", format_duration(at)));
        let prefix = if totals.total > 1 {
            format!("{at}  {}  ", text::sanitize_line(watch.id().as_str()))
        } else {
            format!("{at}  ")
        };
        let has_ended = watch.last().is_some_and(|last| last.digest().is_terminal());
        let lines = self.changes.lines(&prefix, watch.id(), event, watch.errors(), has_ended);
        lines.iter().for_each(|line| self.print_change(line));
    }

    /// Prints what is left of a wait that has ended.
    pub(crate) fn end(&mut self, id: &JobId) {
        self.changes.end(id).iter().for_each(|line| self.print_change(line));
    }

    fn print_change(&mut self, Line { prefix, text, style }: &Line) {
        let text = match style {
            LineStyle::Plain => text.clone(),
            LineStyle::Warning => self.styles.warning(text),
            LineStyle::Error => self.styles.error(text),
        };
        self.print_line(&format!("{prefix}{text}"));
    }

    /// Prints a heartbeat line, if nothing was printed for [`HEARTBEAT_INTERVAL`].
    pub(crate) fn tick(&mut self, board: &Board, elapsed: Duration, totals: Totals) {
        self.print_held_steps();
        if self.is_silent(self.clock.monotonic()) {
            let at = self.styles.dim(&format!("{:>7}", format_duration(elapsed)));
            let line = match board.first(1).next() {
                Some(watch) if totals.total == 1 => heartbeat_line(&watch.snapshot()),
                _ => heartbeat_line_of_many(totals, board.counts()),
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
        self.print_held_steps();
        self.last_line_at = self.clock.monotonic();
    }

    fn print_held_steps(&mut self) {
        for line in self.changes.take_steps() {
            self.print_change(&line);
        }
    }

    fn print_line(&mut self, line: &str) {
        self.last_line_at = self.clock.monotonic();
        stderr::progress_line(line);
    }
}

/// Returns the state of several waits in one line.
fn heartbeat_line_of_many(totals: Totals, counts: WaitCounts) -> String {
    let Totals { total, finished, failed } = totals;
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let phases = counts.phases();
    let phases = if phases.is_empty() { phases } else { format!("; {phases}") };
    let unread = match counts.unreadable {
        0 => String::new(),
        jobs => format!("; {jobs} cannot be read"),
    };
    format!("still waiting: {finished} of {total} jobs ended{failed}{phases}{unread}")
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
    let title = text::title(job.label(), job.resource_name());
    if job.sub_jobs().is_empty() {
        return format!("{title} {phase}");
    }
    let has_ended = job.phase().is_some_and(Phase::is_terminal);
    format!("{title} {phase}, {}", describe_steps(&job.progress(), has_ended))
}

/// Returns how many steps are done, and that there may be more while the job runs: the service lists
/// a step only when it starts.
fn describe_steps(progress: &Progress, has_ended: bool) -> String {
    let Progress { total, success, failed, .. } = *progress;
    let so_far = if has_ended { "" } else { " so far" };
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{success} of {total} steps done{so_far}{failed}")
}

#[cfg(test)]
mod tests {
    use job_poller::Until;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_heartbeat_line_reports_progress_every_minute() {
        let mut lines = LogLines {
            styles: Styles::DISABLED,
            clock: TokioClock::new(),
            last_line_at: HEARTBEAT_INTERVAL,
            changes: Changes::default(),
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
        let counts = |unreadable| WaitCounts {
            running: 1,
            not_read: 1,
            unreadable,
            ..WaitCounts::default()
        };
        let many = |failed| Totals { total: 9, finished: 7, failed };
        let rows = [
            (heartbeat_line(&snapshot(None, None)), "the job was not read yet"),
            (
                heartbeat_line(&snapshot(Some(&job), None)),
                "CreateCluster Running, 1 of 2 steps done so far, about 3m left",
            ),
            (
                heartbeat_line(&snapshot(None, Some(error_run))),
                "the job was not read yet; no reply within 30s (4 in a row)",
            ),
            (
                heartbeat_line_of_many(many(2), counts(1)),
                "7 of 9 jobs ended, 2 failed; 1 Running, 1 not read yet; 1 cannot be read",
            ),
            (
                heartbeat_line_of_many(many(0), counts(0)),
                "7 of 9 jobs ended; 1 Running, 1 not read yet",
            ),
            (heartbeat_line_of_many(many(0), WaitCounts::default()), "7 of 9 jobs ended"),
        ];
        for (line, expected) in rows {
            assert_eq!(line, format!("still waiting: {expected}"));
        }
    }
}
