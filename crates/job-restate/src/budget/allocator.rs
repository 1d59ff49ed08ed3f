//! How the budget of a deployment is divided among its services: what the budget object keeps. Reads no clock,
//! performs no I/O.

use std::{collections::BTreeMap, time::Duration};

use job_poller::budget::{AttemptStats, Budget};
use serde::{Deserialize, Serialize};

use super::slots::{CountKey, Slot};

/// The budget of a deployment, and what each service has of it.
///
/// Each service says every second how many slots were requested of it, and how urgent the waits are that it
/// planned; it is lent its part of the requests for a few seconds, and told what a request is worth. No
/// more is ever lent than there is: a service has what the others have given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BudgetAllocator {
    budget: Budget,
    /// The count before this one. Whoever dies takes with it what it counted last, so they are counted anew now and
    /// then; until the new count has as many, the one before holds.
    previous: Budget,
    epoch: u32,
    epoch_started_at: Duration,
    services: BTreeMap<u64, ServiceLease>,
    /// The time since the budget began: each service's own goes on from where this was when it came.
    now: Duration,
}

/// What a service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ServiceLease {
    /// The number of what it said last, when that was by its own clock, and by all.
    report_number: u64,
    reported_at: Duration,
    seen_at: Duration,
    /// How many slots a second were requested of it lately.
    request_rate: f64,
    /// How many of its requests are under way, perhaps more than it may have by now.
    reported_in_flight: usize,
    per_second: f64,
    in_flight: usize,
    expires_at: Duration,
}

/// What a service says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UsageReport {
    pub(crate) service: u64,
    /// One more than before; the same where it is said once more.
    pub(crate) number: u64,
    /// When, by its own clock, which never goes back.
    pub(crate) reported_at: Duration,
    /// How many turns were asked of it since, and how many requests are under way.
    pub(crate) requested: u32,
    pub(crate) max_in_flight: usize,
    /// What the attempts came to that ended since.
    pub(crate) attempt_stats: AttemptStats,
    /// How many waits more, or fewer, there are in each place.
    pub(crate) counts: Vec<(CountKey, i64)>,
    /// Whether it is about to end.
    pub(crate) is_leaving: bool,
}

/// What a service is lent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) per_second: f64,
    pub(crate) in_flight: usize,
    /// For how long the service of the cloud is to be left alone by all.
    pub(crate) blocked_for: Duration,
    /// What each wait goes by.
    pub(crate) slot: Slot,
}

/// A budget in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct BudgetStatus {
    /// How many services share it.
    services: usize,
    /// How many waits are counted.
    waits: usize,
    /// How many requests a second may leave at present: fewer than set while the service throttles.
    requests_per_second: f64,
    /// How many seconds of delay a request is worth at present: the budget's shadow price.
    request_price: f64,
}

/// How long what is lent may be used. A service that says nothing for so long is gone.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(5);

/// For whom it is held: the time here is that of whoever spoke last, and may be behind by as much as all were silent.
const LEASE_RETENTION: Duration = Duration::from_secs(10);

/// How much the last second counts for how many turns are asked of a service.
const REQUEST_RATE_EWMA_WEIGHT: f64 = 0.3;

/// Nobody speaks more often; in seconds.
const MIN_REPORT_INTERVAL_SECS: f64 = 0.2;

/// Less than this part of the budget is nothing: what is lent later is more.
const MIN_GRANT_FRACTION: f64 = 0.001;

