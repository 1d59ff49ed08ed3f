//! Decides which of the waits that the engine ticks in this service may send a request now. Reads
//! no clock, performs no I/O.

use std::{collections::BTreeMap, mem, time::Duration};

use job_poller::budget::AttemptStats;

use super::grant::{CountKey, Grant, LEASE_TTL, Slot, UsageReport};

/// Gives slots to waits within the service's grant, which comes from
/// [`BudgetAllocator`](super::allocator::BudgetAllocator).
///
/// A wait gets a slot at once if a request may be sent now. Otherwise it gets a reservation for a
/// later time, and gets the slot if it returns on time and requests are not blocked. While the
/// budget is spent, each wait also comes once before it is due, to use a slot that no other wait
/// needs.
#[derive(Debug)]
pub(crate) struct SlotQueue {
    /// The id of this service within the deployment.
    service: u64,
    report_number: u64,
    grant: Grant,
    /// When the grant expires.
    expires_at: Duration,
    /// When the next request may be sent so that requests are evenly spaced.
    next_slot_at: Duration,
    /// Requests are blocked until this time (Retry-After).
    blocked_until: Duration,
    /// All slots before this time are reserved.
    reserved_until: Duration,
    in_flight: usize,
    requested: u32,
    attempt_stats: AttemptStats,
    counts: BTreeMap<CountKey, i64>,
}

/// Why a wait requests a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The wait is not due yet, and takes only a slot that no other wait needs.
    Early,
    /// The wait is due.
    Due,
    /// The wait returns at the time of its reservation.
    Reserved,
}

/// How late a wait may come for its reservation, because engines wake waits slightly late, and not
/// all by the same amount.
const LATE_TOLERANCE: Duration = Duration::from_millis(250);

/// The maximum queue length at which an early wait may still get a reservation. Small enough not to
/// delay waits that are due, and large enough for the waits that usually come at the same time.
const MAX_QUEUE_FOR_EARLY: u32 = 30;

/// How long requests are blocked after a reply that states a quota: longer than an urgent report to
/// the budget object takes.
const STATED_QUOTA_PAUSE: Duration = Duration::from_secs(1);

/// How long until a wait comes back if the service has no grant, or a grant of zero requests.
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

    /// Gives a wait a slot, or returns when to come back.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no free slot: the delay after which the wait should come back,
    /// with a reservation; `None` means that an early wait should come back when it is due.
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
            // A wait without a reservation must not take a slot that another wait has reserved.
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
        // If the in-flight limit is reached, we do not know when a request will end. Estimate it by
        // the gap between slots.
        let soonest = if is_full { now + gap.max(LATE_TOLERANCE) } else { now };
        let at = self.reserved_until.max(next).max(soonest);
        let limit = self.grant.slot.share.max_gap.clamp(MIN_RESERVATION_LIMIT, MAX_BLOCK_DURATION);
        if at - now > limit {
            // An engine's timer cannot be shortened later, so a short period of throttling must not
            // cause a long delay.
            return Err(Some(limit));
        }
        self.reserved_until = at + gap;
        Err(Some(at - now))
    }

    /// Frees a slot and records its attempt, with its extra requests; `None` if no attempt was
    /// made. Returns whether to report it at once, because it affects the other services.
    pub(crate) fn complete(&mut self, now: Duration, stats: Option<&AttemptStats>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        stats.is_some_and(|stats| self.record(now, stats, 0))
    }

    /// Records an attempt that was made without a slot. Returns the same as
    /// [`complete`](Self::complete).
    pub(crate) fn record_extra(&mut self, now: Duration, stats: &AttemptStats) -> bool {
        self.record(now, stats, 1)
    }

    fn record(&mut self, now: Duration, stats: &AttemptStats, requests: u32) -> bool {
        let requests = requests + stats.extra_requests;
        self.next_slot_at = self.next_slot_at.max(now) + self.gap() * requests;
        self.blocked_until =
            self.blocked_until.max(now + stats.retry_after.min(MAX_BLOCK_DURATION));
        if stats.stated_quotas.iter().next().is_some() {
            // Until the budget object has answered with a grant that respects the quota.
            self.blocked_until = self.blocked_until.max(now + STATED_QUOTA_PAUSE);
        }
        self.attempt_stats = self.attempt_stats.merge(*stats);
        stats.throttled || stats.retry_after > Duration::ZERO
    }

    /// Moves a wait from the key `before` to the key `now`, which is `None` if the wait has
    /// finished.
    pub(crate) fn update_count(&mut self, before: Option<CountKey>, now: Option<CountKey>) {
        // A wait that is counted in a new epoch stays counted in the earlier one, which must remain
        // complete. A finished wait is removed from it.
        let moves = |before: &CountKey| now.is_none_or(|now| now.epoch == before.epoch);
        if let Some(before) = before.filter(moves) {
            *self.counts.entry(before).or_default() -= 1;
        }
        if let Some(now) = now {
            *self.counts.entry(now).or_default() += 1;
        }
    }

    /// Returns a report of what happened since the last report.
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

    /// Returns whether the grant is still valid.
    pub(crate) fn is_granted(&self, now: Duration) -> bool {
        now < self.expires_at
    }

    /// Returns why no request may be sent at `now`, or `None` if requests may be sent.
    pub(crate) fn obstacle(&self, now: Duration) -> Option<&'static str> {
        if !self.is_granted(now) {
            Some("no grant from the budget object: cannot reach the engine's ingress")
        } else if self.grant.per_second <= 0.0 || self.grant.in_flight == 0 {
            Some("other services use the whole budget: allow more requests, or run fewer services")
        } else if self.blocked_until > now {
            Some("the service of the jobs asked for a pause (Retry-After)")
        } else {
            None
        }
    }

    /// Accepts the grant that answers the report sent at `reported_at`.
    pub(crate) fn accept_grant(&mut self, reported_at: Duration, now: Duration, grant: Grant) {
        if grant.per_second > 0.0 && self.grant.per_second > 0.0 {
            // Scale the queue to the new rate, so that the same number of reservations stays ahead
            // of a wait that comes without one.
            let times = self.grant.per_second / grant.per_second;
            let remaining = self.reserved_until.saturating_sub(now).as_secs_f64() * times;
            self.reserved_until = now + Duration::try_from_secs_f64(remaining).unwrap_or_default();
        }
        self.grant = grant;
        // Count from the report, so that the grant expires here no later than at the budget object.
        self.expires_at = reported_at + LEASE_TTL;
        self.blocked_until = self.blocked_until.max(now + grant.blocked_for);
    }

    fn gap(&self) -> Duration {
        let gap = Duration::try_from_secs_f64(1.0 / self.grant.per_second);
        gap.unwrap_or(MAX_BLOCK_DURATION).min(MAX_BLOCK_DURATION)
    }
}

/// A reservation is at most the longest gap between two attempts away, or this long if the gap is
/// shorter.
const MIN_RESERVATION_LIMIT: Duration = Duration::from_secs(60);

/// The longest time for which a Retry-After blocks requests, and the longest gap between two
/// requests.
const MAX_BLOCK_DURATION: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
