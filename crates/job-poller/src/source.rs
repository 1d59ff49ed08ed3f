//! Where readings come from. Decides nothing.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use job_model::JobId;
use job_transport::{Client, FetchError, Fetched, JobSnapshot, Reading};

/// Asks once how a job is.
///
/// # For callers
///
/// Dropping the future gives the attempt up.
///
/// # For implementers
///
/// Make one attempt and no other: asking again is the wait's. Report what went wrong as the
/// [`FetchError`] whose class says what it means for asking again.
pub trait JobSource: Send + Sync {
    /// Makes one attempt.
    ///
    /// # Errors
    ///
    /// Where the attempt gave no job.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses this attempt and nothing else.
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>>;

    /// Makes one attempt, and may report that the job is unchanged.
    ///
    /// `last` is the last accepted snapshot of the same job, or `None` if there is none to compare with. A reply
    /// that equals its text byte for byte is [`Fetched::Unchanged`] and need not be decoded. By default calls
    /// [`fetch`](Self::fetch).
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt gave no job.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses this attempt and nothing else.
    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        let _ = last;
        Box::pin(async move { self.fetch(id).await.map(Fetched::Reading) })
    }
}

impl JobSource for Client {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(self.job(id))
    }

    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(self.job_since(id, last))
    }
}

impl<S: JobSource + ?Sized> JobSource for Arc<S> {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        (**self).fetch(id)
    }

    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        (**self).fetch_since(id, last)
    }
}

impl<S: JobSource + ?Sized> JobSource for Box<S> {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        (**self).fetch(id)
    }

    fn fetch_since<'a>(
        &'a self,
        id: &'a JobId,
        last: Option<&'a JobSnapshot>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        (**self).fetch_since(id, last)
    }
}

/// Makes the attempt that a machine asks for, and returns its result as the machine's input.
///
/// If the job has changed, the last snapshot is decoded here, because the machine compares the two, and a fleet's
/// machine must not decode while it holds the fleet's lock.
#[cfg(feature = "tokio")]
pub(crate) async fn attempt(
    source: &dyn JobSource,
    id: &JobId,
    last: Option<&JobSnapshot>,
) -> Result<Fetched, FetchError> {
    let fetched = source.fetch_since(id, last).await;
    if let (Ok(Fetched::Reading(_)), Some(last)) = (&fetched, last) {
        let _ = last.job();
    }
    fetched
}
