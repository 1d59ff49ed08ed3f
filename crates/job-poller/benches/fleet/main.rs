//! Measures a fleet with thousands of jobs on a paused clock: the detection delay, and whether the
//! fleet stays within its budget. The runs are seeded. Exits with 1 if a figure is out of its
//! bounds. `cargo xtask bench poller` measures what a wait costs.
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

/// Number of jobs at any time, and the budget in requests per second.
const CASES: [(u32, f64); 2] = [(10_000, 100.0), (100_000, 1_000.0)];

/// The distributions of durations, and the maximum of the detection delay relative to round-robin
/// polling.
///
/// If durations vary more (σ 1.0), less can be learned. The best split of the budget then saves an
/// eighth, and the fleet only has to be no worse than round-robin. The same holds for early
/// failures: round-robin polling detects most of them within their first hundred seconds, as any
/// schedule does.
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
