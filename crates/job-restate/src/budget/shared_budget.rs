//! Gives the slots of a deployment to its services. Reads no clock, performs no I/O.

use std::{collections::BTreeMap, mem, time::Duration};

use jiff::Timestamp;
use job_poller::budget::{Budget, UrgencyBucket};
use serde::{Deserialize, Serialize};

use super::message::{ADVANCE_TIME, GRANT_TTL, Grant, Report, SlotRun};

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
    /// The time since the budget was created. The reports of the services advance it; of each
    /// service's clock, only the time between two reports counts.
    now: Duration,
    /// The latest time of a report by the reference clock.
    last_report: Option<Timestamp>,
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
    /// The moving average of ticks that were about to send a request, per second.
    request_rate: f64,
    /// The number of requests in flight. It may exceed the maximum if that was reduced.
    in_flight: usize,
    max_in_flight: usize,
    /// The maximum before the last report. It applies until the service has received the new one.
    previous_max_in_flight: usize,
    counts: Vec<(UrgencyBucket, u32)>,
    has_left: bool,
}

impl ServiceRecord {
    /// Returns whether the service runs, as far as is known at `now`.
    fn is_present(&self, now: Duration) -> bool {
        !self.has_left && !self.is_silent(now)
    }

    /// Returns whether the service has sent no report for so long that its requests have ended.
    fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.seen_at) > SILENT_SERVICE_TTL
    }

    /// Returns how many requests the service may have in flight until its next report, or until it has
    /// left.
    fn most_in_flight(&self) -> usize {
        let granted = self.max_in_flight.max(self.previous_max_in_flight);
        if self.has_left { self.in_flight } else { granted.max(self.in_flight) }
    }
}

/// The status of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct BudgetStatus {
    /// The number of services.
    services: usize,
    /// The number of waits.
    waits: usize,
    /// The current limit of requests per second: below the configured rate while the cloud
    /// throttles, and while a stated quota applies.
    requests_per_second: f64,
    /// The current price of a request (the budget's shadow price), in seconds of delay.
    request_price: f64,
}

/// How long the requests in flight of a silent service are counted. Longer than [`GRANT_TTL`], because
/// only reports advance the budget's clock, so the clock may lag.
const SILENT_SERVICE_TTL: Duration = Duration::from_secs(10);

/// The limits of the time ahead for which slots are given. Within them, it is the longest gap between
/// two attempts of a wait.
///
/// An engine's timer cannot be shortened, so a short period of throttling must not cause a long
/// delay.
const QUEUE_LIMITS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(5 * 60)];

/// The weight of the last second in the moving average of the request rate.
const REQUEST_RATE_EWMA_WEIGHT: f64 = 0.3;

/// The minimum time between two reports that is assumed for computing a rate, in seconds.
const MIN_REPORT_INTERVAL_SECS: f64 = 0.2;

/// The demand of a service that has sent no requests yet, as a fraction of the rate of the budget.
const MIN_DEMAND_FRACTION: f64 = 0.02;

/// By how much the reference clocks of two services may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// The request rate above which a service takes part in the turns.
const MIN_ACTIVE_RATE: f64 = 0.05;

/// The duration of a turn, in seconds.
const TURN_SECS: u64 = 2;

/// How much faster than its part of the budget a service may use slots that are late.
const CATCH_UP_FACTOR: f64 = 1.5;

/// The longest gap between two slots.
const MAX_GAP: Duration = Duration::from_secs(5 * 60);

impl SharedBudget {
    pub(crate) fn new(per_second: f64, max_in_flight: usize) -> Self {
        Self {
            budget: Budget::new(per_second, max_in_flight),
            services: BTreeMap::new(),
            next_free_slot: Duration::ZERO,
            longest_gap: Duration::ZERO,
            generation: 0,
            now: Duration::ZERO,
            last_report: None,
        }
    }

    /// Changes the limits, and keeps everything else.
    pub(crate) fn set_limits(&mut self, per_second: f64, max_in_flight: usize) {
        self.budget.set_limits(per_second, max_in_flight);
    }

