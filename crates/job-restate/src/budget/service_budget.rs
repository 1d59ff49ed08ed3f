//! The budget as one service sees it: reports to the budget object, and slots for the ticks that the
//! engine calls here.

mod state;

pub(crate) use state::SentAway;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use job_poller::{budget::AttemptStats, durable::WaitKey, schedule::BudgetShare};
use job_transport::{clock::Clock, transport::Transport};
use tokio::sync::{Notify, Semaphore, oneshot};

use self::state::{ServiceState, Start};
use super::{
    JobBudget,
    message::{ADVANCE_TIME, GRANT_TTL, Grant, REPORT_INTERVAL, Report, Slot},
    planned_waits::PlannedWait,
};
use crate::engine::{post_json, success};

/// The minimum time between two reports, if a wait needs a slot.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// How long a tick waits for a slot. If the budget object has not answered by then, the wait comes back
/// later.
const MAX_SLOT_WAIT: Duration = Duration::from_secs(3);

/// The maximum number of ticks that wait in a service. The engine runs only some hundred calls at the
/// same time, and those of the budget object must be among them.
const MAX_WAITING_TICKS: usize = 100;

/// How long a tick waits for the time of its slot. A wait whose slot is later is sent away until then.
const MAX_STAY: Duration = Duration::from_millis(1500);

const _: () = assert!(MAX_STAY.as_millis() > ADVANCE_TIME.as_millis());

/// How long a tick waits until one more request may be in flight, if services take no turns. Then its
/// slot lapses.
const MAX_IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);

/// The longest time that a tick waits for the turn of its service.
const MAX_TURN_WAIT: Duration = Duration::from_secs(20);

/// The time between two reports while services take turns.
const TURN_REPORT_INTERVAL: Duration = Duration::from_millis(400);

/// The delay after which a wait that could not use its slot tries again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The budget of a deployment, for one service.
pub(crate) struct ServiceBudget {
    state: Mutex<ServiceState>,
    /// Triggers a report before the next one is due.
    urgent_report: Notify,
    /// Notifies the ticks that wait until one more request may be in flight.
    may_start: Notify,
    /// Limits the number of ticks that wait for anything.
    waiting: Semaphore,
    clock: Arc<dyn Clock>,
}

impl ServiceBudget {
    pub(crate) fn new(service: u64, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(ServiceState::new(service));
        let waiting = Semaphore::new(MAX_WAITING_TICKS);
        Self { state, urgent_report: Notify::new(), may_start: Notify::new(), waiting, clock }
    }

