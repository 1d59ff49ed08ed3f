//! Reports the usage of this service to the budget object every second, and accepts its grants. Decides nothing.

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
    grant::{CountKey, Grant, LEASE_TTL, Slot, UsageReport},
    slots::{Arrival, SlotQueue},
};
use crate::engine::post_json;

/// The time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The least time between two reports, if the other services must know of something.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// The slots of this service, for all waits that are ticked here.
pub(crate) struct Lease {
    slots: Mutex<SlotQueue>,
    /// Wakes the reporting, because the other services must know of something at once.
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

    /// Gives a wait a slot, or returns after what time it is to come back; `None` is when it is due.
    pub(crate) fn request_slot(
        &self,
        arrival: Arrival,
    ) -> Result<(Slot, SlotGuard<'_>), Option<Duration>> {
        let slot = self.slots().request_slot(self.clock.monotonic(), arrival)?;
        Ok((slot, SlotGuard { lease: self, attempt_stats: None }))
    }

    /// Records an attempt that followed at once on one that had a slot.
    pub(crate) fn record_extra(&self, stats: &AttemptStats) {
        if self.slots().record_extra(self.clock.monotonic(), stats) {
            self.urgent_report.notify_one();
        }
    }

    /// Counts a wait under its new key.
    pub(crate) fn update_count(&self, before: Option<CountKey>, now: Option<CountKey>) {
        self.slots().update_count(before, now);
    }

    /// Returns the epoch in which waits are counted.
    pub(crate) fn epoch(&self) -> u32 {
        self.slots().epoch()
    }

    /// Renews the lease at the engine with this ingress; never ends.
    pub(crate) async fn run(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let mut failed = false;
        let mut report = self.slots().take_report(self.clock.monotonic(), false);
        loop {
            match self.report(transport, ingress, &report).await {
                Ok(()) => {
                    failed = false;
                    // There is one budget object for all services, which must not be overloaded with reports.
                    self.clock.sleep(MIN_REPORT_INTERVAL).await;
                    tokio::select! {
                        () = self.clock.sleep(REPORT_INTERVAL - MIN_REPORT_INTERVAL) => {}
                        () = self.urgent_report.notified() => {}
                    }
                    report = self.slots().take_report(self.clock.monotonic(), false);
                }
                Err(error) => {
                    if !failed {
                        tracing::warn!(error, "the budget cannot be told; nobody asks meanwhile");
                    }
                    failed = true;
                    self.clock.sleep(REPORT_INTERVAL).await;
                    // The same report again, at another time.
                    report.reported_at = self.clock.monotonic();
                }
            }
        }
    }

    /// Whether the service has a valid grant: without one, no request is sent.
    pub(crate) fn is_granted(&self) -> bool {
        self.slots().is_granted(self.clock.monotonic())
    }

    /// Accepts a grant now.
    #[cfg(test)]
    pub(crate) fn accept_grant(&self, grant: Grant) {
        let now = self.clock.monotonic();
        self.slots().accept_grant(now, now, grant);
    }

    /// Gives back the grant.
    pub(crate) async fn release(&self, transport: &dyn Transport, ingress: &str) {
        let report = self.slots().take_report(self.clock.monotonic(), true);
        // A grant that cannot be given back expires.
        let _ =
            tokio::time::timeout(REPORT_INTERVAL, self.report(transport, ingress, &report)).await;
    }

    async fn report(
        &self,
        transport: &dyn Transport,
        ingress: &str,
        report: &UsageReport,
    ) -> Result<(), String> {
        let reported_at = self.clock.monotonic();
        let posted = post_json(transport, ingress, JobBudget::GRANT_PATH, report);
        let posted = tokio::time::timeout(LEASE_TTL / 2, posted).await;
        let (status, reply) = posted.map_err(|_| "the engine does not answer".to_owned())??;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&reply)));
        }
        let grant: Grant = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        self.slots().accept_grant(reported_at, self.clock.monotonic(), grant);
        Ok(())
    }
}

/// A slot in use, until it is dropped.
pub(crate) struct SlotGuard<'a> {
    lease: &'a Lease,
    attempt_stats: Option<AttemptStats>,
}

impl SlotGuard<'_> {
    pub(crate) fn complete(mut self, stats: AttemptStats) {
        self.attempt_stats = Some(stats);
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
