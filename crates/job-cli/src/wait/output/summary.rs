//! The table of `--summary`, with one row for each job.

use comfy_table::{Table, presets};
use job_model::{FailureSummary, Job, Phase};
use job_poller::{FinishedJob, Outcome};

use crate::{
    terminal::{format_duration, text},
    wait::finished::Finished,
};

/// The row of a job.
pub(crate) struct SummaryRow {
    pub(crate) index: usize,
    cells: [String; COLUMNS],
    /// Why the job failed, in one line.
    failure: Option<String>,
}

const COLUMNS: usize = 7;

impl SummaryRow {
    pub(crate) fn from_finished(finished: &Finished) -> Self {
        let job = finished.job();
        let (outcome, delay) = match &finished.result {
            Ok(ended) => (ended.outcome.as_str(), ended.detection_delay),
            Err(error) => (error.kind().as_str(), None),
        };
        let known = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let cells = [
            text::sanitize_line(finished.id.as_str()),
            known(job.and_then(Job::resource_name).map(text::sanitize_line)),
            known(job.and_then(Job::job_type).map(text::sanitize_line)),
            outcome.into(),
            known(job.filter(|job| has_ended(job)).and_then(Job::duration).map(format_duration)),
            known(delay.map(format_duration)),
            finished.attempts().to_string(),
        ];
        let failure = finished.result.as_ref().ok().and_then(describe_failure);
        let failure =
            failure.map(|failure| format!("- {}: {}\n", cells[0], text::sanitize_line(&failure)));
        Self { index: finished.index, cells, failure }
    }
}

/// Returns why a job failed: its failed step, or how many steps failed for which reasons.
fn describe_failure(ended: &FinishedJob) -> Option<String> {
    let Outcome::Failed(failure) = &ended.outcome else { return None };
    let summary = ended.failure_summary().filter(FailureSummary::has_many);
    Some(summary.map_or_else(|| failure.to_string(), |summary| summary.to_string()))
}

fn has_ended(job: &Job) -> bool {
    job.phase().is_some_and(Phase::is_terminal)
}

/// Returns the table in Markdown, and below it a list of the jobs that failed. It is readable on a
/// terminal and in the summary of a CI pipeline.
pub(crate) fn render_table(rows: Vec<SummaryRow>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["id", "name", "type", "outcome", "duration", "detection delay", "attempts"]);
    let mut failures = String::new();
    for SummaryRow { cells, failure, .. } in rows {
        table.add_row(cells.map(|cell| cell.replace('|', "\\|")));
        failures.extend(failure);
    }
    let heading = if failures.is_empty() { "" } else { "\nFailures:\n\n" };
    format!("{table}\n{heading}{failures}")
}
