//! A budget of requests that many waits share.
//!
//! [`Budget`] decides when the next request may be sent, and which share ([`BudgetShare`]) of the
//! requests each wait gets. It reads no clock and performs no I/O. A `Fleet` has its own budget;
//! use this module if you drive [`Machine`](crate::machine::Machine)s with another engine.

mod price;
mod pacer;
mod stated_quotas;
mod attempt_stats;
mod send_log;
mod quota;
mod quotas;
mod quota_store;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    attempt_stats::AttemptStats,
    price::UrgencyBucket,
    quota_store::{
        MemoryQuotaStore, QuotaKey, QuotaRecord, QuotaRecords, QuotaStore, QuotaStoreError,
    },
    stated_quotas::StatedQuotas,
};
use self::{pacer::Pacer, price::Price, quotas::Quotas};
use crate::machine::{MAX_RETRY_AFTER, StatedQuota};
use crate::schedule::BudgetShare;

/// A budget of requests that many waits share.
///
/// The budget spaces requests evenly. It sends fewer while the service throttles (429, 503), and
/// none during a `Retry-After`. After throttling, the rate recovers with time alone: each method
/// that takes the time raises it. Each wait is counted by the urgency of its plan. The counts
/// determine the price of a request ([`BudgetShare`]), and the price determines the delay of each
/// wait ([`Machine::step_with_share`](crate::machine::Machine::step_with_share)).
///
/// If a reply with status 429 states a rate limit ([`StatedQuota`]), the budget respects it for an
/// hour: in any interval of its window's length, at most 90 % of the stated number of requests are
/// sent. They may be sent in a burst; the average determines the price. Requests that the service
/// refused count as well, because the service may count them, and a 429 shows that the window is
/// full. A quota never raises the rate, and never lowers it below one request per minute.
///
/// A `Fleet` uses this budget. An engine that stores its waits elsewhere can store a budget with
/// them, in any serde format, and apply the same rules.
///
/// All times count from one moment that the caller chooses, and must never decrease.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::{
///     WaitPolicy, budget::{Budget, UrgencyBucket}, machine::{Input, Machine}, schedule::Adaptive,
/// };
///
/// let now = Duration::from_secs(100);
/// let mut budget = Budget::new(50.0, 20);
/// assert!(budget.next_slot() <= now, "a request may be sent");
/// budget.consume(now, 1);
///
/// // The wait plans its next attempt with its share of the budget. Then it is counted.
/// let schedule = Adaptive::new();
/// let mut machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
/// let _ = machine.step(&schedule, Duration::ZERO, Input::Wake);
/// # let reading = |body: &str| job_model::Job::from_slice(body.as_bytes()).map(|job| job_transport::Reading::new(job).into());
/// let input = reading(r#"{"status": {"phase": "Running"}}"#)?;
/// let step = machine.step_with_share(&schedule, budget.share(1), Duration::from_secs(1), input);
/// budget.update(None, step.plan.and_then(UrgencyBucket::from_plan));
/// budget.reprice(now, 1);
/// assert!(!budget.is_binding(), "the budget exceeds the demand");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pacer: Pacer,
    price: Price,
    repriced_at: Duration,
    /// Maximum number of requests in flight.
    max_in_flight: usize,
    /// Moving average of the latency of attempts, in seconds.
    mean_latency: f64,
    #[serde(default)]
    quotas: Quotas,
}

/// Minimum time between two computations of the price.
const REPRICE_INTERVAL: Duration = Duration::from_millis(100);

/// The longest gap is twice the round-robin gap: the gap that each wait would have if all waits had
/// the same. A wait plans gaps of up to 1.9 times the round-robin gap. A wait that is still queued
/// after 1.95 times goes next.
const MAX_GAP_FACTOR: f64 = 1.9;
const STARVATION_FACTOR: f64 = 1.95;

/// Weight of one attempt in the moving average of latency. Small, so that a single timeout does not
/// shrink the estimated capacity much.
const LATENCY_WEIGHT: f64 = 1.0 / 256.0;

impl Budget {
    /// Creates a budget of `per_second` requests per second, with at most `in_flight` of them in
    /// flight.
    ///
    /// The minimum of `per_second` is 0.001, which is one request in 1,000 seconds, and the maximum
    /// 10⁹. The minimum of `in_flight` is 1.
    #[must_use]
    pub const fn new(per_second: f64, in_flight: usize) -> Self {
        let per_second = if per_second >= 0.001 { per_second.min(1e9) } else { 0.001 };
        Self {
            pacer: Pacer::new(per_second),
            price: Price::new(Duration::from_millis(250)),
            repriced_at: Duration::ZERO,
            max_in_flight: if in_flight == 0 { 1 } else { in_flight },
            mean_latency: 0.0,
            quotas: Quotas::new(),
        }
    }

