//! A fleet of thousands of jobs on the paused clock: how late it sees their ends, and whether it keeps to its
//! budget. Seeded. Exits with 1 where a figure is beyond its bound. What a wait costs is measured beside the
//! others: `cargo xtask bench poller`.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/random.rs"]
mod random;
#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/counting_transport.rs"]
mod counting_transport;
mod mix;
mod outage;
mod service;
mod steady;

use std::{error::Error, process::ExitCode};

use tokio::runtime::{Builder, Runtime};

use bounds::Bounds;
use mix::Mix;
use steady::steady;

/// How many jobs go on at once, and how many requests a second there are for them.
const CASES: [(u32, f64); 2] = [(10_000, 100.0), (100_000, 1_000.0)];

/// How long they take, and how much of round-robin's delay there may be. Where durations differ by more (σ 1.0),
/// less can be known: the best split of the budget saves an eighth there, and it is only not to be worse. So are
/// early failures, of which round-robin sees most within their first hundred seconds, as anybody does.
const MIXES: [(Mix, Option<f64>); 5] = [
    (Mix { sigma: 0.35, early_failures: 0 }, Some(0.75)),
    (Mix { sigma: 0.5, early_failures: 0 }, Some(0.75)),
    (Mix { sigma: 1.0, early_failures: 0 }, None),
    (Mix { sigma: 0.35, early_failures: 1 }, None),
    (Mix { sigma: 0.5, early_failures: 1 }, None),
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut bounds = Bounds::new();
    for (jobs, per_second) in CASES {
        for (mix, max) in &MIXES {
            println!("{jobs} jobs at any time, {per_second} requests a second, {mix}");
            let measured = paused_runtime()?.block_on(steady(jobs, per_second, mix))?;
            measured.print(max.unwrap_or(1.0), &mut bounds);
        }
    }
    paused_runtime()?.block_on(outage::outage(&mut bounds))?;
    Ok(bounds.exit_code())
}

fn paused_runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().start_paused(true).build()
}
