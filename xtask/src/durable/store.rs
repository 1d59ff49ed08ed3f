//! `cargo xtask durable-store`: checks with real workers, PostgreSQL and SQLite that waits survive
//! failures, and measures what they cost.

use std::{
    io,
    process::{Command, ExitCode},
};

use super::{CLOCK, has_faketime};
use crate::cargo::{cargo, run as run_command};

/// The scenarios, in the order in which they run.
const SCENARIOS: [&str; 7] = ["budget", "many", "throttled", CLOCK, "upgrade", "full", "crash"];

/// Runs each scenario in about half a minute.
const SHORT_OPTION: &str = "--short";

/// Runs these scenarios, or all if none is named. `--short` selects their short forms.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    match run_scenarios(arguments) {
        Ok(()) => {
            println!("durable-store: passed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("durable-store: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the command that `cargo xtask ci` runs: the scenarios that do not measure processor time,
/// in their short forms and without optimization.
pub(crate) fn ci_command() -> Command {
    let test = ["test", "--locked", "--package", "job-store", "--all-features"];
    let mut command = cargo(&test);
    command.args(["--bench", "durable_store", "--", SHORT_OPTION]);
    command.args(["throttled", "upgrade", "full", "crash"]);
    if has_faketime() {
        command.arg(CLOCK);
    } else {
        report_skipped_clock();
    }
    command
}

fn report_skipped_clock() {
    println!("durable-store: SKIPPED {CLOCK}: needs the program faketime");
}

fn run_scenarios(arguments: &[&str]) -> io::Result<()> {
    let is_short = arguments.contains(&SHORT_OPTION);
    let mut scenarios = arguments.to_vec();
    scenarios.retain(|argument| *argument != SHORT_OPTION);
    if let Some(unknown) = scenarios.iter().find(|scenario| !SCENARIOS.contains(scenario)) {
        let known = SCENARIOS.join(", ");
        return Err(io::Error::other(format!(
            "unknown scenario {unknown}; expected one of {known}"
        )));
    }
    if scenarios.is_empty() {
        scenarios.extend(SCENARIOS);
        if !has_faketime() {
            report_skipped_clock();
            scenarios.retain(|scenario| *scenario != CLOCK);
        }
    }
    let bench = ["bench", "--locked", "--package", "job-store", "--bench", "durable_store", "--"];
    run_command(cargo(&bench).args(is_short.then_some(SHORT_OPTION)).args(scenarios))
}
