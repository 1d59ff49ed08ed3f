//! Divides the request budget of a deployment among its services. Reads no clock, performs no I/O.

use std::{collections::BTreeMap, mem, time::Duration};

use job_poller::budget::Budget;
use serde::{Deserialize, Serialize};

use super::grant::{CountKey, Grant, LEASE_TTL, Slot, UsageReport};

/// The request budget of a deployment and the part of each service. The budget object stores it.
///
/// Each service reports every second how many slots were requested and how urgent its waits are. It
/// receives a grant: a part of the budget for a few seconds, and the price of a request. All grants
/// together never exceed the budget: a service gets a larger part only after other services have
/// released theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BudgetAllocator {
    budget: Budget,
    /// The budget with the counts of the previous epoch. A service that crashes loses its
    /// unreported changes, so each epoch counts all waits again. The previous counts are used until
    /// the new ones reach the same number of waits.
    previous: Budget,
    epoch: u32,
    epoch_started_at: Duration,
    services: BTreeMap<u64, ServiceLease>,
    /// The time since the budget was created. The reports of the services advance it; of each
    /// service's clock, only the time between two reports counts.
    now: Duration,
}

/// The part of the budget that one service holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ServiceLease {
    /// The number of the last report.
    report_number: u64,
    /// The time of the last report, by the clock of the service.
    reported_at: Duration,
    /// The time of the last report, by the clock of the budget.
    seen_at: Duration,
    /// The moving average of requested slots per second.
    request_rate: f64,
    /// The reported number of requests in flight. It may exceed the grant if the grant was reduced.
    reported_in_flight: usize,
    per_second: f64,
    in_flight: usize,
    expires_at: Duration,
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

/// How long the grant of a silent service stays reserved. Longer than [`LEASE_TTL`], because only
/// reports advance the budget's clock, so the clock may lag.
const LEASE_RETENTION: Duration = Duration::from_secs(10);

/// The weight of the last second in the moving average of requested slots.
const REQUEST_RATE_EWMA_WEIGHT: f64 = 0.3;

/// The minimum time between two reports that is assumed for computing a rate, in seconds.
const MIN_REPORT_INTERVAL_SECS: f64 = 0.2;

/// The smallest fraction of the budget that is granted. A service whose part would be smaller
/// gets nothing now and a larger part later.
const MIN_GRANT_FRACTION: f64 = 0.001;

/// The minimum duration of an epoch. Each wait is counted at its next attempt, so the counts are
/// complete after the longest gap between two attempts of a wait.
const MIN_EPOCH_DURATION: Duration = Duration::from_secs(120);

