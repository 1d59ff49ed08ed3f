//! A log of refused clients that a flood of requests cannot fill.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use job_transport::clock::{Clock as _, TokioClock};

/// The shortest time between two lines.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Counts the refusals of one kind, and permits one line per second.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_line: Option<Duration>,
    /// The refusals since the last line.
    refusals: u64,
}

impl RefusalLog {
    /// Counts a refusal. Returns the number of refusals since the last line if a line is permitted now.
    pub(crate) fn count(&self) -> Option<u64> {
        let now = TokioClock::new().monotonic();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.refusals += 1;
        if state.last_line.is_some_and(|last| now.saturating_sub(last) < LOG_INTERVAL) {
            return None;
        }
        state.last_line = Some(now);
        Some(std::mem::take(&mut state.refusals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_causes_one_line_per_second() {
        let log = RefusalLog::default();
        assert_eq!(log.count(), Some(1));
        for _ in 0..1000 {
            assert_eq!(log.count(), None);
        }
        tokio::time::advance(LOG_INTERVAL).await;
        assert_eq!([log.count(), log.count()], [Some(1001), None]);
    }
}
