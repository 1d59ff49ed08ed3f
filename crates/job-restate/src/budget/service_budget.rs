//! The budget as one service sees it: reports to the budget object, and slots for the ticks that the
//! engine calls here.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use job_poller::{
    budget::{AttemptStats, UrgencyBucket},
    durable::WaitKey,
    schedule::BudgetShare,
};
use job_transport::{clock::Clock, transport::Transport};
use tokio::sync::{Notify, Semaphore, oneshot};

use super::{
    JobBudget,
    message::{ADVANCE_TIME, GRANT_TTL, Grant, MAX_PAUSE, REPORT_INTERVAL, Report, Slot},
};
use crate::engine::{post_json, success};

/// The budget of a deployment, for one service.
pub(crate) struct ServiceBudget {
    /// The id of this service within the deployment.
    service: u64,
    state: Mutex<State>,
    /// Triggers a report before the next one is due.
    urgent_report: Notify,
    /// Notifies the ticks that wait until one more request may be in flight.
    may_start: Notify,
    /// Limits the number of ticks that wait for anything.
    waiting: Semaphore,
    clock: Arc<dyn Clock>,
}

/// What a service knows of the budget, and its waits.
#[derive(Default)]
struct State {
    report_number: u64,
    grant: Option<Grant>,
    /// When the grant expires.
    expires_at: Duration,
    /// Requests are blocked until this time (Retry-After).
    blocked_until: Duration,
    /// When the next wait comes back that is sent away without a slot.
    next_return: Duration,
    /// When the next request may be sent. It spreads requests whose slots are late.
    next_start: Duration,
    in_flight: usize,
    requested: u32,
    attempt_stats: AttemptStats,
    /// The ticks that need a slot, the longest waiting first.
    needs: VecDeque<oneshot::Sender<Slot>>,
    /// The waits that this service has planned, by the time of their next tick. They are counted for
    /// the budget, and their attempts may be made earlier if a slot would lapse. After a restart,
    /// the next ticks fill the map again.
    planned: BTreeMap<(Timestamp, WaitKey), PlannedWait>,
}

/// The plan of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedWait {
    /// The number of the next tick.
    pub(crate) tick: u64,
    /// The urgency of the last plan. A wait without one does not count.
    pub(crate) urgency: Option<UrgencyBucket>,
    /// When the attempt may be made at the earliest. `None` if it may not be made before it is due.
    pub(crate) earliest: Option<Timestamp>,
}

/// A tick that may send no request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentAway {
    /// The slot that the wait keeps.
    pub(crate) slot: Option<Slot>,
    /// How long until the wait comes back.
    pub(crate) delay: Duration,
}

/// Whether a request may be sent.
enum Start {
    Now(BudgetShare),
    /// After this delay, so that requests are evenly spaced.
    In(Duration),
    /// When a request has ended, or after the next report.
    AfterOthers,
}

/// A slot in use. Frees the slot when dropped.
pub(crate) struct SlotGuard<'a> {
    budget: &'a ServiceBudget,
    /// The share of the budget with which the wait plans its next attempt.
    pub(crate) share: BudgetShare,
}

/// The minimum time between two reports, if a wait needs a slot.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// The time between two reports while services take turns.
const TURN_REPORT_INTERVAL: Duration = Duration::from_millis(400);

/// How long a tick waits for a slot. If the budget object has not answered by then, the wait comes back
/// later.
const MAX_SLOT_WAIT: Duration = Duration::from_secs(3);

/// The maximum number of ticks that wait in a service. The engine runs only some hundred calls at the
/// same time, and those of the budget object must be among them.
const MAX_WAITING_TICKS: usize = 100;

/// How long a tick waits for the time of its slot. A wait whose slot is later is sent away until then.
const MAX_STAY: Duration = Duration::from_millis(1500);

const _: () = assert!(MAX_STAY.as_millis() > ADVANCE_TIME.as_millis());

/// How late a tick may be. The clocks of two services may differ by a second, and engines wake waits
/// slightly late.
const MAX_LATENESS: SignedDuration = SignedDuration::from_secs(2);

/// A wait that is due earlier than this is not advanced.
const MIN_ADVANCE: SignedDuration = SignedDuration::from_secs(1);

/// How many requests may be sent without a gap after a pause, except a pause between two turns.
const BURST: u32 = 4;

/// The time between two waits that come back, if the rate of the budget is not known yet.
const DEFAULT_GAP: Duration = Duration::from_millis(10);

/// A wait that could not use its slot tries again.
const LAPSED: SentAway = SentAway { slot: None, delay: REPORT_INTERVAL };

