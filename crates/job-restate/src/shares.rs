//! How the budget of a deployment is divided among its services: what the budget object keeps. Reads no clock,
//! performs no I/O.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use job_poller::{Attempted, Budget, Urgency};
use serde::{Deserialize, Serialize};

use crate::turns::Turn;

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
    time: Time,
}

/// What a service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Service {
    /// The number of what it said last.
    number: u64,
    /// How many turns a second were asked of it lately.
    asked: f64,
    per_second: f64,
    in_flight: usize,
    until: Duration,
}

/// The time since the budget began, by the clocks of all machines that take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Time {
    elapsed: Duration,
    /// The latest that any of them had.
    latest: Option<Timestamp>,
}

/// What a service says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) service: u64,
    /// One more than before; the same where it is said once more.
    pub(crate) number: u64,
    pub(crate) now: Timestamp,
    /// How many turns were asked of it since.
    pub(crate) asked: u32,
    /// What the attempts came to that ended since.
    pub(crate) attempted: Attempted,
    /// How many waits more, or fewer, there are of each urgency, in this round of counting.
    pub(crate) round: u32,
    pub(crate) counts: Vec<(Urgency, i64)>,
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
    pub(crate) round: u32,
}

/// A budget in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// How many services share it.
    pub services: usize,
    /// How many waits are counted.
    pub waits: usize,
    /// How many requests a second may leave at present: fewer than set while the service throttles.
    pub requests_per_second: f64,
    /// How many seconds of delay a request is worth at present: the budget's shadow price.
    pub worth: f64,
}

/// How long what is lent may be used. A service that says nothing for so long is gone.
pub(crate) const LENT_FOR: Duration = Duration::from_secs(5);

/// How much the last second counts for how many turns are asked of a service.
const LATELY: f64 = 0.3;

/// How far machines' clocks may be apart. What goes back by more was set back, and no time has passed.
const APART: SignedDuration = SignedDuration::from_secs(10);

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
            time: Time::default(),
        }
    }

    /// Sets other limits.
    pub(crate) fn set_limits(&mut self, per_second: f64, in_flight: usize) {
        self.budget.set_limits(per_second, in_flight);
        self.before.set_limits(per_second, in_flight);
    }

    /// Takes what a service says, and lends it its part.
    pub(crate) fn lend(&mut self, said: &Said) -> Lent {
        let now = self.time.at(said.now);
        self.services.retain(|_, service| service.until > now);
        let mut service = self.services.remove(&said.service).unwrap_or_default();
        if said.number > service.number {
            service.number = said.number;
            service.asked += (f64::from(said.asked) - service.asked) * LATELY;
            self.take_note(now, said);
        }
        self.begin_round(now);
        let (budget, waits) = self.counting();
        budget.set_price(now, waits);
        let turn = Turn { share: budget.share(waits), is_spent: budget.is_binding() };
        if !said.is_leaving {
            service = self.part(service);
            service.until = now + LENT_FOR;
            self.services.insert(said.service, service);
        }
        Lent {
            per_second: service.per_second,
            in_flight: service.in_flight,
            hold: self.budget.next().saturating_sub(now),
            turn,
            round: self.round,
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
        for (urgency, more) in said.counts.iter().filter(|_| said.round == self.round) {
            let (before, after) =
                if *more < 0 { (Some(*urgency), None) } else { (None, Some(*urgency)) };
            // As many as there are waits that a service plans within a second.
            (0..more.unsigned_abs()).for_each(|_| self.budget.count(before, after));
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
        let (all, most) = (self.budget.per_second(), self.budget.in_flight());
        let asked = |service: &Service| service.asked + 1.0;
        let part = asked(&service) / (asked(&service) + others().map(asked).sum::<f64>());
        let lent: f64 = others().map(|other| other.per_second).sum();
        let used: usize = others().map(|other| other.in_flight).sum();
        Service {
            per_second: (all * part).min(all - lent).max(0.0),
            in_flight: ((most as f64 * part) as usize).max(1).min(most.saturating_sub(used)),
            ..service
        }
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

impl Time {
    /// Returns the time since the budget began when it is this time by one of the clocks.
    fn at(&mut self, now: Timestamp) -> Duration {
        let latest = self.latest.unwrap_or(now);
        let since = now.duration_since(latest);
        // Those a little behind are told the time of those before.
        self.elapsed += Duration::try_from(since).unwrap_or_default();
        if self.latest.is_none() || now > latest || since < -APART {
            self.latest = Some(now);
        }
        self.elapsed
    }
}

#[cfg(test)]
mod tests;
