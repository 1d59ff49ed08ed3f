//! Measures how fast bodies are decoded, as ratios to other ways to read the same bytes in the same
//! run. Exits with 1 if a ratio exceeds its bound.
#![expect(clippy::print_stdout, reason = "the figures are printed to the terminal")]

mod plain;

use std::{
    collections::BTreeMap, error::Error, fs, hint::black_box, mem, path::PathBuf,
    process::ExitCode, time::Duration,
};

use criterion::{BatchSize, BenchmarkGroup, Criterion, measurement::WallTime};
use job_model::{Decoded, Timestamp, job::JobList};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Number of rounds. Each benchmark runs once per round, and a reported ratio is the median over
/// the rounds, so that a machine that is busy for a while does not distort it.
const ROUNDS: usize = 15;

/// The bounded ratios: the benchmark, the baseline, and the maximum ratio.
const MAX_RATIOS: [(&str, &str, f64); 4] = [
    ("job", "plain struct", 1.05),
    ("job", "Value", 0.75),
    ("Timestamp", "strptime", 0.5),
    ("list", "plain list", 1.2),
];

/// Number of rows of the list.
const ROWS: usize = 200;

/// Maximum ratio of two growth factors, a job's and the plain struct's. A growth factor compares
/// the time for the large body with the time for the small one.
const MAX_GROWTH_RATIO: f64 = 1.1;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let small = reference_example_minified()?;
    let large = with_sub_jobs(&small, 10_000)?;
    let list = list(ROWS)?;
    println!("small: {} bytes; large: {} bytes, 10,000 sub-jobs", small.len(), large.len());
    println!("list: {ROWS} rows of {} bytes", list.len() / ROWS);

    let results = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut criterion = Criterion::default()
            .configure_from_args()
            .output_directory(&results)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(300))
            .sample_size(30);
        let mut group = criterion.benchmark_group(format!("round {round}"));
        run(&mut group, &small, &large);
        run_lists(&mut group, &list);
        group.finish();
        rounds.push(medians(&results.join(format!("round {round}")))?);
    }
    Ok(if report(&rounds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every benchmark once.
fn run(group: &mut BenchmarkGroup<'_, WallTime>, small: &[u8], large: &[u8]) {
    let time = "2020-02-02 08:12:40.672772389 +0000 UTC";
    let format = "%Y-%m-%d %H:%M:%S%.f %z UTC";
    // The text is allocated before the measurement and dropped after it, so that only parsing is
    // measured.
    let text = || String::from(time);
    group.bench_function("Timestamp", |bencher| {
        let parse = |text: &mut String| Timestamp::from(mem::take(text));
        bencher.iter_batched_ref(text, parse, BatchSize::SmallInput);
    });
    group.bench_function("strptime", |bencher| {
        let parse = |text: &mut String| jiff::Timestamp::strptime(format, text.as_str());
        bencher.iter_batched_ref(text, parse, BatchSize::SmallInput);
    });
    for (size, body) in [("", small), (", large", large)] {
        group.bench_function(format!("job{size}"), |bencher| {
            bencher.iter(|| Decoded::from_slice(black_box(body)));
        });
        group.bench_function(format!("plain struct{size}"), |bencher| {
            bencher.iter(|| serde_json::from_slice::<plain::Job>(black_box(body)));
        });
    }
    let odd = String::from_utf8_lossy(small).replace("\"Running\"", "\"running\"");
    group.bench_function("job with a deviation", |bencher| {
        bencher.iter(|| Decoded::from_slice(black_box(odd.as_bytes())));
    });
    group.bench_function("Value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Value>(black_box(small)));
    });
    group.bench_function("skip only", |bencher| {
        bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(small)));
    });
}

