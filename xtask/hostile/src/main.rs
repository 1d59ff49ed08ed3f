//! Measures every parser of foreign bytes with hostile inputs of two sizes. Exits with 1 if the
//! time per byte grows, or if an input takes too long.
//!
//! The arguments are the two sizes in MiB: `hostile 1 8`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is for a terminal")]

mod shapes;
mod parsers;

use std::{
    env, io,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// Number of runs of each input. The least time counts, so that a busy machine does not distort it.
const RUNS: u32 = 5;

/// Maximum time for 8 MiB, which is the maximum size of a body.
const MAX_TIME: Duration = Duration::from_millis(400);

/// Maximum factor by which the time per byte grows from the small input to the large one.
const MAX_GROWTH: f64 = 2.0;

/// Below this time, growth is not checked, because an input that does not fit into the processor's
/// cache takes up to three times as long per byte.
const MIN_GROWTH_TIME: Duration = Duration::from_millis(100);

/// An input that takes this long is not run again.
const MAX_REPEATED_TIME: Duration = Duration::from_secs(2);

fn main() -> io::Result<ExitCode> {
    let sizes = env::args().skip(1).filter_map(|size| size.parse::<u32>().ok());
    let [small, large] = sizes.collect::<Vec<_>>()[..] else {
        eprintln!("Usage: hostile SMALL LARGE    (sizes in MiB)");
        return Ok(ExitCode::from(2));
    };
    println!("least of {RUNS} runs; growth is that of the time per byte, at most {MAX_GROWTH}");
    println!("{:<26} {:<36} {small:>3} MiB {large:>6} MiB {:>9}", "parser", "shape", "growth");
    let (mut measured, mut slow) = (0, 0);
    for parser in parsers::all() {
        for (shape, input) in parser.shapes {
            let measure = |size: u32| -> io::Result<Duration> {
                let bytes = usize::try_from(size).unwrap_or(usize::MAX) << 20;
                let input = input(bytes / parser.share);
                Ok(least_time((parser.prepare)(input)?, parser.is_command))
            };
            let first = measure(small)?;
            // If the small input exceeds the time of the large one, the large one may take minutes.
            let last = if first > MAX_TIME { first * 10 } else { measure(large)? };
            let ratio = f64::from(large) / f64::from(small);
            let growth = last.as_secs_f64() / first.as_secs_f64() / ratio;
            let is_slow = last > MAX_TIME || growth > MAX_GROWTH && last > MIN_GROWTH_TIME;
            measured += 1;
            slow += u32::from(is_slow);
            println!(
                "{:<26} {shape:<36} {:>7.1} {:>9.1} ms {growth:>6.2}{}",
                parser.name,
                first.as_secs_f64() * 1e3,
                last.as_secs_f64() * 1e3,
                if is_slow { " TOO SLOW" } else { "" },
            );
        }
    }
    println!("{measured} measured, {slow} too slow");
    Ok(if slow == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn least_time(mut run: impl FnMut(), is_command: bool) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let (start, start_cpu) = (Instant::now(), cpu_time());
        run();
        let time = if is_command { start.elapsed() } else { cpu_time() - start_cpu };
        least = least.min(time);
        if least > MAX_REPEATED_TIME {
            break;
        }
    }
    least
}

/// Returns the processor time of this thread, which does not grow while others use the processor.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
