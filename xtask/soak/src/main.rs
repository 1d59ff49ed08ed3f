//! Checks that memory, descriptors and tasks do not grow: over 100,000 polls of a local server, and
//! over 1,000 fleets of 10 waits that are dropped. Exits with 1 if one of them grows.
//!
//! The server is a process of its own, so that only the client is measured. Needs Linux, because the
//! figures are from `/proc`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are for a terminal")]

mod usage;
mod server;
mod requests;
mod polls;
mod fleets;

use std::{env, process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::{runtime, time::timeout};

use self::{requests::RequestCounter, server::Server, usage::Growth};

/// Maximum time of each part. A part takes about a minute.
const MAX_TIME: Duration = Duration::from_secs(15 * 60);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(),
        [server::ARGUMENT] => server::serve().map(|()| true),
        _ => Err(anyhow::anyhow!("the command takes no arguments")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs both parts. Returns whether nothing grew.
fn run() -> anyhow::Result<bool> {
    let server = Server::start()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let polls = timeout(MAX_TIME, polls::run(&server)).await;
        let polls = polls.context("the polls take too long")??;
        let fleets = timeout(MAX_TIME, fleets::run(&server)).await;
        let fleets = fleets.context("the fleets take too long")??;
        Ok(report("polls", &polls, polls::MAX_GROWTH)
            & report("fleets", &fleets, fleets::MAX_GROWTH))
    })
}

/// Prints the samples of a part and its verdict. Returns whether it is within its bounds.
fn report(what: &str, samples: &[usage::Sample], max_growth: Growth) -> bool {
    println!("\n{what:>10} {:>12} {:>12} {:>8}", "memory", "descriptors", "tasks");
    for sample in samples.iter().step_by(usage::SAMPLES / 10) {
        let usage::Sample { count, memory_kib, descriptors, tasks } = sample;
        println!("{count:>10} {memory_kib:>8} KiB {descriptors:>12} {tasks:>8}");
    }
    let growth = Growth::from_samples(samples);
    let is_within = growth.is_within(max_growth);
    println!(
        "{what}: growth after the first fifth: {growth}; at most {max_growth}: {}",
        if is_within { "ok" } else { "EXCEEDED" },
    );
    is_within
}
