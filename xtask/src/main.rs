//! The project's tasks: `cargo xtask`. Needs the Rust toolchain and a C compiler; `tidy` and `ci`
//! need git, and a clone, too.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to a terminal")]

mod cargo;
mod ci;
mod tidy;

use std::{env, process::ExitCode};

const HELP: &str = "\
Usage: cargo xtask <TASK>

Tasks:
  demo [--fail]  wait for a simulated job over TLS on this machine
  ci             format check, tidy, lints, docs, tests: all that must pass before a commit
  tidy           the rules that no lint can see";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo", ref rest @ ..] => demo(rest),
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
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

/// Runs the command's demo, and ends as it ends.
fn demo(rest: &[&str]) -> ExitCode {
    let run = ["run", "--locked", "--package", "job-cli", "--bin", "cce-job", "--", "demo"];
    match cargo::cargo(&run).args(rest).status() {
        Ok(status) => u8::try_from(status.code().unwrap_or(1)).unwrap_or(1).into(),
        Err(error) => {
            eprintln!("cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