    /// Records a report, and returns the grant of its service.
    pub(crate) fn grant(&mut self, report: &Report) -> Grant {
        let known = self.services.remove(&report.service);
        let mut service = known.unwrap_or_else(|| ServiceRecord {
            reported_at: report.reported_at,
            seen_at: self.now,
            ..ServiceRecord::default()
        });
        // A report after a silence longer than a grant is treated like a first one, which does not
        // advance the clock.
        let since = report.reported_at.saturating_sub(service.reported_at);
        let since = if since > GRANT_TTL { Duration::ZERO } else { since };
        self.now = self.now.max(service.seen_at.saturating_add(since));
        self.skip_silence(report.time);
        (service.reported_at, service.seen_at) = (report.reported_at, self.now);
        if report.number > service.number {
            self.record(&mut service, report, since);
        }
        self.forget_silent_services();
        self.budget.reprice(self.now, self.budget.waiters());
        service.has_left = report.is_leaving;
        let (max_in_flight, fraction) = self.part(report.service, &service);
        service.previous_max_in_flight = service.max_in_flight;
        service.max_in_flight = if report.is_leaving { 0 } else { max_in_flight };
        self.services.insert(report.service, service);
        let (services, total) = (self.active_services().count(), self.budget.max_in_flight());
        let turns = services.div_ceil(total) as u64 + 1;
        let rotation = (services > total).then(|| Duration::from_secs(turns * TURN_SECS));
        let share = self.budget.share(self.budget.waiters());
        let [shortest, longest] = QUEUE_LIMITS;
        let limit = share.max_gap.clamp(shortest, longest);
        if self.gap() * 2 < self.longest_gap {
            // The rate has recovered, and the slots that were given are too few. The waits get new ones
            // when they come, or are advanced.
            self.withdraw_slots(self.now);
        }
        let slots = self.take_slots(report.time, report.needed, limit);
        let is_budget_spent = self.budget.is_binding();
        let may_advance = is_budget_spent && self.budget.throttled_until() <= self.now;
        let candidates = if may_advance { report.candidates.len() as u32 } else { 0 };
        let advanced = self.take_slots(report.time, candidates, ADVANCE_TIME);
        Grant {
            slots,
            retry_after: limit,
            advanced,
            max_in_flight: self.services[&report.service].max_in_flight,
            min_gap: self.gap().div_f64(fraction * CATCH_UP_FACTOR),
            blocked_for: self.budget.next_slot().saturating_sub(self.now),
            share,
            is_budget_spent,
            rotation,
        }
    }

    /// Advances the clock by a time in which no service reported.
    fn skip_silence(&mut self, time: Timestamp) {
        let last = self.last_report.unwrap_or(time);
        let silence: Duration = time.duration_since(last).try_into().unwrap_or_default();
        if silence > GRANT_TTL {
            self.now = self.now.saturating_add(silence - CLOCK_TOLERANCE);
        }
        self.last_report = Some(last.max(time));
    }

    fn record(&mut self, service: &mut ServiceRecord, report: &Report, since: Duration) {
        let seconds = since.as_secs_f64().max(MIN_REPORT_INTERVAL_SECS);
        let weight = 1.0 - (1.0 - REQUEST_RATE_EWMA_WEIGHT).powf(seconds);
        service.request_rate +=
            (f64::from(report.requested) / seconds - service.request_rate) * weight;
        (service.number, service.in_flight) = (report.number, report.in_flight);
        let before = mem::replace(&mut service.counts, report.counts.clone());
        self.count(&report.counts, 1);
        self.count(&before, -1);
        let mut stats = report.attempt_stats;
        if stats.attempts == 0 {
            return;
        }
        let extra = mem::take(&mut stats.extra_requests);
        let (next, without_slot) = (self.next_free_slot.max(self.now), report.without_slot);
        let shift = self.gap().saturating_mul(extra.saturating_add(without_slot));
        self.next_free_slot = next.saturating_add(shift);
        self.budget.count_toward_quotas(self.now, stats.attempts.saturating_add(extra));
        self.budget.record(self.now, &stats);
        let is_slower = stats.throttled || stats.stated_quotas.iter().next().is_some();
        if is_slower || stats.retry_after > Duration::ZERO {
            // The slots that were given are too many for the new rate.
            self.withdraw_slots(self.now + self.gap());
        }
    }

