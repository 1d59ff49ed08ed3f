//! Gives the slots of a deployment to its services. Reads no clock, performs no I/O.

use std::{collections::BTreeMap, mem, time::Duration};

use jiff::Timestamp;
use job_poller::budget::{Budget, UrgencyBucket};
use serde::{Deserialize, Serialize};

use super::message::{ADVANCE_TIME, GRANT_TTL, Grant, MAX_PAUSE, Report};

/// The request budget of a deployment. The budget object stores it.
///
/// It keeps the time of the next free slot. Each service reports how many waits need a slot, and
/// gets as many slots, evenly spaced. A slot that no wait uses lapses.
///
/// The services also share the number of requests in flight. If there are more services than such
/// requests, they take turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SharedBudget {
    budget: Budget,
    services: BTreeMap<u64, ServiceRecord>,
    next_free_slot: Duration,
    /// The longest gap between the slots that were given since they were last withdrawn.
    longest_gap: Duration,
    generation: u32,
    /// The time of the budget. Only differences count.
    now: Duration,
    /// The latest time of a report by the reference clock.
    last_report: Timestamp,
}

/// What is known about a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ServiceRecord {
    /// The number of the last report.
    number: u64,
    /// The time of the last report, by the clock of the service.
    reported_at: Duration,
    /// The time of the last report, by the clock of the budget.
    seen_at: Duration,
    /// The number of ticks that were about to send a request. Old ticks count less. Zero if the
    /// service has left.
    demand: f64,
    counts: BTreeMap<UrgencyBucket, u32>,
    max_in_flight: usize,
    /// The number of requests that may be in flight until the next report: the maximum, or the one
    /// before, which applies until the service has received the new one, or more if it was reduced.
    reserved_in_flight: usize,
}

/// The status of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct BudgetStatus {
    /// The number of services.
    services: usize,
    /// The number of waits.
    waits: usize,
    /// The current limit: less while the cloud throttles, and while a stated quota applies.
    requests_per_second: f64,
    /// The current price of a request (the budget's shadow price), in seconds of delay.
    request_price: f64,
}

/// How long the requests in flight of a silent service are counted. Longer than [`GRANT_TTL`], because
/// only reports advance the budget's clock, so the clock may lag.
const SILENT_SERVICE_TTL: Duration = Duration::from_secs(10);

/// Slots are given for this time ahead, or for the longest gap between two attempts of a wait if that
/// is longer. An engine's timer cannot be shortened, so a short period of throttling must not cause
/// a long delay.
const MIN_SLOT_HORIZON: Duration = Duration::from_secs(60);

/// The demand of a service falls by this factor in a second.
const DEMAND_DECAY: f64 = 0.7;

/// The minimum demand of a service. A service without more takes no part in the turns.
const MIN_DEMAND: f64 = 0.2;

/// The duration of a turn, in seconds.
const TURN_SECS: u64 = 2;

/// The longest time that a tick waits for the turn of its service.
const MAX_TURN_WAIT: Duration = Duration::from_secs(20);

/// How much faster than its part of the budget a service may use slots that are late.
const CATCH_UP_FACTOR: f64 = 1.5;

/// The maximum number of candidates in a report.
const MAX_CANDIDATES: usize = 200;

impl SharedBudget {
    pub(crate) fn new(per_second: f64, max_in_flight: usize) -> Self {
        Self {
            budget: Budget::new(per_second, max_in_flight),
            services: BTreeMap::new(),
            next_free_slot: Duration::ZERO,
            longest_gap: Duration::ZERO,
            generation: 0,
            now: Duration::ZERO,
            last_report: Timestamp::UNIX_EPOCH,
        }
    }

    /// Changes the limits, and keeps everything else.
    pub(crate) fn set_limits(&mut self, per_second: f64, max_in_flight: usize) {
        self.budget.set_limits(per_second, max_in_flight);
    }

