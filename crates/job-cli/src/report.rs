//! `cce-job report`: a job's timeline as a page, a picture, or a chart for a CI summary. `wait --report`
//! makes its reports from the same timelines.

mod axis;
mod timeline;
mod format;
mod page;

pub(crate) use self::{
    format::ReportFormat,
    page::render,
    timeline::{PhaseKind, Timeline, TimelineAttempt, deviation_warnings},
};

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;

use crate::{
    exit::{Exit, OrExit},
    input::InputArg,
    terminal::print,
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job report reply.json -o out.html
  cce-job get --raw ID | cce-job report - -o out.svg
  cce-job report --format mermaid reply.json       for a CI summary, between ```mermaid and ```
  cce-job wait --report out.html ID                with the wait's attempts and errors";

#[derive(Args)]
pub(crate) struct Arguments {
    /// A saved reply; `-` for stdin
    #[arg(value_name = "FILE")]
    file: InputArg,
    /// Write to this file; by default, and with `-`, to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form; by default as the output's name ends, else html
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
}

/// Reports a saved reply.
///
/// # Errors
///
/// Where the file is no job, or the report cannot be written.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let output = arguments.output.as_deref().filter(|file| *file != Path::new("-"));
    let format = match (arguments.format, output) {
        (Some(format), _) => format,
        (None, Some(file)) => {
            ReportFormat::from_path(file).context("no --format").or_exit(Exit::Usage)?
        }
        (None, None) => ReportFormat::Html,
    };
    let reading = arguments.file.read_reply()?;
    let text = render(&[&Timeline::from_reading(&reading)], format)?;
    match output {
        Some(file) => {
            fs::write(file, text)
                .with_context(|| write_error_context(file))
                .or_exit(Exit::Usage)?;
        }
        None => print::write_stdout(text)?,
    }
    Ok(Exit::Done)
}

/// Returns the context of an error from writing a report.
pub(crate) fn write_error_context(file: &Path) -> String {
    format!("the report {} cannot be written", file.display())
}