    /// Sets the minimum price of a request, which applies even if the budget is not used up. Use
    /// the request price of the schedule. The default is 250 ms.
    #[must_use]
    pub const fn min_request_price(mut self, delay: Duration) -> Self {
        self.price = Price::new(delay);
        self
    }

    /// Changes the limits, which [`new`](Self::new) describes. Keeps the counts, a pause for a
    /// `Retry-After`, and the stated quotas.
    pub fn set_limits(&mut self, per_second: f64, in_flight: usize) {
        let Self { pacer: pace, max_in_flight: limit, .. } = Self::new(per_second, in_flight);
        self.pacer.set_max_rate(pace.max_rate());
        self.max_in_flight = limit;
    }

    /// Returns when the next request may be sent, if fewer than
    /// [`max_in_flight`](Self::max_in_flight) are in flight.
    #[must_use]
    pub fn next_slot(&self) -> Duration {
        self.pacer.next_slot().max(self.quotas.next_slot())
    }

    /// Returns when a request may be sent that is not due yet, so that no request stays unused:
    /// after throttling, and at even spacing within the stated quotas.
    #[must_use]
    pub fn next_early_slot(&self) -> Duration {
        self.recovered_at().max(self.quotas.early_slot())
    }

    /// Returns the maximum number of requests in flight.
    #[must_use]
    pub const fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Returns how many requests per second are allowed on average. The rate is reduced while the
    /// service throttles, and by stated quotas.
    ///
    /// It is the rate at the time of the last call that took the time, such as
    /// [`reprice`](Self::reprice).
    #[must_use]
    pub fn current_rate(&self) -> f64 {
        self.pacer.rate().min(self.quotas.rate())
    }

    /// Returns how many requests per second are possible: the smaller of
    /// [`current_rate`](Self::current_rate) and `max_in_flight` divided by the average latency.
    #[must_use]
    pub fn effective_rate(&self) -> f64 {
        self.current_rate().min(self.capacity())
    }

    /// Records that requests were sent.
    pub fn consume(&mut self, now: Duration, requests: u32) {
        self.pacer.consume(now, requests);
        self.quotas.consume(now, requests);
    }

    /// Records that requests were sent, only for the stated quotas. For a driver that spaces
    /// requests without this budget, such as one that grants parts of the budget to other processes.
    pub fn count_toward_quotas(&mut self, now: Duration, requests: u32) {
        self.quotas.consume(now, requests);
    }

    /// Adds a quota that another process has learned, for at most an hour. Replaces no quota of the
    /// same policy.
    ///
    /// The requests of the other process are not known and do not count.
    pub fn add_quota(&mut self, now: Duration, quota: StatedQuota, period: Duration) {
        self.quotas.add(now, quota, period);
    }

    /// Returns the stated quotas that limit the budget. A quota that has expired is removed by the
    /// next call that takes the time.
    pub fn quotas(&self) -> impl Iterator<Item = StatedQuota> {
        self.quotas.iter()
    }

    /// Records the results of attempts.
    pub fn record(&mut self, now: Duration, stats: &AttemptStats) {
        let AttemptStats {
            attempts,
            latency,
            extra_requests,
            throttled,
            retry_after,
            stated_quotas,
        } = *stats;
        self.recover(now);
        if extra_requests > 0 {
            self.consume(now, extra_requests);
        }
        stated_quotas.iter().for_each(|quota| self.quotas.refuse(now, quota));
        let latency = latency.as_secs_f64() / f64::from(attempts.max(1));
        let weight = 1.0 - (1.0 - LATENCY_WEIGHT).powi(attempts.try_into().unwrap_or(i32::MAX));
        self.mean_latency += (latency - self.mean_latency) * weight;
        self.pacer.block_until(now.saturating_add(retry_after.min(MAX_RETRY_AFTER)));
        if throttled {
            self.pacer.throttle(now);
        }
    }

    /// Replaces the urgency of a wait in the counts. `before` is `None` for a new wait, `now` is
    /// `None` for a wait that has ended.
    pub fn update(&mut self, before: Option<UrgencyBucket>, now: Option<UrgencyBucket>) {
        self.price.replace(before, now);
    }

    /// Adds `delta` to the number of waits with this urgency.
    pub fn adjust(&mut self, urgency: UrgencyBucket, delta: i64) {
        self.price.adjust(urgency, delta);
    }