    /// Records a report, and returns the grant of its service.
    pub(crate) fn grant(&mut self, report: &Report) -> Grant {
        let is_repeated = !self.record(report);
        self.count_waits();
        self.budget.reprice(self.now, self.budget.waiters());
        let (part, rotation) = self.part(report.service);
        let max_in_flight = self.set_max_in_flight(report, part, is_repeated);
        let gap = self.gap();
        if gap * 2 < self.longest_gap {
            // The rate has recovered, and the slots that were given are too few. The waits get new ones
            // when they come, or are advanced.
            self.withdraw_slots(self.now);
        }
        let is_spent = self.budget.is_binding();
        let may_advance = is_spent && self.budget.throttled_until() <= self.now;
        let candidates = if may_advance { report.candidates.len() as u32 } else { 0 };
        let next_candidates = ADVANCE_TIME.div_duration_f64(gap).ceil() as usize;
        let horizon = self.slot_horizon();
        let (first, needed) = self.take_slots(report.needed, horizon);
        let (_, advanced) = self.take_slots(candidates, ADVANCE_TIME);
        let total = self.budget.max_in_flight() as f64;
        Grant {
            first_slot: report.time.saturating_add(first - self.now).unwrap_or(Timestamp::MAX),
            gap,
            generation: self.generation,
            needed,
            advanced,
            retry_after: horizon,
            max_candidates: if is_spent { next_candidates.min(MAX_CANDIDATES) } else { 0 },
            max_in_flight,
            min_gap: gap.mul_f64(total / part.max(1) as f64 / CATCH_UP_FACTOR),
            blocked_for: self.budget.next_slot().saturating_sub(self.now),
            share: self.budget.share(self.budget.waiters()),
            rotation,
        }
    }

    /// Advances the clock, and records what happened at a service. Returns `false` if the report is
    /// repeated.
    ///
    /// The clock advances by the time since the last report of this service. If no service has reported
    /// for longer than a grant, by the reference clock, that time counts, too. A service whose
    /// reference clock is ahead advances the clock by at most [`MAX_PAUSE`].
    fn record(&mut self, report: &Report) -> bool {
        let silence = report.time.duration_since(self.last_report);
        let silence = Duration::try_from(silence).unwrap_or_default().min(MAX_PAUSE);
        if silence > GRANT_TTL {
            self.withdraw_slots(self.now);
            self.now += silence;
            // If only the clock is wrong, the services have requests in flight.
            self.services.values_mut().for_each(|service| service.seen_at += silence);
        }
        self.last_report = self.last_report.max(report.time);
        let gap = self.gap();
        let service = self.services.entry(report.service).or_default();
        let since = report.reported_at.saturating_sub(service.reported_at);
        if since <= GRANT_TTL {
            self.now = self.now.max(service.seen_at + since);
        }
        let age = self.now.saturating_sub(service.seen_at).as_secs_f64();
        service.demand *= DEMAND_DECAY.powf(age);
        (service.reported_at, service.seen_at) = (report.reported_at, self.now);
        if report.number <= service.number {
            return false;
        }
        service.number = report.number;
        service.counts.clone_from(&report.counts);
        service.demand = (service.demand + f64::from(report.requested)).max(MIN_DEMAND);
        let mut stats = report.attempt_stats;
        let extra = mem::take(&mut stats.extra_requests);
        self.next_free_slot =
            self.next_free_slot.max(self.now).saturating_add(gap.saturating_mul(extra));
        self.budget.count_toward_quotas(self.now, stats.attempts.saturating_add(extra));
        self.budget.record(self.now, &stats);
        if stats.throttled || stats.retry_after > Duration::ZERO {
            // The slots that were given are too many for the new rate.
            self.withdraw_slots(self.now + self.gap());
        }
        true
    }

    /// Withdraws the slots that are later than `time`.
    fn withdraw_slots(&mut self, time: Duration) {
        if self.next_free_slot > time {
            self.generation = self.generation.wrapping_add(1);
            self.next_free_slot = time;
        }
        self.longest_gap = Duration::ZERO;
    }

    /// Counts the waits of all services. Those of a silent service count for one longest gap, because
    /// other services count each wait from its next attempt.
    fn count_waits(&mut self) {
        let (now, longest_gap) = (self.now, self.slot_horizon());
        self.services.retain(|_, service| now.saturating_sub(service.seen_at) <= longest_gap);
        self.budget.reset_counts();
        for (urgency, count) in self.services.values().flat_map(|service| &service.counts) {
            self.budget.adjust(*urgency, (*count).into());
        }
    }

