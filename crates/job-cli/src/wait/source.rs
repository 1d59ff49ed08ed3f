//! The source of all readings. It also records the service's time, which events do not contain.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use job_model::{
    JobId,
    object::{Object, ObjectId},
};
use job_poller::source::{JobSource, ListId};
use job_transport::{
    Client, FetchError, Fetched, JobSnapshot, ListReading, ObjectReading, Reading,
    clock::{Clock, TokioClock},
};

/// Reads jobs and sub-jobs with a client, and records the dates of the replies.
pub(crate) struct RecordingSource {
    client: Client,
    /// The service's time minus this process's monotonic clock. The dates of replies are truncated
    /// to whole seconds, so the largest difference is the most accurate.
    clock_offset: Mutex<Option<Timestamp>>,
}

impl RecordingSource {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, clock_offset: Mutex::new(None) }
    }

    /// Returns the service's current time, extrapolated from the dates of replies; `None` if no
    /// reply had a date.
    pub(crate) fn service_time(&self) -> Option<Timestamp> {
        (*self.clock_offset())?.checked_add(monotonic_now()).ok()
    }

    fn clock_offset(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.clock_offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the date of a reply.
    fn record(&self, date: Option<Timestamp>) {
        let offset = date.and_then(|date| date.checked_sub(monotonic_now()).ok());
        let mut clock_offset = self.clock_offset();
        *clock_offset = match (*clock_offset, offset) {
            (Some(before), Some(offset))
                if before.duration_since(offset) < CLOCK_RESET_THRESHOLD =>
            {
                Some(before.max(offset))
            }
            (before, offset) => offset.or(before),
        };
    }
}

impl JobSource for RecordingSource {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let reading = self.client.job(id).await?;
            self.record(reading.date);
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
            self.record(match &fetched {
                Fetched::Reading(reading) => reading.date,
                Fetched::Unchanged(unchanged) => unchanged.date,
            });
            Ok(fetched)
        })
    }

    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        Box::pin(async move {
            let reading = self.client.object(id).await?;
            self.record(reading.date);
            Ok(reading)
        })
    }

    fn list_of(&self, id: &JobId) -> Option<ListId> {
        self.client.list_of(id)
    }

    fn fetch_list(&self, list: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        Box::pin(async move {
            let reading = self.client.fetch_list(list).await?;
            self.record(reading.date);
            Ok(reading)
        })
    }
}

/// If the service's time goes back by at least this much, the service has set its clock.
const CLOCK_RESET_THRESHOLD: SignedDuration = SignedDuration::from_secs(2);

fn monotonic_now() -> SignedDuration {
    SignedDuration::try_from(TokioClock::new().monotonic()).unwrap_or_default()
}
