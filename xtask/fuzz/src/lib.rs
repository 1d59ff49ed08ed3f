//! Limits the processor time of an input, for the fuzz targets.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// Maximum time for each byte of an input. The sanitizer and the coverage counters make a target
/// about ten times as slow as a release build, which needs at most 50 ns.
const MAX_TIME_PER_BYTE: Duration = Duration::from_micros(5);

/// Added to the maximum time of an input, because a short one has a constant cost.
const MAX_BASE_TIME: Duration = Duration::from_millis(100);

/// Number of runs of an input that took too long, or longer per byte than any before. The least
/// time counts, because a single run can include page faults and interrupts.
const RUNS: u32 = 3;

/// Minimum length of an input whose time per byte is reported. The constant cost dominates the time
/// of a shorter one.
const MIN_REPORTED_LEN: u64 = 1024;

/// The longest time per byte so far, in nanoseconds.
static MAX_MEASURED_NANOS_PER_BYTE: AtomicU64 = AtomicU64::new(0);

/// Runs a target on an input of `len` bytes, and measures the processor time, so that a busy machine
/// does not make an input slow. Prints the time per byte if it is the longest so far.
///
/// # Panics
///
/// Panics if the input takes too long in several runs.
pub fn run_within_time(len: usize, target: impl Fn()) {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    let max_time = MAX_BASE_TIME + MAX_TIME_PER_BYTE * u32::try_from(len).unwrap_or(u32::MAX);
    let per_byte = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / len.max(1);
    let is_record = |time: Duration| {
        len >= MIN_REPORTED_LEN
            && per_byte(time) > MAX_MEASURED_NANOS_PER_BYTE.load(Ordering::Relaxed)
    };
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let start = processor_time();
        target();
        least = least.min(processor_time().saturating_sub(start));
        if least <= max_time && !is_record(least) {
            return;
        }
    }
    assert!(least <= max_time, "{len} bytes took {least:?}, and may take {max_time:?}");
    MAX_MEASURED_NANOS_PER_BYTE.store(per_byte(least), Ordering::Relaxed);
    eprintln!("longest time per byte so far: {} ns, with {len} bytes", per_byte(least));
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
