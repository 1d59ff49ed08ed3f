//! `cce-job report`, and `wait --report`: a job's course as a page, a picture, or a chart for a CI
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
    input::Input,
    terminal::print,
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
    /// Write to this file; by default, and with `-`, to stdout
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
    /// Returns the form that a file's name says.
    ///
    /// # Errors
    ///
    /// Where it says none: wrong usage.
    fn of(file: &Path) -> anyhow::Result<Self> {
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
        (None, Some(file)) => Format::of(file).context("no --format").or_exit(Exit::Usage)?,
        (None, None) => Format::Html,
    };
    let reading = show::read(&arguments.file)?;
    let text = page::page(&[&Timeline::of_reading(&reading)], format)?;
    match output {
        Some(file) => {
            fs::write(file, text).with_context(|| cannot_be_written(file)).or_exit(Exit::Usage)?;
        }
        None => print::stdout(text)?,
    }
    Ok(Exit::Done)
}

/// What the waits of a command come to, as a report to be written at their end.
pub(crate) struct Collected {
    file: PathBuf,
    format: Format,
    /// By the order in which the jobs were named.
    timelines: BTreeMap<usize, Timeline>,
}

impl Collected {
    /// Takes the file.
    ///
    /// # Errors
    ///
    /// Where it cannot be written, which is known now and not after an hour: wrong usage.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Self> {
        let format = Format::of(file).context("--report").or_exit(Exit::Usage)?;
        let opened = OpenOptions::new().create(true).append(true).open(file);
        opened.with_context(|| cannot_be_written(file)).or_exit(Exit::Usage)?;
        Ok(Self { file: file.into(), format, timelines: BTreeMap::new() })
    }

    /// Adds a wait that is over.
    pub(crate) fn add(&mut self, finished: &Finished) {
        self.timelines.insert(finished.place, Timeline::of_wait(finished));
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let timelines: Vec<_> = self.timelines.values().collect();
        let text = page::page(&timelines, self.format)?;
        fs::write(&self.file, text).with_context(|| cannot_be_written(&self.file))
    }
}

fn cannot_be_written(file: &Path) -> String {
    format!("the report {} cannot be written", file.display())
}
