//! Limits the number of requests per second. Reads no clock.

use std::time::Duration;

/// A limit on the requests in each second; none by default.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    per_second: Option<u32>,
    current_second: u64,
    requests_this_second: u32,
}

impl RateLimiter {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: Some(per_second), ..Self::default() }
    }

    /// Counts a request. Returns `true` if it is within the limit.
    pub(crate) fn try_acquire(&mut self, elapsed: Duration) -> bool {
        let Some(per_second) = self.per_second else { return true };
        if self.current_second != elapsed.as_secs() {
            (self.current_second, self.requests_this_second) = (elapsed.as_secs(), 0);
        }
        self.requests_this_second = self.requests_this_second.saturating_add(1);
        self.requests_this_second <= per_second
    }
}
