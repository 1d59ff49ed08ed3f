//! `cargo xtask ci`: runs every check, the cheap ones first, and stops at the first failure.

use std::{
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use crate::{
    cargo::{cargo, has_subcommand, root, succeeds},
    durable, fuzz, hostile, interop,
    publish::{
        package,
        public_api::{self, Checked},
    },
    simulate, tidy,
};

/// Feature sets that are linted separately, tests included, because a build with all features hides
/// missing `cfg`s.
const FEATURE_SETS: &[&[&str]] = &[
    NO_STD,
    &["-p", "job-transport", "--no-default-features"],
    &["-p", "job-transport", "--no-default-features", "--features", "tokio,tower,credential-chain"],
    &["-p", "job-transport", "--no-default-features", "--features", "hyper"],
    RING,
    &["-p", "job-poller", "--no-default-features"],
    &["-p", "job-poller", "--no-default-features", "--features", "backoff"],
    &["-p", "job-poller", "--no-default-features", "--features", "metrics"],
    &["-p", "job-sim", "--no-default-features"],
    &["-p", "job-store", "--no-default-features", "--features", "postgres"],
    &["-p", "job-store", "--no-default-features", "--features", "sqlite"],
];

/// The feature sets that are tested in addition to all features: the model without the standard
/// library, and the other TLS provider.
const NO_STD: &[&str] = &["-p", "job-model", "--no-default-features"];
const RING: &[&str] = &["-p", "job-transport", "--no-default-features", "--features", "hyper,ring"];

/// External programs that some tests use, each with arguments that only check that it runs. The
/// tests skip themselves if the program is missing.
const EXTERNAL_TOOLS: [(&str, &[&str]); 11] = [
    ("nginx", &["-v"]),
    ("mitmdump", &["--version"]),
    ("faketime", &["--version"]),
    ("unshare", &["-rn", "ip", "link"]),
    ("tmux", &["-V"]),
    ("chromium", &["--version"]),
    ("systemd-analyze", &["--version"]),
    ("curl", &["--version"]),
    ("jq", &["--version"]),
    ("zsh", &["--version"]),
    ("fish", &["--version"]),
];

/// The folder of Debian's PostgreSQL. The tests skip themselves if there is none.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Runs every step, and with `long` also the slow tests. The last lines list what passed, what was
/// skipped and why, and the number of tests.
pub(crate) fn run(long: bool) -> ExitCode {
    let mut report = Report::default();
    let result = report.steps().and_then(|()| if long { report.long() } else { Ok(()) });
    println!("\nci: {} passed", report.passed.join(", "));
    report.skipped.iter().for_each(|skipped| println!("ci: SKIPPED {skipped}"));
    if let Err(failed) = &result {
        println!("ci: FAILED at {failed}");
    }
    let Tests { passed, failed, ignored } = report.tests;
    println!("tests: {passed} passed, {failed} failed, {ignored} skipped");
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Report {
    passed: Vec<&'static str>,
    skipped: Vec<String>,
    tests: Tests,
}

impl Report {
    fn steps(&mut self) -> Result<(), String> {
        self.step("fmt", Some("fmt"), [cargo(&["fmt", "--all", "--check"])])?;

        println!("\n== tidy");
        let tidy::Findings { violations, warnings } = tidy::findings();
        warnings.iter().for_each(|warning| println!("warning: {warning}"));
        violations.iter().for_each(|violation| println!("{violation}"));
        self.record("tidy", violations.is_empty())?;

        self.step("clippy", Some("clippy"), [clippy(&["--workspace", "--all-features"])])?;
        self.step("features", Some("clippy"), FEATURE_SETS.iter().map(|set| clippy(set)))?;

        // Without dev-dependencies, because they enable `std` in shared dependencies.
        let mut no_std = cargo(&["check", "--locked", "--lib"]);
        no_std.args(NO_STD);
        self.step("no_std", None, [no_std])?;

        // The path does not exist, but the build script then does not compile libFuzzer. `check`
        // does not link, so no C++ compiler is needed to see that the targets compile.
        let mut fuzz = cargo(&["check", "--locked", "--manifest-path", fuzz::MANIFEST]);
        fuzz.args(["--target-dir", "target/fuzz"])
            .env("CUSTOM_LIBFUZZER_PATH", "/none/libfuzzer.a");
        self.step("fuzz", None, [fuzz])?;

        let mut docs = cargo(&["doc", "--locked", "--workspace", "--no-deps", "--all-features"]);
        docs.env("RUSTDOCFLAGS", "-D warnings");
        self.step("docs", None, [docs])?;

        // Without advisories: their database comes from the network, and a new advisory would fail
        // an unrelated commit. Run `cargo deny check advisories` for them.
        let deny = cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]);
        self.step("deny", Some("deny"), [deny])?;

        self.alerts()?;

        self.step("hostile", None, [hostile::ci_command()])?;

        println!("\n== public-api");
        match public_api::check(false) {
            Checked::Skipped(reason) => self.skip(format!("public-api: {reason}")),
            checked => self.record("public-api", matches!(checked, Checked::Passed))?,
        }

        println!("\n== tests");
        for (program, arguments) in EXTERNAL_TOOLS {
            if !succeeds(Command::new(program).args(arguments)) {
                self.skip(format!("tests with {program}: not installed, or not permitted"));
            }
        }
        if !Path::new(POSTGRESQL).exists() {
            self.skip("tests with PostgreSQL: not installed (Debian package postgresql)".into());
        }
        for selection in [&["--workspace", "--all-features"], NO_STD, RING] {
            let mut test = cargo(&["test", "--locked", "--no-fail-fast"]);
            // A snapshot that differs fails the test and is not rewritten.
            test.args(selection).env("INSTA_UPDATE", "no");
            let before = self.tests;
            let success = self.tests.run(test).map_err(|error| format!("tests: {error}"))?;
            let Tests { passed, failed, ignored } = self.tests;
            if !success || passed == before.passed || failed > 0 || ignored > 0 {
                return Err(
                    "tests: at least one test must run, and none may fail or be ignored".into()
                );
            }
        }
        self.record("tests", true)?;

        // After the tests, because these use the dependencies that they have compiled.
        if Path::new(POSTGRESQL).exists() {
            self.step("durable-store", None, [durable::store::ci_command()])?;
        }
        println!("\n== packages");
        self.record("packages", package::check(false))
    }

    /// Checks the alert rules with promtool, if it is installed.
    fn alerts(&mut self) -> Result<(), String> {
        println!("\n== alerts");
        if !succeeds(Command::new("promtool").arg("--version")) {
            self.skip("alerts: `promtool` is not installed (Debian package prometheus)".into());
            return Ok(());
        }
        let rules = [["check", "docs/alerts.yml"], ["test", "docs/alerts-test.yml"]];
        let success = rules.iter().all(|[task, file]| {
            let mut promtool = Command::new("promtool");
            promtool.args([*task, "rules", *file]).current_dir(root());
            promtool.status().is_ok_and(|status| status.success())
        });
        self.record("alerts", success)
    }

    /// Runs the tests that take minutes to hours: the machine compared with its reference model,
    /// waits in simulated networks, an outage with ten thousand waits, third-party clients, the
    /// fuzzer.
    fn long(&mut self) -> Result<(), String> {
        let poller = ["test", "--locked", "--release", "--package", "job-poller"];
        let mut reference = cargo(&poller);
        reference.args(["--lib", "reference"]).env("PROPTEST_CASES", "100000");
        let mut outage = cargo(&poller);
        outage.args(["--test", "outage"]).env("OUTAGE_WAITS", "10000");
        let simulation = simulate::command(&(0..10_000), 6);
        let tests = [("reference", reference), ("outage", outage), ("simulation", simulation)];
        for (name, test) in tests {
            println!("\n== {name}");
            let before = self.tests.passed;
            let success = self.tests.run(test).map_err(|error| format!("{name}: {error}"))?;
            self.record(name, success && self.tests.passed > before)?;
        }
        if interop::is_available() {
            self.record("interop", interop::run() == ExitCode::SUCCESS)?;
        } else {
            self.skip("interop: needs Python 3 with venv".into());
        }
        if fuzz::is_available() {
            self.record("fuzz for 60 s each", fuzz::run("60") == ExitCode::SUCCESS)
        } else {
            self.skip("fuzz: needs cargo-fuzz and nightly Rust".into());
            Ok(())
        }
    }

    /// Runs the commands, or reports the step as skipped if cargo lacks the subcommand `needs`.
    fn step(
        &mut self,
        name: &'static str,
        needs: Option<&str>,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<(), String> {
        println!("\n== {name}");
        if let Some(subcommand) = needs.filter(|subcommand| !has_subcommand(subcommand)) {
            self.skip(format!("{name}: `cargo {subcommand}` is not installed"));
            return Ok(());
        }
        let success = |mut command: Command| command.status().is_ok_and(|status| status.success());
        self.record(name, commands.into_iter().all(success))
    }

    fn skip(&mut self, reason: String) {
        println!("SKIPPED {reason}");
        self.skipped.push(reason);
    }

    fn record(&mut self, name: &'static str, passed: bool) -> Result<(), String> {
        if !passed {
            return Err(name.into());
        }
        self.passed.push(name);
        Ok(())
    }
}

fn clippy(selection: &[&str]) -> Command {
    let mut command = cargo(&["clippy", "--locked", "--all-targets"]);
    command.args(selection).args(["--", "-D", "warnings"]);
    command
}

/// Test counts, summed over all test binaries and doc tests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tests {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tests {
    /// Runs `cargo test`, prints its output and adds up its counts. Returns whether it succeeded.
    fn run(&mut self, mut command: Command) -> io::Result<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let line = line?;
            println!("{line}");
            self.add(&line);
        }
        Ok(child.wait()?.success())
    }

    /// Adds the counts of a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; ..`.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        for count in counts.split([';', '.']) {
            let Some((number, label)) = count.trim().split_once(' ') else {
                continue;
            };
            let sum = match label {
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
            "test result_of_parsing: ok",
            "",
        ] {
            tests.add(line);
        }
        assert_eq!(tests, Tests { passed: 43, failed: 2, ignored: 1 });
    }
}
