//! The clock of a wait: the time since it began, in this process and in earlier ones.

use std::time::Duration;

use tokio::time::Instant;

use crate::machine::CompactDuration;

/// The time since a wait began.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitClock {
    /// How long the wait took in an earlier process.
    elapsed_before: CompactDuration,
    /// When the clock was started.
    started_at: Option<Instant>,
}

impl WaitClock {
    /// Creates a clock that does not run yet.
    pub(super) const fn new() -> Self {
        Self { elapsed_before: CompactDuration::ZERO, started_at: None }
    }

    /// Creates a running clock. The wait took `elapsed_before` in an earlier process.
    pub(super) fn resumed(elapsed_before: Duration) -> Self {
        let mut clock = Self { elapsed_before: elapsed_before.into(), ..Self::new() };
        clock.start();
        clock
    }

    /// Starts the clock, if it does not run yet.
    pub(super) fn start(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "the one place where time enters a wait")]
        self.started_at.get_or_insert_with(Instant::now);
    }

    /// Returns the time since the wait began; zero if it has not begun yet.
    pub(super) fn elapsed(&self) -> Duration {
        let elapsed = self.started_at.map_or(Duration::ZERO, |started_at| started_at.elapsed());
        self.elapsed_before.get().saturating_add(elapsed)
    }
}
