//! `cce-job report`, and `wait --report`: a job's course as a page, a picture, or a chart for a CI
//! summary. What stands in it is `timeline`'s to say.

mod axis;
mod page;
mod timeline;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};

use self::timeline::Timeline;
use crate::{
    exit::{Exit, OrExit},
    input::Input,
    show,
    wait::Finished,
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job report reply.json -o out.html
  cce-job get --raw ID | cce-job report - -o out.svg
  cce-job report --format mermaid reply.json       for a CI summary, between ```mermaid and ```
  cce-job wait --report out.html ID                with the wait's attempts and faults";

#[derive(Args)]
pub(crate) struct Arguments {
    /// A saved reply; `-` for stdin
    #[arg(value_name = "FILE")]
    file: Input,
    /// Write to this file; by default to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form; by default as the output's name ends, else html
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One page, with all it needs
    Html,
    /// A picture
    Svg,
    /// A Gantt chart in Mermaid's words
    Mermaid,
}

impl Format {
    fn of(file: &Path) -> Self {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Self::Svg,
            Some("mmd" | "mermaid") => Self::Mermaid,
            _ => Self::Html,
        }
    }
}

/// Reports a saved reply.
///
/// # Errors
///
/// Where the file is no job, or the report cannot be written.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let of_name = arguments.output.as_deref().map(Format::of);
    let format = arguments.format.or(of_name).unwrap_or(Format::Html);
    let reading = show::read(&arguments.file)?;
    let text = page::page(&[Timeline::of_reading(&reading)], format)?;
    match &arguments.output {
        Some(file) => {
            fs::write(file, text).with_context(|| cannot_be_written(file)).or_exit(Exit::Usage)?;
        }
        None => io::stdout().write_all(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

/// What the waits of a command come to, as a report to be written at their end.
pub(crate) struct Collected {
    file: PathBuf,
    timelines: Vec<Timeline>,
}

impl Collected {
    /// Takes the file.
    ///
    /// # Errors
    ///
    /// Where it cannot be written, which is known now and not after an hour: wrong usage.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Self> {
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.with_context(|| cannot_be_written(file)).or_exit(Exit::Usage)?;
        Ok(Self { file: file.into(), timelines: Vec::new() })
    }

    /// Adds a wait that is over.
    pub(crate) fn add(&mut self, finished: &Finished) {
        self.timelines.push(Timeline::of_wait(finished));
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = page::page(&self.timelines, Format::of(&self.file))?;
        fs::write(&self.file, text).with_context(|| cannot_be_written(&self.file))
    }
}

fn cannot_be_written(file: &Path) -> String {
    format!("the report {} cannot be written", file.display())
}
