//! `cce-job report`: draws a job's timeline as HTML, SVG, a Mermaid chart or Markdown, with the crate
//! `job-report`. `wait --report` writes the same formats.

mod format;
mod target;

pub(crate) use self::{format::ReportFormat, target::ReportTarget};

use std::path::{Path, PathBuf};

use clap::Args;
use job_report::Timeline;
use job_transport::Reading;

use crate::{
    exit::{Exit, OrExit},
    input::InputArg,
    terminal::print,
};

/// The section of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job report reply.json -o out.html
  cce-job get --raw ID | cce-job report - -o out.svg
  cce-job report reply.json -o \"$GITHUB_STEP_SUMMARY\"  appends a chart to the summary of a CI run
  cce-job report --format mermaid reply.json       the chart alone
  cce-job wait --report out.html ID                includes the wait's attempts and errors";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Saved reply; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: InputArg,
    /// Output file; `-` writes to stdout [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format [default: from the extension of the output file, else html]
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
}

/// Writes the report of a saved reply.
///
/// # Errors
///
/// Returns an error if the file is not a job, or if the report cannot be written.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let output = arguments.output.as_deref().filter(|file| *file != Path::new("-"));
    let format = match (arguments.format, output) {
        (Some(format), _) => format,
        (None, Some(file)) => ReportFormat::from_path(file)
            .or_exit_with_hint(Exit::Usage, Some("Or select the format with --format.".into()))?,
        (None, None) => ReportFormat::Html,
    };
    let reading = arguments.file.read_reply()?;
    let text = format.render(&[&timeline_from_reading(&reading)]);
    match output {
        Some(file) => {
            let target = ReportTarget::new(file).or_exit(Exit::Usage)?;
            target.write(&text, format).or_exit(Exit::Usage)?;
        }
        None => print::write_stdout(text)?,
    }
    Ok(Exit::Done)
}

/// Returns the timeline of a saved reply.
fn timeline_from_reading(reading: &Reading) -> Timeline {
    Timeline::new(reading.job()).with_deviations(reading.snapshot.deviations())
}

#[cfg(test)]
mod tests;
