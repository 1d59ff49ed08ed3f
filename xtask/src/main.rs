//! The project's tasks: `cargo xtask`. Needs the Rust toolchain and a C compiler; `tidy` and `ci`
//! need git, and a clone, too.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to a terminal")]

mod cargo;
mod ci;
mod fuzz;
mod tidy;

use std::{
    env,
    process::{Command, ExitCode},
};

const HELP: &str = "\
Usage: cargo xtask <TASK>

Tasks:
  demo [--fail]  wait for a simulated job over TLS on this machine
  ci [--long]    format check, tidy, lints, docs, tests: all that must pass before a commit; --long:
                 and 100,000 random waits beside a model of what is right
  tidy           the rules that no lint can see
  bench model|transport|poller
                 how fast bodies are read, jobs asked for or waited for, as ratios; fails where one
                 is above its bound
  fuzz [SECONDS] each fuzz target for so long (60), with cargo-fuzz and nightly Rust";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo", ref rest @ ..] => {
            let run = ["run", "--locked", "--package", "job-cli", "--bin", "cce-job", "--", "demo"];
            pass_on(cargo::cargo(&run).args(rest))
        }
        ["bench", what @ ("model" | "transport" | "poller")] => {
            let package = format!("job-{what}");
            let bench = ["bench", "--locked", "--package", &package, "--bench", what];
            pass_on(cargo::cargo(&bench).args(["--", "--quiet"]))
        }
        ["ci"] => ci::run(false),
        ["ci", "--long"] => ci::run(true),
        ["tidy"] => tidy::run(),
        ["fuzz"] => fuzz::run("60"),
        ["fuzz", seconds] if seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0) => {
            fuzz::run(seconds)
        }
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command, and ends as it ends.
fn pass_on(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) => u8::try_from(status.code().unwrap_or(1)).unwrap_or(1).into(),
        Err(error) => {
            eprintln!("cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
