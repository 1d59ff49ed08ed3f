//! Where a wait's readings come from, and what its events do not have of them: the service's time, and
//! the reply's bytes. Decides nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// The service's time less this process's clock, at the last reading.
    ahead: Option<Timestamp>,
    body: Bytes,
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
        seen.ahead = ahead.or(seen.ahead);
        if self.keeps_body {
            seen.body.clone_from(&reading.body);
        }
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

fn elapsed() -> SignedDuration {
    SignedDuration::try_from(TokioClock::new().elapsed()).unwrap_or_default()
}
