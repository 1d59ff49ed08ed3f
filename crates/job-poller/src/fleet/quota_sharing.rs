//! Shares the stated quotas of a fleet with other processes.

use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use job_transport::{
    clock::{Clock, TokioClock},
    transport::display_chain,
};
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use super::shared::Shared;
use crate::{
    budget::{QuotaKey, QuotaRecord, QuotaRecords, QuotaStore, QuotaStoreError},
    machine::StatedQuota,
};

/// Timeout of an access to the store. The fleet waits for the first one before its first request.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Minimum time between two writes of the same quota.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// Passes the quotas between a fleet and a store.
pub(super) struct QuotaSharing {
    store: Arc<dyn QuotaStore>,
    caller: QuotaKey,
    stated: UnboundedReceiver<StatedQuota>,
    clock: TokioClock,
    /// The quotas that were stored, and when.
    stored: Vec<(StatedQuota, Duration)>,
    has_warned: bool,
}

impl QuotaSharing {
    pub(super) fn new(
        store: Arc<dyn QuotaStore>,
        caller: QuotaKey,
        stated: UnboundedReceiver<StatedQuota>,
    ) -> Self {
        let clock = TokioClock::new();
        Self { store, caller, stated, clock, stored: Vec::new(), has_warned: false }
    }

    /// Reads the quotas in the store, and then runs a fleet's task. Ends with the task.
    pub(super) async fn run_with(mut self, task: impl Future<Output = ()>, fleet: Weak<Shared>) {
        let mut task = pin!(task);
        self.exchange(&[], &fleet).await;
        let share = async {
            while let Some(quota) = self.stated.recv().await {
                if self.is_due(&quota) {
                    let record = QuotaRecord::new(quota, self.clock.now());
                    self.exchange(&[record], &fleet).await;
                }
            }
            // The fleet is gone, and its task ends.
            std::future::pending().await
        };
        tokio::select! {
            biased;
            () = &mut task => {}
            () = share => {}
        }
    }

    /// Returns whether to store a quota now, and remembers it.
    fn is_due(&mut self, quota: &StatedQuota) -> bool {
        let now = self.clock.monotonic();
        let is_recent = |(other, at): &(StatedQuota, Duration)| {
            other == quota && now.saturating_sub(*at) < REFRESH_INTERVAL
        };
        let is_due = !self.stored.iter().any(is_recent);
        if is_due {
            self.stored.retain(|(other, _)| other.policy != quota.policy);
            self.stored.push((*quota, now));
        }
        is_due
    }

    /// Adds quotas to the store, and passes those of other processes to the fleet.
    async fn exchange(&mut self, stated: &[QuotaRecord], fleet: &Weak<Shared>) {
        let merged = self.store.merge(&self.caller, self.clock.now(), stated);
        let merged = timeout(STORE_TIMEOUT, merged).await;
        let merged: Result<QuotaRecords, QuotaStoreError> =
            merged.unwrap_or_else(|_| Err("the store did not answer in time".into()));
        match merged {
            Ok(records) => {
                let Some(fleet) = fleet.upgrade() else { return };
                let now = self.clock.now();
                for record in records.as_slice() {
                    if let Some(period) = record.remaining(now) {
                        fleet.with_state(|scheduler, now| {
                            scheduler.add_quota(now, record.quota, period);
                        });
                    }
                }
            }
            Err(error) if !self.has_warned => {
                self.has_warned = true;
                let error = display_chain(&*error);
                tracing::warn!(%error, "stated quotas are not shared with other processes");
            }
            Err(_) => {}
        }
    }
}
