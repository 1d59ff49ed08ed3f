//! Prints results, jobs or events to stdout. After the first error, prints nothing more.

pub(super) mod json_lines;
mod summary;

pub(crate) use summary::{SummaryRow, render_table};

use std::{io, time::Duration};

use job_model::{FailureSummary, JobId};
use job_poller::{Event, FinishedJob, Outcome, WaitErrorKind};
use job_transport::clock::{Clock, TokioClock};

use super::{finished::Finished, format::OutputFormat, missed::Missed};
use crate::terminal::{Styles, format_duration, print, printer, text};

/// Prints to stdout.
pub(crate) struct Output {
    format: OutputFormat,
    /// Whether to print the exact bytes of replies.
    raw: bool,
    /// Whether there is more than one job.
    has_many_jobs: bool,
    styles: Styles,
    clock: TokioClock,
    /// Why a result was not printed.
    refused: Option<io::Error>,
}

impl Output {
    pub(crate) fn new(format: OutputFormat, raw: bool, has_many_jobs: bool) -> Self {
        Self {
            format,
            raw,
            has_many_jobs,
            styles: Styles::for_stream(&io::stdout()),
            clock: TokioClock::new(),
            refused: None,
        }
    }

    pub(crate) const fn format(&self) -> OutputFormat {
        self.format
    }

    /// Whether the output has stopped because of an error.
    pub(crate) fn has_failed(&self) -> bool {
        self.refused.is_some() || printer::has_stdout_failed()
    }

    /// Returns the error that stopped the output, apart from errors of writing.
    pub(crate) fn into_error(self) -> Option<io::Error> {
        self.refused
    }

    /// Prints an event, if the format is JSON lines.
    pub(crate) fn print_event(&mut self, id: &JobId, at: Duration, event: &Event) {
        if self.format == OutputFormat::Jsonl {
            for line in json_lines::event(self.clock.now(), id, at, event) {
                self.print(line + "\n");
            }
        }
    }

    /// Prints how many events of a wait were not printed, if the format is JSON lines.
    pub(crate) fn print_missed(&mut self, missed: &Missed) {
        if self.format == OutputFormat::Jsonl {
            self.print(json_lines::lagged(self.clock.now(), missed) + "\n");
        }
    }

    /// Prints the result of a wait. `with_deviations` is false if the progress display has shown
    /// them.
    pub(crate) fn print_finished(&mut self, finished: &Finished, with_deviations: bool) {
        match (self.format, &finished.result) {
            (OutputFormat::Jsonl, _) => {
                self.print(json_lines::finished(self.clock.now(), finished) + "\n");
            }
            // The command stopped the wait, because of a signal, `--any` or `--fail-fast`.
            (OutputFormat::Json, Err(error)) if error.kind() == WaitErrorKind::Stopped => {}
            (OutputFormat::Json, _) if self.raw && finished.was_read() => {
                let (body, many) = (finished.body(), self.has_many_jobs);
                let end = if many { &b"\n"[..] } else { b"" };
                self.print_or_refuse(print::check_raw_body(&body).map(|()| [&body, end].concat()));
            }
            (OutputFormat::Json, _) => {
                let line = finished.job().map(print::json_line);
                line.into_iter().for_each(|line| self.print_or_refuse(line));
                let objects = finished.objects().into_iter().filter(|_| finished.has_no_job());
                let lines = objects.map(print::json_line);
                lines.for_each(|line| self.print_or_refuse(line));
            }
            (OutputFormat::Human, Ok(ended)) => {
                let lines = result_lines(&finished.id, ended, with_deviations, self.styles);
                self.print(lines.into_iter().map(|line| line + "\n").collect::<String>());
            }
            // The error is printed to stderr.
            (OutputFormat::Human, Err(_)) => {}
        }
    }

    /// Prints a text unchanged.
    pub(crate) fn print_text(&mut self, text: &str) {
        self.print(text);
    }

    fn print(&mut self, bytes: impl Into<Vec<u8>>) {
        self.print_or_refuse(Ok(bytes));
    }

    fn print_or_refuse(&mut self, bytes: io::Result<impl Into<Vec<u8>>>) {
        match bytes {
            _ if self.refused.is_some() => {}
            Ok(bytes) => printer::print_stdout(bytes.into()),
            Err(error) => self.refused = Some(error),
        }
    }
}

