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
/// If a phase has changed, the last snapshot is decoded here, because the machine compares the two jobs, and a
/// fleet's machine must not decode while it holds the fleet's lock.
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

    /// Replies with a body, like a client that compares it with the last one.
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
