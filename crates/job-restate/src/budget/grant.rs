//! The messages between a service and the budget object: usage reports and grants.

use std::time::Duration;

use job_poller::{
    budget::{AttemptStats, UrgencyBucket},
    schedule::BudgetShare,
};
use serde::{Deserialize, Serialize};

/// How long a service may use a grant, counted from the report that the grant answers.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(5);

/// A service's report to the budget object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UsageReport {
    pub(crate) service: u64,
    /// The sequence number of the report. A retry keeps the number.
    pub(crate) number: u64,
    /// The time of the report, by the monotonic clock of the service.
    pub(crate) reported_at: Duration,
    /// The number of slots that waits requested since the last report.
    pub(crate) requested: u32,
    /// The number of requests in flight.
    pub(crate) in_flight: usize,
    /// The attempts that ended since the last report.
    pub(crate) attempt_stats: AttemptStats,
    /// The changes in the number of waits, by key, since the last report.
    pub(crate) counts: Vec<(CountKey, i64)>,
    /// Whether the service is about to stop.
    pub(crate) is_leaving: bool,
}

/// The part of the budget that a service may use for [`LEASE_TTL`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) per_second: f64,
    pub(crate) in_flight: usize,
    /// How long requests to the cloud are blocked for all services.
    pub(crate) blocked_for: Duration,
    /// The slot that the service gives to its waits.
    pub(crate) slot: Slot,
}

/// The key under which a wait is counted: an epoch and a bucket of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CountKey {
    pub(crate) epoch: u32,
    pub(crate) urgency: UrgencyBucket,
}

/// The permission to make one attempt, with the values that the wait needs to plan the next one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// The share of the budget that each wait gets.
    pub(crate) share: BudgetShare,
    /// The epoch in which waits are counted.
    pub(crate) epoch: u32,
    /// Whether the waits together want to send more requests than the budget allows.
    pub(crate) is_budget_spent: bool,
}

impl Slot {
    /// A placeholder in steps of the machine that follow no attempt.
    pub(crate) const NONE: Self = Self {
        share: BudgetShare::new(Duration::ZERO, Duration::MAX),
        epoch: 0,
        is_budget_spent: false,
    };
}
