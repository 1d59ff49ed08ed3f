//! Measures the time of a function.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Minimum number of runs. The least time counts, so that a busy machine does not distort it.
pub(crate) const MIN_RUNS: u32 = 5;

/// Fast functions run more often, until this time has passed.
const MIN_TOTAL_TIME: Duration = Duration::from_millis(50);

/// A function that takes this long is not run again.
const MAX_REPEATED_TIME: Duration = Duration::from_secs(2);

/// Returns the least time of several runs, including the time to drop the result. It is the
/// processor time of this thread, or for a command the time on the clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) fn least_time<T>(mut run: impl FnMut() -> T, is_command: bool) -> Duration {
    let mut least = Duration::MAX;
    let mut total = Duration::ZERO;
    for runs in 1.. {
        let (start, start_cpu) = (Instant::now(), cpu_time());
        drop(run());
        let time = if is_command { start.elapsed() } else { cpu_time() - start_cpu };
        least = least.min(time);
        total += time;
        if least > MAX_REPEATED_TIME || runs >= MIN_RUNS && total >= MIN_TOTAL_TIME {
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
