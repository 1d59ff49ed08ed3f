//! The figures of a fleet.

use std::time::Duration;

/// The figures of a fleet at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FleetStats {
    /// Number of jobs that the fleet waits for.
    pub jobs: usize,
    /// Number of waits that are queued, because the budget is used up or too many requests are in
    /// flight.
    pub queued: usize,
    /// Number of requests in flight.
    pub in_flight: usize,
    /// Maximum number of requests per second at present. Lower than configured while the service
    /// throttles.
    pub requests_per_second: f64,
    /// Current price of a request, as a delay (see [`BudgetShare`](crate::budget::BudgetShare)). It
    /// rises when the budget is used up.
    pub request_price: Duration,
    /// Number of requests so far: attempts, sub-job lookups, and requests to refresh credentials.
    pub requests: u64,
    /// Number of attempts that failed.
    pub errors: u64,
    /// Number of failed attempts at which the service was throttling or unavailable (429, 503).
    pub throttled: u64,
    /// Number of waits that have ended.
    pub finished: u64,
}
