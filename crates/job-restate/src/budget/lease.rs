//! Tells the budget, every second, what is asked of this service, and takes what is lent. Decides nothing.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use job_poller::budget::AttemptStats;
use job_transport::{Clock, Transport};
use tokio::sync::Notify;

use super::{
    JobBudget,
    allocator::{Grant, LEASE_TTL, UsageReport},
    slots::{Arrival, CountKey, Slot, SlotQueue},
};
use crate::engine::post_json;

/// How often the budget is told.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// And how soon again where there is something that all others are to know.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// The slots of this service, for all that are ticked here.
pub(crate) struct Lease {
    slots: Mutex<SlotQueue>,
    /// Something all others are to know at once.
    urgent_report: Notify,
    clock: Arc<dyn Clock>,
}

impl Lease {
    pub(crate) fn new(service: u64, clock: Arc<dyn Clock>) -> Self {
        Self { slots: Mutex::new(SlotQueue::new(service)), urgent_report: Notify::new(), clock }
    }

    fn slots(&self) -> MutexGuard<'_, SlotQueue> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a wait its slot; or returns after what time it is to come back, `None` when it is due.
    pub(crate) fn request_slot(
        &self,
        arrival: Arrival,
    ) -> Result<(Slot, SlotGuard<'_>), Option<Duration>> {
        let turn = self.slots().request_slot(self.clock.monotonic(), arrival)?;
        Ok((turn, SlotGuard { lease: self, attempt_stats: None }))
    }

    /// Takes note of an attempt that followed at once on one that had a turn.
    pub(crate) fn record_extra(&self, attempted: &AttemptStats) {
        if self.slots().record_extra(self.clock.monotonic(), attempted) {
            self.urgent_report.notify_one();
        }
    }

    /// Counts a wait in its new place.
    pub(crate) fn update_count(&self, before: Option<CountKey>, now: Option<CountKey>) {
        self.slots().update_count(before, now);
    }

    /// Returns the round in which waits are counted.
    pub(crate) fn epoch(&self) -> u32 {
        self.slots().epoch()
    }

    /// Keeps the lease, by an engine whose ingress is here; never ends.
    pub(crate) async fn run(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let mut failed = false;
        let mut said = self.slots().take_report(self.clock.monotonic(), false);
        loop {
            match self.report(transport, ingress, &said).await {
                Ok(()) => {
                    failed = false;
                    // The budget is one for all, and is not to be told all day.
                    self.clock.sleep(MIN_REPORT_INTERVAL).await;
                    tokio::select! {
                        () = self.clock.sleep(REPORT_INTERVAL - MIN_REPORT_INTERVAL) => {}
                        () = self.urgent_report.notified() => {}
                    }
                    said = self.slots().take_report(self.clock.monotonic(), false);
                }
                Err(error) => {
                    if !failed {
                        tracing::warn!(error, "the budget cannot be told; nobody asks meanwhile");
                    }
                    failed = true;
                    self.clock.sleep(REPORT_INTERVAL).await;
                    // The same once more, and the time is another.
                    said.reported_at = self.clock.monotonic();
                }
            }
        }
    }

    /// Returns whether anything is lent at present: without, nobody asks.
    pub(crate) fn is_granted(&self) -> bool {
        self.slots().is_granted(self.clock.monotonic())
    }

    /// Takes what is lent, now.
    #[cfg(test)]
    pub(crate) fn accept_grant(&self, lent: Grant) {
        let now = self.clock.monotonic();
        self.slots().accept_grant(now, now, lent);
    }

    /// Gives back what is lent.
    pub(crate) async fn release(&self, transport: &dyn Transport, ingress: &str) {
        let said = self.slots().take_report(self.clock.monotonic(), true);
        // What cannot be given back ends by itself.
        let _ = tokio::time::timeout(REPORT_INTERVAL, self.report(transport, ingress, &said)).await;
    }

    async fn report(
        &self,
        transport: &dyn Transport,
        ingress: &str,
        said: &UsageReport,
    ) -> Result<(), String> {
        let at = self.clock.monotonic();
        let posted = post_json(transport, ingress, JobBudget::GRANT_PATH, said);
        let posted = tokio::time::timeout(LEASE_TTL / 2, posted).await;
        let (status, reply) = posted.map_err(|_| "the engine does not answer".to_owned())??;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&reply)));
        }
        let lent: Grant = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        self.slots().accept_grant(at, self.clock.monotonic(), lent);
        Ok(())
    }
}

/// A slot in use. Dropped, it is over.
pub(crate) struct SlotGuard<'a> {
    lease: &'a Lease,
    attempt_stats: Option<AttemptStats>,
}

impl SlotGuard<'_> {
    pub(crate) fn complete(mut self, attempted: AttemptStats) {
        self.attempt_stats = Some(attempted);
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        let now = self.lease.clock.monotonic();
        if self.lease.slots().complete(now, self.attempt_stats.as_ref()) {
            self.lease.urgent_report.notify_one();
        }
    }
}