/// Returns the result of a job as one line, followed by one line for each unfinished step and
/// warning.
pub(crate) fn result_lines(
    id: &JobId,
    ended: &FinishedJob,
    with_deviations: bool,
    styles: Styles,
) -> Vec<String> {
    let summary = ended.failure_summary().filter(FailureSummary::has_many);
    let (word, took, of) = match (&ended.outcome, &summary) {
        (Outcome::Succeeded, _) => (styles.success("succeeded"), job_time("in", ended), {
            text::title(ended.job.label(), ended.job.resource_name())
        }),
        (Outcome::Failed(_), Some(summary)) => {
            (styles.error("failed"), job_time("after", ended), summary.headline())
        }
        (Outcome::Failed(failure), None) => {
            (styles.error("failed"), job_time("after", ended), failure.to_string())
        }
        (outcome, _) => {
            let word = outcome.as_str();
            let word = if ended.is_success() { styles.success(word) } else { styles.error(word) };
            (word, None, ended.object_summary())
        }
    };
    let attempts = ended.attempts.saturating_add(ended.object_readings);
    let plural = if attempts == 1 { "" } else { "s" };
    let waited = match took {
        Some(_) => String::new(),
        None => format!("waited {}, ", format_duration(ended.elapsed)),
    };
    let mut lines = vec![format!(
        "{} {word}{}: {} {}",
        text::sanitize_line(id.as_str()),
        took.unwrap_or_default(),
        text::sanitize_line(&of),
        styles.dim(&format!("({waited}{attempts} attempt{plural})"))
    )];
    lines.extend(
        summary
            .iter()
            .flat_map(FailureSummary::reason_lines)
            .map(|line| format!("  {}", text::sanitize_line(&line))),
    );
    if let Outcome::Failed(_) = &ended.outcome {
        lines.extend(
            ended.active_sub_jobs.iter().filter_map(|path| ended.job.sub_job_at(path)).map(
                |step| {
                    let title = text::title(step.label(), step.display_name().as_deref());
                    format!("  {}: {title}", styles.warning("not ended"))
                },
            ),
        );
    }
    let deviations = ended.deviations.iter().filter(|_| with_deviations).map(ToString::to_string);
    let inconsistencies = ended.inconsistencies.iter().map(ToString::to_string);
    let truncated = ended.is_truncated.then(|| TRUNCATED.to_owned());
    lines.extend(deviations.chain(inconsistencies).chain(truncated).map(|warning| {
        format!("  {}: {}", styles.warning("warning"), text::sanitize_line(&warning))
    }));
    lines
}

/// Returns how long a job took, and when its end was detected, such as ` in 13.9s, detected 0.8s
/// later`. Returns `None` if its times are unknown.
fn job_time(preposition: &str, ended: &FinishedJob) -> Option<String> {
    let took = format!(" {preposition} {}", format_duration(ended.job.duration()?));
    Some(match (&ended.observation, ended.detection_delay) {
        // The job may have ended long before.
        (None, _) if ended.attempts == 1 => took + ", detected at the first reading",
        (None, _) => took,
        (Some(_), None) => took,
        (Some(_), Some(delay)) => format!("{took}, detected {} later", format_duration(delay)),
    })
}

/// The warning for a result without sub-jobs.
const TRUNCATED: &str = "the replies need more memory than is allowed, so the steps of this job are \
    not shown; `cce-job get` reads them";

#[cfg(test)]
mod tests {
    use job_poller::{WaitPolicy, schedule::JobObservation};
    use proptest::prelude::*;

    use super::summary::{SummaryRow, render_table};
    use super::*;
    use crate::testing::{
        finished, first_hazard, hostile_megabyte, hostile_text, job_with_displayed_text,
        job_with_text, reading_input, run_wait,
    };

    fn check_hostile(job: &serde_json::Value) {
        let (result, log) = run_wait(WaitPolicy::new(), [reading_input(job)]);
        let finished_wait = finished((result, log));
        let row = render_table(vec![SummaryRow::from_finished(&finished_wait)]);
        // A job that failed is also in the list below the table.
        assert!(matches!(row.lines().count(), 3 | 7), "{row}");
        let lines = finished_wait
            .result
            .iter()
            .flat_map(|ended| result_lines(&finished_wait.id, ended, true, Styles::DISABLED));
        for line in lines.chain(row.lines().map(String::from)) {
            assert_eq!(first_hazard(&line), None);
            assert!(!line.contains('\n') && line.chars().count() < 13_000, "a line");
        }
    }