    /// Withdraws the slots that are later than `time`.
    fn withdraw_slots(&mut self, time: Duration) {
        if self.next_free_slot > time {
            self.generation = self.generation.wrapping_add(1);
            self.next_free_slot = time;
        }
        self.longest_gap = Duration::ZERO;
    }

    fn count(&mut self, counts: &[(UrgencyBucket, u32)], sign: i64) {
        for (urgency, count) in counts {
            self.budget.adjust(*urgency, sign * i64::from(*count));
        }
    }

    /// Removes the services that have sent no report for long. Their waits stay counted for one longest
    /// gap, because other services count each wait from its next attempt.
    fn forget_silent_services(&mut self) {
        let now = self.now;
        let [shortest, longest] = QUEUE_LIMITS;
        let max_gap = self.budget.share(self.budget.waiters()).max_gap.clamp(shortest, longest);
        let is_forgotten = |service: &ServiceRecord| now.saturating_sub(service.seen_at) > max_gap;
        let forgotten = self.services.extract_if(.., |_, service| is_forgotten(service));
        for (_, ServiceRecord { counts, .. }) in forgotten.collect::<Vec<_>>() {
            self.count(&counts, -1);
        }
    }

    /// Returns the services that send requests. A service that is being updated is not among them.
    fn active_services(&self) -> impl Iterator<Item = (&u64, &ServiceRecord)> {
        let is_active = |service: &ServiceRecord| {
            service.is_present(self.now) && service.request_rate >= MIN_ACTIVE_RATE
        };
        self.services.iter().filter(move |(_, service)| is_active(service))
    }

    /// Returns how many requests a service may have in flight: a part in proportion to its rate,
    /// limited to what the other services have left. Also returns the part as a fraction.
    fn part(&self, id: u64, service: &ServiceRecord) -> (usize, f64) {
        let total = self.budget.max_in_flight();
        let others = self.services.values().filter(|other| !other.is_silent(self.now));
        let used = others.map(ServiceRecord::most_in_flight).sum();
        let free = total.saturating_sub(used);
        let count = self.active_services().count() + 1;
        let (part, fraction) = if count > total {
            let before = self.active_services().filter(|(other, _)| **other < id).count();
            let first = self.now.as_secs() / TURN_SECS * total as u64 % count as u64;
            (usize::from((before + count - first as usize) % count < total), 1.0 / total as f64)
        } else {
            let least = self.budget.current_rate() * MIN_DEMAND_FRACTION;
            let demand = |service: &ServiceRecord| service.request_rate + least;
            let sum = |sum, (_, other): (&u64, &ServiceRecord)| sum + demand(other);
            let before = self.active_services().filter(|(other, _)| **other < id).fold(0.0, sum);
            let all = self.active_services().fold(demand(service), sum);
            // Each service gets one. The sum of all parts is the total.
            let spare = (total - count) as f64;
            let until = |demand: f64| (spare * demand / all) as usize;
            let part = 1 + until(before + demand(service)) - until(before);
            (part, demand(service) / all)
        };
        (part.min(free), fraction)
    }

    /// Takes the next free slots, at most `wanted`, and none later than `limit` from now. `time` is the
    /// time of the report by the reference clock.
    fn take_slots(&mut self, time: Timestamp, wanted: u32, limit: Duration) -> SlotRun {
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
        let first = time.saturating_add(first - self.now).unwrap_or(Timestamp::MAX);
        SlotRun { first, gap, count, generation: self.generation }
    }

    fn gap(&self) -> Duration {
        let gap = Duration::try_from_secs_f64(1.0 / self.budget.effective_rate());
        gap.unwrap_or(MAX_GAP).min(MAX_GAP)
    }

    pub(crate) fn status(&self) -> BudgetStatus {
        let waits = self.budget.waiters();
        BudgetStatus {
            services: self.services.values().filter(|service| service.is_present(self.now)).count(),
            waits,
            requests_per_second: self.budget.current_rate(),
            request_price: self.budget.share(waits).request_price.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests;
