//! How many requests a second are served. Reads no clock.

use std::time::Duration;

/// A limit by the second; by default there is none.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    per_second: Option<u32>,
    second: u64,
    taken: u32,
}

impl Limit {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: Some(per_second), ..Self::default() }
    }

    /// Counts a request, and returns whether it is served.
    pub(crate) fn take(&mut self, elapsed: Duration) -> bool {
        let Some(per_second) = self.per_second else { return true };
        if self.second != elapsed.as_secs() {
            (self.second, self.taken) = (elapsed.as_secs(), 0);
        }
        self.taken = self.taken.saturating_add(1);
        self.taken <= per_second
    }
}
