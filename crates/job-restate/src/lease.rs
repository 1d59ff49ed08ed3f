//! Tells the budget, every second, what is asked of this service, and takes what is lent. Decides nothing.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use job_poller::{Attempted, Urgency};
use job_transport::{Clock, PlainHttp, Transport, causes};
use tokio::sync::Notify;

use crate::{
    budget::JobBudget,
    shares::{Lent, Said},
    turns::{Coming, Place, Turn, Turns},
};

/// How often the budget is told.
const EVERY: Duration = Duration::from_secs(1);

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
    pub(crate) fn count(&self, before: Option<Place>, urgency: Option<Urgency>) -> Option<Place> {
        self.turns().count(before, urgency)
    }

    /// Keeps the lease, by an engine whose ingress is here; never ends.
    pub(crate) async fn keep(&self, transport: &dyn Transport, ingress: &str) -> Infallible {
        let mut failed = false;
        loop {
            let said = self.turns().said(self.clock.now(), false);
            while let Err(error) = self.say(transport, ingress, &said).await {
                if !failed {
                    tracing::warn!(error, "the budget cannot be told; nobody asks meanwhile");
                }
                failed = true;
                self.clock.sleep(EVERY).await;
            }
            failed = false;
            tokio::select! {
                () = self.clock.sleep(EVERY) => {}
                () = self.news.notified() => {}
            }
        }
    }

    /// Gives back what is lent.
    pub(crate) async fn leave(&self, transport: &dyn Transport, ingress: &str) {
        let said = self.turns().said(self.clock.now(), true);
        // What cannot be given back ends by itself.
        let _ = tokio::time::timeout(EVERY, self.say(transport, ingress, &said)).await;
    }

    async fn say(
        &self,
        transport: &dyn Transport,
        ingress: &str,
        said: &Said,
    ) -> Result<(), String> {
        let body = serde_json::to_vec(said).map_err(|error| error.to_string())?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{}", ingress.trim_end_matches('/'), JobBudget::LEND))
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .map_err(|error| error.to_string())?;
        // Nothing in it is secret.
        request.extensions_mut().insert(PlainHttp::new());
        let at = self.clock.elapsed();
        let reply = transport.send(request).await.map_err(|error| {
            causes(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
        })?;
        let said = String::from_utf8_lossy(reply.body());
        if !reply.status().is_success() {
            return Err(format!("{}: {said}", reply.status()));
        }
        let lent: Lent = serde_json::from_str(&said).map_err(|error| error.to_string())?;
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
