//! Measures a fleet with thousands of jobs on a paused clock, from its start: the detection delay,
//! and whether the fleet uses its budget and stays within it. Also measures the cost of many
//! watchers of one job. The runs are seeded. Exits with 1 if a figure is out of its bounds.
//! `cargo xtask bench poller` measures what a wait costs.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/random.rs"]
mod random;
#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/date_header.rs"]
mod date_header;
#[path = "../common/counting_transport.rs"]
mod counting_transport;
mod case;
mod mix;
mod outage;
mod report;
mod service;
mod watchers;

use std::{error::Error, process::ExitCode, time::Duration};

use tokio::runtime::{Builder, Runtime};

use bounds::Bounds;
use case::{Case, Measurement};
use mix::{Kinds, Mix};

/// Number of jobs at any time, and the budget in requests per second.
const SIZES: [(u32, f64); 2] = [(10_000, 100.0), (100_000, 1_000.0)];

/// The distributions of durations, and the maximum of the detection delay relative to round-robin
/// polling.
///
/// If durations vary more (σ 1.0), less can be learned. The best split of the budget then saves an
/// eighth, and the fleet only has to be no worse than round-robin. The same holds for early
/// failures: round-robin polling detects most of them within their first hundred seconds, as any
/// schedule does.
const MIXES: [(Mix, f64); 5] = [
    (Mix { kinds: Kinds::All, sigma: 0.35, early_failures: 0 }, 0.75),
    (Mix { kinds: Kinds::All, sigma: 0.5, early_failures: 0 }, 0.75),
    (Mix { kinds: Kinds::All, sigma: 1.0, early_failures: 0 }, 1.0),
    (Mix { kinds: Kinds::All, sigma: 0.35, early_failures: 1 }, 1.0),
    (Mix { kinds: Kinds::All, sigma: 0.5, early_failures: 1 }, 1.0),
];

const CLUSTERS: Mix = Mix { kinds: Kinds::Clusters, sigma: 0.5, early_failures: 0 };
const ALL_KINDS: Mix = Mix { kinds: Kinds::All, sigma: 0.5, early_failures: 0 };

/// A fleet that keeps its size.
const REFILLED: Case = Case {
    jobs: 10_000,
    per_second: 100.0,
    mix: ALL_KINDS,
    is_mid_life: true,
    has_history: true,
    min_binding: 1.0,
    refilled_until: Some(Duration::from_secs(2_400)),
    outage: None,
};

/// A fleet that empties, and has no history. Its last jobs do not use up the budget, and take
/// most of the time.
const EMPTYING: Case =
    Case { has_history: false, min_binding: 0.12, refilled_until: None, ..REFILLED };

/// Fleets that start with fresh jobs, know no durations, empty, or meet an outage. The maximum of
/// the mean detection delay, in seconds.
///
/// Without a history the fleet assumes that all jobs of a type end at the same rate, at any age.
/// The jobs of these runs do not, so the fleet is no better than round-robin polling (49 s).
const CASES: [(Case, f64); 9] = [
    (Case { is_mid_life: false, ..REFILLED }, 36.5),
    (Case { has_history: false, ..REFILLED }, 49.0),
    (Case { mix: CLUSTERS, has_history: false, ..REFILLED }, 52.0),
    (Case { mix: CLUSTERS, min_binding: 0.2, ..EMPTYING }, 30.0),
    (Case { mix: CLUSTERS, is_mid_life: false, min_binding: 0.28, ..EMPTYING }, 29.0),
    (EMPTYING, 31.5),
    (Case { jobs: 2_000, per_second: 50.0, min_binding: 0.085, ..EMPTYING }, 12.2),
    (
        Case { jobs: 20_000, per_second: 50.0, is_mid_life: false, min_binding: 0.23, ..EMPTYING },
        153.0,
    ),
    (Case { mix: CLUSTERS, outage: Some((300, 900)), ..REFILLED }, 137.0),
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut bounds = Bounds::new();
    paused_runtime()?.block_on(watchers::watchers(&mut bounds))?;
    for (case, max_delay) in &CASES {
        let measured = run(case, &mut bounds)?;
        bounds.check("mean delay in seconds", measured.mean_delay(), 0.0..=*max_delay);
        println!();
    }
    for (jobs, per_second) in SIZES {
        for (mix, max_ratio) in MIXES {
            let case = Case { jobs, per_second, mix, ..REFILLED };
            let measured = run(&case, &mut bounds)?;
            if let Some(round_robin) = case.round_robin() {
                let ratio = measured.mean_delay() / round_robin;
                println!("  round-robin polling: {round_robin:.2} s late on average");
                bounds.check("mean delay / round-robin delay", ratio, 0.0..=max_ratio);
            }
            println!();
        }
    }
    paused_runtime()?.block_on(outage::outage(&mut bounds))?;
    Ok(bounds.exit_code())
}

fn run(case: &Case, bounds: &mut Bounds) -> Result<Measurement, Box<dyn Error>> {
    println!("{case}");
    let measured = paused_runtime()?.block_on(case.run())?;
    report::report(case, &measured, bounds);
    Ok(measured)
}

fn paused_runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().start_paused(true).build()
}
