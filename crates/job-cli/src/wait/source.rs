//! Where the waits' readings come from, and what their events do not have of them: the service's time, and
//! the replies' bytes. Decides nothing.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use job_model::JobId;
use job_poller::JobSource;
use job_transport::{Client, Clock, FetchError, Reading, TokioClock};

/// A client that is asked for these jobs, and for their sub-jobs.
pub(crate) struct Source {
    client: Client,
    keeps_bodies: bool,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The service's time less this process's clock. Replies tell whole seconds, so the latest comes
    /// nearest.
    ahead: Option<Timestamp>,
    bodies: HashMap<JobId, Bodies>,
}

/// The last reply with a job and, for where the wait drops that, the one before.
#[derive(Default)]
struct Bodies {
    last: Bytes,
    before: Bytes,
}

impl Source {
    pub(crate) fn new(
        client: Client,
        jobs: impl Iterator<Item = JobId>,
        keeps_bodies: bool,
    ) -> Self {
        let bodies = jobs.map(|job| (job, Bodies::default())).collect();
        Self { client, keeps_bodies, seen: Mutex::new(Seen { ahead: None, bodies }) }
    }

    /// Returns the service's time, by the last reply and the time since; `None` where none told it.
    pub(crate) fn service_time(&self) -> Option<Timestamp> {
        self.seen().ahead?.checked_add(elapsed()).ok()
    }

    /// Returns the last reply with a job; empty where none was kept.
    pub(crate) fn body(&self, job: &JobId) -> Bytes {
        self.seen().bodies.get(job).map(|bodies| bodies.last.clone()).unwrap_or_default()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, job: &JobId, reading: &Reading) {
        let mut seen = self.seen();
        let ahead = reading.date.and_then(|date| date.checked_sub(elapsed()).ok());
        seen.ahead = match (seen.ahead, ahead) {
            (Some(before), Some(ahead)) if before.duration_since(ahead) < CLOCK_WAS_SET => {
                Some(before.max(ahead))
            }
            (before, ahead) => ahead.or(before),
        };
        // A sub-job's are no reply with a job that is waited for.
        if let Some(bodies) = seen.bodies.get_mut(job).filter(|_| self.keeps_bodies) {
            bodies.before = mem::replace(&mut bodies.last, reading.body.clone());
        }
    }

    /// Takes note that the wait dropped the last reading: a stale one, or another job's.
    pub(crate) fn dropped(&self, job: &JobId) {
        if let Some(bodies) = self.seen().bodies.get_mut(job) {
            bodies.last = bodies.before.clone();
        }
    }
}

impl JobSource for Source {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let fetched = self.client.job(id).await;
            if let Ok(reading) = &fetched {
                self.note(id, reading);
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
