//! How the budget of a deployment is divided among its services: what the budget object keeps. Reads no clock,
//! performs no I/O.

use std::{collections::BTreeMap, time::Duration};

use job_poller::{Attempted, Budget};
use serde::{Deserialize, Serialize};

use super::slots::{Place, Turn};

/// The budget of a deployment, and what each service has of it.
///
/// Each service says every second how many turns were asked of it, and how urgent the waits are that it
/// planned; it is lent its part of the requests for a few seconds, and told what a request is worth. No
/// more is ever lent than there is: a service has what the others have given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shares {
    budget: Budget,
    /// The count before this one. Whoever dies takes with it what it counted last, so they are counted anew now and
    /// then; until the new count has as many, the one before holds.
    before: Budget,
    round: u32,
    counted_since: Duration,
    services: BTreeMap<u64, Service>,
    /// The time since the budget began: each service's own goes on from where this was when it came.
    now: Duration,
}

/// What a service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Service {
    /// The number of what it said last, when that was by its own clock, and by all.
    number: u64,
    at: Duration,
    seen: Duration,
    /// How many turns a second were asked of it lately.
    asked: f64,
    /// How many of its requests are under way, perhaps more than it may have by now.
    asking: usize,
    per_second: f64,
    in_flight: usize,
    until: Duration,
}

/// What a service says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) service: u64,
    /// One more than before; the same where it is said once more.
    pub(crate) number: u64,
    /// When, by its own clock, which never goes back.
    pub(crate) at: Duration,
    /// How many turns were asked of it since, and how many requests are under way.
    pub(crate) asked: u32,
    pub(crate) asking: usize,
    /// What the attempts came to that ended since.
    pub(crate) attempted: Attempted,
    /// How many waits more, or fewer, there are in each place.
    pub(crate) counts: Vec<(Place, i64)>,
    /// Whether it is about to end.
    pub(crate) is_leaving: bool,
}

/// What a service is lent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lent {
    pub(crate) per_second: f64,
    pub(crate) in_flight: usize,
    /// For how long the service of the cloud is to be left alone by all.
    pub(crate) hold: Duration,
    /// What each wait goes by.
    pub(crate) turn: Turn,
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
    worth: f64,
}

/// How long what is lent may be used. A service that says nothing for so long is gone.
pub(crate) const LENT_FOR: Duration = Duration::from_secs(5);

/// For whom it is held: the time here is that of whoever spoke last, and may be behind by as much as all were silent.
const HELD_FOR: Duration = Duration::from_secs(10);

/// How much the last second counts for how many turns are asked of a service.
const LATELY: f64 = 0.3;

/// Nobody speaks more often; in seconds.
const MOMENT: f64 = 0.2;

/// Less than this part of the budget is nothing: what is lent later is more.
const LEAST: f64 = 0.001;

/// A count is complete after the longest gap that there is; this much at least.
const ROUND: Duration = Duration::from_secs(120);

impl Shares {
    pub(crate) fn new(per_second: f64, in_flight: usize) -> Self {
        let budget = Budget::new(per_second, in_flight);
        Self {
            before: budget.clone(),
            budget,
            round: 0,
            counted_since: Duration::ZERO,
            services: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }

    /// Sets other limits.
    pub(crate) fn set_limits(&mut self, per_second: f64, in_flight: usize) {
        self.budget.set_limits(per_second, in_flight);
        self.before.set_limits(per_second, in_flight);
    }

    /// Takes what a service says, and lends it its part.
    pub(crate) fn lend(&mut self, said: &Said) -> Lent {
        let new = Service { at: said.at, seen: self.now, ..Service::default() };
        let known = self.services.remove(&said.service);
        let mut service = known.unwrap_or(new);
        // Of one that was silent for longer nothing is known, its time among it.
        let since = said.at.saturating_sub(service.at);
        let since = if since > LENT_FOR { Duration::ZERO } else { since };
        self.now = self.now.max(service.seen.saturating_add(since));
        let now = self.now;
        self.services.retain(|_, service| service.until > now);
        if service.until <= now {
            (service.per_second, service.in_flight) = (0.0, 0);
        }
        if said.number > service.number {
            let seconds = since.as_secs_f64().max(MOMENT);
            let lately = 1.0 - (1.0 - LATELY).powf(seconds);
            service.asked += (f64::from(said.asked) / seconds - service.asked) * lately;
            (service.number, service.asking) = (said.number, said.asking);
            self.take_note(now, said);
        }
        (service.at, service.seen) = (said.at, now);
        self.begin_round(now);
        let (budget, waits) = self.counting();
        budget.set_price(now, waits);
        let (share, is_spent) = (budget.share(waits), budget.is_binding());
        let turn = Turn { share, round: self.round, is_spent };
        if said.is_leaving {
            (service.per_second, service.in_flight) = (0.0, 0);
        } else {
            service = self.part(service);
            service.until = now + HELD_FOR;
            self.services.insert(said.service, service);
        }
        Lent {
            per_second: service.per_second,
            in_flight: service.in_flight,
            hold: self.budget.next().saturating_sub(now),
            turn,
        }
    }

    fn take_note(&mut self, now: Duration, said: &Said) {
        let mut attempted = said.attempted;
        if attempted.attempts > 0 {
            // Those left already; the service made room for them.
            attempted.more_requests = 0;
            self.budget.attempted(now, &attempted);
            self.before.attempted(now, &attempted);
        }
        for ((round, urgency), more) in &said.counts {
            if *round == self.round {
                self.budget.recount(*urgency, *more);
            } else if round.wrapping_add(1) == self.round {
                self.before.recount(*urgency, *more);
            }
        }
    }

    fn begin_round(&mut self, now: Duration) {
        let (budget, waits) = self.counting();
        let longest = budget.share(waits).longest;
        if now.saturating_sub(self.counted_since) > ROUND.max(longest.saturating_mul(2)) {
            self.before = self.budget.clone();
            self.budget.count_anew();
            self.round = self.round.wrapping_add(1);
            self.counted_since = now;
        }
    }

    /// Returns the count that holds, and how many it has.
    fn counting(&mut self) -> (&mut Budget, usize) {
        let (now, before) = (self.budget.counted(), self.before.counted());
        if now >= before { (&mut self.budget, now) } else { (&mut self.before, before) }
    }

    /// Returns a service with its part of the budget: by how much is asked of it, of what the others do not have.
    fn part(&self, service: Service) -> Service {
        let others = || self.services.values();
        let (all, most) = (self.budget.attainable(), self.budget.in_flight());
        let asked = |service: &Service| service.asked + 1.0;
        let part = asked(&service) / (asked(&service) + others().map(asked).sum::<f64>());
        let lent: f64 = others().map(|other| other.per_second).sum();
        let used: usize = others().map(|other| other.in_flight.max(other.asking)).sum();
        let in_flight = ((most as f64 * part) as usize).max(1).min(most.saturating_sub(used));
        let per_second = (all * part).min(all - lent);
        let is_something = in_flight > 0 && per_second > all * LEAST;
        Service { per_second: if is_something { per_second } else { 0.0 }, in_flight, ..service }
    }

    pub(crate) fn status(&self) -> BudgetStatus {
        let mut shares = self.clone();
        let (budget, waits) = shares.counting();
        BudgetStatus {
            services: self.services.len(),
            waits,
            requests_per_second: self.budget.per_second(),
            worth: budget.share(waits).worth.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests;
