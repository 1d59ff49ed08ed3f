//! The source of all readings. It also records what events do not contain: the service's time, and
//! the bytes of replies.

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

/// Reads jobs and sub-jobs with a client, and records the replies.
pub(crate) struct RecordingSource {
    client: Client,
    retain_bodies: bool,
    state: Mutex<SourceState>,
}

struct SourceState {
    /// The service's time minus this process's monotonic clock. The dates of replies are truncated
    /// to whole seconds, so the largest difference is the most accurate.
    clock_offset: Option<Timestamp>,
    bodies: HashMap<JobId, Bodies>,
}

/// The bodies of the last two replies with a job, because the wait may drop the last one.
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

    /// Returns the service's current time, extrapolated from the dates of replies; `None` if no
    /// reply had a date.
    pub(crate) fn service_time(&self) -> Option<Timestamp> {
        self.state().clock_offset?.checked_add(monotonic_now()).ok()
    }

    /// Returns the body of the last accepted reply with a job; empty if bodies are not kept.
    pub(crate) fn body(&self, job: &JobId) -> Bytes {
        self.state().bodies.get(job).map(|bodies| bodies.last.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, SourceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the date and the body of a reply. `body` is `None` if it equals the last accepted
    /// one.
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
        // There are entries only for the jobs of the waits, not for their sub-jobs.
        if let Some(bodies) = state.bodies.get_mut(job).filter(|_| self.retain_bodies) {
            bodies.previous = match body {
                Some(body) => mem::replace(&mut bodies.last, Bytes::copy_from_slice(body)),
                None => bodies.last.clone(),
            };
        }
    }

    /// Discards the last body. Called if the wait dropped that reading, because it was stale or of
    /// another job.
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

/// If the service's time goes back by at least this much, the service has set its clock.
const CLOCK_RESET_THRESHOLD: SignedDuration = SignedDuration::from_secs(2);

fn monotonic_now() -> SignedDuration {
    SignedDuration::try_from(TokioClock::new().monotonic()).unwrap_or_default()
}
