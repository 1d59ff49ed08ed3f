//! A budget of requests that many waits share.
//!
//! Drivers that keep their waits in another engine use it; a `Fleet` has one of its own.
//! [`Budget`] decides when the next request may leave, and which share ([`BudgetShare`]) of the requests each
//! wait has. Reads no clock, performs no I/O.

mod price;
mod pacer;

use std::time::Duration;

use job_transport::{ErrorClass, FetchErrorKind};
use serde::{Deserialize, Serialize};

pub use self::price::UrgencyBucket;
use self::{pacer::Pacer, price::Price};
use crate::machine::{Input, MAX_RETRY_AFTER};
pub use crate::schedule::BudgetShare;

/// A budget of requests that many waits share. [`Fleet`](crate::Fleet) goes by it; an engine that keeps waits
/// elsewhere can keep it beside them, in any format of serde, and lets them go by the same rule.
///
/// Requests are evenly spaced, fewer while the service throttles, and none while it asks for that (Retry-After).
/// Each wait is counted by the urgency of its plan. From the counts follows the price of a request ([`BudgetShare`]),
/// and from the price the delay of each wait ([`Machine::step_with_share`](crate::Machine::step_with_share)).
///
/// Times are since any moment that is the same for all calls, and never go back.
///
/// ```
/// use std::time::Duration;
/// use job_poller::{
///     Adaptive, Input, Machine, WaitPolicy,
///     budget::{Budget, UrgencyBucket},
/// };
///
/// let now = Duration::from_secs(100);
/// let mut budget = Budget::new(50.0, 20);
/// assert!(budget.next_slot() <= now, "a request may leave");
/// budget.consume(now, 1);
///
/// // The wait plans its next attempt with its share of the budget, and is counted.
/// let schedule = Adaptive::new();
/// let mut machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
/// let _ = machine.step(&schedule, Duration::ZERO, Input::Wake);
/// # let reading = |body: &str| job_model::Job::from_slice(body.as_bytes()).map(|job| job_transport::Reading::new(job).into());
/// let input = reading(r#"{"status": {"phase": "Running"}}"#)?;
/// let step = machine.step_with_share(&schedule, budget.share(1), Duration::from_secs(1), input);
/// budget.update(None, step.plan.and_then(UrgencyBucket::from_plan));
/// budget.reprice(now, 1);
/// assert!(!budget.is_binding(), "there are enough for one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pacer: Pacer,
    price: Price,
    repriced_at: Duration,
    /// How many may be in flight.
    max_in_flight: usize,
    /// The recent mean latency of attempts, in seconds.
    mean_latency: f64,
}

/// How often the price is set.
const REPRICE_INTERVAL: Duration = Duration::from_millis(100);

/// The longest gap is twice the gap that each wait would have if all had the same. A wait plans the first part of
/// it; a wait that is still queued after the second part is the next.
const MAX_GAP_FACTOR: f64 = 1.9;
const STARVATION_FACTOR: f64 = 1.95;

/// The weight of one attempt in the mean latency. A single attempt without a reply should not lower the rate much.
const LATENCY_WEIGHT: f64 = 1.0 / 256.0;

/// What attempts came to, for a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptStats {
    /// How many attempts there were.
    pub attempts: u32,
    /// How long they took, together.
    pub latency: Duration,
    /// How many requests they made besides their first: for a login, and what that makes up for.
    pub extra_requests: u32,
    /// Whether the service is in trouble: it throttled, or was unavailable (503).
    pub throttled: bool,
    /// For how long the service asked to be left alone. It speaks for all of it.
    pub retry_after: Duration,
}

impl AttemptStats {
    /// Returns the stats of one attempt, from its latency and its result.
    #[must_use]
    pub fn from_input(latency: Duration, input: &Input) -> Self {
        let (error, credentials_refreshed) = match input {
            Input::Error(error) => (Some(error), error.credentials_refreshed),
            Input::Reading { credentials_refreshed, .. }
            | Input::Unchanged { credentials_refreshed, .. } => (None, *credentials_refreshed),
            Input::Wake | Input::Stop => (None, false),
        };
        let in_trouble =
            |class, kind| class == ErrorClass::Throttled || kind == FetchErrorKind::Status(503);
        Self {
            attempts: 1,
            latency,
            // A login, and the request once more.
            extra_requests: if credentials_refreshed { 2 } else { 0 },
            throttled: error.is_some_and(|error| in_trouble(error.class, error.kind)),
            retry_after: error.and_then(|error| error.retry_after).unwrap_or_default(),
        }
    }

    /// Returns what these and others came to.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.saturating_add(other.attempts),
            latency: self.latency.saturating_add(other.latency),
            extra_requests: self.extra_requests.saturating_add(other.extra_requests),
            throttled: self.throttled || other.throttled,
            retry_after: self.retry_after.max(other.retry_after),
        }
    }
}

