//! Limits the time of an input, for the fuzz targets.

use std::time::{Duration, Instant};

/// Maximum time for each byte of an input. The sanitizer and the coverage counters make a target
/// about ten times as slow as a release build, which needs at most 50 ns.
const MAX_TIME_PER_BYTE: Duration = Duration::from_micros(5);

/// Added to the maximum time of an input, because a short one has a constant cost, and because the
/// machine may run something else.
const MAX_BASE_TIME: Duration = Duration::from_millis(100);

/// Number of runs of an input that took too long. Only if every run takes too long, the input is
/// slow, and not the machine.
const RUNS: u32 = 3;

/// Runs a target on an input of `len` bytes.
///
/// # Panics
///
/// Panics if the input takes too long in several runs.
pub fn run_within_time(len: usize, target: impl Fn()) {
    let max_time = MAX_BASE_TIME + MAX_TIME_PER_BYTE * u32::try_from(len).unwrap_or(u32::MAX);
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        target();
        least = least.min(start.elapsed());
        if least <= max_time {
            return;
        }
    }
    panic!("{len} bytes took {least:?}, and may take {max_time:?}");
}