impl ServiceBudget {
    pub(crate) fn new(service: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            service,
            state: Mutex::default(),
            urgent_report: Notify::new(),
            may_start: Notify::new(),
            waiting: Semaphore::new(MAX_WAITING_TICKS),
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a request may be sent: at the time of the slot that the wait has, or of a new one.
    ///
    /// # Errors
    ///
    /// Returns an error with the time to come back if no request may be sent within about a second.
    pub(crate) async fn acquire(&self, carried: Option<Slot>) -> Result<SlotGuard<'_>, SentAway> {
        self.state().requested += 1;
        let may_wait = self.waiting.try_acquire();
        let now = self.clock.now();
        let slot = match carried.filter(|slot| self.state().is_valid(*slot, now)) {
            Some(slot) => slot,
            None if may_wait.is_ok() => self.request_slot().await?,
            None => return Err(self.send_away(MAX_SLOT_WAIT)),
        };
        let delay = slot.at.duration_since(self.clock.now()).try_into().unwrap_or_default();
        if delay > if may_wait.is_ok() { MAX_STAY } else { Duration::ZERO } {
            return Err(SentAway { slot: Some(slot), delay });
        }
        self.clock.sleep(delay).await;
        let rotation = self.state().grant.and_then(|grant| grant.rotation);
        tokio::select! {
            biased;
            started = self.start(slot.generation) => started,
            () = self.clock.sleep(rotation.unwrap_or(REPORT_INTERVAL)) => Err(LAPSED),
        }
    }

    /// Gets a slot from the budget object.
    async fn request_slot(&self) -> Result<Slot, SentAway> {
        let (sender, slot) = oneshot::channel();
        self.state().needs.push_back(sender);
        self.urgent_report.notify_one();
        let delay = tokio::select! {
            biased;
            slot = slot => match slot {
                Ok(slot) => return Ok(slot),
                Err(_) => self.state().grant.map_or(MAX_SLOT_WAIT, |grant| grant.retry_after),
            },
            () = self.clock.sleep(MAX_SLOT_WAIT) => MAX_SLOT_WAIT,
        };
        Err(self.send_away(delay))
    }

    /// Sends a wait away without a slot. It comes back after this delay or later, because such waits
    /// come one by one, as far apart as slots.
    fn send_away(&self, delay: Duration) -> SentAway {
        let (mut state, now) = (self.state(), self.clock.monotonic());
        let at = state.next_return.max(now + delay);
        state.next_return = at + state.grant.map_or(DEFAULT_GAP, |grant| grant.gap);
        SentAway { slot: None, delay: at - now }
    }