    /// Returns the number of waits that are counted.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.price.waiters()
    }

    /// Sets all counts to zero.
    pub fn reset_counts(&mut self) {
        self.price.reset_counts();
    }

    /// Recomputes the price, at most every 100 ms, so that `waits` waits use up the effective rate.
    ///
    /// The length of the queue does not affect the price. A wait that gets its request late also
    /// plans its next one late, and that reduces the demand enough.
    pub fn reprice(&mut self, now: Duration, waits: usize) {
        self.recover(now);
        if now.saturating_sub(self.repriced_at) < REPRICE_INTERVAL {
            return;
        }
        self.repriced_at = now;
        self.price.reprice(self.effective_rate(), self.gap(waits, MAX_GAP_FACTOR));
    }

    /// Returns whether the price of a request is above its minimum, because the budget is used up.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.price.is_binding()
    }

    /// Returns when the rate is no longer reduced because of throttling: after a `Retry-After`, and
    /// when the rate has recovered. In the past if the service does not throttle. Stated quotas
    /// apply for longer.
    #[must_use]
    pub fn throttled_until(&self) -> Duration {
        self.pacer.recovered_at().max(self.pacer.blocked_until())
    }

    /// Returns when the rate will have recovered from throttling. In the past if the rate is not
    /// reduced.
    pub(crate) fn recovered_at(&self) -> Duration {
        self.pacer.recovered_at()
    }

    /// Returns how often waits poll at the current price, relative to the minimum price: at most 1.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_rate_factor(&self) -> f64 {
        self.price.poll_rate_factor()
    }

    /// Returns the share of each wait, if there are `waits` waits.
    #[must_use]
    pub fn share(&self, waits: usize) -> BudgetShare {
        BudgetShare {
            request_price: self.price.request_price(),
            max_gap: self.gap(waits, MAX_GAP_FACTOR),
        }
    }

    /// Returns the gap after which a queued wait goes ahead of the others, if there are `waits`
    /// waits.
    ///
    /// It is 1.95 times the gap that each wait would have if all had the same.
    #[must_use]
    pub fn starvation_gap(&self, waits: usize) -> Duration {
        self.gap(waits, STARVATION_FACTOR)
    }

    /// Returns `factor` times the gap that each wait would have if all had the same, at the
    /// unthrottled rate. A minute of throttling must not lengthen the gaps that are planned in it,
    /// because they last longer than the minute.
    fn gap(&self, waits: usize, factor: f64) -> Duration {
        let rate = self.pacer.max_rate().min(self.quotas.rate()).min(self.capacity());
        let seconds = waits as f64 * factor / rate;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Raises the rate with the time that has passed, and removes the quotas that have expired.
    fn recover(&mut self, now: Duration) {
        self.pacer.recover(now);
        self.quotas.expire(now);
    }

    /// Returns how many requests per second are possible with the maximum number in flight all the
    /// time.
    fn capacity(&self) -> f64 {
        self.max_in_flight as f64 / self.mean_latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate is a function of the time. It does not depend on which methods a driver calls.
    #[test]
    fn each_method_that_takes_the_time_recovers_the_rate() {
        type Call = fn(&mut Budget, Duration);
        let rows: [(&str, Call); 4] = [
            ("consume", |budget, now| budget.consume(now, 1)),
            ("record", |budget, now| budget.record(now, &AttemptStats::default())),
            ("reprice", |budget, now| budget.reprice(now, 0)),
            ("reprice, too early for a new price", |budget, now| {
                budget.repriced_at = now;
                budget.reprice(now, 0);
            }),
        ];
        let throttled = AttemptStats { attempts: 1, throttled: true, ..AttemptStats::default() };
        for (name, call) in rows {
            let mut budget = Budget::new(100.0, 20);
            budget.record(Duration::from_secs(10), &throttled);
            let rates = [13, 16, 19, 60].map(|second| {
                call(&mut budget, Duration::from_secs(second));
                (budget.current_rate(), budget.effective_rate())
            });
            for ((current, effective), expected) in
                rates.into_iter().zip([80.0, 90.0, 100.0, 100.0])
            {
                assert!((current - expected).abs() < 1e-9, "{name}: {current} {expected}");
                assert_eq!(current, effective, "{name}");
            }
        }
        // A second throttled reply within a second does not reduce the rate, but the rate recovers.
        let mut budget = Budget::new(100.0, 20);
        budget.record(Duration::from_secs(10), &throttled);
        budget.record(Duration::from_millis(10_600), &throttled);
        assert!((budget.current_rate() - 72.0).abs() < 1e-9, "{}", budget.current_rate());
    }
}
