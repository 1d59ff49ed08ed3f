//! Measures the time of a function.

use std::time::Duration;

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use rustix::time::{ClockId, clock_gettime};

/// Minimum number of runs. The least time counts, so that a busy machine does not distort it.
pub(crate) const MIN_RUNS: u32 = 5;

/// Fast functions run more often, until this time has passed.
const MIN_TOTAL_TIME: Duration = Duration::from_millis(50);

/// A function that takes this long is not run again.
const MAX_REPEATED_TIME: Duration = Duration::from_secs(2);

/// Returns the least processor time of several runs, including the time to drop the result. It is
/// the time of this thread, or for a command that of its process. Neither grows while others use the
/// processor.
pub(crate) fn least_time<T>(mut run: impl FnMut() -> T, is_command: bool) -> Duration {
    let cpu_time = if is_command { commands_cpu_time } else { thread_cpu_time };
    let mut least = Duration::MAX;
    let mut total = Duration::ZERO;
    for runs in 1.. {
        let start = cpu_time();
        drop(run());
        let time = cpu_time() - start;
        least = least.min(time);
        total += time;
        if least > MAX_REPEATED_TIME || runs >= MIN_RUNS && total >= MIN_TOTAL_TIME {
            break;
        }
    }
    least
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Returns the processor time of all processes that were started and have ended.
fn commands_cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    let microseconds =
        usage.map_or(0, |usage| (usage.user_time() + usage.system_time()).num_microseconds());
    Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
}
