//! Measures on a paused clock what a fleet gains from lists of jobs and from hints, and what it loses
//! if a list is wrong. The runs are seeded. Exits with 1 if a figure is out of its bounds.
//!
//! J is the mean detection delay plus 0.25 s for each request, per job. Requests include lists,
//! confirmations and all other readings of the jobs.
#![expect(clippy::print_stdout, reason = "the figures are for a terminal")]

#[path = "../common/bounds.rs"]
mod bounds;
#[path = "../common/random.rs"]
mod random;
#[path = "../common/date_header.rs"]
mod date_header;
mod law;
mod random_lists;
mod service;
mod case;
mod picture;

use std::{error::Error, process::ExitCode, time::Duration};

use tokio::runtime::Builder;

use bounds::Bounds;
use case::Case;
use law::{full_history, history};
use picture::Line;
use service::{ListFaults, Lists};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut bounds = Bounds::new();
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for (name, part) in PARTS {
        if only.as_ref().is_none_or(|only| only == name) {
            part(&mut bounds)?;
        }
    }
    Ok(bounds.exit_code())
}

type Part = fn(&mut Bounds) -> Result<(), Box<dyn Error>>;

/// The parts of the benchmark. An argument selects one of them.
const PARTS: [(&str, Part); 6] = [
    ("right", right_lists),
    ("wrong", wrong_lists),
    ("random", random_rows),
    ("first", first_wait),
    ("hints", hints),
    ("projects", many_projects),
];

/// J with *n* jobs of one project, if the list is right and proven, and nothing is known of the
/// durations. Draws the picture in the docs.
fn right_lists(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("jobs whose list is right, durations not known:");
    // The number of jobs, and the bounds of J if they start together, and if one starts when another
    // ends. A single job gains nothing.
    let rows = [
        (1, 18.4, 18.4),
        (2, 18.4, 18.4),
        (5, 11.4, 9.0),
        (10, 9.0, 6.6),
        (20, 6.9, 4.9),
        (50, 4.8, 3.4),
        (100, 3.6, 2.6),
    ];
    let (mut together, mut staggered) = (Vec::new(), Vec::new());
    for (jobs, max_together, max_staggered) in rows {
        for (is_staggered, max) in [(false, max_together), (true, max_staggered)] {
            let sample = if jobs < 5 { 400 } else { 40 * jobs };
            let case = Case { is_staggered, warm_up: sample, measured: sample, ..Case::new(jobs) };
            let cost = case.measure(4)?;
            let start = if is_staggered { "staggered" } else { "together" };
            let what = format!(
                "J, {jobs} {start} ({:.2} s late, {:.1} requests)",
                cost.mean_delay(),
                cost.requests()
            );
            bounds.check(&what, cost.per_job(), 0.0..=max);
            if is_staggered { &mut staggered } else { &mut together }.push((jobs, cost.per_job()));
        }
    }
    let alone = Case { lists: Lists::NONE, measured: 1_600, ..Case::new(1) };
    let alone = alone.measure(1)?.per_job();
    picture::write(&[
        Line {
            name: "without a list",
            color: "#57606a",
            lower: 4.0,
            points: vec![(1, alone), (100, alone)],
        },
        Line { name: "started together", color: "#0969da", lower: 0.0, points: together },
        Line { name: "one after the other", color: "#cf222e", lower: 10.0, points: staggered },
    ])?;
    Ok(())
}