    fn state(&self) -> MutexGuard<'_, ServiceState> {
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
            None => return Err(self.send_away()),
        };
        let until = slot.at.duration_since(self.clock.now()).try_into().unwrap_or_default();
        if until > if may_wait.is_ok() { MAX_STAY } else { Duration::ZERO } {
            return Err(SentAway::Until(slot));
        }
        self.clock.sleep(until).await;
        let rotation = self.state().grant.and_then(|grant| grant.rotation);
        let max_wait = rotation.map_or(MAX_IN_FLIGHT_WAIT, |rotation| rotation.min(MAX_TURN_WAIT));
        let started = self.start(slot.generation);
        tokio::select! {
            biased;
            started = started => started,
            () = self.clock.sleep(max_wait) => Err(SentAway::For(RETRY_DELAY)),
        }
    }

    /// Gets a slot from the budget object.
    async fn request_slot(&self) -> Result<Slot, SentAway> {
        let (sender, slot) = oneshot::channel();
        self.state().needs.push_back(sender);
        self.urgent_report.notify_one();
        tokio::select! {
            biased;
            slot = slot => slot.unwrap_or_else(|_| Err(self.send_away())),
            () = self.clock.sleep(MAX_SLOT_WAIT) => Err(self.send_away()),
        }
    }

    fn send_away(&self) -> SentAway {
        let now = self.clock.monotonic();
        self.state().send_away(now, now + MAX_SLOT_WAIT)
    }

    /// Waits until one more request may be in flight.
    async fn start(&self, generation: u32) -> Result<SlotGuard<'_>, SentAway> {
        loop {
            let may_start = self.may_start.notified();
            let started = self.state().start(self.clock.monotonic(), generation);
            match started {
                Start::Now(share) => return Ok(SlotGuard { budget: self, share, stats: None }),
                Start::In(delay) => self.clock.sleep(delay).await,
                Start::AfterOthers => {
                    self.urgent_report.notify_one();
                    may_start.await;
                }
                Start::Never => return Err(SentAway::For(RETRY_DELAY)),
            }
        }
    }

    /// Records an attempt that was made without a slot, right after one that had a slot.
    pub(crate) fn record_extra(&self, stats: &AttemptStats) {
        self.record(|state, now| {
            state.without_slot += 1;
            state.record(now, stats)
        });
    }

    fn record(&self, record: impl FnOnce(&mut ServiceState, Duration) -> bool) {
        let is_urgent = record(&mut self.state(), self.clock.monotonic());
        if is_urgent {
            self.urgent_report.notify_one();
        }
    }

    /// Replaces the plan of a wait that was planned for the time `before`.
    pub(crate) fn replan(
        &self,
        key: &WaitKey,
        before: Timestamp,
        now: Option<(Timestamp, PlannedWait)>,
    ) {
        let mut state = self.state();
        state.planned.remove(before, key);
        if let Some((due, planned)) = now {
            state.planned.insert(due, key.clone(), planned);
        }
    }

    /// Sends a report to the budget object every second, through the engine at `ingress`. Never returns.
    pub(crate) async fn run(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let mut failed = false;
        let mut report = self.take_report(false);
        loop {
            match self.report(transport, ingress, &report).await {
                Ok(interval) => {
                    failed = false;
                    // All services share one budget object; do not overload it with reports.
                    self.clock.sleep(MIN_REPORT_INTERVAL).await;
                    tokio::select! {
                        () = self.clock.sleep(interval - MIN_REPORT_INTERVAL) => {}
                        () = self.urgent_report.notified() => {}
                    }
                    report = self.take_report(false);
                }
                Err(error) => {
                    if !failed {
                        tracing::warn!(
                            error,
                            ingress,
                            "cannot reach the budget object; no request is sent from five seconds on"
                        );
                    }
                    failed = true;
                    self.clock.sleep(REPORT_INTERVAL).await;
                    // Send the same report again, with the current time. The engine may still have it,
                    // so it asks for no slots.
                    (report.needed, report.candidates) = (0, Vec::new());
                    (report.reported_at, report.time) = (self.clock.monotonic(), self.clock.now());
                }
            }
        }
    }

    /// Returns why the service may send no requests at present, or `None` if it may.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        self.state().obstacle(self.clock.monotonic())
    }

    /// Leaves the budget to the other services.
    pub(crate) async fn leave(&self, transport: &dyn Transport, ingress: &str) {
        let report = self.take_report(true);
        tokio::select! {
            // If this report is lost, the budget object forgets the service after ten seconds.
            _ = self.report(transport, ingress, &report) => {}
            () = self.clock.sleep(REPORT_INTERVAL) => {}
        }
    }

    fn take_report(&self, is_leaving: bool) -> Report {
        let (reported_at, time) = (self.clock.monotonic(), self.clock.now());
        self.state().take_report(reported_at, time, is_leaving)
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
        self.accept_grant(report.reported_at, report.needed, grant);
        Ok(grant.rotation.map_or(REPORT_INTERVAL, |_| TURN_REPORT_INTERVAL))
    }

    /// Accepts the grant that answers the report sent at `reported_at`.
    pub(crate) fn accept_grant(&self, reported_at: Duration, needed: u32, grant: Grant) {
        let is_unserved = {
            let mut state = self.state();
            state.accept_grant(reported_at, self.clock.monotonic(), needed, grant);
            !state.needs.is_empty()
        };
        if is_unserved {
            self.urgent_report.notify_one();
        }
        self.may_start.notify_waiters();
    }
}

/// A slot in use. Frees the slot when dropped.
pub(crate) struct SlotGuard<'a> {
    budget: &'a ServiceBudget,
    /// The share of the budget with which the wait plans its next attempt.
    pub(crate) share: BudgetShare,
    stats: Option<AttemptStats>,
}

impl SlotGuard<'_> {
    pub(crate) fn complete(mut self, stats: AttemptStats) {
        self.stats = Some(stats);
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        let stats = self.stats;
        self.budget.record(|state, now| state.complete(now, stats.as_ref()));
        self.budget.may_start.notify_one();
    }
}

#[cfg(test)]
mod tests;