/// A count is complete after the longest gap that there is; this much at least.
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

    /// Sets other limits.
    pub(crate) fn set_limits(&mut self, per_second: f64, in_flight: usize) {
        self.budget.set_limits(per_second, in_flight);
        self.previous.set_limits(per_second, in_flight);
    }

    /// Takes what a service says, and lends it its part.
    pub(crate) fn grant(&mut self, said: &UsageReport) -> Grant {
        let new = ServiceLease {
            reported_at: said.reported_at,
            seen_at: self.now,
            ..ServiceLease::default()
        };
        let known = self.services.remove(&said.service);
        let mut service = known.unwrap_or(new);
        // Of one that was silent for longer nothing is known, its time among it.
        let since = said.reported_at.saturating_sub(service.reported_at);
        let since = if since > LEASE_TTL { Duration::ZERO } else { since };
        self.now = self.now.max(service.seen_at.saturating_add(since));
        let now = self.now;
        self.services.retain(|_, service| service.expires_at > now);
        if service.expires_at <= now {
            (service.per_second, service.in_flight) = (0.0, 0);
        }
        if said.number > service.report_number {
            let seconds = since.as_secs_f64().max(MIN_REPORT_INTERVAL_SECS);
            let lately = 1.0 - (1.0 - REQUEST_RATE_EWMA_WEIGHT).powf(seconds);
            service.request_rate +=
                (f64::from(said.requested) / seconds - service.request_rate) * lately;
            (service.report_number, service.reported_in_flight) = (said.number, said.max_in_flight);
            self.record_report(now, said);
        }
        (service.reported_at, service.seen_at) = (said.reported_at, now);
        self.begin_epoch_if_due(now);
        let (budget, waits) = self.current_count();
        budget.reprice(now, waits);
        let (share, is_spent) = (budget.share(waits), budget.is_binding());
        let turn = Slot { share, epoch: self.epoch, is_budget_spent: is_spent };
        if said.is_leaving {
            (service.per_second, service.in_flight) = (0.0, 0);
        } else {
            service = self.allocate(service);
            service.expires_at = now + LEASE_RETENTION;
            self.services.insert(said.service, service);
        }
        Grant {
            per_second: service.per_second,
            in_flight: service.in_flight,
            blocked_for: self.budget.next_slot().saturating_sub(now),
            slot: turn,
        }
    }

    fn record_report(&mut self, now: Duration, said: &UsageReport) {
        let mut attempted = said.attempt_stats;
        if attempted.attempts > 0 {
            // Those left already; the service made room for them.
            attempted.extra_requests = 0;
            self.budget.record(now, &attempted);
            self.previous.record(now, &attempted);
        }
        for ((round, urgency), more) in &said.counts {
            if *round == self.epoch {
                self.budget.adjust(*urgency, *more);
            } else if round.wrapping_add(1) == self.epoch {
                self.previous.adjust(*urgency, *more);
            }
        }
    }

    fn begin_epoch_if_due(&mut self, now: Duration) {
        let (budget, waits) = self.current_count();
        let longest = budget.share(waits).max_gap;
        if now.saturating_sub(self.epoch_started_at)
            > MIN_EPOCH_DURATION.max(longest.saturating_mul(2))
        {
            self.previous = self.budget.clone();
            self.budget.reset_counts();
            self.epoch = self.epoch.wrapping_add(1);
            self.epoch_started_at = now;
        }
    }

    /// Returns the count that holds, and how many it has.
    fn current_count(&mut self) -> (&mut Budget, usize) {
        let (now, before) = (self.budget.waiters(), self.previous.waiters());
        if now >= before { (&mut self.budget, now) } else { (&mut self.previous, before) }
    }

    /// Returns a service with its part of the budget: by how much is asked of it, of what the others do not have.
    fn allocate(&self, service: ServiceLease) -> ServiceLease {
        let others = || self.services.values();
        let (all, most) = (self.budget.effective_rate(), self.budget.max_in_flight());
        let asked = |service: &ServiceLease| service.request_rate + 1.0;
        let part = asked(&service) / (asked(&service) + others().map(asked).sum::<f64>());
        let lent: f64 = others().map(|other| other.per_second).sum();
        let used: usize = others().map(|other| other.in_flight.max(other.reported_in_flight)).sum();
        let in_flight = ((most as f64 * part) as usize).max(1).min(most.saturating_sub(used));
        let per_second = (all * part).min(all - lent);
        let is_something = in_flight > 0 && per_second > all * MIN_GRANT_FRACTION;
        ServiceLease {
            per_second: if is_something { per_second } else { 0.0 },
            in_flight,
            ..service
        }
    }

    pub(crate) fn status(&self) -> BudgetStatus {
        let mut shares = self.clone();
        let (budget, waits) = shares.current_count();
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
