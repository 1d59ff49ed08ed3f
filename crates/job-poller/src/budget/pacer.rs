//! How many requests per second may be sent, and when the next one may. Reads no clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Spaces requests evenly, slows down while the service throttles, and stops during a
/// `Retry-After`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pacer {
    /// The configured rate and the current rate, in requests per second.
    max_rate: f64,
    rate: f64,
    /// When the next request is due, at even spacing.
    next_slot: Duration,
    /// No request is sent before this time.
    blocked_until: Duration,
    /// When the current rate was last changed, and when it was last reduced.
    rate_changed_at: Duration,
    throttled_at: Option<Duration>,
}

/// How early a request may be sent. It compensates for timers, which fire up to a few milliseconds
/// late.
const TIMER_TOLERANCE: Duration = Duration::from_millis(10);

/// The rate is multiplied by this when the service throttles.
const THROTTLE_FACTOR: f64 = 0.7;

/// Time in which the rate recovers from zero to the configured rate.
const RECOVERY_SECS: f64 = 30.0;

/// Minimum time between two reductions. The replies to requests that were already in flight must
/// not reduce the rate again.
const THROTTLE_INTERVAL: Duration = Duration::from_secs(1);

/// Lowest rate, as a fraction of the configured rate. Some requests must be sent to find out
/// whether the service still throttles.
const MIN_RATE_FRACTION: f64 = 0.01;

impl Pacer {
    pub(super) const fn new(per_second: f64) -> Self {
        Self {
            max_rate: per_second,
            rate: per_second,
            next_slot: Duration::ZERO,
            blocked_until: Duration::ZERO,
            rate_changed_at: Duration::ZERO,
            throttled_at: None,
        }
    }

    /// Returns the rate while the service does not throttle, in requests per second.
    pub(super) const fn max_rate(&self) -> f64 {
        self.max_rate
    }

    /// Sets the rate while the service does not throttle. A rate that is reduced now stays reduced
    /// by the same factor.
    pub(super) fn set_max_rate(&mut self, per_second: f64) {
        self.rate *= per_second / self.max_rate;
        self.max_rate = per_second;
    }

    /// Returns the current rate, in requests per second.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// Returns until when no request is sent because of a `Retry-After`.
    pub(super) const fn blocked_until(&self) -> Duration {
        self.blocked_until
    }

    /// Returns when the rate will have recovered, if the service throttles no more requests. In the
    /// past if the rate is not reduced.
    pub(super) fn recovered_at(&self) -> Duration {
        let missing = (1.0 - self.rate / self.max_rate).max(0.0);
        self.rate_changed_at.saturating_add(Duration::from_secs_f64(missing * RECOVERY_SECS))
    }

    /// Returns when the next request may be sent.
    pub(super) fn next_slot(&self) -> Duration {
        self.next_slot.saturating_sub(TIMER_TOLERANCE).max(self.blocked_until)
    }

    /// Records that requests were sent.
    pub(super) fn consume(&mut self, now: Duration, requests: u32) {
        self.recover(now);
        let span = Duration::from_secs_f64(f64::from(requests) / self.rate);
        self.next_slot = self.next_slot.max(now).saturating_add(span);
    }

    /// Reduces the rate, because the service throttles or is unavailable.
    pub(super) fn throttle(&mut self, now: Duration) {
        self.recover(now);
        if self.throttled_at.is_none_or(|before| now.saturating_sub(before) >= THROTTLE_INTERVAL) {
            self.rate = (self.rate * THROTTLE_FACTOR).max(self.max_rate * MIN_RATE_FRACTION);
            self.throttled_at = Some(now);
        }
    }

    /// Allows no request before `until`.
    pub(super) fn block_until(&mut self, until: Duration) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// Raises the rate linearly with the time that has passed.
    pub(super) fn recover(&mut self, now: Duration) {
        let since = now.saturating_sub(self.rate_changed_at).as_secs_f64();
        self.rate = (self.rate + self.max_rate * since / RECOVERY_SECS).min(self.max_rate);
        self.rate_changed_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many requests are sent between two times, in seconds, if each is sent when it
    /// may be.
    fn requests_between(pacer: &mut Pacer, from: u64, to: u64) -> u32 {
        let mut sent = 0;
        for now in (from * 1000..to * 1000).map(Duration::from_millis) {
            while pacer.next_slot() <= now {
                pacer.consume(now, 1);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn requests_are_evenly_spaced_without_burst_credit() {
        let mut pacer = Pacer::new(50.0);
        assert_eq!(requests_between(&mut pacer, 0, 1), 51);
        // A long idle time gives no credit.
        assert_eq!(requests_between(&mut pacer, 100, 101), 51);
        let mut pacer = Pacer::new(1000.0);
        let sent = requests_between(&mut pacer, 0, 10);
        assert!((10_000..=10_011).contains(&sent), "{sent}");
        let mut pacer = Pacer::new(0.1);
        let sent = requests_between(&mut pacer, 0, 99);
        assert_eq!(sent, 10);
    }

    #[test]
    fn throttling_cuts_the_rate_once_a_second_until_it_recovers() {
        let mut pacer = Pacer::new(100.0);
        let at = Duration::from_millis;
        for now in [0, 10, 900] {
            pacer.throttle(at(now));
        }
        assert!((pacer.rate() - (70.0 + 3.0)).abs() < 1e-9, "{}", pacer.rate());
        pacer.throttle(at(1000));
        assert!((pacer.rate() - 0.7 * (70.0 + 100.0 / 30.0)).abs() < 1e-9, "{}", pacer.rate());
        for second in 2..100 {
            pacer.throttle(at(second * 1000));
        }
        assert!(pacer.rate() < 12.0 && pacer.rate() >= 1.0, "{}", pacer.rate());
        let slow = requests_between(&mut pacer, 100, 101);
        let later = requests_between(&mut pacer, 160, 170);
        assert!(slow < 20 && (1000..1005).contains(&later), "{slow} {later}");
    }

    #[test]
    fn retry_after_blocks_all_requests() {
        let mut pacer = Pacer::new(10.0);
        pacer.block_until(Duration::from_secs(5));
        pacer.block_until(Duration::from_secs(3));
        assert_eq!(
            (requests_between(&mut pacer, 0, 5), requests_between(&mut pacer, 5, 6)),
            (0, 11)
        );
    }
}
