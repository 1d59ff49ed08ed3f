//! `cce-job report`, and `wait --report`: a job's timeline as a page, a picture, or a chart for a CI
//! summary. What stands in it is `timeline`'s to say.

mod axis;
mod page;
mod timeline;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};

use self::timeline::Timeline;
use crate::{
    commands::show,
    exit::{Exit, OrExit},
    input::InputArg,
    terminal::print,
    wait::Finished,
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

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page, with all it needs
    Html,
    /// A picture
    Svg,
    /// A Gantt chart in Mermaid's words
    Mermaid,
}

impl ReportFormat {
    /// Returns the form that a file's name says.
    ///
    /// # Errors
    ///
    /// Where it says none: wrong usage.
    fn from_path(file: &Path) -> anyhow::Result<Self> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("html" | "htm") => Ok(Self::Html),
            Some("svg") => Ok(Self::Svg),
            Some("mmd" | "mermaid") => Ok(Self::Mermaid),
            _ => Err(anyhow!("{} ends neither in .html nor .svg nor .mmd", file.display())),
        }
    }
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
    let reading = show::read_reply(&arguments.file)?;
    let text = page::render(&[&Timeline::from_reading(&reading)], format)?;
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

/// What the waits of a command come to, as a report to be written at their end.
pub(crate) struct ReportFile {
    file: PathBuf,
    format: ReportFormat,
    /// By the order in which the jobs were named.
    timelines: BTreeMap<usize, Timeline>,
}

impl ReportFile {
    /// Takes the file.
    ///
    /// # Errors
    ///
    /// Where it cannot be written, which is known now and not after an hour: wrong usage.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Self> {
        let format = ReportFormat::from_path(file).context("--report").or_exit(Exit::Usage)?;
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.with_context(|| write_error_context(file)).or_exit(Exit::Usage)?;
        Ok(Self { file: file.into(), format, timelines: BTreeMap::new() })
    }

    /// Adds a wait that is over.
    pub(crate) fn add(&mut self, finished: &Finished) {
        self.timelines.insert(finished.index, Timeline::from_finished(finished));
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let timelines: Vec<_> = self.timelines.values().collect();
        let text = page::render(&timelines, self.format)?;
        fs::write(&self.file, text).with_context(|| write_error_context(&self.file))
    }
}

fn write_error_context(file: &Path) -> String {
    format!("the report {} cannot be written", file.display())
}
