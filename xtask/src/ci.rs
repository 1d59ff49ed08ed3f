//! `cargo xtask ci`: every check, the cheap ones first. Stops at the first that fails.

use std::{
    io::{self, BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
};

use crate::{
    cargo::{cargo, has, runs},
    fuzz, interop, simulate, tidy,
};

/// The feature sets that are built alone, tests included: what a default build would hide.
const FEATURES: &[&[&str]] = &[
    NO_STD,
    &["-p", "job-transport", "--no-default-features"],
    &["-p", "job-transport", "--no-default-features", "--features", "tokio,tower,conventions"],
    &["-p", "job-transport", "--no-default-features", "--features", "hyper"],
    RING,
    &["-p", "job-poller", "--no-default-features"],
    &["-p", "job-poller", "--no-default-features", "--features", "backoff"],
    &["-p", "job-sim", "--no-default-features"],
];

/// The feature sets beside "all" that are tested too: the model without the standard library, and
/// the other TLS provider.
const NO_STD: &[&str] = &["-p", "job-model", "--no-default-features"];
const RING: &[&str] = &["-p", "job-transport", "--no-default-features", "--features", "hyper,ring"];

/// What tests meet beside the project's own, each with arguments that do nothing: the tests
/// themselves skip what is not there.
const PARTS: [(&str, &[&str]); 8] = [
    ("nginx", &["-v"]),
    ("mitmdump", &["--version"]),
    ("faketime", &["--version"]),
    ("unshare", &["-rn", "ip", "link"]),
    ("tmux", &["-V"]),
    ("chromium", &["--version"]),
    ("curl", &["--version"]),
    ("jq", &["--version"]),
];

/// Runs every step, with `long` those too that take minutes for one more chance to find something;
/// says at the end what ran, what was skipped and why, and how many tests passed.
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
        let complaints = tidy::complaints();
        complaints.iter().for_each(|complaint| println!("{complaint}"));
        self.passed_if("tidy", complaints.is_empty())?;

        self.step("clippy", Some("clippy"), [clippy(&["--workspace", "--all-features"])])?;
        self.step("features", Some("clippy"), FEATURES.iter().map(|features| clippy(features)))?;

        // Without the tests' dependencies: they would switch on the standard library in others.
        let mut no_std = cargo(&["check", "--locked", "--lib"]);
        no_std.args(NO_STD);
        self.step("no_std", None, [no_std])?;

        // Its build script is told that the fuzzer is there: nothing is linked, and so no C++
        // compiler is needed to see that the targets still compile.
        let mut fuzz = cargo(&["check", "--locked", "--manifest-path", fuzz::MANIFEST]);
        fuzz.args(["--target-dir", "target/fuzz"])
            .env("CUSTOM_LIBFUZZER_PATH", "/none/libfuzzer.a");
        self.step("fuzz", None, [fuzz])?;

        let mut docs = cargo(&["doc", "--locked", "--workspace", "--no-deps", "--all-features"]);
        docs.env("RUSTDOCFLAGS", "-D warnings");
        self.step("docs", None, [docs])?;

        // Advisories are left out: their database comes from the network, and a new one would fail
        // a commit that did nothing wrong. `cargo deny check advisories` asks for them.
        let deny = cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]);
        self.step("deny", Some("deny"), [deny])?;

        println!("\n== tests");
        for part in PARTS {
            let (program, arguments) = part;
            if !runs(Command::new(program).args(arguments)) {
                self.skip(format!(
                    "the tests with {program}: it is not installed, or not permitted"
                ));
            }
        }
        for what in [&["--workspace", "--all-features"], NO_STD, RING] {
            let mut test = cargo(&["test", "--locked", "--no-fail-fast"]);
            // A snapshot that differs is a failure, never a new snapshot.
            test.args(what).env("INSTA_UPDATE", "no");
            let before = self.tests;
            let success = self.tests.run(test).map_err(|error| format!("tests: {error}"))?;
            let Tests { passed, failed, ignored } = self.tests;
            if !success || passed == before.passed || failed > 0 || ignored > 0 {
                return Err("tests: some must run, all must pass, and none be ignored".into());
            }
        }
        self.passed_if("tests", true)
    }

    /// Runs what takes minutes to hours: the machine beside its reference model, waits in a simulated
    /// network, an outage with ten thousand waits, other people's clients, and the fuzzer.
    fn long(&mut self) -> Result<(), String> {
        let poller = ["test", "--locked", "--release", "--package", "job-poller"];
        let mut reference = cargo(&poller);
        reference.args(["--lib", "reference"]).env("PROPTEST_CASES", "100000");
        let mut outage = cargo(&poller);
        outage.args(["--test", "outage"]).env("OUTAGE_WAITS", "10000");
        let simulation = simulate::run(&(0..10_000), 6);
        let tests = [("reference", reference), ("outage", outage), ("simulation", simulation)];
        for (name, test) in tests {
            println!("\n== {name}");
            let before = self.tests.passed;
            let success = self.tests.run(test).map_err(|error| format!("{name}: {error}"))?;
            self.passed_if(name, success && self.tests.passed > before)?;
        }
        if interop::is_there() {
            self.passed_if("interop", interop::run() == ExitCode::SUCCESS)?;
        } else {
            self.skip("interop: it needs Python 3 with venv".into());
        }
        if fuzz::is_there() {
            self.passed_if("fuzz for 60 s each", fuzz::run("60") == ExitCode::SUCCESS)
        } else {
            self.skip("fuzzing: it needs cargo-fuzz and nightly Rust".into());
            Ok(())
        }
    }

    /// Runs the commands, or skips them aloud where cargo lacks the subcommand they need.
    fn step(
        &mut self,
        name: &'static str,
        needs: Option<&str>,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<(), String> {
        println!("\n== {name}");
        if let Some(subcommand) = needs.filter(|subcommand| !has(subcommand)) {
            self.skip(format!("{name}: `cargo {subcommand}` is not installed"));
            return Ok(());
        }
        let success = |mut command: Command| command.status().is_ok_and(|status| status.success());
        self.passed_if(name, commands.into_iter().all(success))
    }

    fn skip(&mut self, what: String) {
        println!("SKIPPED {what}");
        self.skipped.push(what);
    }

    fn passed_if(&mut self, name: &'static str, passed: bool) -> Result<(), String> {
        if !passed {
            return Err(name.into());
        }
        self.passed.push(name);
        Ok(())
    }
}

fn clippy(what: &[&str]) -> Command {
    let mut command = cargo(&["clippy", "--locked", "--all-targets"]);
    command.args(what).args(["--", "-D", "warnings"]);
    command
}

/// How many tests came to what, all test binaries and documents together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tests {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Tests {
    /// Runs `cargo test`, passing on what it prints and adding up its counts; returns whether it
    /// succeeded.
    fn run(&mut self, mut command: Command) -> io::Result<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let line = line?;
            println!("{line}");
            self.add(&line);
        }
        Ok(child.wait()?.success())
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
