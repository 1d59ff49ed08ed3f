//! Runs the project's tasks: `cargo xtask`. They need the Rust toolchain and a C compiler. `tidy`
//! and `ci` also need git and a clone of the repository.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tasks print to the terminal")]

mod cargo;
mod ci;
mod dist;
mod durable;
mod fuzz;
mod hostile;
mod interop;
mod pictures;
mod publish;
mod simulate;
mod soak;
mod tidy;

use std::{
    env,
    process::{Command, ExitCode},
};

const HELP: &str = "\
Usage: cargo xtask <TASK>

Tasks:
  demo [--fail]  Wait for a simulated job over TLS on localhost; --fail: for a job that fails
  ci [--long]    Run every check that must pass before a commit: format, tidy, lints, docs, tests.
                 --long adds about three hours of tests: 100,000 random waits compared with a
                 reference model, 10,000 simulated networks, 10,000 waits through outages, interop
                 and the fuzzer
  tidy [--rooms | --count [PATTERN | --lower]]
                 Check the project's own rules that no lint covers; --rooms: print each crate's
                 imports between rooms, and the circles between its files; --count: print how much
                 of the old wording is left, or list the matches of a pattern; --lower: lower the
                 stored bounds to the present rates
  bench model|transport|poller|schedules|fleet|lists
                 Measure decoding, requests, waits, the cost of schedules, how well a fleet uses its
                 budget, or what it gains from lists of jobs and from hints. Most figures are
                 ratios; fails if one exceeds its bound
  bench wait     Run `cce-job wait` with 20,000 and 80,000 jobs on a pseudo-terminal; fails if it uses
                 less than its request budget or too much processor time or memory, or starts or
                 exits too slowly (three minutes, needs Linux)
  bench hostile  Read hostile inputs of 1 and 8 MiB with every parser of foreign bytes; fails if one
                 takes too long, if the time per byte grows, or if decoding a job with a deviation
                 takes too many times as long as without it
  simulate [--seed N | --seeds A..B] [--hours H]
                 Run whole waits in a simulated network with host crashes and broken links
                 [default: --seeds 0..20 --hours 2]
  soak           Poll a local server 100,000 times, and start and drop 1,000 fleets of 10 waits;
                 fails if memory, descriptors or tasks grow (a few minutes, needs Linux)
  dist [--check] Build the packages of a release in target/dist-packages: an archive, a Debian
                 package, a Python wheel, a container image, a bill of materials and checksums. Lists what it
                 skips because a tool is missing; fails if the command is larger than 13 MiB.
                 --check: build them again in other folders, which must give equal bytes, install
                 each one and run `cce-job demo` (ten minutes or more, needs Linux)
  package        Pack each crate as for the registry, and run the tests of the packages without the
                 workspace (`ci` runs those of job-model and compiles the others)
  public-api [--update]
                 Compare the public API of each library crate with its list in docs/public-api;
                 --update: write the lists. Needs nightly Rust
  durable [SCENARIO]..
                 Check waits with a real engine (half an hour in all): one, many: the service and the
                 engine are killed; budget: 2,000 waits; services: two services behind one address;
                 crowd: more services than requests in flight; throttled: a minute of 429; purge:
                 ticks are ended at the engine; clock: a clock is two minutes ahead (needs faketime);
                 receivers: receivers fail; large: a job of 7 MB; upgrade: a new version takes over.
                 Installs the engine Restate, which has its own license, under target from the npm
                 registry
  durable-store [--short] [SCENARIO]..
                 Check waits in PostgreSQL and SQLite with workers that are processes (20 minutes in
                 all; --short: four minutes): budget: eight workers use exactly the budget; many:
                 100,000 waits; throttled: a minute of 429; clock: a clock is two minutes ahead
                 (needs faketime); upgrade: workers are replaced; full: SQLite reaches its largest
                 size; crash: workers and PostgreSQL are killed at random. Skips PostgreSQL, and says
                 so, if it is not installed
  pictures       Make the README's pictures in docs from a wait for simulated jobs (two minutes)
  interop        Run the vendor's and OpenStack's Python clients against `cce-job sim`
  fuzz [SECONDS | --keep]
                 Run each fuzz target for SECONDS [default: 60], with cargo-fuzz and nightly Rust;
                 --keep: add the inputs that increase coverage to the corpus";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo", ref rest @ ..] => {
            let run = ["run", "--locked", "--package", "job-cli", "--bin", "cce-job", "--", "demo"];
            exec(cargo::cargo(&run).args(rest))
        }
        ["bench", what @ ("model" | "transport" | "poller" | "schedules" | "fleet" | "lists")] => {
            let name =
                if matches!(what, "schedules" | "fleet" | "lists") { "poller" } else { what };
            let package = format!("job-{name}");
            let bench =
                ["bench", "--locked", "--package", &package, "--all-features", "--bench", what];
            exec(cargo::cargo(&bench).args(["--", "--quiet"]))
        }
        ["bench", "wait"] => {
            let bench = ["bench", "--locked", "--package", "job-cli", "--bench", "wait"];
            exec(&mut cargo::cargo(&bench))
        }
        ["bench", "hostile"] => hostile::run(),
        ["ci"] => ci::run(false),
        ["ci", "--long"] => ci::run(true),
        ["tidy"] => tidy::run(),
        ["tidy", "--rooms"] => tidy::print_rooms(),
        ["tidy", "--count"] => tidy::print_counts(None),
        ["tidy", "--count", "--lower"] => tidy::lower_bounds(),
        ["tidy", "--count", pattern] => tidy::print_counts(Some(pattern)),
        ["soak"] => exec(&mut soak::command()),
        ["interop"] => interop::run(),
        ["pictures"] => pictures::run(),
        ["dist"] => dist::run(false),
        ["dist", "--check"] => dist::run(true),
        ["package"] => publish::package::run(),
        ["public-api"] => publish::public_api::run(false),
        ["public-api", "--update"] => publish::public_api::run(true),
        ["durable", ref scenarios @ ..] => durable::run(scenarios),
        ["durable-store", ref arguments @ ..] => durable::store::run(arguments),
        ["simulate", ref rest @ ..] if simulate::parse_arguments(rest).is_some() => {
            let (seeds, hours) = simulate::parse_arguments(rest).unwrap_or_default();
            exec(&mut simulate::command(&seeds, hours))
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

/// Runs a command and returns its exit code.
fn exec(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) => u8::try_from(status.code().unwrap_or(1)).unwrap_or(1).into(),
        Err(error) => {
            eprintln!("cannot run {command:?}: {error}");
            ExitCode::FAILURE
        }
    }
}
