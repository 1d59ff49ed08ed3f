//! The table of `--summary`, with one row for each job.

use comfy_table::{Table, presets};
use job_model::{Job, Phase};

use crate::{
    terminal::{format_duration, text},
    wait::finished::Finished,
};

/// The row of a job.
pub(crate) struct SummaryRow {
    pub(crate) index: usize,
    cells: [String; 6],
}

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
            known(job.and_then(Job::job_type).map(text::sanitize_line)),
            outcome.into(),
            known(job.filter(|job| has_ended(job)).and_then(Job::duration).map(format_duration)),
            known(delay.map(format_duration)),
            finished.attempts().to_string(),
        ];
        Self { index: finished.index, cells }
    }
}

fn has_ended(job: &Job) -> bool {
    job.phase().is_some_and(Phase::is_terminal)
}

/// Returns the table in Markdown, which is readable on a terminal and in the summary of a CI
/// pipeline.
pub(crate) fn render_table(rows: Vec<SummaryRow>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["id", "type", "outcome", "duration", "detection delay", "attempts"]);
    for SummaryRow { cells, .. } in rows {
        table.add_row(cells.map(|cell| cell.replace('|', "\\|")));
    }
    format!("{table}\n")
}
