//! Compares what schedules cost under many distributions of job durations: mean delay and requests
//! of each, and the minimum cost. The runs are seeded, so the figures are always the same. Writes
//! the picture in the docs. Exits with 1 if a figure is out of its bounds.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/random.rs"]
mod random;
mod baselines;
mod herd;
mod distributions;
mod picture;
mod steps;

use std::{error::Error, process::ExitCode};

use fastrand::Rng;
use job_poller::schedule::Adaptive;

use baselines::{
    adaptive_with_history, aws_waiter, best_fixed, equal_gaps, exponential, gap_for_requests,
    reading_times, sample_jobs,
};
use bounds::Bounds;
use distributions::{Distribution, Grid, MAX_GAP_SECS};

/// Number of histories over which each figure is averaged.
const HISTORY_COUNT: u64 = 100;

/// Number of jobs in a history.
const HISTORY_SIZES: [usize; 3] = [5, 20, 100];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut bounds = Bounds::new();
    schedules();
    no_history(&mut bounds);
    with_history(&mut bounds);
    doubled_durations(&mut bounds);
    steps::progress(&mut bounds);
    herd::herd(&mut bounds);
    picture::write()?;
    Ok(bounds.exit_code())
}

/// Prints the cost of each schedule under each distribution.
fn schedules() {
    println!("J = mean delay + 0.25 s x mean requests: J (delay, requests), in seconds");
    println!(
        "{:<24} {:>18} {:>18} {:>18} {:>18} {:>18} {:>18} {:>18} {:>18} {:>8}",
        "",
        "best fixed",
        "exponential 1..60",
        "Terraform 150+20",
        "Terraform 120+20",
        "AWS waiter",
        "fixed 30",
        "Adaptive, no job",
        "after 100",
        "J*"
    );
    for distribution in Distribution::all() {
        let grid = distribution.grid();
        let row = |schedule: &dyn job_poller::schedule::Schedule| {
            grid.cost(reading_times(schedule, distribution.job_type, grid.end()))
        };
        let costs = [
            best_fixed(&grid).1,
            row(&exponential()),
            grid.cost(equal_gaps(150.0, 20.0)),
            grid.cost(equal_gaps(120.0, 20.0)),
            aws_waiter(&grid, &mut Rng::with_seed(1)),
            grid.cost(equal_gaps(0.0, 30.0)),
            row(&Adaptive::new().jitter(0.0)),
            row(&adaptive_with_history(distribution.job_type, &sample_jobs(&distribution, 0, 100))),
        ];
        let costs = costs.map(|cost| {
            format!(
                "{:>18}",
                format!("{:.1} ({:.1}, {:.0})", cost.combined(), cost.delay, cost.requests)
            )
        });
        println!("{:<24} {} {:>8.1}", distribution.name, costs.join(" "), grid.min_cost());
    }
}

