//! Tells the budget, every second, what is asked of this service, and takes what is lent. Decides nothing.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use job_poller::Attempted;
use job_transport::{Clock, Transport};
use tokio::sync::Notify;

use super::{
    JobBudget,
    allocator::{LENT_FOR, Lent, Said},
    slots::{Coming, Place, Turn, Turns},
};
use crate::engine::post;

/// How often the budget is told.
const EVERY: Duration = Duration::from_secs(1);

/// And how soon again where there is something that all others are to know.
const LEAST: Duration = Duration::from_millis(200);

/// The turns of this service, for all that are ticked here.
pub(crate) struct Lease {
    turns: Mutex<Turns>,
    /// Something all others are to know at once.
    news: Notify,
    clock: Arc<dyn Clock>,
}

impl Lease {
    pub(crate) fn new(service: u64, clock: Arc<dyn Clock>) -> Self {
        Self { turns: Mutex::new(Turns::new(service)), news: Notify::new(), clock }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a wait its turn; or returns after what time it is to come back, `None` when it is due.
    pub(crate) fn ask(&self, coming: Coming) -> Result<(Turn, OnTurn<'_>), Option<Duration>> {
        let turn = self.turns().ask(self.clock.elapsed(), coming)?;
        Ok((turn, OnTurn { lease: self, attempted: None }))
    }

    /// Takes note of an attempt that followed at once on one that had a turn.
    pub(crate) fn also(&self, attempted: &Attempted) {
        if self.turns().also(self.clock.elapsed(), attempted) {
            self.news.notify_one();
        }
    }

    /// Counts a wait in its new place.
    pub(crate) fn count(&self, before: Option<Place>, now: Option<Place>) {
        self.turns().count(before, now);
    }

    /// Returns the round in which waits are counted.
    pub(crate) fn round(&self) -> u32 {
        self.turns().round()
    }

    /// Keeps the lease, by an engine whose ingress is here; never ends.
    pub(crate) async fn keep(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let mut failed = false;
        let mut said = self.turns().said(self.clock.elapsed(), false);
        loop {
            match self.say(transport, ingress, &said).await {
                Ok(()) => {
                    failed = false;
                    // The budget is one for all, and is not to be told all day.
                    self.clock.sleep(LEAST).await;
                    tokio::select! {
                        () = self.clock.sleep(EVERY - LEAST) => {}
                        () = self.news.notified() => {}
                    }
                    said = self.turns().said(self.clock.elapsed(), false);
                }
                Err(error) => {
                    if !failed {
                        tracing::warn!(error, "the budget cannot be told; nobody asks meanwhile");
                    }
                    failed = true;
                    self.clock.sleep(EVERY).await;
                    // The same once more, and the time is another.
                    said.at = self.clock.elapsed();
                }
            }
        }
    }

    /// Returns whether anything is lent at present: without, nobody asks.
    pub(crate) fn is_lent(&self) -> bool {
        self.turns().is_lent(self.clock.elapsed())
    }

    /// Takes what is lent, now.
    #[cfg(test)]
    pub(crate) fn take(&self, lent: Lent) {
        let now = self.clock.elapsed();
        self.turns().take(now, now, lent);
    }

    /// Gives back what is lent.
    pub(crate) async fn leave(&self, transport: &dyn Transport, ingress: &str) {
        let said = self.turns().said(self.clock.elapsed(), true);
        // What cannot be given back ends by itself.
        let _ = tokio::time::timeout(EVERY, self.say(transport, ingress, &said)).await;
    }

    async fn say(
        &self,
        transport: &dyn Transport,
        ingress: &str,
        said: &Said,
    ) -> Result<(), String> {
        let at = self.clock.elapsed();
        let posted = post(transport, ingress, JobBudget::LEND, said);
        let posted = tokio::time::timeout(LENT_FOR / 2, posted).await;
        let (status, reply) = posted.map_err(|_| "the engine does not answer".to_owned())??;
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&reply)));
        }
        let lent: Lent = serde_json::from_slice(&reply).map_err(|error| error.to_string())?;
        self.turns().take(at, self.clock.elapsed(), lent);
        Ok(())
    }
}

/// A turn under way. Dropped, it is over.
pub(crate) struct OnTurn<'a> {
    lease: &'a Lease,
    attempted: Option<Attempted>,
}

impl OnTurn<'_> {
    pub(crate) fn done(mut self, attempted: Attempted) {
        self.attempted = Some(attempted);
    }
}

impl Drop for OnTurn<'_> {
    fn drop(&mut self) {
        let now = self.lease.clock.elapsed();
        if self.lease.turns().done(now, self.attempted.as_ref()) {
            self.lease.news.notify_one();
        }
    }
}
