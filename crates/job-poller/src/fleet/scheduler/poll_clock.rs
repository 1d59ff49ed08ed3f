//! The clock by which planned waits are ordered, so that their plans follow the price of a request.

use std::time::Duration;

use crate::machine::CompactDuration;

/// A clock that runs slower while the price of a request is high.
///
/// At *n* times the minimum price, each wait polls √*n* times less often, and this clock runs √*n*
/// times slower. So a plan keeps its time on this clock if the price changes, and becomes due
/// earlier if the price falls. While the budget is not used up, the clock runs at normal speed.
pub(super) struct PollClock {
    /// The clock showed `time` when it was `updated_at`, by the time of the fleet.
    time: Duration,
    updated_at: Duration,
    /// At most 1.
    speed: f64,
}

impl PollClock {
    pub(super) const fn new() -> Self {
        Self { time: Duration::ZERO, updated_at: Duration::ZERO, speed: 1.0 }
    }

    /// Changes the speed.
    pub(super) fn set_speed(&mut self, now: Duration, speed: f64) {
        (self.time, self.updated_at) = (self.time_at(now), now);
        self.speed = speed.clamp(MIN_SPEED, 1.0);
    }

    fn time_at(&self, now: Duration) -> Duration {
        self.time.saturating_add(self.scale(now.saturating_sub(self.updated_at)))
    }

    /// Returns the time on this clock after a delay, if the speed stays the same.
    pub(super) fn after(&self, now: Duration, delay: Duration) -> CompactDuration {
        self.time_at(now).saturating_add(self.scale(delay)).into()
    }

    /// Returns when this clock shows a time, if the speed stays the same.
    pub(super) fn fleet_time(&self, time: CompactDuration) -> Duration {
        let left = time.get().saturating_sub(self.time);
        // Exact at normal speed, because the plans are exact, too.
        let left = if self.speed < 1.0 {
            Duration::try_from_secs_f64(left.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
        } else {
            left
        };
        self.updated_at.saturating_add(left)
    }

    /// Sets the clock forward, because a wait that is planned for this time goes earlier.
    pub(super) fn skip_to(&mut self, now: Duration, time: CompactDuration) {
        (self.time, self.updated_at) = (self.time_at(now).max(time.get()), now);
    }

    fn scale(&self, span: Duration) -> Duration {
        if self.speed < 1.0 {
            Duration::try_from_secs_f64(span.as_secs_f64() * self.speed).unwrap_or(Duration::MAX)
        } else {
            span
        }
    }
}

/// Slowest speed. At this speed a second still has a million nanoseconds.
const MIN_SPEED: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_follow_the_price() {
        let secs = Duration::from_secs_f64;
        // The speed at the plan, the speed from 10 s on, and when a plan of 40 s is due.
        let rows = [
            ("the budget is not used up", 1.0, 1.0, 40.0),
            ("the price stays", 0.25, 0.25, 40.0),
            ("the price falls to its minimum", 0.25, 1.0, 17.5),
            ("the price rises", 1.0, 0.5, 70.0),
        ];
        for (name, before, after, expected) in rows {
            let mut clock = PollClock::new();
            clock.set_speed(Duration::ZERO, before);
            let planned = clock.after(Duration::ZERO, secs(40.0));
            clock.set_speed(secs(10.0), after);
            let due = clock.fleet_time(planned).as_secs_f64();
            assert!((due - expected).abs() < 1e-6, "{name}: {due}");
        }
    }

    #[test]
    fn a_skip_moves_all_plans_forward() {
        let secs = Duration::from_secs;
        let mut clock = PollClock::new();
        let [first, second] = [30, 50].map(|delay| clock.after(Duration::ZERO, secs(delay)));
        clock.skip_to(secs(10), first);
        assert_eq!(clock.fleet_time(second), secs(30));
        // A time in the past changes nothing.
        clock.skip_to(secs(20), first);
        assert_eq!(clock.fleet_time(second), secs(30));
        assert_eq!(clock.after(secs(20), secs(5)), secs(45).into());
    }
}
