//! Progress as lines: one for each change, and one each minute without any. Draws nothing.

use std::{io, time::Duration};

use job_model::{Job, Phase};
use job_poller::{Event, Why};
use job_transport::{Clock, TokioClock};

use super::{
    Tally,
    tree_rows::{Sight, left},
};
use crate::{
    terminal::{Paint, stderr, text, told},
    wait::watch::{FaultRun, Faults, Watch},
};

/// After so long without a line, one says that the wait goes on.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Tells lines.
pub(crate) struct Plain {
    paint: Paint,
    clock: TokioClock,
    /// When the last line was told.
    said_at: Duration,
}

impl Plain {
    pub(crate) fn new() -> Self {
        let clock = TokioClock::new();
        Self { paint: Paint::of(&io::stderr()), said_at: clock.elapsed(), clock }
    }

    /// Tells what happened, where it is a change.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, tally: Tally) {
        let Some(line) = change(event, watch.faults()) else { return };
        let line = match event {
            Event::Fault { .. } | Event::Stuck { .. } | Event::Stale { .. } => {
                self.paint.odd(&line)
            }
            Event::Phase { to: Some(Phase::Failed), .. }
            | Event::SubJob { to: Some(Phase::Failed), .. } => self.paint.bad(&line),
            _ => line,
        };
        let at = self.paint.faint(&format!("{:>7}", told(at)));
        self.say(&if tally.all > 1 {
            format!("{}  {at}  {line}", text::line(watch.id().as_str()))
        } else {
            format!("{at}  {line}")
        });
    }

    /// Tells that the wait goes on, where nothing was told for long.
    pub(crate) fn look<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        tally: Tally,
    ) {
        if self.is_silent(self.clock.elapsed()) {
            let at = self.paint.faint(&format!("{:>7}", told(elapsed)));
            let sights: Vec<_> = watches.map(Watch::sight).collect();
            self.say(&format!("{at}  {}", text::line(&heartbeat(&sights, tally))));
        }
    }

    /// Whether nothing was told for long.
    fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.said_at) >= HEARTBEAT
    }

    /// Takes note that something else was told.
    pub(crate) fn said(&mut self) {
        self.said_at = self.clock.elapsed();
    }

    fn say(&mut self, line: &str) {
        self.said();
        stderr::painted(line);
    }
}

/// Returns what an event says that was not said before.
fn change(event: &Event, faults: &Faults) -> Option<String> {
    let is_news = faults.now().is_some_and(|faults| faults.is_news);
    match event {
        // The same fault again, however often, is no change; nor is the plan to ask again after it.
        Event::Fault { .. } if !is_news => None,
        Event::NextAttempt { .. } if faults.are_over => Some("the service answers again".into()),
        Event::NextAttempt { why: Why::Backoff | Why::RetryAfter, .. } if is_news => {
            Some(text::line(&event.to_string()))
        }
        Event::NextAttempt { .. } => None,
        event => Some(text::line(&event.to_string())),
    }
}

/// Returns how the waits are, in one line.
fn heartbeat(sights: &[Sight<'_>], tally: Tally) -> String {
    let Tally { all, ended, bad } = tally;
    let ([Sight { job, faults, remaining, .. }], 1) = (sights, all) else {
        let bad = if bad > 0 { format!(", {bad} of them badly") } else { String::new() };
        let faulty = sights.iter().filter(|sight| sight.faults.is_some()).count();
        let faulty = if faulty > 0 { format!("; {faulty} cannot be read") } else { String::new() };
        return format!("still waiting: {ended} of {all} jobs ended{bad}{faulty}");
    };
    let job = job.as_deref().map_or_else(|| "the job was not read yet".into(), of);
    let job = match remaining {
        Some(remaining) => format!("{job}, {}", left(*remaining)),
        None => job,
    };
    match faults {
        Some(FaultRun { message, in_a_row, .. }) => {
            format!("still waiting: {job}; {message} ({in_a_row} in a row)")
        }
        None => format!("still waiting: {job}"),
    }
}

/// Returns how a job is, in a few words.
fn of(job: &Job) -> String {
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
    use http::StatusCode;
    use job_poller::{Input, WaitPolicy};
    use job_transport::FetchError;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{hostile, job_of, reading, unseen, waited};

    /// Returns the lines that are told of these attempts.
    fn told(inputs: Vec<Input>) -> Vec<String> {
        let (_, log) = waited(WaitPolicy::new(), inputs);
        let mut faults = Faults::default();
        let lines = log.iter().filter_map(|(_, event)| {
            faults.note(event);
            change(event, &faults)
        });
        lines.collect()
    }

    #[test]
    fn a_line_for_each_change_and_none_for_the_same_again() {
        let fault = |status, id: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            Input::from(Err(FetchError::status(status, Some(id.into()))))
        };
        let job = |phase: &str| reading(&json!({"status": {"phase": phase}}));
        let lines = told(vec![
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
    fn a_line_a_minute_says_how_the_wait_is() {
        let mut plain = Plain { paint: Paint::NONE, clock: TokioClock::new(), said_at: HEARTBEAT };
        let seconds = |seconds| Duration::from_secs(seconds);
        let silent = [60, 119, 120, 240].map(|second| plain.is_silent(seconds(second)));
        assert_eq!(silent, [false, false, true, true]);
        plain.said_at = seconds(120);
        assert!(!plain.is_silent(seconds(179)) && plain.is_silent(seconds(180)));

        let id = "a".parse().unwrap();
        let job = json!({"spec": {"type": "CreateCluster", "subJobs": [
            {"status": {"phase": "Success"}}, {}]}, "status": {"phase": "Running"}});
        let job: Job = serde_json::from_value(job).unwrap();
        let faults =
            FaultRun { message: "no reply within 30s".into(), in_a_row: 4, is_news: false };
        let sight = |job: Option<&Job>, faults| Sight {
            id: &id,
            job: job.cloned().map(Box::new),
            elapsed: HEARTBEAT,
            remaining: job.map(|_| Duration::from_secs(170)),
            service_time: None,
            faults,
            until_next: None,
        };
        let one = Tally { all: 1, ended: 0, bad: 0 };
        let many = Tally { all: 9, ended: 7, bad: 2 };
        let rows = [
            (vec![sight(None, None)], one, "the job was not read yet"),
            (
                vec![sight(Some(&job), None)],
                one,
                "CreateCluster Running, 1 of 2 steps done, about 3m left",
            ),
            (
                vec![sight(None, Some(&faults))],
                one,
                "the job was not read yet; no reply within 30s (4 in a row)",
            ),
            (
                vec![sight(None, None), sight(Some(&job), Some(&faults))],
                many,
                "7 of 9 jobs ended, 2 of them badly; 1 cannot be read",
            ),
        ];
        for (sights, tally, expected) in rows {
            assert_eq!(heartbeat(&sights, tally), format!("still waiting: {expected}"));
        }
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_told(text in hostile()) {
            for line in told(vec![reading(&job_of(&text))]) {
                prop_assert_eq!(unseen(&line), None);
                prop_assert!(!line.contains('\n'));
            }
        }
    }
}