    /// Returns how many requests the service with this id may have in flight: one, and a part of the
    /// others in proportion to its demand. If there are more services than requests, they take turns,
    /// and the time to wait for a turn is returned, too.
    fn part(&self, id: u64) -> (usize, Option<Duration>) {
        let total = self.budget.max_in_flight();
        // A service that receives no ticks any more, because it is updated, takes no part.
        let active: Vec<_> = self
            .present()
            .filter(|(other, service)| **other == id || service.demand > MIN_DEMAND)
            .map(|(other, service)| (*other, service.demand))
            .collect();
        let (count, before) = (active.len(), active.partition_point(|(other, _)| *other < id));
        if count > total {
            let turn = (self.now.as_secs() / TURN_SECS) as usize + before;
            let rotation = Duration::from_secs((count.div_ceil(total) as u64 + 1) * TURN_SECS);
            let part = total * (turn + 1) / count - total * turn / count;
            return (part, Some(rotation.min(MAX_TURN_WAIT)));
        }
        let demand = |first: usize| active[..first].iter().map(|(_, demand)| demand).sum::<f64>();
        let spare = (total - count) as f64;
        // The sum of all parts is the total.
        let until = |first| first + (spare * (demand(first) / demand(count))).ceil() as usize;
        (until(before + 1) - until(before), None)
    }

    /// Sets how many requests a service may have in flight: its part, limited to what the others have
    /// left.
    fn set_max_in_flight(&mut self, report: &Report, part: usize, is_repeated: bool) -> usize {
        let others = self.present().filter(|(id, _)| **id != report.service);
        let used: usize = others.map(|(_, service)| service.reserved_in_flight).sum();
        let free = self.budget.max_in_flight().saturating_sub(used);
        let service = self.services.entry(report.service).or_default();
        // A service that repeats its report has not received the last maximum.
        let before = if is_repeated { service.reserved_in_flight } else { service.max_in_flight };
        service.max_in_flight = part.min(free);
        service.reserved_in_flight = report.in_flight.max(before).max(service.max_in_flight);
        if report.is_leaving {
            (service.demand, service.max_in_flight) = (0.0, 0);
            service.reserved_in_flight = report.in_flight;
        }
        service.max_in_flight
    }

    /// Returns the services whose requests may still be in flight.
    fn present(&self) -> impl Iterator<Item = (&u64, &ServiceRecord)> {
        let age = |service: &ServiceRecord| self.now.saturating_sub(service.seen_at);
        self.services.iter().filter(move |(_, service)| age(service) <= SILENT_SERVICE_TTL)
    }

    /// Takes the next free slots, at most `wanted`, and none later than `limit` from now. Returns the
    /// first one and their number.
    fn take_slots(&mut self, wanted: u32, limit: Duration) -> (Duration, u32) {
        let gap = self.gap();
        if self.next_free_slot <= self.now {
            self.longest_gap = Duration::ZERO;
        }
        let first = self.next_free_slot.max(self.now).max(self.budget.next_slot());
        let room = (self.now + limit).checked_sub(first);
        let room = room.map_or(0.0, |room| room.div_duration_f64(gap).floor() + 1.0);
        let count = wanted.min(room as u32);
        if count > 0 {
            self.next_free_slot = first + gap * count;
            self.longest_gap = self.longest_gap.max(gap);
        }
        (first, count)
    }

    fn slot_horizon(&self) -> Duration {
        self.budget.share(self.budget.waiters()).max_gap.clamp(MIN_SLOT_HORIZON, MAX_PAUSE)
    }

    fn gap(&self) -> Duration {
        let gap = Duration::try_from_secs_f64(1.0 / self.budget.effective_rate());
        gap.unwrap_or(MAX_PAUSE).min(MAX_PAUSE)
    }

    pub(crate) fn status(&self) -> BudgetStatus {
        let waits = self.budget.waiters();
        BudgetStatus {
            services: self.present().filter(|(_, service)| service.demand > 0.0).count(),
            waits,
            requests_per_second: self.budget.current_rate(),
            request_price: self.budget.share(waits).request_price.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests;
