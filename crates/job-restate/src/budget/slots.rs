//! Whose turn it is to ask, of the waits that the engine ticks here. Reads no clock, performs no I/O, knows no
//! wait.

use std::{collections::BTreeMap, mem, time::Duration};

use job_poller::budget::{AttemptStats, BudgetShare, UrgencyBucket};
use serde::{Deserialize, Serialize};

use super::allocator::{Grant, LEASE_TTL, UsageReport};

/// The slots that one service gives, of what it is lent ([`BudgetAllocator`](super::allocator::BudgetAllocator)).
///
/// A wait that is to ask has its turn at once where a request may leave; otherwise it is told when to come
/// back, at a time of its own, and has it then, if it comes in time and the cloud is not to be left
/// alone by now. Where the budget is spent, waits come once before they are due, too: for a turn that nobody
/// else wants.
#[derive(Debug)]
pub(crate) struct SlotQueue {
    /// Which service this is, among all of a deployment.
    service: u64,
    report_number: u64,
    grant: Grant,
    /// Until when it is lent.
    expires_at: Duration,
    /// When the next request is due, if they are evenly spaced; and before when none leaves.
    next_slot_at: Duration,
    blocked_until: Duration,
    /// Before this all times are given away.
    reserved_until: Duration,
    in_flight: usize,
    requested: u32,
    attempt_stats: AttemptStats,
    counts: BTreeMap<CountKey, i64>,
}

/// A wait's place in the count of them: in which round, and as how urgent.
pub(crate) type CountKey = (u32, UrgencyBucket);

/// What a wait goes by that has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// What the budget leaves for each.
    pub(crate) share: BudgetShare,
    /// In which round waits are counted.
    pub(crate) epoch: u32,
    /// Whether that is less than they would like.
    pub(crate) is_budget_spent: bool,
}

/// Why a wait comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Before it is due, for what others leave.
    Early,
    /// It is due.
    Due,
    /// It was told to come now.
    Reserved,
}

impl Slot {
    /// For a step that plans nothing.
    pub(crate) const NONE: Self = Self {
        share: BudgetShare::new(Duration::ZERO, Duration::MAX),
        epoch: 0,
        is_budget_spent: false,
    };
}

/// How late a wait may be for its turn: engines wake a moment late, and some later than others.
const LATE_TOLERANCE: Duration = Duration::from_millis(250);

/// How many may be before one that comes early: few enough to be no burden for those that are due, and as many as
/// come at a time.
const MAX_QUEUE_FOR_EARLY: u32 = 30;

/// How long until a wait comes back where nothing is lent yet.
const NO_LEASE_RETRY: Duration = Duration::from_secs(3);

impl SlotQueue {
    pub(crate) fn new(service: u64) -> Self {
        let turn = Slot::NONE;
        let grant =
            Grant { per_second: 0.0, in_flight: 0, blocked_for: Duration::ZERO, slot: turn };
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

    /// Gives a wait its turn; or returns after what time it is to come back, as one who was told to: `None` for
    /// one that came early, and comes again when it is due.
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
            // Whoever comes unasked is not to take what others were given.
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
        // Whoever frees a place is not known to come; the others' pace is.
        let soonest = if is_full { now + gap.max(LATE_TOLERANCE) } else { now };
        let at = self.reserved_until.max(next).max(soonest);
        let longest =
            self.grant.slot.share.max_gap.clamp(MIN_RESERVATION_LIMIT, MAX_BLOCK_DURATION);
        if at - now > longest {
            // Timers of the engine are not called back, and a bad minute is not to last for many.
            return Err(Some(longest));
        }
        self.reserved_until = at + gap;
        Err(Some(at - now))
    }

    /// Takes note of what a turn came to: its attempt, and others that it had besides; `None` where it was
    /// given up. Returns whether all are to be told at once.
    pub(crate) fn complete(&mut self, now: Duration, attempted: Option<&AttemptStats>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        attempted.is_some_and(|attempted| self.record(now, attempted, 0))
    }

    /// Takes note of an attempt without a turn.
    pub(crate) fn record_extra(&mut self, now: Duration, attempted: &AttemptStats) -> bool {
        self.record(now, attempted, 1)
    }

    fn record(&mut self, now: Duration, attempted: &AttemptStats, more: u32) -> bool {
        let more = more + attempted.extra_requests;
        self.next_slot_at = self.next_slot_at.max(now) + self.gap() * more;
        self.blocked_until =
            self.blocked_until.max(now + attempted.retry_after.min(MAX_BLOCK_DURATION));
        self.attempt_stats = self.attempt_stats.merge(*attempted);
        attempted.throttled || attempted.retry_after > Duration::ZERO
    }

    /// Counts a wait in its new place, `None` where it is over.
    pub(crate) fn update_count(&mut self, before: Option<CountKey>, now: Option<CountKey>) {
        // What was counted in a round before is complete, but for those that are over since.
        let moves = |before: &CountKey| now.is_none_or(|now| now.0 == before.0);
        if let Some(before) = before.filter(moves) {
            *self.counts.entry(before).or_default() -= 1;
        }
        if let Some(now) = now {
            *self.counts.entry(now).or_default() += 1;
        }
    }

    /// Returns what the budget is told now; what it was told before is not in it.
    pub(crate) fn take_report(&mut self, at: Duration, is_leaving: bool) -> UsageReport {
        self.report_number += 1;
        let counts = mem::take(&mut self.counts).into_iter().filter(|(_, more)| *more != 0);
        UsageReport {
            service: self.service,
            number: self.report_number,
            reported_at: at,
            requested: mem::take(&mut self.requested),
            max_in_flight: self.in_flight,
            attempt_stats: mem::take(&mut self.attempt_stats),
            counts: counts.collect(),
            is_leaving,
        }
    }

    pub(crate) const fn epoch(&self) -> u32 {
        self.grant.slot.epoch
    }

    /// Returns whether anything is lent at present.
    pub(crate) fn is_granted(&self, now: Duration) -> bool {
        now < self.expires_at
    }

    /// Takes what is lent, to what was said at this time.
    pub(crate) fn accept_grant(&mut self, said_at: Duration, now: Duration, lent: Grant) {
        if lent.per_second > 0.0 && self.grant.per_second > 0.0 {
            // Whoever comes unasked is behind as many as before.
            let times = self.grant.per_second / lent.per_second;
            let left = self.reserved_until.saturating_sub(now).as_secs_f64() * times;
            self.reserved_until = now + Duration::try_from_secs_f64(left).unwrap_or_default();
        }
        self.grant = lent;
        // By this clock it ends no later than by the lender's.
        self.expires_at = said_at + LEASE_TTL;
        self.blocked_until = self.blocked_until.max(now + lent.blocked_for);
    }

    fn gap(&self) -> Duration {
        let gap = Duration::try_from_secs_f64(1.0 / self.grant.per_second);
        gap.unwrap_or(MAX_BLOCK_DURATION).min(MAX_BLOCK_DURATION)
    }
}

/// Whoever is told to come back is told a time that is nearer than the longest gap; but this may be further.
const MIN_RESERVATION_LIMIT: Duration = Duration::from_secs(60);

/// No Retry-After holds for longer; nor is there a longer gap between requests.
const MAX_BLOCK_DURATION: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
