//! The line of each change. Events that belong to one change make one line: a step and the number of
//! steps that are done; an error and the time of the next attempt.

use std::{collections::HashMap, mem};

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
}

/// A line that is not printed yet.
enum Held {
    /// The phase of a step. The number of steps that are done may follow.
    Step(Line),
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
        let held = self.held.remove(id);
        let before = match (held, event) {
            (Some(Held::Step(mut step)), Event::Progress(progress)) => {
                step.text += &format!(" ({})", describe_steps(progress, has_ended));
                return vec![step];
            }
            (Some(Held::Error(mut error)), Event::NextAttempt { reason, .. }) => {
                let next = text::sanitize_line(&event.to_string());
                // That it is made because of the error goes without saying.
                let next = match reason {
                    AttemptReason::Backoff => next.split(" (").next().unwrap_or_default(),
                    _ => &next,
                };
                error.text += &format!("; {next}");
                return vec![error];
            }
            (Some(Held::Step(line) | Held::Error(line)), _) => vec![line],
            (None, _) => Vec::new(),
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
                self.held.insert(id.clone(), Held::Step(step));
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

    /// Returns the steps to which nothing was added, for example because the wait has ended.
    pub(super) fn take_steps(&mut self) -> Vec<Line> {
        let held = mem::take(&mut self.held).into_iter();
        let mut steps = Vec::new();
        for (id, held) in held {
            match held {
                Held::Step(line) => steps.push(line),
                Held::Error(_) => {
                    self.held.insert(id, held);
                }
            }
        }
        steps
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
