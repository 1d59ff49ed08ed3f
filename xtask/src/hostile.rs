//! `cargo xtask bench hostile`: reads hostile inputs with every parser of foreign bytes.

use std::process::{Command, ExitCode};

use crate::cargo::{cargo, root, run as run_command};

/// The sizes of the inputs in MiB: the maximum size of a body, and an eighth of it.
const SIZES: [&str; 2] = ["1", "8"];

/// The sizes in `ci`.
const CI_SIZES: [&str; 2] = ["1", "4"];

/// Builds the command and measures all parsers, its reports included.
pub(crate) fn run() -> ExitCode {
    let mut build = cargo(&["build", "--locked", "--release", "--package", "job-cli"]);
    if let Err(error) = run_command(&mut build) {
        println!("bench hostile: {error}");
        return ExitCode::FAILURE;
    }
    let mut bench = bench(SIZES);
    bench.env("CCE_JOB", root().join("target/release/cce-job"));
    match run_command(&mut bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the command that measures the parsers of the libraries. It builds no HTTP client and no
/// TLS, so `ci` can run it.
pub(crate) fn ci_command() -> Command {
    bench(CI_SIZES)
}

fn bench(sizes: [&str; 2]) -> Command {
    let mut command = cargo(&["run", "--locked", "--release", "--package", "hostile", "--"]);
    command.args(sizes);
    // By default, the allocator returns blocks of some MiB to the kernel. Large inputs would then
    // pay for page faults that small ones do not have, which says nothing about the parsers.
    command.env("MALLOC_MMAP_THRESHOLD_", "2000000000");
    command.env("MALLOC_TRIM_THRESHOLD_", "4000000000");
    command.env("MALLOC_TOP_PAD_", "500000000");
    command
}
