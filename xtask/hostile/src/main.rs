//! Measures every parser of foreign bytes with hostile inputs of two sizes. Exits with 1 if an input
//! takes too long, if the time per byte grows, or if the lenient pass is slow.
//!
//! The arguments are the two sizes in MiB, and optionally the name of a parser: `hostile 1 8 job`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is for a terminal")]

mod shapes;
mod parsers;
mod timing;

use std::{env, io, process::ExitCode, time::Duration};

use self::{
    parsers::{Parser, Prepared},
    shapes::{STRICT, VARIANTS, Variant},
    timing::{MIN_RUNS, least_time},
};

/// Maximum time for 8 MiB, which is the maximum size of a body.
const MAX_TIME: Duration = Duration::from_millis(400);

/// Ratios are not checked below this time, in which the costs that do not depend on the size, and
/// those of a measurement, have a share.
const MIN_CHECKED_TIME: Duration = Duration::from_millis(5);

/// The ratio of two passes is not checked if the faster one takes less than this, because its time
/// then varies too much. All ratios are printed.
const MIN_STRICT_TIME: Duration = Duration::from_millis(10);

/// Maximum number of measurements of a row that exceeds a bound.
const MAX_MEASUREMENTS: usize = 3;

/// Shapes are longer than asked for by less than this. An input above the limit of a file would be
/// refused.
const MAX_EXCESS_LEN: usize = 1 << 10;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let sizes = arguments.iter().take(2).filter_map(|size| size.parse::<usize>().ok());
    let [small, large] = sizes.collect::<Vec<_>>()[..] else {
        eprintln!("Usage: hostile SMALL LARGE [PARSER]    (sizes in MiB)");
        return Ok(ExitCode::from(2));
    };
    let mut parsers = parsers::all();
    if let Some(name) = arguments.get(2) {
        parsers.retain(|parser| parser.name == name);
        if parsers.is_empty() {
            eprintln!("no parser is called {name:?}");
            return Ok(ExitCode::from(2));
        }
    }
    let slow = measure_shapes(&parsers, small, large)? + compare_passes(&parsers, large)?;
    Ok(if slow == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures each parser with each of its shapes. Returns the number of rows that exceed a bound.
///
/// The small inputs together are as long as the large one, and their results are kept as long.
/// Otherwise the time per byte would grow because the large one does not fit into the processor's
/// cache, or because its result needs new memory.
fn measure_shapes(parsers: &[Parser], small: usize, large: usize) -> io::Result<u32> {
    println!("least of at least {MIN_RUNS} runs; growth of the time per byte");
    println!("{:<26} {:<36} {small:>3} MiB {large:>6} MiB {:>9}", "parser", "shape", "growth");
    let (mut measured, mut slow) = (0, 0);
    for parser in parsers {
        for (shape, input) in parser.shapes {
            let prepare =
                |size: usize| (parser.prepare)(input((size << 20) / parser.share - MAX_EXCESS_LEN));
            let count = large.div_ceil(small);
            let measure = || -> io::Result<_> {
                let inputs = (0..count).map(|_| prepare(small));
                let mut inputs = inputs.collect::<io::Result<Vec<_>>>()?;
                let small_time = time(&mut inputs, parser);
                drop(inputs);
                // If the small inputs exceed the time by far, the large one may take minutes.
                let large_time = if small_time > 10 * MAX_TIME {
                    small_time
                } else {
                    time(&mut [prepare(large)?], parser)
                };
                let growth = large_time.as_secs_f64() / small_time.as_secs_f64();
                let is_slow = large_time > MAX_TIME
                    || growth > parser.max_growth && large_time > MIN_CHECKED_TIME;
                Ok(((small_time, large_time, growth), is_slow))
            };
            let ((small_time, large_time, growth), is_slow) = measure_repeatedly(measure)?;
            measured += 1;
            slow += u32::from(is_slow);
            println!(
                "{:<26} {shape:<36} {:>7.1} {:>9.1} ms {growth:>6.2}{}",
                parser.name,
                milliseconds(small_time) / count as f64,
                milliseconds(large_time),
                if is_slow { " TOO SLOW" } else { "" },
            );
        }
    }
    println!("{measured} measured, {slow} too slow");
    Ok(slow)
}

/// Compares the lenient decoding of jobs with the strict one. Returns the number of rows that exceed
/// the bound.
fn compare_passes(parsers: &[Parser], size: usize) -> io::Result<u32> {
    println!("\ndecoding of a job with a deviation, as a multiple of the time without it");
    print!("{:<26} {:<28} {:>12}", "parser", "shape", "strict");
    VARIANTS.iter().for_each(|variant| print!(" {:>10}", variant.name));
    print!("\n{:<68}", "at most");
    for variant in VARIANTS {
        print!(" {:>10}", variant.max_ratio.map_or_else(|| "-".into(), |ratio| ratio.to_string()));
    }
    println!();
    let mut slow = 0;
    for parser in parsers.iter().filter(|parser| parser.decodes_job) {
        for (shape, input) in STRICT {
            let job = input(size << 20);
            let time = |job| io::Result::Ok(time(&mut [(parser.prepare)(job)?], parser));
            let measure = || -> io::Result<_> {
                let strict = time(job.clone())?;
                let mut ratios = Vec::new();
                let mut is_slow = false;
                for Variant { change, max_ratio, .. } in VARIANTS {
                    let ratio = time(change(job.clone()))?.as_secs_f64() / strict.as_secs_f64();
                    is_slow |= max_ratio.is_some_and(|max| ratio > max) && strict > MIN_STRICT_TIME;
                    ratios.push(ratio);
                }
                Ok(((strict, ratios), is_slow))
            };
            let ((strict, ratios), is_slow) = measure_repeatedly(measure)?;
            print!("{:<26} {shape:<28} {:>9.1} ms", parser.name, milliseconds(strict));
            ratios.iter().for_each(|ratio| print!(" {ratio:>10.2}"));
            println!("{}", if is_slow { " TOO SLOW" } else { "" });
            slow += u32::from(is_slow);
        }
    }
    println!("{slow} too slow");
    Ok(slow)
}

/// Measures a row, and measures it again if it exceeds a bound. Only if every measurement exceeds
/// one, the parser is slow, and not the machine.
fn measure_repeatedly<T>(measure: impl Fn() -> io::Result<(T, bool)>) -> io::Result<(T, bool)> {
    let mut row = measure()?;
    for _ in 1..MAX_MEASUREMENTS {
        if !row.1 {
            break;
        }
        row = measure()?;
    }
    Ok(row)
}

fn time(inputs: &mut [Prepared], parser: &Parser) -> Duration {
    least_time(|| inputs.iter_mut().map(|read| read()).collect::<Vec<_>>(), parser.is_command)
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}
