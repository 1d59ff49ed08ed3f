//! The trait for sources of readings.

use std::{fmt, sync::Arc};

use futures_core::future::BoxFuture;
use job_model::{
    JobId,
    object::{Object, ObjectId},
};
#[cfg(feature = "tokio")]
use job_transport::transport::MemoryLimit;
use job_transport::{
    Client, FetchError, Fetched, JobSnapshot, ListReading, ObjectReading, Reading,
    transport::{RequestSent, TransportError, TransportErrorKind},
};

#[cfg(feature = "tokio")]
use crate::machine::{Input, check_uid};

/// Reads a job.
///
/// # For callers
///
/// Dropping the future cancels the attempt.
///
/// # For implementers
///
/// Make exactly one attempt, because the wait does the retries. Report a failure as a
/// [`FetchError`]. Its [class](FetchError::class) decides whether and how the wait retries.
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

    /// Makes one attempt to read a cluster or a node.
    ///
    /// It is needed for waits until objects are ready or gone
    /// ([`WaitPolicy::until_ready`](crate::WaitPolicy::until_ready)). By default this returns an error.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses this attempt and nothing else.
    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        let _ = id;
        let error = TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No);
        Box::pin(async { Err(error.with_source("the source reads no clusters and nodes").into()) })
    }

    /// Returns the list of jobs in which this job appears, or `None` if there is none.
    ///
    /// It must always return the same list for the same job, and be fast, because a fleet holds a
    /// lock meanwhile. A source of one project has one list. By default there is none, and each job
    /// is read alone.
    fn list_of(&self, id: &JobId) -> Option<ListId> {
        let _ = id;
        None
    }

    /// Makes one attempt to read a list of jobs.
    ///
    /// A fleet uses the rows only to decide which jobs it reads next. By default this returns an
    /// error.
    ///
    /// # Errors
    ///
    /// Returns an error if the attempt failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses this attempt and nothing else.
    fn fetch_list(&self, list: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        let _ = list;
        let error = TransportError::new(TransportErrorKind::InvalidRequest, RequestSent::No);
        Box::pin(async { Err(error.with_source("the source has no list of jobs").into()) })
    }
}

/// Identifies one of the lists of jobs of a [`JobSource`].
///
/// The number has no meaning except to the source. A source of several projects can number them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number")]
pub struct ListId(pub u32);

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

    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        Box::pin(self.object(id))
    }

    fn list_of(&self, _: &JobId) -> Option<ListId> {
        Some(ListId::default())
    }

    fn fetch_list(&self, _: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        Box::pin(self.jobs())
    }
}

/// Makes a source from a function that returns a future.
///
/// # Examples
///
/// A source that reads jobs from a cache of the service:
///
/// ```
/// use job_model::{Job, JobId};
/// use job_poller::source::{JobSource, source_fn};
/// use job_transport::Reading;
///
/// async fn read(id: JobId) -> Job {
///     // ..
/// #   Job::from_slice(format!(r#"{{"metadata": {{"uid": "{id}"}}}}"#).as_bytes()).unwrap()
/// }
///
/// let source = source_fn(|id| async move { Ok(Reading::new(read(id).await)) });
/// # let _: &dyn JobSource = &source;
/// ```
pub const fn source_fn<F, R>(read: F) -> SourceFn<F>
where
    F: Fn(JobId) -> R + Send + Sync,
    R: Future<Output = Result<Reading, FetchError>> + Send + 'static,
{
    SourceFn(read)
}

/// The source that [`source_fn`] returns.
#[derive(Clone, Copy)]
pub struct SourceFn<F>(F);

impl<F, R> JobSource for SourceFn<F>
where
    F: Fn(JobId) -> R + Send + Sync,
    R: Future<Output = Result<Reading, FetchError>> + Send + 'static,
{
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin((self.0)(id.clone()))
    }
}

impl<F> fmt::Debug for SourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFn").finish_non_exhaustive()
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

    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        (**self).fetch_object(id)
    }

    fn list_of(&self, id: &JobId) -> Option<ListId> {
        (**self).list_of(id)
    }

    fn fetch_list(&self, list: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        (**self).fetch_list(list)
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

    fn fetch_object<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> BoxFuture<'a, Result<ObjectReading<Object>, FetchError>> {
        (**self).fetch_object(id)
    }

    fn list_of(&self, id: &JobId) -> Option<ListId> {
        (**self).list_of(id)
    }

    fn fetch_list(&self, list: ListId) -> BoxFuture<'_, Result<ListReading, FetchError>> {
        (**self).fetch_list(list)
    }
}

/// What a machine wants to read.
#[cfg(feature = "tokio")]
#[derive(Clone, Debug)]
pub(crate) enum AttemptTarget {
    /// A job or a sub-job, and the last accepted snapshot of it.
    Job(JobId, Option<JobSnapshot>),
    /// A cluster or a node.
    Object(ObjectId),
}

/// Makes an attempt for a machine, and returns its next input.
#[cfg(feature = "tokio")]
pub(crate) async fn attempt(
    source: &dyn JobSource,
    limit: &MemoryLimit,
    target: &AttemptTarget,
) -> Input {
    match target {
        AttemptTarget::Job(id, last) => fetch_job(source, limit, id, last.as_ref()).await.into(),
        AttemptTarget::Object(id) => source.fetch_object(id).await.into(),
    }
}

/// Makes an attempt to read a job, and counts the reading toward `limit`.
///
/// This decodes what the machine will read, because a machine must not decode a large text on the
/// async thread, or while it holds the fleet's lock: the new job, and the last one if the tree of
/// sub-jobs has changed or if the job has ended.
#[cfg(feature = "tokio")]
async fn fetch_job(
    source: &dyn JobSource,
    limit: &MemoryLimit,
    id: &JobId,
    last: Option<&JobSnapshot>,
) -> Result<Fetched, FetchError> {
    let mut fetched = source.fetch_since(id, last).await;
    let has_changed = match &mut fetched {
        Ok(Fetched::Reading(reading)) => {
            let snapshot = &mut reading.snapshot;
            snapshot.decode().await;
            // The machine refuses another job's reply, so it keeps nothing of it. A text that was
            // dropped no longer shows whose job it is.
            if check_uid(snapshot.job(), id).is_err() {
                return fetched;
            }
            snapshot.count_toward(limit);
            last.is_some_and(|last| !last.digest().has_same_tree(snapshot.digest()))
        }
        Ok(Fetched::Unchanged(_)) | Err(_) => false,
    };
    if let Some(last) = last.filter(|last| has_changed || last.digest().is_terminal()) {
        last.decode().await;
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
    async fn the_last_job_is_decoded_only_if_the_machine_reads_it() {
        let (running, success) =
            (r#"{"status": {"phase": "Running"}}"#, r#"{"status": {"phase": "Success"}}"#);
        let rows = [
            (running, running, false),
            (running, r#"{"status": {"phase": "Running", "reason": "slow"}}"#, false),
            (running, success, true),
            (running, r#"{"spec": {"subJobs": [{}]}, "status": {"phase": "Running"}}"#, true),
            (success, success, true),
        ];
        let id = "a".parse().expect("an id");
        for (last, reply, is_decoded) in rows {
            let last = JobSnapshot::from_slice(last.as_bytes()).expect("a job").without_job();
            fetch_job(&Reply(reply), &MemoryLimit::global(), &id, Some(&last))
                .await
                .expect("a reading");
            assert_eq!(last.is_decoded(), is_decoded, "{reply}");
        }
    }
}