/// J relative to readings of single jobs, if something is wrong with the list.
fn wrong_lists(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("jobs whose list is wrong, 100 durations known:");
    const FIRST_JOBS: usize = 20;
    const MEASURED_JOBS: usize = 180;
    const SEEDS: u64 = 60;
    let seconds = Duration::from_secs;
    let right = ListFaults::NONE;
    for jobs in [2, 5, 20] {
        // In the middle of the first jobs.
        let middle = seconds(5_400 / jobs as u64 + 200);
        let rows = [
            ("is right", right),
            ("lags 10 s", ListFaults { lag: seconds(10), ..right }),
            ("lags 30 s", ListFaults { lag: seconds(30), ..right }),
            ("lags 300 s", ListFaults { lag: seconds(300), ..right }),
            ("freezes", ListFaults { frozen_from: Some(middle), ..right }),
            ("has a row that never changes", ListFaults { stuck: Some(10), ..right }),
            ("lacks a tenth of the rows", ListFaults { missing: Some(3), ..right }),
        ];
        for is_staggered in [false, true] {
            let start = if is_staggered { "staggered" } else { "together" };
            let known = Some(history(100, 9_000));
            let case = Case { is_staggered, history: known, ..Case::new(jobs) };
            let first = Case { measured: FIRST_JOBS, ..case.clone() };
            let later = Case { warm_up: FIRST_JOBS, measured: MEASURED_JOBS, ..case };
            for (name, case, max) in [("first", first, 1.05), ("later", later, 1.03)] {
                let single = Case { lists: Lists::NONE, ..case.clone() }.measure(SEEDS)?;
                for (fault, faults) in rows {
                    let lists = Lists { faults, ..Lists::ONE };
                    let cost = Case { lists, ..case.clone() }.measure(SEEDS)?;
                    let ratio = cost.per_job() / single.per_job();
                    let what = format!("J / J alone, {jobs} {start}, {name}, list {fault}");
                    bounds.check(&what, ratio, 0.0..=max);
                    if cost.max_delay > 310.0 {
                        bounds.check("longest delay in seconds", cost.max_delay, 0.0..=310.0);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Compares the results of waits with the jobs, while rows of their lists are wrong at random.
fn random_rows(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("lists whose rows are wrong at random:");
    const SEQUENCES: u64 = 10_000;
    let mut wrong = 0;
    for seed in 0..SEQUENCES {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        if let Err(error) = runtime.block_on(random_lists::check_random_lists(seed)) {
            println!("  {error}");
            wrong += 1;
        }
    }
    let what = format!("wrong or late outcomes in {SEQUENCES} sequences");
    bounds.check(&what, f64::from(wrong), 0.0..=0.0);
    Ok(())
}

/// The first wait of a fleet without a history, if the list has 20 jobs that have ended.
fn first_wait(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("the first wait:");
    const SEEDS: u64 = 4_000;
    let case = Case { measured: 1, ..Case::new(1) };
    let known = Case { history: Some(full_history()), ..case.clone() }.measure(SEEDS)?;
    let alone = Case { history: None, lists: Lists::NONE, ..case.clone() }.measure(SEEDS)?;
    let seeded = Case { history: None, earlier: 20, ..case }.measure(SEEDS)?;
    println!("  J of known durations {:.2}", known.per_job());
    bounds.check(
        "J / J of known durations, without a list",
        alone.per_job() / known.per_job(),
        1.2..=1.35,
    );
    bounds.check(
        "J / J of known durations, with a list",
        seeded.per_job() / known.per_job(),
        0.0..=1.06,
    );
    Ok(())
}

/// J of single jobs whose ends are announced by hints one second later.
fn hints(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("hints one second after the end, durations known:");
    let case = Case { history: Some(full_history()), lists: Lists::NONE, ..Case::new(1) };
    let rows = [(1.0, 0, 9, 9.1), (0.95, 20, 200, 5.8), (0.99, 20, 200, 4.7)];
    for (hinted, warm_up, measured, max) in rows {
        let seeds = if warm_up == 0 { 400 } else { 40 };
        let cost = Case { hinted, warm_up, measured, ..case.clone() }.measure(seeds)?;
        let what =
            format!("J, {:.0} % of the ends announced, after {warm_up} ends", hinted * 100.0);
        bounds.check(&what, cost.per_job(), 0.0..=max);
    }
    Ok(())
}

/// The mean delay of many jobs in 50 projects, relative to reading each job.
fn many_projects(bounds: &mut Bounds) -> Result<(), Box<dyn Error>> {
    println!("100,000 jobs in 50 projects, 1,000 requests and 8 MiB of lists a second:");
    let lists =
        Lists { projects: 50, kept_for: Duration::from_secs(30), row_len: 700, ..Lists::ONE };
    let case = Case {
        is_staggered: true,
        history: Some(full_history()),
        warm_up: 30_000,
        measured: 100_000,
        lists,
        per_second: 1_000.0,
        list_bytes_per_second: 8 << 20,
        ..Case::new(100_000)
    };
    let with_lists = case.measure(1)?.mean_delay();
    let alone = Case { lists: Lists::NONE, ..case }.measure(1)?.mean_delay();
    println!("  {with_lists:.2} s late with lists, {alone:.2} s alone");
    bounds.check("mean delay / mean delay alone", with_lists / alone, 0.0..=0.2);
    Ok(())
}
