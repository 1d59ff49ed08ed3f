//! The project's tasks: `cargo xtask`. Needs the Rust toolchain and a C compiler; `tidy` and `ci`
//! need git, and a clone, too.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to a terminal")]

mod cargo;
mod ci;
mod dist;
mod durable;
mod fuzz;
mod interop;
mod simulate;
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
                 and what takes three hours: 100,000 random waits beside a model of what is right,
                 10,000 simulated networks, 10,000 waits through outages, interop, the fuzzer
  tidy           the rules that no lint can see
  bench model|transport|poller|schedules|fleet
                 how fast bodies are read, jobs asked for or waited for, as ratios; what schedules cost,
                 and how a fleet keeps to its budget; fails where a figure is beyond its bound
  simulate [--seed N | --seeds A..B] [--hours H]
                 whole waits in a simulated network whose hosts crash and whose links break, by
                 seeds (0..20, for 2 hours each)
  dist           the command as it is released, in target/package: an archive with completions,
                 manual and checksum; fails where it has more than 12 MiB
  durable [one|many|budget]..
                 waits whose service and whose engine are killed; installs the engine (Restate, which
                 has a licence of its own) under target, from the Node registry; about ten minutes
  interop        the vendor's and OpenStack's own Python clients against `cce-job sim`
  fuzz [SECONDS | --keep]
                 each fuzz target of all crates for so long (60), with cargo-fuzz and nightly Rust;
                 --keep: into the corpus what was found that reaches more";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo", ref rest @ ..] => {
            let run = ["run", "--locked", "--package", "job-cli", "--bin", "cce-job", "--", "demo"];
            pass_on(cargo::cargo(&run).args(rest))
        }
        ["bench", what @ ("model" | "transport" | "poller" | "schedules" | "fleet")] => {
            let of = if matches!(what, "schedules" | "fleet") { "poller" } else { what };
            let package = format!("job-{of}");
            let bench = ["bench", "--locked", "--package", &package, "--bench", what];
            pass_on(cargo::cargo(&bench).args(["--", "--quiet"]))
        }
        ["ci"] => ci::run(false),
        ["ci", "--long"] => ci::run(true),
        ["tidy"] => tidy::run(),
        ["interop"] => interop::run(),
        ["dist"] => dist::run(),
        ["durable", ref proofs @ ..] => durable::run(proofs),
        ["simulate", ref rest @ ..] if simulate::arguments(rest).is_some() => {
            let (seeds, hours) = simulate::arguments(rest).unwrap_or_default();
            pass_on(&mut simulate::run(&seeds, hours))
        }
        ["fuzz"] => fuzz::run("60"),
        ["fuzz", "--keep"] => fuzz::keep(),
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
