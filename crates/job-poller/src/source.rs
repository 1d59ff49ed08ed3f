//! Where readings come from. Decides nothing.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use job_model::JobId;
use job_transport::{Client, FetchError, Reading};

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
}

impl JobSource for Client {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(self.job(id))
    }
}

impl<S: JobSource + ?Sized> JobSource for Arc<S> {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        (**self).fetch(id)
    }
}

impl<S: JobSource + ?Sized> JobSource for Box<S> {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        (**self).fetch(id)
    }
}
