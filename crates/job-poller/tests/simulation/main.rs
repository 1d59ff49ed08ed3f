//! Runs whole waits in a simulated network with host crashes, partitions and service errors. Each
//! wait reports the job's true outcome, and never before the job has ended. A seed determines the
//! whole run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod network;
mod scenario;
mod watch;

use std::{
    env,
    io::{self, Write},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use scenario::{Figures, Scenario};

/// Returns the seeds and the hours of simulated time from `SIMULATION_SEEDS`, such as `0..20`, and
/// `SIMULATION_HOURS`. `cargo xtask simulate` sets both.
fn seeds_and_hours() -> (Range<u64>, u64) {
    let seeds = env::var("SIMULATION_SEEDS").unwrap_or_else(|_| "0..20".into());
    let (from, to) = seeds.split_once("..").unwrap();
    let hours = env::var("SIMULATION_HOURS").map_or(2, |hours| hours.parse().unwrap());
    (from.parse().unwrap()..to.parse().unwrap(), hours)
}

#[test]
fn waits_report_the_true_outcome_despite_any_faults() {
    let (seeds, hours) = seeds_and_hours();
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut figures = Figures::default();
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (figures, failed);
            }
            match catch_unwind(AssertUnwindSafe(|| Scenario::new(seed, hours).run())) {
                Ok((ran, _)) => figures.add(&ran),
                Err(_) => failed.push(seed),
            }
        }
    };
    let (mut figures, mut failed) = (Figures::default(), Vec::new());
    thread::scope(|scope| {
        let workers = [(); 2].map(|()| scope.spawn(work));
        for worker in workers {
            let (ran, lost) = worker.join().unwrap();
            figures.add(&ran);
            failed.extend(lost);
        }
    });
    let _ = writeln!(
        io::stderr(),
        "simulation: {} seeds of {hours} h: {figures}",
        seeds.end - seeds.start
    );
    let replays =
        failed.iter().map(|seed| format!("cargo xtask simulate --seed {seed} --hours {hours}"));
    let replays: Vec<String> = replays.collect();
    assert!(replays.is_empty(), "some seeds failed; rerun them with:\n{}", replays.join("\n"));
    // With fewer seeds, some kinds of events may not happen.
    if seeds.end - seeds.start < 20 {
        return;
    }
    assert!(figures.succeeded > 0 && figures.failed > 0 && figures.errors > 0, "{figures}");
    assert!(figures.partitions > 0 && figures.crashes > 0 && figures.resumed > 0, "{figures}");
}

#[test]
fn a_seed_reproduces_the_same_run() {
    let [first, second] = [(); 2].map(|()| Scenario::new(7, 1).run());
    assert!(first.1.lines().count() > 100, "{}", first.1);
    assert_eq!(first, second);
}
