//! `cce-job report`: draws a job's timeline as HTML, SVG or a Mermaid chart. `wait --report` uses
//! the same timelines.

mod axis;
mod timeline;
mod format;
mod page;

pub(crate) use self::{
    format::ReportFormat,
    page::render,
    timeline::{Bar, PhaseKind, Timeline, TimelineAttempt, TimelineRow, deviation_warnings},
};

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;

use crate::{
    exit::{Exit, OrExit},
    files::{NewFileMode, OwnerRule, TargetFile},
    input::InputArg,
    terminal::print,
};

/// The section of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job report reply.json -o out.html
  cce-job get --raw ID | cce-job report - -o out.svg
  cce-job report --format mermaid reply.json       for a CI summary, in a ```mermaid block
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
    let text = render(&[&Timeline::from_reading(&reading)], format)?;
    match output {
        Some(file) => {
            let target = TargetFile::new(file).with_context(|| write_error_context(file));
            write_report(&target.or_exit(Exit::Usage)?, file, &text).or_exit(Exit::Usage)?;
        }
        None => print::write_stdout(text)?,
    }
    Ok(Exit::Done)
}

/// Writes the text of a report.
///
/// # Errors
///
/// Returns an error if the file cannot be written.
pub(crate) fn write_report(target: &TargetFile, shown: &Path, text: &str) -> anyhow::Result<()> {
    let text = |file: &mut dyn Write| file.write_all(text.as_bytes());
    target
        .write(NewFileMode::Umask, OwnerRule::WriteInPlace, text)
        .with_context(|| write_error_context(shown))
}

/// Returns the context of an error from writing a report.
pub(crate) fn write_error_context(file: &Path) -> String {
    format!("cannot write the report {}", file.display())
}
