//! How many requests may leave, and when the next one may. Reads no clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Requests as they may leave: evenly spaced, fewer while the service throttles, and none while it asks for that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// What is allowed, and what is made use of at present; per second.
    most: f64,
    rate: f64,
    /// When the next request is due, if requests are evenly spaced.
    next: Duration,
    /// None leaves before.
    held: Duration,
    /// When the rate was last changed, and when it was last lowered.
    changed: Duration,
    slowed: Option<Duration>,
}

/// By how much a request may be early: timers wake to the millisecond, and what they are late is made up for.
const SLACK: Duration = Duration::from_millis(10);

/// What is left of the rate where the service throttles.
const SLOWER: f64 = 0.7;

/// How long it takes from nothing back to the whole rate.
const RECOVERY: f64 = 30.0;

/// Replies that are on their way already do not slow it down once more.
const SAME: Duration = Duration::from_secs(1);

/// The lowest part of the rate: some have to ask whether the service throttles still.
const LEAST: f64 = 0.01;

impl Pace {
    pub(super) const fn new(per_second: f64) -> Self {
        Self {
            most: per_second,
            rate: per_second,
            next: Duration::ZERO,
            held: Duration::ZERO,
            changed: Duration::ZERO,
            slowed: None,
        }
    }

    /// Returns how many requests a second may leave where the service is well.
    pub(super) const fn most(&self) -> f64 {
        self.most
    }

    /// Sets how many requests a second may leave where the service is well; where it is not, as much less do at
    /// present.
    pub(super) fn limit(&mut self, per_second: f64) {
        self.rate *= per_second / self.most;
        self.most = per_second;
    }

    /// Returns how many requests a second may leave at present.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// Returns when the next request may leave.
    pub(super) fn next(&self) -> Duration {
        self.next.saturating_sub(SLACK).max(self.held)
    }

    /// Takes note of requests that leave.
    pub(super) fn take(&mut self, now: Duration, requests: u32) {
        let rate = self.recovered(now);
        let span = Duration::from_secs_f64(f64::from(requests) / rate);
        self.next = self.next.max(now).saturating_add(span);
    }

    /// Slows down: the service throttles, or is in trouble.
    pub(super) fn slow(&mut self, now: Duration) {
        if self.slowed.is_none_or(|before| now.saturating_sub(before) >= SAME) {
            self.rate = (self.recovered(now) * SLOWER).max(self.most * LEAST);
            self.slowed = Some(now);
        }
    }

    /// Lets none leave before this.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held = self.held.max(until);
    }

    /// Lets the rate come back, evenly.
    fn recovered(&mut self, now: Duration) -> f64 {
        let since = now.saturating_sub(self.changed).as_secs_f64();
        self.rate = (self.rate + self.most * since / RECOVERY).min(self.most);
        self.changed = now;
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many leave between two times where as many as may do.
    fn leave(pace: &mut Pace, from: u64, to: u64) -> u32 {
        let mut left = 0;
        for now in (from * 1000..to * 1000).map(Duration::from_millis) {
            while pace.next() <= now {
                pace.take(now, 1);
                left += 1;
            }
        }
        left
    }

    #[test]
    fn requests_are_evenly_spaced_and_none_is_saved_up() {
        let mut pace = Pace::new(50.0);
        assert_eq!(leave(&mut pace, 0, 1), 51);
        // However long nobody asked.
        assert_eq!(leave(&mut pace, 100, 101), 51);
        let mut pace = Pace::new(1000.0);
        let left = leave(&mut pace, 0, 10);
        assert!((10_000..=10_011).contains(&left), "{left}");
        let mut pace = Pace::new(0.1);
        let left = leave(&mut pace, 0, 99);
        assert_eq!(left, 10);
    }

    #[test]
    fn throttling_slows_it_down_once_a_second_and_time_brings_it_back() {
        let mut pace = Pace::new(100.0);
        let at = Duration::from_millis;
        for now in [0, 10, 900] {
            pace.slow(at(now));
        }
        assert!((pace.rate() - 70.0).abs() < 1e-9, "{}", pace.rate());
        pace.slow(at(1000));
        assert!((pace.rate() - 0.7 * (70.0 + 100.0 / 30.0)).abs() < 1e-9, "{}", pace.rate());
        for second in 2..100 {
            pace.slow(at(second * 1000));
        }
        assert!(pace.rate() < 12.0 && pace.rate() >= 1.0, "{}", pace.rate());
        let slow = leave(&mut pace, 100, 101);
        let later = leave(&mut pace, 160, 170);
        assert!(slow < 20 && (1000..1005).contains(&later), "{slow} {later}");
    }

    #[test]
    fn a_retry_after_holds_all() {
        let mut pace = Pace::new(10.0);
        pace.hold(Duration::from_secs(5));
        pace.hold(Duration::from_secs(3));
        assert_eq!((leave(&mut pace, 0, 5), leave(&mut pace, 5, 6)), (0, 11));
    }
}
