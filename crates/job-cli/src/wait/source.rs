//! Where a wait's readings come from, and what its events do not have of them: the service's time, and
//! the reply's bytes. Decides nothing.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use job_model::JobId;
use job_poller::JobSource;
use job_transport::{Client, Clock, FetchError, Reading, TokioClock};

/// A client that is asked for one job, and for its sub-jobs.
pub(crate) struct Source {
    client: Client,
    job: JobId,
    keeps_body: bool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The service's time less this process's clock. Replies tell whole seconds, so the latest comes
    /// nearest.
    ahead: Option<Timestamp>,
    body: Bytes,
    /// The one before, for where the wait drops the last.
    before: Bytes,
}

impl Source {
    pub(crate) fn new(client: Client, job: JobId, keeps_body: bool) -> Self {
        Self { client, job, keeps_body, seen: Mutex::default() }
    }

    /// Returns the service's time, by the last reply and the time since; `None` where none told it.
    pub(crate) fn service_time(&self) -> Option<Timestamp> {
        self.seen().ahead?.checked_add(elapsed()).ok()
    }

    /// Returns the last reply with the job; empty where none was kept.
    pub(crate) fn body(&self) -> Bytes {
        self.seen().body.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reading: &Reading) {
        let mut seen = self.seen();
        let ahead = reading.date.and_then(|date| date.checked_sub(elapsed()).ok());
        seen.ahead = match (seen.ahead, ahead) {
            (Some(before), Some(ahead)) if before.duration_since(ahead) < CLOCK_WAS_SET => {
                Some(before.max(ahead))
            }
            (before, ahead) => ahead.or(before),
        };
        if self.keeps_body {
            seen.before = mem::replace(&mut seen.body, reading.body.clone());
        }
    }

    /// Takes note that the wait dropped the last reading: a stale one, or another job's.
    pub(crate) fn dropped(&self) {
        let mut seen = self.seen();
        seen.body = seen.before.clone();
    }
}

impl JobSource for Source {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let fetched = self.client.job(id).await;
            if let Ok(reading) = &fetched
                && *id == self.job
            {
                self.note(reading);
            }
            fetched
        })
    }
}

/// A service whose time goes back by this has set its clock.
const CLOCK_WAS_SET: SignedDuration = SignedDuration::from_secs(2);

fn elapsed() -> SignedDuration {
    SignedDuration::try_from(TokioClock::new().elapsed()).unwrap_or_default()
}