impl BudgetAllocator {
    pub(crate) fn new(per_second: f64, in_flight: usize) -> Self {
        let budget = Budget::new(per_second, in_flight);
        Self {
            previous: budget.clone(),
            budget,
            epoch: 0,
            epoch_started_at: Duration::ZERO,
            services: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }

    /// Changes the limits, and keeps the counts.
    pub(crate) fn set_limits(&mut self, per_second: f64, in_flight: usize) {
        self.budget.set_limits(per_second, in_flight);
        self.previous.set_limits(per_second, in_flight);
    }

    /// Records a report, and returns the grant of its service.
    pub(crate) fn grant(&mut self, report: &UsageReport) -> Grant {
        let new = ServiceLease {
            reported_at: report.reported_at,
            seen_at: self.now,
            ..ServiceLease::default()
        };
        let known = self.services.remove(&report.service);
        let mut service = known.unwrap_or(new);
        // A report after a silence longer than the lease is treated like a first one, which does
        // not advance the clock.
        let since = report.reported_at.saturating_sub(service.reported_at);
        let since = if since > LEASE_TTL { Duration::ZERO } else { since };
        self.now = self.now.max(service.seen_at.saturating_add(since));
        let now = self.now;
        self.services.retain(|_, service| service.expires_at > now);
        if service.expires_at <= now {
            (service.per_second, service.in_flight) = (0.0, 0);
        }
        if report.number > service.report_number {
            let seconds = since.as_secs_f64().max(MIN_REPORT_INTERVAL_SECS);
            let weight = 1.0 - (1.0 - REQUEST_RATE_EWMA_WEIGHT).powf(seconds);
            service.request_rate +=
                (f64::from(report.requested) / seconds - service.request_rate) * weight;
            (service.report_number, service.reported_in_flight) = (report.number, report.in_flight);
            self.record_report(now, report);
        }
        (service.reported_at, service.seen_at) = (report.reported_at, now);
        self.begin_epoch_if_due(now);
        // Both, because the rate is that of `budget`, even while the counts of `previous` are used.
        for budget in [&mut self.budget, &mut self.previous] {
            budget.reprice(now, budget.waiters());
        }
        let (budget, waits) = self.current_count();
        let (share, is_budget_spent) = (budget.share(waits), budget.is_binding());
        let slot = Slot { share, epoch: self.epoch, is_budget_spent };
        if report.is_leaving {
            (service.per_second, service.in_flight) = (0.0, 0);
        } else {
            service = self.allocate(service);
            service.expires_at = now + LEASE_RETENTION;
            self.services.insert(report.service, service);
        }
        Grant {
            per_second: service.per_second,
            in_flight: service.in_flight,
            blocked_for: self.budget.next_slot().saturating_sub(now),
            slot,
        }
    }

    fn record_report(&mut self, now: Duration, report: &UsageReport) {
        let mut stats = report.attempt_stats;
        if stats.attempts > 0 {
            // The service has already counted these requests against its own grant. Only the stated
            // quotas count the requests of all services.
            let sent = stats.attempts.saturating_add(mem::take(&mut stats.extra_requests));
            for budget in [&mut self.budget, &mut self.previous] {
                budget.count_toward_quotas(now, sent);
                budget.record(now, &stats);
            }
        }
        for (CountKey { epoch, urgency }, change) in &report.counts {
            if *epoch == self.epoch {
                self.budget.adjust(*urgency, *change);
            } else if epoch.wrapping_add(1) == self.epoch {
                self.previous.adjust(*urgency, *change);
            }
        }
    }

    fn begin_epoch_if_due(&mut self, now: Duration) {
        let (budget, waits) = self.current_count();
        let max_gap = budget.share(waits).max_gap;
        if now.saturating_sub(self.epoch_started_at)
            > MIN_EPOCH_DURATION.max(max_gap.saturating_mul(2))
        {
            self.previous = self.budget.clone();
            self.budget.reset_counts();
            self.epoch = self.epoch.wrapping_add(1);
            self.epoch_started_at = now;
        }
    }

    /// Returns the budget whose counts are used, and its number of waits.
    fn current_count(&mut self) -> (&mut Budget, usize) {
        let (now, before) = (self.budget.waiters(), self.previous.waiters());
        if now >= before { (&mut self.budget, now) } else { (&mut self.previous, before) }
    }

    /// Returns the lease with a new grant: a part of the budget in proportion to the demand of the
    /// service, limited to what the other services do not hold.
    fn allocate(&self, service: ServiceLease) -> ServiceLease {
        let others = || self.services.values();
        let (rate, max_in_flight) = (self.budget.effective_rate(), self.budget.max_in_flight());
        let demand = |service: &ServiceLease| service.request_rate + 1.0;
        let fraction = demand(&service) / (demand(&service) + others().map(demand).sum::<f64>());
        let granted: f64 = others().map(|other| other.per_second).sum();
        let used: usize = others().map(|other| other.in_flight.max(other.reported_in_flight)).sum();
        let in_flight = ((max_in_flight as f64 * fraction) as usize)
            .max(1)
            .min(max_in_flight.saturating_sub(used));
        let per_second = (rate * fraction).min(rate - granted);
        let is_enough = in_flight > 0 && per_second > rate * MIN_GRANT_FRACTION;
        ServiceLease { per_second: if is_enough { per_second } else { 0.0 }, in_flight, ..service }
    }

    pub(crate) fn status(&self) -> BudgetStatus {
        let mut allocator = self.clone();
        let (budget, waits) = allocator.current_count();
        BudgetStatus {
            services: self.services.len(),
            waits,
            requests_per_second: self.budget.current_rate(),
            request_price: budget.share(waits).request_price.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests;
