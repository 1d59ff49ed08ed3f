//! `cargo xtask ci`: every check, the cheap ones first. Stops at the first that fails.

use std::{
    io::{self, BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};

use crate::{
    cargo::{cargo, has},
    tidy,
};

/// The feature sets that are built alone: what a default build would hide.
const FEATURES: &[&[&str]] = &[
    &["-p", "job-model", "--no-default-features"],
    &["-p", "job-transport", "--no-default-features"],
    &["-p", "job-transport", "--no-default-features", "--features", "hyper,ring"],
    &["-p", "job-poller", "--no-default-features"],
    &["-p", "job-sim", "--no-default-features"],
];

/// Runs every step; says at the end what ran, what was skipped and why, and how many tests passed.
pub(crate) fn run() -> ExitCode {
    let mut report = Report::default();
    match steps(&mut report) {
        Ok(tests) => {
            println!("\nci: {} passed", report.passed.join(", "));
            report.skipped.iter().for_each(|skipped| println!("ci: SKIPPED {skipped}"));
            println!(
                "tests: {} passed, {} failed, {} skipped",
                tests.passed, tests.failed, tests.ignored
            );
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("\nci: FAILED at {failed}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Report {
    passed: Vec<&'static str>,
    skipped: Vec<String>,
}

fn steps(report: &mut Report) -> Result<Tests, String> {
    report.step("fmt", Some("fmt"), &mut [cargo(&["fmt", "--all", "--check"])])?;

    println!("\n== tidy");
    let complaints = tidy::complaints();
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    report.passed_if("tidy", complaints.is_empty())?;

    let all = ["--workspace", "--all-targets", "--all-features"];
    report.step("clippy", Some("clippy"), &mut [clippy(&all)])?;
    let mut features: Vec<_> = FEATURES.iter().map(|features| clippy(features)).collect();
    report.step("features", Some("clippy"), &mut features)?;

    let mut docs = cargo(&["doc", "--locked", "--workspace", "--no-deps", "--all-features"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    report.step("docs", None, &mut [docs])?;

    // Advisories are left out: their database comes from the network, and a new one would fail a
    // commit that did nothing wrong. `cargo deny check advisories` asks for them.
    let deny = cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]);
    report.step("deny", Some("deny"), &mut [deny])?;

    println!("\n== tests");
    let mut test = cargo(&["test", "--locked", "--workspace", "--all-features", "--no-fail-fast"]);
    // A snapshot that differs is a failure, never a new snapshot.
    test.env("INSTA_UPDATE", "no");
    let (tests, success) = Tests::count(test).map_err(|error| format!("tests: {error}"))?;
    report.passed_if(
        "tests",
        success && tests.failed == 0 && tests.ignored == 0 && tests.passed > 0,
    )?;
    Ok(tests)
}

fn clippy(what: &[&str]) -> Command {
    let mut command = cargo(&["clippy", "--locked", "--quiet"]);
    command.args(what).args(["--", "-D", "warnings"]);
    command
}

impl Report {
    /// Runs the commands, or skips them aloud where cargo lacks the subcommand they need.
    fn step(
        &mut self,
        name: &'static str,
        needs: Option<&str>,
        commands: &mut [Command],
    ) -> Result<(), String> {
        println!("\n== {name}");
        if let Some(subcommand) = needs.filter(|subcommand| !has(subcommand)) {
            let skipped = format!("{name}: `cargo {subcommand}` is not installed");
            println!("SKIPPED {skipped}");
            self.skipped.push(skipped);
            return Ok(());
        }
        let success = |command: &mut Command| command.status().is_ok_and(|status| status.success());
        self.passed_if(name, commands.iter_mut().all(success))
    }

    fn passed_if(&mut self, name: &'static str, passed: bool) -> Result<(), String> {
        if !passed {
            return Err(name.into());
        }
        self.passed.push(name);
        Ok(())
    }
}

/// How many tests came to what, all test binaries and documents together.
#[derive(Debug, Default, PartialEq)]
struct Tests {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tests {
    /// Runs `cargo test`, passing on what it prints; returns the counts and whether it succeeded.
    fn count(mut command: Command) -> io::Result<(Self, bool)> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut tests = Self::default();
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let line = line?;
            println!("{line}");
            tests.add(&line);
        }
        Ok((tests, child.wait()?.success()))
    }

    /// Adds what a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; ..` says.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        for count in counts.split([';', '.']) {
            let Some((number, what)) = count.trim().split_once(' ') else {
                continue;
            };
            let sum = match what {
                "passed" => &mut self.passed,
                "failed" => &mut self.failed,
                "ignored" => &mut self.ignored,
                _ => continue,
            };
            *sum += number.parse::<u32>().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_up() {
        let mut tests = Tests::default();
        for line in [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.25s",
            "test result: FAILED. 40 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test says_result: ok",
            "",
        ] {
            tests.add(line);
        }
        assert_eq!(tests, Tests { passed: 43, failed: 2, ignored: 1 });
    }
}