impl Budget {
    /// Creates a budget of so many requests a second, at least one in a thousand seconds, of which so many may be
    /// in flight, at least 1.
    #[must_use]
    pub const fn new(per_second: f64, in_flight: usize) -> Self {
        let per_second = if per_second >= 0.001 { per_second.min(1e9) } else { 0.001 };
        Self {
            pacer: Pacer::new(per_second),
            price: Price::new(Duration::from_millis(250)),
            repriced_at: Duration::ZERO,
            max_in_flight: if in_flight == 0 { 1 } else { in_flight },
            mean_latency: 0.0,
        }
    }

    /// Sets the minimum price of a request, however large the budget is: that of the schedule; 250 ms by default.
    #[must_use]
    pub const fn min_request_price(mut self, delay: Duration) -> Self {
        self.price = Price::new(delay);
        self
    }

    /// Sets other limits, as [`new`](Self::new) does. What was counted stays, and so does a pause that the service
    /// asked for.
    pub fn set_limits(&mut self, per_second: f64, in_flight: usize) {
        let Self { pacer: pace, max_in_flight: limit, .. } = Self::new(per_second, in_flight);
        self.pacer.set_max_rate(pace.max_rate());
        self.max_in_flight = limit;
    }

    /// Returns when the next request may leave, as long as fewer than may be are in flight.
    #[must_use]
    pub fn next_slot(&self) -> Duration {
        self.pacer.next_slot()
    }

    /// Returns how many requests may be in flight.
    #[must_use]
    pub const fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Returns how many requests a second may leave at present: fewer than set while the service throttles.
    #[must_use]
    pub const fn current_rate(&self) -> f64 {
        self.pacer.rate()
    }

    /// Returns how many requests a second there are at present: no more than may leave, nor than there are where as many
    /// as may be are in flight all the time.
    #[must_use]
    pub fn effective_rate(&self) -> f64 {
        self.pacer.rate().min(self.capacity())
    }

    /// Takes note of requests that leave.
    pub fn consume(&mut self, now: Duration, requests: u32) {
        self.pacer.consume(now, requests);
    }

    /// Takes note of what attempts came to.
    pub fn record(&mut self, now: Duration, stats: &AttemptStats) {
        let AttemptStats { attempts, latency, extra_requests, throttled, retry_after } = *stats;
        if extra_requests > 0 {
            self.pacer.consume(now, extra_requests);
        }
        let latency = latency.as_secs_f64() / f64::from(attempts.max(1));
        let weight = 1.0 - (1.0 - LATENCY_WEIGHT).powi(attempts.try_into().unwrap_or(i32::MAX));
        self.mean_latency += (latency - self.mean_latency) * weight;
        self.pacer.block_until(now.saturating_add(retry_after.min(MAX_RETRY_AFTER)));
        if throttled {
            self.pacer.throttle(now);
        }
    }

    /// Counts a wait as it is planned now, in place of how it was before: `None` before it was, and once it is over.
    pub fn update(&mut self, before: Option<UrgencyBucket>, now: Option<UrgencyBucket>) {
        self.price.replace(before, now);
    }

    /// Adds `delta` to the number of waits with this urgency.
    pub fn adjust(&mut self, urgency: UrgencyBucket, delta: i64) {
        self.price.adjust(urgency, delta);
    }

    /// Returns how many waits are counted.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.price.waiters()
    }

    /// Forgets who was counted.
    pub fn reset_counts(&mut self) {
        self.price.reset_counts();
    }

    /// Sets, where that was long ago, the price at which the budget is spent by so many waits, or as many leave as
    /// there may be in flight. Who is late needs no more: whoever is served late asks later again, and that is enough.
    pub fn reprice(&mut self, now: Duration, waits: usize) {
        if now.saturating_sub(self.repriced_at) < REPRICE_INTERVAL {
            return;
        }
        self.repriced_at = now;
        self.price.reprice(self.effective_rate(), self.gap(waits, MAX_GAP_FACTOR));
    }

    /// Returns whether the price of a request is higher than the minimum, because the budget is spent.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.price.is_binding()
    }

    /// Returns what the budget leaves for each of so many waits.
    #[must_use]
    pub fn share(&self, waits: usize) -> BudgetShare {
        BudgetShare {
            request_price: self.price.request_price(),
            max_gap: self.gap(waits, MAX_GAP_FACTOR),
        }
    }

    /// Returns the gap after which one of `waits` waits is the next to send a request, before all that are queued:
    /// a little less than twice the gap that each would have if all had the same.
    #[must_use]
    pub fn starvation_gap(&self, waits: usize) -> Duration {
        self.gap(waits, STARVATION_FACTOR)
    }

    /// Returns so many times the gap that each wait would have if all had the same, while the service is well: what
    /// is planned in a bad minute is not to last for many.
    fn gap(&self, waits: usize, factor: f64) -> Duration {
        let seconds = waits as f64 * factor / self.pacer.max_rate().min(self.capacity());
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Returns how many a second there are if as many as may be are in flight all the time.
    fn capacity(&self) -> f64 {
        self.max_in_flight as f64 / self.mean_latency
    }
}
