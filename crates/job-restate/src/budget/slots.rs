//! The slots of one service: which of the waits that the engine ticks here may send a request now. Reads no clock,
//! performs no I/O, knows no wait.

use std::{collections::BTreeMap, mem, time::Duration};

use job_poller::budget::AttemptStats;

use super::grant::{CountKey, Grant, LEASE_TTL, Slot, UsageReport};

/// Gives slots to waits, within the service's grant ([`BudgetAllocator`](super::allocator::BudgetAllocator)).
///
/// A wait gets a slot at once if a request may be sent now. Otherwise it gets a reservation, a time of its own to
/// come back at, and has the slot then, if it comes in time and requests are not blocked. While the budget is
/// spent, each wait also comes once before it is due, for a slot that no other wait needs.
#[derive(Debug)]
pub(crate) struct SlotQueue {
    /// The id of this service among those of the deployment.
    service: u64,
    report_number: u64,
    grant: Grant,
    /// When the grant expires.
    expires_at: Duration,
    /// When the next request may be sent, if requests are evenly spaced.
    next_slot_at: Duration,
    /// No request is sent before this.
    blocked_until: Duration,
    /// All slots before this are reserved.
    reserved_until: Duration,
    in_flight: usize,
    requested: u32,
    attempt_stats: AttemptStats,
    counts: BTreeMap<CountKey, i64>,
}

/// Why a wait requests a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Before it is due, for a slot that no other wait needs.
    Early,
    /// It is due.
    Due,
    /// It has a reservation for now.
    Reserved,
}

/// How late a wait may come for its reservation: engines wake waits a moment late, and some later than others.
const LATE_TOLERANCE: Duration = Duration::from_millis(250);

/// How many reservations may be before one of an early wait: few enough not to delay the waits that are due, and as
/// many as come at a time.
const MAX_QUEUE_FOR_EARLY: u32 = 30;

/// How long until a wait comes back if the service has no grant yet.
const NO_LEASE_RETRY: Duration = Duration::from_secs(3);

impl SlotQueue {
    pub(crate) fn new(service: u64) -> Self {
        let grant =
            Grant { per_second: 0.0, in_flight: 0, blocked_for: Duration::ZERO, slot: Slot::NONE };
        Self {
            service,
            report_number: 0,
            grant,
            expires_at: Duration::ZERO,
            next_slot_at: Duration::ZERO,
            blocked_until: Duration::ZERO,
            reserved_until: Duration::ZERO,
            in_flight: 0,
            requested: 0,
            attempt_stats: AttemptStats::default(),
            counts: BTreeMap::new(),
        }
    }

    /// Gives a wait a slot, or returns after what time it is to come back, with a reservation. `None` is for an early
    /// wait, which comes again when it is due.
    pub(crate) fn request_slot(
        &mut self,
        now: Duration,
        arrival: Arrival,
    ) -> Result<Slot, Option<Duration>> {
        self.requested = self.requested.saturating_add(1);
        if !self.is_granted(now) || self.grant.per_second <= 0.0 {
            return Err(Some(NO_LEASE_RETRY));
        }
        let gap = self.gap();
        let is_full = self.in_flight >= self.grant.in_flight;
        let next = self.next_slot_at.max(self.blocked_until);
        let is_free = match arrival {
            Arrival::Reserved => next <= now + LATE_TOLERANCE && self.blocked_until <= now,
            // A wait without a reservation must not take the slot of another.
            Arrival::Due | Arrival::Early => next.max(self.reserved_until) <= now,
        };
        if !is_full && is_free {
            self.next_slot_at = self.next_slot_at.max(now) + gap;
            if arrival != Arrival::Reserved {
                self.reserved_until = now + gap;
            }
            self.in_flight += 1;
            return Ok(self.grant.slot);
        }
        if arrival == Arrival::Early
            && (is_full || self.reserved_until.max(next) > now + gap * MAX_QUEUE_FOR_EARLY)
        {
            return Err(None);
        }
        // It is not known when a request in flight ends, but the gap between slots is.
        let soonest = if is_full { now + gap.max(LATE_TOLERANCE) } else { now };
        let at = self.reserved_until.max(next).max(soonest);
        let limit = self.grant.slot.share.max_gap.clamp(MIN_RESERVATION_LIMIT, MAX_BLOCK_DURATION);
        if at - now > limit {
            // A timer of the engine cannot be set back, so one bad minute must not cause a long delay.
            return Err(Some(limit));
        }
        self.reserved_until = at + gap;
        Err(Some(at - now))
    }

