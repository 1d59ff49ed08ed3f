//! The processor time of a thread.

use rustix::time::{ClockId, clock_gettime};

/// Returns the processor time of this thread, in nanoseconds.
pub(crate) fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
