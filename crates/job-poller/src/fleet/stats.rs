//! The figures of a fleet, as plain data.

use std::time::Duration;

/// A fleet in numbers, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FleetStats {
    /// How many jobs are waited for.
    pub jobs: usize,
    /// How many waits are queued because the budget is spent or too many requests are in flight.
    pub queued: usize,
    /// How many requests are in flight.
    pub in_flight: usize,
    /// How many requests a second may leave at present: fewer than set while the service throttles.
    pub requests_per_second: f64,
    /// The current price of a request, in delay: the budget's shadow price.
    pub request_price: Duration,
    /// How many requests there were: attempts, sub-job lookups, and those that renewed credentials.
    pub requests: u64,
    /// How many of them gave no job.
    pub errors: u64,
    /// How many of those because the service throttled, or was in trouble (429, 503).
    pub throttled: u64,
    /// How many waits are over.
    pub finished: u64,
}
