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
use job_transport::{Client, Clock, FetchError, Fetched, JobSnapshot, Reading, TokioClock};

/// A client that is asked for these jobs, and for their sub-jobs.
pub(crate) struct RecordingSource {
    client: Client,
    retain_bodies: bool,
    state: Mutex<SourceState>,
}

struct SourceState {
    /// The service's time minus this process's clock. The dates of replies are in whole seconds, so the
    /// largest difference is the most exact.
    clock_offset: Option<Timestamp>,
    bodies: HashMap<JobId, Bodies>,
}

/// The last reply with a job, and the one before, in case the wait drops the last.
#[derive(Default)]
struct Bodies {
    last: Bytes,
    previous: Bytes,
}

impl RecordingSource {
    pub(crate) fn new(
        client: Client,
        jobs: impl Iterator<Item = JobId>,
        retain_bodies: bool,
    ) -> Self {
        let bodies = jobs.map(|job| (job, Bodies::default())).collect();
        Self {
            client,
            retain_bodies,
            state: Mutex::new(SourceState { clock_offset: None, bodies }),
        }
    }

    /// Returns the service's time, by the last reply and the time since; `None` if no reply had a date.
    pub(crate) fn service_time(&self) -> Option<Timestamp> {
        self.state().clock_offset?.checked_add(monotonic_now()).ok()
    }

    /// Returns the body of the last reply with a job; empty if none was retained.
    pub(crate) fn body(&self, job: &JobId) -> Bytes {
        self.state().bodies.get(job).map(|bodies| bodies.last.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, SourceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a reply says besides; `body` is `None` if it equals the last accepted one.
    fn record(&self, job: &JobId, date: Option<Timestamp>, body: Option<&[u8]>) {
        let mut state = self.state();
        let offset = date.and_then(|date| date.checked_sub(monotonic_now()).ok());
        state.clock_offset = match (state.clock_offset, offset) {
            (Some(before), Some(offset))
                if before.duration_since(offset) < CLOCK_RESET_THRESHOLD =>
            {
                Some(before.max(offset))
            }
            (before, offset) => offset.or(before),
        };
        // The reply with a sub-job is not the reply with a job that is waited for.
        if let Some(bodies) = state.bodies.get_mut(job).filter(|_| self.retain_bodies) {
            bodies.previous = match body {
                Some(body) => mem::replace(&mut bodies.last, Bytes::copy_from_slice(body)),
                None => bodies.last.clone(),
            };
        }
    }

    /// Discards the last body, because the wait dropped that reading: it was stale, or of another job.
    pub(crate) fn discard_last(&self, job: &JobId) {
        if let Some(bodies) = self.state().bodies.get_mut(job) {
            bodies.last = bodies.previous.clone();
        }
    }
}

impl JobSource for RecordingSource {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let reading = self.client.job(id).await?;
            self.record(id, reading.date, Some(reading.snapshot.text()));
            Ok(reading)
        })
    }

    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(async move {
            let fetched = self.client.job_since(id, last).await?;
            match &fetched {
                Fetched::Reading(reading) => {
                    self.record(id, reading.date, Some(reading.snapshot.text()));
                }
                Fetched::Unchanged(unchanged) => self.record(id, unchanged.date, None),
            }
            Ok(fetched)
        })
    }
}

/// A service whose time goes back by this has set its clock.
const CLOCK_RESET_THRESHOLD: SignedDuration = SignedDuration::from_secs(2);

fn monotonic_now() -> SignedDuration {
    SignedDuration::try_from(TokioClock::new().monotonic()).unwrap_or_default()
}
