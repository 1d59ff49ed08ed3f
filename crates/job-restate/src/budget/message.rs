//! The messages between a service and the budget object.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use jiff::Timestamp;
use job_poller::{
    budget::{AttemptStats, UrgencyBucket},
    durable::WaitKey,
    schedule::BudgetShare,
};
use serde::{Deserialize, Serialize};

/// The time between two reports of a service, without the time that a report takes.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a service may send requests after a report that was answered.
pub(crate) const GRANT_TTL: Duration = Duration::from_secs(5);

/// Waits that are not due get slots only within this time, which is longer than from one report to the
/// next.
pub(crate) const ADVANCE_TIME: Duration = Duration::from_millis(1250);

/// The longest time without a request: between two slots, and for a Retry-After.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A report of a service to the budget object.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// The attempts that ended since the last report. Requests without a slot are extra requests.
    pub(crate) attempt_stats: AttemptStats,
    /// The number of waits that this service has planned, by urgency.
    pub(crate) counts: BTreeMap<UrgencyBucket, u32>,
    /// The waits whose next attempt may be made earlier, ordered by the time for which it is planned.
    /// Each has the number of its tick.
    pub(crate) candidates: Vec<(Timestamp, WaitKey, u64)>,
    /// Whether the service is about to stop.
    pub(crate) is_leaving: bool,
}

/// What a service may do after its report.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// The first new slot. The slots are evenly spaced.
    pub(crate) first_slot: Timestamp,
    pub(crate) gap: Duration,
    /// The generation of all slots that are valid now.
    pub(crate) generation: u32,
    /// The number of slots for waits that need one.
    pub(crate) needed: u32,
    /// The number of slots that follow, which the budget object gave to the first candidates.
    pub(crate) advanced: u32,
    /// The delay after which a wait that needs a slot and got none tries again.
    pub(crate) retry_after: Duration,
    /// The maximum number of candidates in the next report.
    pub(crate) max_candidates: usize,
    /// The number of requests that the service may have in flight.
    pub(crate) max_in_flight: usize,
    /// The minimum time between two requests of the service. It spreads requests whose slots are late.
    pub(crate) min_gap: Duration,
    /// How long no request may be sent, because the cloud asked for a pause.
    pub(crate) blocked_for: Duration,
    /// The share of the budget that each wait gets.
    pub(crate) share: BudgetShare,
    /// How long to wait for a turn, if there are more services than requests that may be in flight.
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

impl Grant {
    pub(crate) fn needed_slots(self) -> impl Iterator<Item = Slot> {
        self.slots(0..self.needed)
    }

    pub(crate) fn advanced_slots(self) -> impl Iterator<Item = Slot> {
        self.slots(self.needed..self.needed + self.advanced)
    }

    fn slots(self, numbers: Range<u32>) -> impl Iterator<Item = Slot> {
        numbers.map(move |number| {
            let at = self.first_slot.saturating_add(self.gap * number).unwrap_or(Timestamp::MAX);
            Slot { at, generation: self.generation }
        })
    }
}
