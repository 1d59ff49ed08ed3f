//! The trait for sources of readings.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use job_model::JobId;
use job_transport::{Client, FetchError, Fetched, JobSnapshot, Reading};

/// Reads a job.
///
/// # For callers
///
/// Dropping the future cancels the attempt.
///
/// # For implementers
///
/// Make exactly one attempt, because the wait does the retries. Report a failure as a
/// [`FetchError`] whose [class](FetchError::class) matches how the attempt should be retried.
pub trait JobSource: Send + Sync {
    /// Makes one attempt to read the job.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses this attempt and nothing else.
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>>;

    /// Makes one attempt, and may report that the job is unchanged.
    ///
    /// `last` is the last accepted snapshot of the same job, or `None` if there is none. If the
    /// reply equals its text byte for byte, return [`Fetched::Unchanged`] without decoding the
    /// reply. By default this calls [`fetch`](Self::fetch).
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt failed.
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

/// Makes an attempt for a machine.
///
/// If a phase has changed, this decodes the last snapshot. The machine needs it to compare the two
/// jobs, and a fleet's machine must not decode while it holds the fleet's lock.
#[cfg(feature = "tokio")]
pub(crate) async fn attempt(
    source: &dyn JobSource,
    id: &JobId,
    last: Option<&JobSnapshot>,
) -> Result<Fetched, FetchError> {
    let fetched = source.fetch_since(id, last).await;
    if let (Ok(Fetched::Reading(reading)), Some(last)) = (&fetched, last)
        && !last.digest().has_same_tree(reading.snapshot.digest())
    {
        let _ = last.job();
    }
    fetched
}

#[cfg(test)]
#[cfg(feature = "tokio")]
mod tests {
    use super::*;

    /// A source that always returns the same body.
    struct Reply(&'static str);

    impl JobSource for Reply {
        fn fetch<'a>(&'a self, _: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
            let snapshot = JobSnapshot::from_slice(self.0.as_bytes());
            Box::pin(async { Ok(Reading::new(snapshot.expect("a job"))) })
        }
    }

    #[tokio::test]
    async fn the_last_job_is_decoded_only_if_a_phase_has_changed() {
        let last = r#"{"status": {"phase": "Running"}}"#;
        let rows = [
            (r#"{"status": {"phase": "Running"}}"#, false),
            (r#"{"status": {"phase": "Running", "reason": "slow"}}"#, false),
            (r#"{"status": {"phase": "Success"}}"#, true),
            (r#"{"spec": {"subJobs": [{}]}, "status": {"phase": "Running"}}"#, true),
        ];
        let id = "a".parse().expect("an id");
        for (reply, is_decoded) in rows {
            let last = JobSnapshot::from_slice(last.as_bytes()).expect("a job").without_job();
            attempt(&Reply(reply), &id, Some(&last)).await.expect("a reading");
            assert_eq!(last.is_decoded(), is_decoded, "{reply}");
        }
    }
}