    /// Records the attempt of a slot, with its extra requests; `None` if it was given up. Returns whether the other
    /// services must know of it at once.
    pub(crate) fn complete(&mut self, now: Duration, stats: Option<&AttemptStats>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        stats.is_some_and(|stats| self.record(now, stats, 0))
    }

    /// Records an attempt without a slot.
    pub(crate) fn record_extra(&mut self, now: Duration, stats: &AttemptStats) -> bool {
        self.record(now, stats, 1)
    }

    fn record(&mut self, now: Duration, stats: &AttemptStats, requests: u32) -> bool {
        let requests = requests + stats.extra_requests;
        self.next_slot_at = self.next_slot_at.max(now) + self.gap() * requests;
        self.blocked_until =
            self.blocked_until.max(now + stats.retry_after.min(MAX_BLOCK_DURATION));
        self.attempt_stats = self.attempt_stats.merge(*stats);
        stats.throttled || stats.retry_after > Duration::ZERO
    }

    /// Counts a wait under its new key; `None` if it has finished.
    pub(crate) fn update_count(&mut self, before: Option<CountKey>, now: Option<CountKey>) {
        // The count of an earlier epoch is complete: only waits that finish are removed from it.
        let moves = |before: &CountKey| now.is_none_or(|now| now.epoch == before.epoch);
        if let Some(before) = before.filter(moves) {
            *self.counts.entry(before).or_default() -= 1;
        }
        if let Some(now) = now {
            *self.counts.entry(now).or_default() += 1;
        }
    }

    /// Returns the next report, with the changes since the last one.
    pub(crate) fn take_report(&mut self, reported_at: Duration, is_leaving: bool) -> UsageReport {
        self.report_number += 1;
        let counts = mem::take(&mut self.counts).into_iter().filter(|(_, more)| *more != 0);
        UsageReport {
            service: self.service,
            number: self.report_number,
            reported_at,
            requested: mem::take(&mut self.requested),
            in_flight: self.in_flight,
            attempt_stats: mem::take(&mut self.attempt_stats),
            counts: counts.collect(),
            is_leaving,
        }
    }

    pub(crate) const fn epoch(&self) -> u32 {
        self.grant.slot.epoch
    }

    /// Whether the grant is valid at present.
    pub(crate) fn is_granted(&self, now: Duration) -> bool {
        now < self.expires_at
    }

    /// Accepts the grant for the report of this time.
    pub(crate) fn accept_grant(&mut self, reported_at: Duration, now: Duration, grant: Grant) {
        if grant.per_second > 0.0 && self.grant.per_second > 0.0 {
            // As many reservations stay ahead of a wait that comes without one.
            let times = self.grant.per_second / grant.per_second;
            let remaining = self.reserved_until.saturating_sub(now).as_secs_f64() * times;
            self.reserved_until = now + Duration::try_from_secs_f64(remaining).unwrap_or_default();
        }
        self.grant = grant;
        // Counted from the report, so that it expires here no later than at the budget object.
        self.expires_at = reported_at + LEASE_TTL;
        self.blocked_until = self.blocked_until.max(now + grant.blocked_for);
    }

    fn gap(&self) -> Duration {
        let gap = Duration::try_from_secs_f64(1.0 / self.grant.per_second);
        gap.unwrap_or(MAX_BLOCK_DURATION).min(MAX_BLOCK_DURATION)
    }
}

/// No reservation is further off than the longest gap, or than this if that is longer.
const MIN_RESERVATION_LIMIT: Duration = Duration::from_secs(60);

/// The longest time that a Retry-After blocks requests, and the longest gap between two requests.
const MAX_BLOCK_DURATION: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