    /// Waits until one more request may be in flight.
    async fn start(&self, generation: u32) -> Result<SlotGuard<'_>, SentAway> {
        loop {
            let may_start = self.may_start.notified();
            let started = self.state().start(self.clock.monotonic(), generation)?;
            match started {
                Start::Now(share) => return Ok(SlotGuard { budget: self, share }),
                Start::In(delay) => self.clock.sleep(delay).await,
                Start::AfterOthers => {
                    self.urgent_report.notify_one();
                    may_start.await;
                }
            }
        }
    }

    /// Records an attempt. One that was made without a slot follows an attempt that had a slot.
    pub(crate) fn record(&self, mut stats: AttemptStats, has_slot: bool) {
        if !has_slot {
            stats.extra_requests += mem::take(&mut stats.attempts);
            stats.latency = Duration::ZERO;
        }
        let mut pause = stats.retry_after.min(MAX_PAUSE);
        if stats.stated_quotas.iter().next().is_some() {
            // Until the budget object has answered with a grant that respects the quota.
            pause = pause.max(REPORT_INTERVAL);
        }
        let (mut state, now) = (self.state(), self.clock.monotonic());
        state.blocked_until = state.blocked_until.max(now + pause);
        state.attempt_stats = state.attempt_stats.merge(stats);
        if stats.throttled || stats.retry_after > Duration::ZERO {
            // It affects the other services.
            self.urgent_report.notify_one();
        }
    }

    /// Replaces the plan of a wait that was planned for the time `before`.
    pub(crate) fn replan(
        &self,
        key: &WaitKey,
        before: Timestamp,
        next: Option<(Timestamp, PlannedWait)>,
    ) {
        let mut state = self.state();
        state.planned.remove(&(before, key.clone()));
        state.planned.extend(next.map(|(due, planned)| ((due, key.clone()), planned)));
    }

    /// Sends a report to the budget object every second, through the engine at `ingress`. Never returns.
    pub(crate) async fn run(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let (mut report, mut failed) = (self.take_report(), false);
        loop {
            let reported = self.report(transport, ingress, &report).await;
            if let (Err(error), false) = (&reported, failed) {
                tracing::warn!(
                    error,
                    ingress,
                    "cannot reach the budget object; no request is sent from five seconds on"
                );
            }
            failed = reported.is_err();
            // All services share one budget object; do not overload it with reports.
            self.clock.sleep(MIN_REPORT_INTERVAL).await;
            tokio::select! {
                () = self.clock.sleep(reported.unwrap_or(REPORT_INTERVAL) - MIN_REPORT_INTERVAL) => {}
                () = self.urgent_report.notified() => {}
            }
            if failed {
                // Send the same report again, with the current time. The engine may still have it, so
                // it asks for no slots.
                (report.needed, report.candidates) = (0, Vec::new());
                (report.reported_at, report.time) = (self.clock.monotonic(), self.clock.now());
            } else {
                report = self.take_report();
            }
        }
    }

    /// Leaves the budget to the other services.
    pub(crate) async fn leave(&self, transport: &dyn Transport, ingress: &str) {
        let report = Report { is_leaving: true, ..self.take_report() };
        tokio::select! {
            // If this report is lost, the budget object forgets the service after ten seconds.
            _ = self.report(transport, ingress, &report) => {}
            () = self.clock.sleep(REPORT_INTERVAL) => {}
        }
    }

    /// Sends a report, and accepts the grant. Returns the time until the next report.
    async fn report(
        &self,
        transport: &dyn Transport,
        ingress: &str,
        report: &Report,
    ) -> Result<Duration, String> {
        let posted = post_json(transport, ingress, JobBudget::GRANT_PATH, report);
        let reply = success(&*self.clock, GRANT_TTL / 2, posted).await?;
        let grant: Grant = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        self.accept_grant(report, grant);
        Ok(grant.rotation.map_or(REPORT_INTERVAL, |_| TURN_REPORT_INTERVAL))
    }

    /// Returns a report of what happened since the last report.
    fn take_report(&self) -> Report {
        let (reported_at, time) = (self.clock.monotonic(), self.clock.now());
        let mut state = self.state();
        state.report_number += 1;
        state.needs.retain(|need| !need.is_closed());
        // Another service has run the ticks that are late.
        state.planned.retain(|(due, _), _| time.duration_since(*due) <= MAX_LATENESS);
        let mut counts = BTreeMap::new();
        for urgency in state.planned.values().filter_map(|planned| planned.urgency) {
            *counts.entry(urgency).or_default() += 1;
        }
        let candidates = state
            .planned
            .iter()
            .filter(|((due, _), _)| due.duration_since(time) > MIN_ADVANCE)
            .filter(|(_, planned)| planned.earliest.is_some_and(|earliest| earliest <= time))
            .map(|((due, key), planned)| (*due, key.clone(), planned.tick))
            .take(state.grant.map_or(0, |grant| grant.max_candidates))
            .collect();
        Report {
            service: self.service,
            number: state.report_number,
            reported_at,
            time,
            needed: state.needs.len().try_into().unwrap_or(u32::MAX),
            requested: mem::take(&mut state.requested),
            in_flight: state.in_flight,
            attempt_stats: mem::take(&mut state.attempt_stats),
            counts,
            candidates,
            is_leaving: false,
        }
    }

    /// Accepts the grant that answers a report.
    fn accept_grant(&self, report: &Report, grant: Grant) {
        let (mut state, now) = (self.state(), self.clock.monotonic());
        let answered = state.needs.len().min(report.needed as usize);
        for (need, slot) in state.needs.drain(..answered).zip(grant.needed_slots()) {
            // The tick may have given up.
            let _ = need.send(slot);
        }
        for (due, key, _) in report.candidates.iter().take(grant.advanced as usize) {
            state.planned.remove(&(*due, key.clone()));
        }
        state.grant = Some(grant);
        // Count from the report, so that the grant expires here no later than at the budget object.
        state.expires_at = report.reported_at + GRANT_TTL;
        state.blocked_until = state.blocked_until.max(now + grant.blocked_for);
        state.next_start = state.next_start.min(now + grant.min_gap);
        if !state.needs.is_empty() {
            self.urgent_report.notify_one();
        }
        self.may_start.notify_waiters();
    }

    /// Returns why the service may send no requests at present, or `None` if it may.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        let (state, now) = (self.state(), self.clock.monotonic());
        match state.grant.filter(|_| now < state.expires_at) {
            None => Some("no grant from the budget object: cannot reach the engine's ingress"),
            Some(_) if state.blocked_until > now => Some(
                "the service of the jobs asked for a pause (Retry-After), or its quota is used up",
            ),
            Some(Grant { max_in_flight: 0, rotation: None, .. }) => {
                Some("other services use all requests that may be in flight")
            }
            Some(_) => None,
        }
    }
}

impl State {
    /// Returns whether a wait may use a slot that it carries.
    fn is_valid(&self, slot: Slot, now: Timestamp) -> bool {
        let is_late = now.duration_since(slot.at) > MAX_LATENESS;
        !is_late && self.grant.is_some_and(|grant| grant.generation == slot.generation)
    }

    /// Starts a request, unless it must wait or its slot is not valid any more.
    fn start(&mut self, now: Duration, generation: u32) -> Result<Start, SentAway> {
        let Some(grant) = self.grant.filter(|_| now < self.expires_at) else {
            return Ok(Start::AfterOthers);
        };
        if grant.generation != generation || self.blocked_until > now {
            return Err(LAPSED);
        }
        if self.in_flight >= grant.max_in_flight {
            return Ok(Start::AfterOthers);
        }
        if self.next_start > now {
            return Ok(Start::In(self.next_start - now));
        }
        let burst = grant.min_gap * if grant.rotation.is_some() { 1 } else { BURST };
        self.next_start = self.next_start.max(now.saturating_sub(burst)) + grant.min_gap;
        self.in_flight += 1;
        Ok(Start::Now(grant.share))
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        self.budget.state().in_flight -= 1;
        self.budget.may_start.notify_one();
    }
}

#[cfg(test)]
mod tests;