/// Compares the adaptive schedule without a history with the best fixed interval.
fn no_history(bounds: &mut Bounds) {
    println!("\nno history: J / J of the best fixed interval, worst distribution");
    let adaptive = Adaptive::new().jitter(0.0);
    let mut rows = [
        ("prior correct", 1.0, 1.10),
        ("jobs take twice as long", 2.0, 1.15),
        ("half as long", 0.5, 1.15),
        ("four times as long", 4.0, 1.30),
        ("a quarter as long", 0.25, 1.30),
    ]
    .map(|(name, scale, max)| (name, scale, max, 0.0_f64, String::new()));
    let (mut longest, mut latest) = (0.0_f64, (0.0_f64, String::new()));
    let mut late = (0.0_f64, String::new());
    for distribution in Distribution::all() {
        for (_, scale, _, worst, of) in &mut rows {
            let grid = distribution.scaled(*scale).grid();
            let row = reading_times(&adaptive, distribution.job_type, grid.end());
            let ratio = grid.cost(row.iter().copied()).combined() / best_fixed(&grid).1.combined();
            if ratio > *worst {
                (*worst, *of) = (ratio, distribution.name.clone());
            }
            longest = row.windows(2).map(|pair| pair[1] - pair[0]).fold(longest, f64::max);
        }
        let grid = distribution.grid();
        let row = reading_times(&adaptive, distribution.job_type, grid.end());
        if distribution.has_early_failures() {
            let delay = early_delay(&row);
            latest = if delay > latest.0 { (delay, distribution.name.clone()) } else { latest };
        }
        let ratio = p99_ratio(&grid, &row);
        late = if ratio > late.0 { (ratio, distribution.name.clone()) } else { late };
    }
    for (name, _, max, worst, of) in rows {
        bounds.check(&format!("{name} ({of})"), worst, 0.0..=max);
    }
    bounds.check("longest gap, s", longest, 0.0..=MAX_GAP_SECS);
    bounds.check(
        &format!("p99 / p99 of a fixed interval, equal requests ({})", late.1),
        late.0,
        0.0..=2.0,
    );
    bounds.check(
        &format!("mean delay of a failure in the first 30 s, s ({})", latest.1),
        latest.0,
        0.0..=7.0,
    );
}

/// Returns the mean detection delay of jobs that fail in the first 30 s, with a mean of 12 s.
fn early_delay(readings: &[f64]) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for at in (0..3000).map(|at| (f64::from(at) + 0.5) / 100.0) {
        let fails = (-at / 12.0_f64).exp();
        let seen = readings.iter().find(|reading| **reading >= at).copied().unwrap_or_default();
        sum += fails * (seen - at);
        weight += fails;
    }
    sum / weight
}

/// Returns the 99th percentile of the delay, relative to a fixed interval with the same number of
/// requests.
fn p99_ratio(grid: &Grid, row: &[f64]) -> f64 {
    let gap = gap_for_requests(grid, grid.cost(row.iter().copied()).requests);
    let fixed: Vec<f64> =
        equal_gaps(0.0, gap).take_while(|time| *time < grid.end() + gap).collect();
    grid.p99(row) / grid.p99(&fixed)
}