/// Reads a list in several ways.
fn run_lists(group: &mut BenchmarkGroup<'_, WallTime>, list: &[u8]) {
    group.bench_function("list", |bencher| {
        bencher.iter(|| JobList::from_slice(black_box(list)));
    });
    group.bench_function("list, every row decoded", |bencher| {
        bencher.iter(|| {
            let list = JobList::from_slice(black_box(list)).unwrap_or_default();
            list.rows().map(|row| black_box(row.decode()).is_ok()).filter(|is_ok| *is_ok).count()
        });
    });
    group.bench_function("plain list", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Vec<plain::V2Job>>(black_box(list)));
    });
}

/// The median times of one round in nanoseconds, by benchmark.
type Round = BTreeMap<String, f64>;

/// Reads criterion's results of a round.
fn medians(round: &PathBuf) -> Result<Round, Box<dyn Error>> {
    let mut medians = Round::new();
    for entry in fs::read_dir(round)? {
        let folder = entry?.path().join("new");
        let read = |file| -> Result<Value, Box<dyn Error>> {
            Ok(serde_json::from_slice(&fs::read(folder.join(file))?)?)
        };
        if folder.is_dir() {
            let name = read("benchmark.json")?["function_id"].as_str().map(String::from);
            let median = read("estimates.json")?["median"]["point_estimate"].as_f64();
            medians.extend(name.zip(median));
        }
    }
    Ok(medians)
}

/// Prints the figures. Returns `true` if every ratio is within its bound.
fn report(rounds: &[Round]) -> bool {
    println!("\nmedians of {ROUNDS} rounds");
    for name in rounds[0].keys() {
        println!("{name:>22} {:>12.0} ns", median(rounds, |round| round[name]));
    }
    println!("\nratios");
    let mut within = true;
    let mut line = |what: String, ratio: f64, bound: f64| {
        let verdict = if ratio <= bound { "ok" } else { "EXCEEDED" };
        println!("{what:>60} {ratio:>6.3} (at most {bound}) {verdict}");
        within &= ratio <= bound;
    };
    for (name, other, bound) in MAX_RATIOS {
        let ratio = median(rounds, |round| round[name] / round[other]);
        line(format!("{name} / {other}"), ratio, bound);
    }
    let growth = |round: &Round, name: &str| round[&format!("{name}, large")] / round[name];
    let ratio = median(rounds, |round| growth(round, "job") / growth(round, "plain struct"));
    line("growth to the large body, job / plain struct".into(), ratio, MAX_GROWTH_RATIO);
    let others = [
        ("job", "skip only"),
        ("job with a deviation", "job"),
        ("list, every row decoded", "plain list"),
    ];
    for (name, other) in others {
        let ratio = median(rounds, |round| round[name] / round[other]);
        println!("{:>60} {ratio:>6.3} (no bound)", format!("{name} / {other}"));
    }
    within
}

fn median(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Returns the reference page's example as valid JSON without whitespace.
fn reference_example_minified() -> Result<Vec<u8>, Box<dyn Error>> {
    let example = include_bytes!("../../fixtures/jobs/reference-example.json");
    Ok(serde_json::to_vec(&Decoded::from_slice(example)?.job)?)
}

/// Returns a list with copies of the row of the reference page, each with its own id.
fn list(rows: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let example = include_bytes!("../../fixtures/job-lists/reference-example.json");
    let [row] = serde_json::from_slice::<[Value; 1]>(example)?;
    let numbered = |number: usize| {
        let mut row = row.clone();
        row["metadata"]["uid"] = format!("{number:08}-87e6-11f0-be88-0255ac10003f").into();
        row
    };
    Ok(serde_json::to_vec(&(0..rows).map(numbered).collect::<Vec<_>>())?)
}

/// Returns the body with its sub-jobs repeated up to `count`.
fn with_sub_jobs(body: &[u8], count: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut job: Value = serde_json::from_slice(body)?;
    let sub_jobs = job["spec"]["subJobs"].as_array_mut().ok_or("the example has sub-jobs")?;
    *sub_jobs = sub_jobs.iter().cycle().take(count).cloned().collect();
    Ok(serde_json::to_vec(&job)?)
}
