//! The line of each change. Events that belong to one change make one line: a step and the number of
//! steps that are done; an error and the time of the next attempt.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use job_model::{JobId, Phase, object::ObjectState};
use job_poller::{Event, machine::AttemptReason};

use super::describe_steps;
use crate::{terminal::text, wait::error_run::ErrorTracker};

/// A line of progress. Its texts are sanitized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The time, and the id of the job if there are several.
    pub(super) prefix: String,
    pub(super) text: String,
    pub(super) style: LineStyle,
}

/// How a line is colored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineStyle {
    Plain,
    Warning,
    Error,
}

/// Makes the lines of all waits.
#[derive(Default)]
pub(super) struct Changes {
    /// The last line of a wait, if its next event may add to it.
    held: HashMap<JobId, Held>,
    /// The lines of steps in the order of their events.
    steps: BTreeMap<u64, (JobId, Line)>,
    /// The number of the next step.
    next_step: u64,
}

/// A line that is not printed yet.
enum Held {
    /// The phase of a step, with its number. The count of the steps that are done may follow.
    Step(u64),
    /// An error. The next attempt follows, or the wait ends with a message that has this error.
    Error(Line),
}

impl Changes {
    /// Returns the lines to print for an event. `has_ended` is whether the job has ended.
    pub(super) fn lines(
        &mut self,
        prefix: &str,
        id: &JobId,
        event: &Event,
        errors: &ErrorTracker,
        has_ended: bool,
    ) -> Vec<Line> {
        let line = |text: &str, style| Line {
            prefix: prefix.into(),
            text: text::sanitize_line(text),
            style,
        };
        let plain = |text: &str| vec![line(text, LineStyle::Plain)];
        let (step, error) = match self.held.remove(id) {
            Some(Held::Step(number)) => (self.steps.remove(&number).map(|(_, line)| line), None),
            Some(Held::Error(error)) => (None, Some(error)),
            None => (None, None),
        };
        let before = match (step, error, event) {
            (Some(mut step), _, Event::Progress(progress)) => {
                step.text += &format!(" ({})", describe_steps(progress, has_ended));
                return vec![step];
            }
            (_, Some(mut error), Event::NextAttempt { reason, .. }) => {
                let next = text::sanitize_line(&event.to_string());
                // That it is made because of the error goes without saying.
                let next = match reason {
                    AttemptReason::Backoff => next.split(" (").next().unwrap_or_default(),
                    _ => &next,
                };
                error.text += &format!("; {next}");
                return vec![error];
            }
            (step, error, _) => step.or(error),
        };
        let has_changed = errors.current().is_some_and(|run| run.has_changed);
        let after = match event {
            // A repeated error is not a change.
            Event::AttemptFailed { .. } => {
                let error = line(&event.to_string(), LineStyle::Warning);
                self.held.extend(has_changed.then(|| (id.clone(), Held::Error(error))));
                Vec::new()
            }
            Event::SubJob { to, .. } => {
                let is_failed = *to == Some(Phase::Failed);
                let style = if is_failed { LineStyle::Error } else { LineStyle::Plain };
                let step = line(&event.to_string(), style);
                self.held.insert(id.clone(), Held::Step(self.next_step));
                self.steps.insert(self.next_step, (id.clone(), step));
                self.next_step += 1;
                Vec::new()
            }
            Event::NextAttempt { .. } if errors.has_recovered => plain("the service answers again"),
            Event::NextAttempt { .. } => Vec::new(),
            Event::Progress(progress) => plain(&describe_steps(progress, has_ended)),
            Event::Deviations(deviations) => deviations
                .iter()
                .map(|deviation| line(&format!("warning: {deviation}"), LineStyle::Warning))
                .collect(),
            event => vec![line(&event.to_string(), style(event))],
        };
        before.into_iter().chain(after).collect()
    }

    /// Returns the steps to which nothing was added, in the order of their events.
    pub(super) fn take_steps(&mut self) -> Vec<Line> {
        let steps = mem::take(&mut self.steps).into_values();
        steps
            .map(|(id, line)| {
                self.held.remove(&id);
                line
            })
            .collect()
    }

    /// Forgets a wait that has ended, and returns its step, if nothing was added to it. An error is
    /// dropped, because the message of the wait has it.
    pub(super) fn end(&mut self, id: &JobId) -> Option<Line> {
        match self.held.remove(id)? {
            Held::Step(number) => self.steps.remove(&number).map(|(_, line)| line),
            Held::Error(_) => None,
        }
    }
}

