//! Prints a job to stdout: as a tree, as JSON, or as the reply's own bytes.

use std::{
    io::{self, IsTerminal, Write},
    iter,
};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum, builder::ArgPredicate};
use job_model::{FailureSummary, JobId, is_unprintable};
use job_transport::Reading;
use serde::Serialize;

use super::{json, text};
use crate::exit::{Exit, OrExit};

#[derive(Args)]
pub(crate) struct PrintArgs {
    /// Output format; human: a tree, json: the job on one line
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "human",
        default_value_if("raw", ArgPredicate::IsPresent, "json")
    )]
    output: PrintFormat,
    /// Print the exact bytes of the reply instead of re-encoded JSON; implies -o json
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrintFormat {
    Human,
    Json,
}

impl PrintArgs {
    /// Prints a job of several in the selected format. For humans, its id is above it.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`print`](Self::print).
    pub(crate) fn print_one_of_many(&self, id: &JobId, reading: &Reading) -> anyhow::Result<()> {
        if self.output == PrintFormat::Human && !self.raw {
            write_stdout(format!("{}:\n", text::sanitize_line(id.as_str())))?;
        }
        self.print(reading)?;
        // The bytes of a reply have no line break at the end.
        if self.raw { write_stdout("\n") } else { Ok(()) }
    }

    /// Prints the job of a reply in the selected format.
    ///
    /// # Errors
    ///
    /// Returns an error if writing to stdout fails, if `--raw` is combined with `-o human`, or if
    /// stdout is a terminal and the raw bytes contain control characters.
    pub(crate) fn print(&self, reading: &Reading) -> anyhow::Result<()> {
        match (self.output, self.raw) {
            (PrintFormat::Human, false) => write_stdout(format_human(reading))?,
            (PrintFormat::Human, true) => {
                return Err(anyhow!(RAW_REQUIRES_JSON)).or_exit(Exit::Usage);
            }
            (PrintFormat::Json, false) => {
                let line = json_line(reading.job());
                line.and_then(write_to_stdout).context(STDOUT_WRITE_ERROR)?
            }
            (PrintFormat::Json, true) => {
                let body = reading.snapshot.text();
                let checked = check_raw_body(&body);
                checked.and_then(|()| write_to_stdout(&body)).context(STDOUT_WRITE_ERROR)?
            }
        }
        Ok(())
    }
}

/// Prints a text unchanged.
///
/// # Errors
///
/// Returns an error if writing to stdout fails.
pub(crate) fn write_stdout(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    write_to_stdout(text).context(STDOUT_WRITE_ERROR)
}

fn write_to_stdout(bytes: impl AsRef<[u8]>) -> io::Result<()> {
    io::stdout().write_all(bytes.as_ref())
}

/// The context of an error from writing to stdout.
const STDOUT_WRITE_ERROR: &str = "cannot write to stdout";

/// The error message for `--raw` with another format.
pub(crate) const RAW_REQUIRES_JSON: &str = "--raw requires -o json";

/// Returns a job, a cluster or a node as one line of JSON.
///
/// # Errors
///
/// Returns an error if it cannot be encoded.
pub(crate) fn json_line(shown: &impl Serialize) -> io::Result<String> {
    Ok(json::to_single_line(&serde_json::to_string(shown)?) + "\n")
}

/// Checks whether the exact bytes of a reply may be printed to stdout.
///
/// # Errors
///
/// Returns an error if stdout is a terminal and the bytes contain control characters.
pub(crate) fn check_raw_body(body: &[u8]) -> io::Result<()> {
    let shown = |c: char| !is_unprintable(c) || c == '\n' || c == '\t';
    let is_plain = str::from_utf8(body).is_ok_and(|text| text.chars().all(shown));
    if io::stdout().is_terminal() && !is_plain {
        return Err(io::Error::other(
            "the reply contains control characters; redirect --raw to a file, or use -o json without --raw",
        ));
    }
    Ok(())
}

/// Formats a job for humans: its tree, the failure, and warnings. Many failures are the number of the
/// steps that failed and a line for each reason.
fn format_human(reading: &Reading) -> String {
    let job = reading.job();
    let failed = match job.failure_summary().filter(FailureSummary::has_many) {
        Some(many) => {
            let counts = format!("failed: {}", many.counts());
            iter::once(counts).chain(many.reason_lines().map(|line| format!("  {line}"))).collect()
        }
        None => Vec::from_iter(job.failure().map(|failure| format!("failed: {failure}"))),
    };
    let deviations = reading.snapshot.deviations().iter().map(ToString::to_string);
    let inconsistencies = job.inconsistencies().into_iter().map(|found| found.to_string());
    let warnings = deviations.chain(inconsistencies).map(|text| format!("warning: {text}"));
    let tree = job.tree().to_string();
    let lines = tree.lines().map(String::from).chain(failed).chain(warnings);
    lines.map(|line| text::sanitize_line(&line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use http::Response;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::testing::{
        first_hazard, hostile_megabyte, hostile_text, job_with_displayed_text, job_with_text,
    };

    fn check_hostile(job: &Value) {
        let reply = Response::new(job.to_string().into());
        let reading = Reading::from_response(reply).unwrap();
        let shown = format_human(&reading);
        assert_eq!(first_hazard(&shown), None);
        assert!(shown.lines().all(|line| line.chars().count() < 2_100), "lines are truncated");
        let line = json::to_single_line(&serde_json::to_string(reading.job()).unwrap());
        assert_eq!(first_hazard(&line), None);
        assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), job, "nothing is lost");
    }

    #[test]
    fn all_failures_are_printed() {
        let node = |index: usize, reason: &str| {
            serde_json::json!({
                "spec": {"type": "CreateNode", "resourceName": format!("pool-{index}")},
                "status": {"phase": "Failed", "reason": reason}})
        };
        let one = ["failed: ScaleupCluster > CreateNode pool-0: \"sold out\""];
        let many =
            ["failed: 3 of 3 nodes", "  \"sold out\" (pool-0, pool-2)", "  \"no quota\" (pool-1)"];
        for (nodes, expected) in [
            (vec![node(0, "sold out")], &one[..]),
            (vec![node(0, "sold out"), node(1, "no quota"), node(2, "sold out")], &many),
            (vec![], &[]),
        ] {
            let phase = if nodes.is_empty() { "Success" } else { "Failed" };
            let job = serde_json::json!({"spec": {"type": "ScaleupCluster", "subJobs": nodes},
                "status": {"phase": phase}});
            let reading = Reading::from_response(Response::new(job.to_string().into())).unwrap();
            let shown = format_human(&reading);
            let lines: Vec<_> =
                shown.lines().skip_while(|line| !line.starts_with("failed")).collect();
            assert_eq!(lines, expected, "{shown}");
        }
    }

    #[test]
    fn megabyte_texts_are_truncated_only_in_human_output() {
        check_hostile(&job_with_displayed_text(&hostile_megabyte()));
    }

    proptest! {
        #[test]
        fn output_contains_no_unprintable_characters(text in hostile_text()) {
            check_hostile(&job_with_text(&text));
        }
    }
}
