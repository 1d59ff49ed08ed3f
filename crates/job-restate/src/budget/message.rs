//! The messages between a service and the budget object.

use std::time::Duration;

use jiff::Timestamp;
use job_poller::{
    budget::{AttemptStats, UrgencyBucket},
    durable::WaitKey,
    schedule::BudgetShare,
};
use serde::{Deserialize, Serialize};

/// How long a service may send requests after a report that was answered.
pub(crate) const GRANT_TTL: Duration = Duration::from_secs(5);

/// The time between two reports of a service, without the time that a report takes.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Waits that are not due get slots only within this time, which is longer than from one report to the
/// next.
pub(crate) const ADVANCE_TIME: Duration = Duration::from_millis(1250);

/// A report of a service to the budget object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) service: u64,
    /// The sequence number of the report. A retry keeps the number.
    pub(crate) number: u64,
    /// The time of the report, by the monotonic clock of the service.
    pub(crate) reported_at: Duration,
    /// The same time by the reference clock.
    pub(crate) time: Timestamp,
    /// The number of waits that need a slot.
    pub(crate) needed: u32,
    /// The number of ticks since the last report that were about to send a request.
    pub(crate) requested: u32,
    /// The number of requests in flight.
    pub(crate) in_flight: usize,
    /// The number of requests that were sent without a slot since the last report.
    pub(crate) without_slot: u32,
    /// The attempts that ended since the last report.
    pub(crate) attempt_stats: AttemptStats,
    /// The number of waits that this service has planned, by urgency.
    pub(crate) counts: Vec<(UrgencyBucket, u32)>,
    /// The waits whose next attempt may be made earlier, with the number of their next tick. The
    /// wait that is planned next is the first.
    pub(crate) candidates: Vec<(WaitKey, u64)>,
    /// Whether the service is about to stop.
    pub(crate) is_leaving: bool,
}

/// What a service may do after its report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// The slots for the waits that need one.
    pub(crate) slots: SlotRun,
    /// The delay after which a wait that needs a slot and got none tries again.
    pub(crate) retry_after: Duration,
    /// The slots that the budget object gave to the first candidates.
    pub(crate) advanced: SlotRun,
    /// The number of requests that the service may have in flight.
    pub(crate) max_in_flight: usize,
    /// The minimum time between two requests of the service. It spreads requests whose slots are late.
    pub(crate) min_gap: Duration,
    /// How long no request may be sent, because the cloud asked for a pause.
    pub(crate) blocked_for: Duration,
    /// The share of the budget that each wait gets.
    pub(crate) share: BudgetShare,
    /// Whether the waits together want to send more requests than the budget allows.
    pub(crate) is_budget_spent: bool,
    /// The time in which each service has had a turn, if there are more services than requests that
    /// may be in flight, so that they take turns.
    pub(crate) rotation: Option<Duration>,
}

/// The time at which one request may be sent.
///
/// A wait keeps its slot while it is sent away until then. Any service of the deployment accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) at: Timestamp,
    /// The number of times that the budget object has withdrawn all slots.
    pub(crate) generation: u32,
}

/// Slots that are evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlotRun {
    pub(crate) first: Timestamp,
    pub(crate) gap: Duration,
    pub(crate) count: u32,
    /// The generation of all slots that are valid now.
    pub(crate) generation: u32,
}

impl SlotRun {
    pub(crate) fn slots(self) -> impl Iterator<Item = Slot> {
        let Self { first, gap, count, generation } = self;
        (0..count).map(move |number| {
            let at = first.saturating_add(gap * number).unwrap_or(Timestamp::MAX);
            Slot { at, generation }
        })
    }
}
