//! Progress as lines: one for each change, and one each minute without any. Draws nothing.

use std::{io, time::Duration};

use job_model::{Job, Phase};
use job_poller::{AttemptReason, Event};
use job_transport::{Clock, TokioClock};

use super::{
    Totals,
    tree_rows::{WaitSnapshot, format_remaining},
};
use crate::{
    terminal::{Styles, format_duration, stderr, text},
    wait::watch::{ErrorRun, ErrorTracker, Watch},
};

/// After so long without a line, one says that the wait goes on.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

/// Tells lines.
pub(crate) struct LogLines {
    styles: Styles,
    clock: TokioClock,
    /// When the last line was told.
    last_line_at: Duration,
}

impl LogLines {
    pub(crate) fn new() -> Self {
        let clock = TokioClock::new();
        Self { styles: Styles::for_stream(&io::stderr()), last_line_at: clock.monotonic(), clock }
    }

    /// Tells what happened, where it is a change.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        let Some(line) = change_line(event, watch.errors()) else { return };
        let line = match event {
            Event::AttemptFailed { .. } | Event::Stalled { .. } | Event::StaleReply { .. } => {
                self.styles.warning(&line)
            }
            Event::Phase { to: Some(Phase::Failed), .. }
            | Event::SubJob { to: Some(Phase::Failed), .. } => self.styles.error(&line),
            _ => line,
        };
        let at = self.styles.dim(&format!("{:>7}", format_duration(at)));
        self.print_line(&if totals.total > 1 {
            format!("{}  {at}  {line}", text::sanitize_line(watch.id().as_str()))
        } else {
            format!("{at}  {line}")
        });
    }

    /// Tells that the wait goes on, where nothing was told for long.
    pub(crate) fn tick<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        totals: Totals,
    ) {
        if self.is_silent(self.clock.monotonic()) {
            let at = self.styles.dim(&format!("{:>7}", format_duration(elapsed)));
            let snapshots: Vec<_> = watches.map(Watch::snapshot).collect();
            self.print_line(&format!(
                "{at}  {}",
                text::sanitize_line(&heartbeat_line(&snapshots, totals))
            ));
        }
    }

    /// Whether nothing was told for long.
    fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_line_at) >= HEARTBEAT_INTERVAL
    }

    /// Takes note that something else was told.
    pub(crate) fn reset_heartbeat(&mut self) {
        self.last_line_at = self.clock.monotonic();
    }

    fn print_line(&mut self, line: &str) {
        self.reset_heartbeat();
        stderr::styled_line(line);
    }
}

