//! Divides the budget of a deployment among its services. This is the state of the budget object. Reads no clock,
//! performs no I/O.

use std::{collections::BTreeMap, time::Duration};

use job_poller::budget::Budget;
use serde::{Deserialize, Serialize};

use super::grant::{CountKey, Grant, LEASE_TTL, Slot, UsageReport};

/// The budget of a deployment, and the part that each service has.
///
/// Each service reports every second how many slots were requested, and how urgent its waits are. It gets a grant: a
/// part of the requests for a few seconds, and the price of a request. The grants together never exceed the
/// budget: a service gets more only after others have released it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BudgetAllocator {
    budget: Budget,
    /// The count of the previous epoch. A service that dies loses its last changes, so all waits are counted again in
    /// each epoch. The previous count is used until the new one has as many waits.
    previous: Budget,
    epoch: u32,
    epoch_started_at: Duration,
    services: BTreeMap<u64, ServiceLease>,
    /// The time since the budget was created. The clock of a service counts from its first report.
    now: Duration,
}

/// The lease of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ServiceLease {
    /// The number of its last report.
    report_number: u64,
    /// The time of that report, by the clock of the service.
    reported_at: Duration,
    /// The same, by the time of the budget.
    seen_at: Duration,
    /// The recent rate of requested slots, per second.
    request_rate: f64,
    /// How many of its requests are in flight, which may be more than its grant by now.
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
    /// The current limit of requests per second: less than the setting while the cloud throttles.
    requests_per_second: f64,
    /// The current price of a request, in seconds of delay: the budget's shadow price.
    request_price: f64,
}

/// How long a grant is reserved here. Longer than [`LEASE_TTL`], because the time here is that of the last report, and
/// is late by as long as no service reported.
const LEASE_RETENTION: Duration = Duration::from_secs(10);

/// The weight of the last second in the rate of requested slots.
const REQUEST_RATE_EWMA_WEIGHT: f64 = 0.3;

/// The least time between two reports, in seconds.
const MIN_REPORT_INTERVAL_SECS: f64 = 0.2;

/// No smaller part of the budget is granted: a later grant is larger.
const MIN_GRANT_FRACTION: f64 = 0.001;

/// The least duration of an epoch. A count is complete after the longest gap between two attempts of a wait.
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

    /// Changes the limits.
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
        // After a longer silence nothing is known of the service, not even how much time has passed.
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
        let (budget, waits) = self.current_count();
        budget.reprice(now, waits);
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
            // These requests were sent already, and the service has counted them.
            stats.extra_requests = 0;
            self.budget.record(now, &stats);
            self.previous.record(now, &stats);
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

    /// Returns the count that is used, and its number of waits.
    fn current_count(&mut self) -> (&mut Budget, usize) {
        let (now, before) = (self.budget.waiters(), self.previous.waiters());
        if now >= before { (&mut self.budget, now) } else { (&mut self.previous, before) }
    }

    /// Returns the lease with a part of the budget: in proportion to its demand, from what the others do not have.
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