fn style(event: &Event) -> LineStyle {
    match event {
        Event::Stalled { .. } | Event::StaleReply { .. } => LineStyle::Warning,
        Event::Object { status, .. } if status.state == Some(ObjectState::Broken) => {
            LineStyle::Error
        }
        Event::Phase { to: Some(Phase::Failed), .. } => LineStyle::Error,
        _ => LineStyle::Plain,
    }
}

#[cfg(test)]
mod tests {
    use job_poller::{WaitPolicy, machine::Input};
    use job_transport::{FetchError, FetchErrorKind};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{first_hazard, hostile_text, job_with_text, reading_input, run_wait};

    /// Returns the lines that are printed for these attempts.
    fn lines_for(inputs: Vec<Input>) -> Vec<String> {
        let (_, log) = run_wait(WaitPolicy::new(), inputs);
        let (mut errors, mut changes) = (ErrorTracker::default(), Changes::default());
        let id: JobId = "354331b2c-229a".parse().unwrap();
        let mut lines = Vec::new();
        for (_, event) in &log {
            errors.record(event);
            lines.extend(changes.lines("", &id, event, &errors, false));
        }
        lines.extend(changes.take_steps());
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn each_change_prints_one_line() {
        let error = |status, id: &str| {
            let error = FetchError::new(FetchErrorKind::Status(status));
            Input::from(error.with_request_id(Some(id.into())))
        };
        let job = |phase: &str, step: &str| {
            let step = json!({"metadata": {"uid": "a"}, "spec": {"type": "InstallMaster"},
                "status": {"phase": step}});
            reading_input(&json!({"spec": {"subJobs": [step]}, "status": {"phase": phase}}))
        };
        let lines = lines_for(vec![
            error(503, "a"),
            error(503, "b"),
            error(429, "c"),
            job("Running", "Running"),
            job("Running", "Running"),
            error(429, "d"),
            job("Running", "Success"),
            job("Success", "Success"),
        ]);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_error_that_ends_a_wait_is_left_to_its_message() {
        let error = FetchError::new(FetchErrorKind::Status(403));
        assert_eq!(lines_for(vec![error.into()]), Vec::<String>::new());
    }

    #[test]
    fn steps_have_the_order_of_their_events_and_nothing_is_left() {
        let step = json!({"metadata": {"uid": "a"}, "spec": {"type": "InstallMaster"},
            "status": {"phase": "Running"}});
        let job = json!({"spec": {"subJobs": [step]}, "status": {"phase": "Running"}});
        let error = FetchError::new(FetchErrorKind::Status(403));
        let events = |input| run_wait(WaitPolicy::new(), [input]).1;
        let (read, failed) = (events(reading_input(&job)), events(error.into()));
        let is_step = |(_, event): &&(_, Event)| matches!(event, Event::SubJob { .. });
        let is_error = |(_, event): &&(_, Event)| matches!(event, Event::AttemptFailed { .. });
        let (_, step) = read.iter().find(is_step).unwrap();
        let (_, error) = failed.iter().find(is_error).unwrap();
        let mut changes = Changes::default();
        let ids: Vec<JobId> =
            (0..100).map(|id| format!("{}", id * 37 % 100).parse().unwrap()).collect();
        for (index, id) in ids.iter().enumerate() {
            let mut errors = ErrorTracker::default();
            let event = if index % 2 == 0 { step } else { error };
            errors.record(event);
            assert_eq!(changes.lines(id.as_str(), id, event, &errors, false), []);
        }
        // A step that another one follows is printed at once.
        let errors = ErrorTracker::default();
        assert_eq!(changes.lines("new", &ids[4], step, &errors, false).len(), 1);
        assert_eq!(changes.end(&ids[2]).map(|line| line.prefix), Some(ids[2].to_string()));
        let shown: Vec<_> = changes.take_steps().into_iter().map(|line| line.prefix).collect();
        let rest =
            ids.iter().enumerate().filter(|(index, _)| index % 2 == 0 && ![2, 4].contains(index));
        let mut expected: Vec<_> = rest.map(|(_, id)| id.to_string()).collect();
        expected.push("new".into());
        assert_eq!(shown, expected);
        assert_eq!(changes.held.len(), 50, "only errors are left");
        assert!(ids.iter().all(|id| changes.end(id).is_none()));
        assert!(changes.held.is_empty() && changes.steps.is_empty());
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