/// Returns what an event says that was not said before.
fn change_line(event: &Event, errors: &ErrorTracker) -> Option<String> {
    let has_changed = errors.current().is_some_and(|faults| faults.has_changed);
    match event {
        // The same error again, however often, is no change; nor is the plan to ask again after it.
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

/// Returns how the waits are, in one line.
fn heartbeat_line(snapshots: &[WaitSnapshot<'_>], totals: Totals) -> String {
    let Totals { total: all, finished: ended, failed: bad } = totals;
    let ([WaitSnapshot { job, error_run: faults, remaining, .. }], 1) = (snapshots, all) else {
        let bad = if bad > 0 { format!(", {bad} failed") } else { String::new() };
        let faulty = snapshots.iter().filter(|sight| sight.error_run.is_some()).count();
        let faulty = if faulty > 0 { format!("; {faulty} cannot be read") } else { String::new() };
        return format!("still waiting: {ended} of {all} jobs ended{bad}{faulty}");
    };
    let job = job.as_deref().map_or_else(|| "the job was not read yet".into(), describe_job);
    let job = match remaining {
        Some(remaining) => format!("{job}, {}", format_remaining(*remaining)),
        None => job,
    };
    match faults {
        Some(ErrorRun { message, in_a_row, .. }) => {
            format!("still waiting: {job}; {message} ({in_a_row} in a row)")
        }
        None => format!("still waiting: {job}"),
    }
}

/// Returns how a job is, in a few words.
fn describe_job(job: &Job) -> String {
    let phase = job.phase().map_or_else(|| "no phase".into(), Phase::to_string);
    let label = job.label().escape_debug();
    if job.sub_jobs().is_empty() {
        return format!("{label} {phase}");
    }
    let progress = job.progress();
    format!("{label} {phase}, {} of {} steps done", progress.success, progress.total)
}

#[cfg(test)]
mod tests {
    use job_poller::{Input, WaitPolicy};
    use job_transport::{FetchError, FetchErrorKind};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{first_unprintable, hostile_text, job_with_text, reading_input, run_wait};

    /// Returns the lines that are told of these attempts.
    fn lines_for(inputs: Vec<Input>) -> Vec<String> {
        let (_, log) = run_wait(WaitPolicy::new(), inputs);
        let mut faults = ErrorTracker::default();
        let lines = log.iter().filter_map(|(_, event)| {
            faults.record(event);
            change_line(event, &faults)
        });
        lines.collect()
    }

    #[test]
    fn each_change_prints_one_line() {
        let fault = |status, id: &str| {
            let error = FetchError::new(FetchErrorKind::Status(status));
            Input::from(Err(error.with_request_id(Some(id.into()))))
        };
        let job = |phase: &str| reading_input(&json!({"status": {"phase": phase}}));
        let lines = lines_for(vec![
            fault(503, "a"),
            fault(503, "b"),
            fault(429, "c"),
            job("Running"),
            job("Running"),
            fault(429, "d"),
            job("Success"),
        ]);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_heartbeat_line_reports_progress_every_minute() {
        let mut plain = LogLines {
            styles: Styles::DISABLED,
            clock: TokioClock::new(),
            last_line_at: HEARTBEAT_INTERVAL,
        };
        let seconds = |seconds| Duration::from_secs(seconds);
        let silent = [60, 119, 120, 240].map(|second| plain.is_silent(seconds(second)));
        assert_eq!(silent, [false, false, true, true]);
        plain.last_line_at = seconds(120);
        assert!(!plain.is_silent(seconds(179)) && plain.is_silent(seconds(180)));

        let id = "a".parse().unwrap();
        let job = json!({"spec": {"type": "CreateCluster", "subJobs": [
            {"status": {"phase": "Success"}}, {}]}, "status": {"phase": "Running"}});
        let job: Job = serde_json::from_value(job).unwrap();
        let faults =
            ErrorRun { message: "no reply within 30s".into(), in_a_row: 4, has_changed: false };
        let snapshot = |job: Option<&Job>, faults| WaitSnapshot {
            id: &id,
            job: job.cloned().map(Box::new),
            elapsed: HEARTBEAT_INTERVAL,
            remaining: job.map(|_| Duration::from_secs(170)),
            service_time: None,
            error_run: faults,
            until_next_attempt: None,
        };
        let one = Totals { total: 1, finished: 0, failed: 0 };
        let many = Totals { total: 9, finished: 7, failed: 2 };
        let rows = [
            (vec![snapshot(None, None)], one, "the job was not read yet"),
            (
                vec![snapshot(Some(&job), None)],
                one,
                "CreateCluster Running, 1 of 2 steps done, about 3m left",
            ),
            (
                vec![snapshot(None, Some(&faults))],
                one,
                "the job was not read yet; no reply within 30s (4 in a row)",
            ),
            (
                vec![snapshot(None, None), snapshot(Some(&job), Some(&faults))],
                many,
                "7 of 9 jobs ended, 2 failed; 1 cannot be read",
            ),
        ];
        for (sights, tally, expected) in rows {
            assert_eq!(heartbeat_line(&sights, tally), format!("still waiting: {expected}"));
        }
    }

    proptest! {
        #[test]
        fn progress_lines_contain_no_unprintable_characters(text in hostile_text()) {
            for line in lines_for(vec![reading_input(&job_with_text(&text))]) {
                prop_assert_eq!(first_unprintable(&line), None);
                prop_assert!(!line.contains('\n'));
            }
        }
    }
}