    #[test]
    fn deviations_are_printed_only_on_request() {
        let job = serde_json::json!({"status": {"phase": "SUCCESS"}});
        let finished_wait = finished(run_wait(WaitPolicy::new(), [reading_input(&job)]));
        let body = br#"{"status": {"phase": "SUCCESS"}}"#;
        let mut ended = finished_wait.result.clone().unwrap();
        ended.deviations = job_model::Decoded::from_slice(body).unwrap().deviations;
        for (with_deviations, expected) in [(true, 2), (false, 1)] {
            let lines = result_lines(&finished_wait.id, &ended, with_deviations, Styles::DISABLED);
            assert_eq!(lines.len(), expected, "{lines:?}");
        }
    }

    /// Returns a job that took 13.9 s, with these steps.
    fn ended_job(phase: &str, steps: &serde_json::Value) -> FinishedJob {
        let job = serde_json::json!({
            "metadata": {"creationTimestamp": "2020-02-02 08:12:40 +0000 UTC",
                "updateTimestamp": "2020-02-02 08:12:53.9 +0000 UTC"},
            "spec": {"type": "ScaleupCluster", "resourceName": "blue", "subJobs": steps},
            "status": {"phase": phase}});
        let job = serde_json::from_value(job).unwrap();
        let mut ended = FinishedJob::new("a".parse().unwrap(), job);
        (ended.attempts, ended.elapsed) = (7, Duration::from_secs(3600));
        ended.detection_delay = Some(Duration::from_millis(800));
        let took = Duration::from_millis(13_900);
        let observation = JobObservation::new("ScaleupCluster", Duration::ZERO, took, true);
        ended.observation = Some(observation);
        ended
    }

    #[test]
    fn results_have_the_duration_of_the_job_and_each_reason_once() {
        let node = |index: usize, phase: &str, reason: &str| {
            serde_json::json!({
                "spec": {"type": "CreateNode", "resourceName": format!("pool-{index:03}")},
                "status": {"phase": phase, "reason": reason}})
        };
        let nodes = |failed: usize, total: usize| -> serde_json::Value {
            let phase = |index| if index < failed { "Failed" } else { "Success" };
            let reason = |index| if index % 3 == 2 { "quota\u{1b}[2J" } else { "sold out" };
            (0..total).map(|index| node(index, phase(index), reason(index))).collect()
        };
        let none = serde_json::json!([]);
        let changed = |change: fn(&mut FinishedJob)| {
            let mut ended = ended_job("Success", &none);
            change(&mut ended);
            ended
        };
        let rows = [
            ("succeeded", ended_job("Success", &nodes(0, 2))),
            ("the job had ended before", changed(|ended| ended.observation = None)),
            ("no date in the reply", changed(|ended| ended.detection_delay = None)),
            ("unknown times", changed(|ended| ended.job.metadata = None)),
            ("one failed step", ended_job("Failed", &nodes(1, 200))),
            ("three failed steps", ended_job("Failed", &nodes(3, 200))),
            ("many failed steps", ended_job("Failed", &nodes(33, 200))),
            ("no step has failed", ended_job("Failed", &none)),
        ];
        let mut text = String::new();
        for (name, ended) in rows {
            let lines = result_lines(&ended.job_id, &ended, true, Styles::DISABLED);
            text += &format!("{name}\n    {}\n", lines.join("\n    "));
            let row = SummaryRow::from_finished(&finished((Ok(ended), Vec::new())));
            let table = render_table(vec![row]);
            text += &table.lines().skip(2).map(|line| format!("    {line}\n")).collect::<String>();
        }
        insta::assert_snapshot!(text);
    }

    /// A signal stops all waits at once, and they have two seconds.
    #[test]
    fn a_stopped_wait_is_not_decoded_if_no_output_needs_the_job() {
        let job = serde_json::json!({"status": {"phase": "Running"}});
        for (format, raw, expected) in [
            (OutputFormat::Human, false, false),
            (OutputFormat::Json, false, false),
            (OutputFormat::Json, true, false),
            (OutputFormat::Jsonl, false, true),
        ] {
            let stopped = finished(run_wait(WaitPolicy::new(), [reading_input(&job)]));
            assert!(stopped.was_read() && stopped.exit().is_none());
            Output::new(format, raw, true).print_finished(&stopped, true);
            assert_eq!(stopped.decoded.get().is_some(), expected, "{format:?}, raw: {raw}");
        }
    }

    #[test]
    fn megabyte_texts_are_truncated() {
        check_hostile(&job_with_displayed_text(&hostile_megabyte()));
    }

    proptest! {
        #[test]
        fn output_contains_no_unprintable_characters(text in hostile_text()) {
            check_hostile(&job_with_text(&text));
        }
    }
}