/// Compares the adaptive schedule with a history with the minimum cost of any schedule.
fn with_history(bounds: &mut Bounds) {
    println!("\nwith a history: J / J*: mean (90th percentile) of {HISTORY_COUNT} histories");
    let scales = [
        ("prior correct", 1.0, 1.10),
        ("twice as long", 2.0, 1.10),
        ("half as long", 0.5, 1.10),
        ("four times as long", 4.0, 1.15),
        ("a quarter as long", 0.25, 1.15),
    ];
    let mut worst: [[(f64, String); HISTORY_SIZES.len()]; 5] = Default::default();
    // The bounds for what must be learned from few jobs, by the end of the distribution's name. All
    // kinds have one, so that a change for some of them does not make the others worse.
    let mut few_jobs = [
        ("σ 0.35, 10 % early", 1.065),
        ("σ 0.5, 10 % early", 1.055),
        ("σ 1, 10 % early", 1.055),
        ("memoryless", 1.053),
        ("σ 0.35", 1.075),
        ("σ 0.5", 1.055),
        ("σ 1", 1.052),
        ("bimodal", 1.06),
        ("heavy tail", 1.05),
    ]
    .map(|(kind, max)| (kind, max, (0.0_f64, String::new())));
    let (mut late, mut lates, mut longest) = ((0.0_f64, String::new()), Vec::new(), 0.0_f64);
    for distribution in Distribution::all() {
        print!("{:<24}", distribution.name);
        for (scale, (_, by, _)) in scales.into_iter().enumerate() {
            let distribution = distribution.scaled(by);
            let grid = distribution.grid();
            let optimum = grid.min_cost();
            for (seen, many) in HISTORY_SIZES.into_iter().enumerate() {
                let rows: Vec<Vec<f64>> = (0..HISTORY_COUNT)
                    .map(|seed| {
                        let adaptive = adaptive_with_history(
                            distribution.job_type,
                            &sample_jobs(&distribution, 1000 + seed, many),
                        );
                        reading_times(&adaptive, distribution.job_type, grid.end())
                    })
                    .collect();
                let cost = |row: &Vec<f64>| grid.cost(row.iter().copied());
                let mut ratios: Vec<f64> =
                    rows.iter().map(|row| cost(row).combined() / optimum).collect();
                ratios.sort_by(f64::total_cmp);
                let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
                print!("  {many:>3}: {mean:.3} ({:.3})", ratios[ratios.len() * 9 / 10]);
                let gaps = rows.iter().flat_map(|row| row.windows(2));
                // Allows for the rounding of times in seconds.
                longest = gaps.map(|pair| pair[1] - pair[0] - 1e-9).fold(longest, f64::max);
                if mean > worst[scale][seen].0 {
                    worst[scale][seen] = (mean, distribution.name.clone());
                }
                for (kind, _, worst) in &mut few_jobs {
                    let is_kind = distribution.name.ends_with(*kind);
                    if scale == 0 && many == 20 && is_kind && mean > worst.0 {
                        *worst = (mean, distribution.name.clone());
                    }
                }
                if scale == 0 && many >= 20 {
                    let p99 = rows.iter().map(|row| p99_ratio(&grid, row)).sum::<f64>();
                    let p99 = p99 / rows.len() as f64;
                    lates.push(p99);
                    late = if p99 > late.0 { (p99, distribution.name.clone()) } else { late };
                }
            }
            print!(" |");
        }
        println!();
    }
    let mut check_max = |what: &str, (figure, of): &(f64, String), max| {
        bounds.check(&format!("{what} ({of})"), *figure, 0.0..=max);
    };
    for ((name, _, max), worst) in scales.iter().zip(&worst) {
        check_max(&format!("after 20 jobs, {name}"), &worst[1], *max);
        check_max(&format!("after 100 jobs, {name}"), &worst[2], 1.06);
    }
    for (_, max, worst) in &few_jobs {
        check_max("after 20 jobs, prior correct", worst, *max);
    }
    bounds.check("longest gap, s", longest, 0.0..=MAX_GAP_SECS);
    // With early failures, the best schedule too has long delays once the early failures are over.
    println!(
        "  p99 / p99 of a fixed interval, equal requests: {:.3} at worst ({})",
        late.0, late.1
    );
    let mean = lates.iter().sum::<f64>() / lates.len() as f64;
    bounds.check("p99 ratio, mean of all distributions, after 20 and 100 jobs", mean, 0.0..=2.0);
}

/// Measures how the schedule adapts when jobs begin to take twice as long.
fn doubled_durations(bounds: &mut Bounds) {
    println!(
        "\nafter 100 jobs the median doubles: J / J* 40 jobs later, mean of {HISTORY_COUNT} histories"
    );
    let mut worst = (0.0_f64, String::new());
    for distribution in Distribution::all() {
        let slower = distribution.scaled(2.0);
        let grid = slower.grid();
        let optimum = grid.min_cost();
        let ratio = |seed| {
            let seen = [
                sample_jobs(&distribution, 1000 + seed, 100),
                sample_jobs(&slower, 2000 + seed, 40),
            ]
            .concat();
            let row = reading_times(
                &adaptive_with_history(distribution.job_type, &seen),
                distribution.job_type,
                grid.end(),
            );
            grid.cost(row).combined() / optimum
        };
        let mean = (0..HISTORY_COUNT).map(ratio).sum::<f64>() / HISTORY_COUNT as f64;
        worst = if mean > worst.0 { (mean, distribution.name.clone()) } else { worst };
    }
    bounds.check(&format!("worst distribution ({})", worst.1), worst.0, 0.0..=1.10);
}
