//! The messages between a service and the budget object: reports of usage, and grants of a part of the budget.

use std::time::Duration;

use job_poller::budget::{AttemptStats, BudgetShare, UrgencyBucket};
use serde::{Deserialize, Serialize};

/// How long a grant may be used. A service that sends no report for this long is gone.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(5);

/// The report of a service to the budget object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UsageReport {
    pub(crate) service: u64,
    /// Counts the reports of the service. A report that is sent again has the same number.
    pub(crate) number: u64,
    /// The time of the report by the clock of the service, which never goes back.
    pub(crate) reported_at: Duration,
    /// How many slots were requested since the last report.
    pub(crate) requested: u32,
    /// How many requests are in flight.
    pub(crate) in_flight: usize,
    /// Statistics of the attempts that ended since the last report.
    pub(crate) attempt_stats: AttemptStats,
    /// The changes of the numbers of waits.
    pub(crate) counts: Vec<(CountKey, i64)>,
    /// Whether the service is about to stop.
    pub(crate) is_leaving: bool,
}

/// The part of the budget that a service may use for [`LEASE_TTL`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) per_second: f64,
    pub(crate) in_flight: usize,
    /// How long no service may send a request to the cloud.
    pub(crate) blocked_for: Duration,
    /// The slot of each wait.
    pub(crate) slot: Slot,
}

/// Where a wait is counted: in which epoch, and under which urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CountKey {
    pub(crate) epoch: u32,
    pub(crate) urgency: UrgencyBucket,
}

/// A slot to make one attempt in, with the values that the wait plans its next attempt by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// The share of the budget that each wait has.
    pub(crate) share: BudgetShare,
    /// The epoch in which waits are counted.
    pub(crate) epoch: u32,
    /// Whether the waits would use more than the budget has.
    pub(crate) is_budget_spent: bool,
}

impl Slot {
    /// The slot of a step that plans nothing.
    pub(crate) const NONE: Self = Self {
        share: BudgetShare::new(Duration::ZERO, Duration::MAX),
        epoch: 0,
        is_budget_spent: false,
    };
}
