//! A job on stdout, for people or for programs. Judges no job.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum, builder::ArgPredicate};
use job_model::{Job, is_unseen};
use job_transport::Reading;

use super::{json, text};
use crate::exit::{Exit, OrExit};

#[derive(Args)]
pub(crate) struct Format {
    /// human: a tree; json: the job as it came, on one line
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORM",
        default_value = "human",
        default_value_if("raw", ArgPredicate::IsPresent, "json")
    )]
    output: Output,
    /// With -o json: print the reply's own bytes, in place of the job encoded again
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Human,
    Json,
}

impl Format {
    /// Prints what was read.
    ///
    /// # Errors
    ///
    /// Where stdout cannot be written to, or is a terminal that raw bytes would disturb.
    pub(crate) fn print(&self, reading: &Reading) -> anyhow::Result<()> {
        match (self.output, self.raw) {
            (Output::Human, false) => stdout(human(reading))?,
            (Output::Human, true) => return Err(anyhow!(RAW_IS_JSON)).or_exit(Exit::Usage),
            (Output::Json, false) => job(&reading.job).context(CANNOT)?,
            (Output::Json, true) => raw(&reading.body).context(CANNOT)?,
        }
        Ok(())
    }
}

/// Prints a text as it is.
///
/// # Errors
///
/// Where stdout cannot be written to.
pub(crate) fn stdout(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_ref()).context(CANNOT)
}

/// What is said where that fails.
const CANNOT: &str = "stdout cannot be written";

/// What is wrong with `--raw` beside another form.
pub(crate) const RAW_IS_JSON: &str = "--raw goes with -o json";

/// Prints a job as one line of JSON.
///
/// # Errors
///
/// Where stdout cannot be written to.
pub(crate) fn job(job: &Job) -> io::Result<()> {
    writeln!(io::stdout(), "{}", json::line(&serde_json::to_string(job)?))
}

/// Prints a reply's own bytes.
///
/// # Errors
///
/// Where stdout cannot be written to, or is a terminal that the bytes would disturb.
pub(crate) fn raw(body: &[u8]) -> io::Result<()> {
    let shown = |c: char| !is_unseen(c) || c == '\n' || c == '\t';
    let is_plain = str::from_utf8(body).is_ok_and(|text| text.chars().all(shown));
    if io::stdout().is_terminal() && !is_plain {
        return Err(io::Error::other(
            "the reply has characters that disturb a terminal; write --raw to a file, or use -o json",
        ));
    }
    io::stdout().write_all(body)
}

/// Returns a job as people read it: its tree, what failed, and what is odd about it.
fn human(reading: &Reading) -> String {
    let job = &reading.job;
    let failed = job.failure().map(|failure| format!("failed: {failure}"));
    let odd = reading.deviations.iter().map(ToString::to_string);
    let odd = odd.chain(job.discrepancies().into_iter().map(|odd| odd.to_string()));
    let odd = odd.map(|odd| format!("odd: {odd}"));
    let tree = job.tree().to_string();
    let lines = tree.lines().map(String::from).chain(failed).chain(odd);
    lines.map(|line| text::line(&line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use http::Response;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::testing::{hostile, job_of, megabyte, shown_job_of, unseen};

    fn check_hostile(job: &Value) {
        let reply = Response::new(job.to_string().into());
        let reading = Reading::from_response(reply).unwrap();
        let shown = human(&reading);
        assert_eq!(unseen(&shown), None);
        assert!(shown.lines().all(|line| line.chars().count() < 2_100), "no line is without end");
        let line = json::line(&serde_json::to_string(&reading.job).unwrap());
        assert_eq!(unseen(&line), None);
        assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), job, "nothing is lost");
    }

    #[test]
    fn a_megabyte_is_cut_for_people_and_whole_for_programs() {
        check_hostile(&shown_job_of(&megabyte()));
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_printed(text in hostile()) {
            check_hostile(&job_of(&text));
        }
    }
}
