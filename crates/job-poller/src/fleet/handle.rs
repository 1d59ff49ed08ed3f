//! A caller's handle of a wait in a fleet: a future, or a stream of events.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use job_model::{Job, JobId};
use job_transport::JobSnapshot;

use super::{event_buffer::Lagged, job::LastJob, scheduler::Scheduler, shared::Shared};
use crate::machine::{Checkpoint, Event, FinishedJob, ObjectStatus, WaitError};

/// A wait in a [`Fleet`](crate::Fleet), as a future of its result.
///
/// The wait makes progress even if the future is not polled. [`events`](Self::events) turns it into
/// a stream of events.
///
/// # Cancel safety
///
/// Dropping the future ends the wait, unless another watch of the same job exists. An attempt in
/// flight is canceled. The job itself is not affected.
#[must_use = "a watch that is dropped ends its wait"]
pub struct FleetWait(Handle);

/// A wait in a [`Fleet`](crate::Fleet), as a stream of its events.
///
/// Each event has the time since the wait began. The stream ends when the wait does;
/// [`finish`](Self::finish) then returns the result.
///
/// The wait makes progress even if the stream is not polled. If the caller reads too slowly, the
/// oldest events are lost, and the next item is [`Lagged`] with their number. The buffer holds the
/// events of the last reading and at most 32 older ones. The result is never lost.
///
/// # Cancel safety
///
/// Dropping the stream ends the wait, unless another watch of the same job exists. An attempt in
/// flight is canceled. The job itself is not affected.
#[must_use = "a watch that is dropped ends its wait"]
pub struct FleetEvents(Handle);

/// A subscription to a wait. Dropping it unsubscribes.
struct Handle {
    shared: Arc<Shared>,
    subscriber: usize,
    id: JobId,
}

impl FleetWait {
    pub(super) const fn new(shared: Arc<Shared>, subscriber: usize, id: JobId) -> Self {
        Self(Handle { shared, subscriber, id })
    }

    /// Returns the wait as a stream of its events.
    ///
    /// The stream includes the earlier events if this is called before the fifth event and before
    /// the future is polled. Otherwise it starts with the next event.
    pub fn events(self) -> FleetEvents {
        self.0.shared.with_state(|scheduler, _| scheduler.request_events(self.0.subscriber));
        FleetEvents(self.0)
    }
}

impl FleetEvents {
    /// Returns the next event and its time since the wait began, or `None` if the wait is over.
    ///
    /// # Errors
    ///
    /// Returns an error if events were lost before the next one. The stream continues after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<(Duration, Event), Lagged>> {
        poll_fn(|context| self.0.poll_event(context)).await
    }

    /// Waits for the result, and discards the remaining events.
    ///
    /// # Errors
    ///
    /// Returns an error if the wait stopped before the job ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait, unless another watch of the same job exists.
    pub async fn finish(self) -> Result<FinishedJob, WaitError> {
        poll_fn(|context| self.0.poll_result(context)).await
    }
}

/// Defines the methods that both handles have.
macro_rules! accessors {
    ($wait_type:ident) => {
        impl $wait_type {
            /// Returns the id of the job.
            #[must_use]
            pub const fn job_id(&self) -> &JobId {
                &self.0.id
            }

            /// Returns the job as last read, or `None` if it was never read.
            #[must_use]
            pub fn job(&self) -> Option<Box<Job>> {
                self.0.last_job().and_then(LastJob::into_job)
            }

            /// Returns the last accepted reading of the job, or `None` if it was never read.
            ///
            /// Decodes nothing. Sub-jobs that were looked up by their own ids are not part of it.
            #[must_use]
            pub fn snapshot(&self) -> Option<JobSnapshot> {
                self.0.snapshot()
            }

            /// Returns the clusters and nodes that the wait reads, as they were last read.
            ///
            /// There are none while the job is polled, or if the wait is for the end of the job.
            #[must_use]
            pub fn objects(&self) -> Vec<ObjectStatus> {
                self.0.objects()
            }

            /// Returns the time since the wait began, or zero if the result was already taken.
            #[must_use]
            pub fn elapsed(&self) -> Duration {
                self.0.elapsed()
            }

            /// Returns a checkpoint, from which this fleet or another process can resume the wait.
            ///
            /// If the job has ended, a resumed wait reads it once more. Returns `None` if the
            /// result was already taken.
            #[must_use]
            pub fn checkpoint(&self) -> Option<Checkpoint> {
                self.0.checkpoint()
            }
        }
    };
}

accessors!(FleetWait);
accessors!(FleetEvents);

impl Handle {
    fn poll_result(&self, context: &Context<'_>) -> Poll<Result<FinishedJob, WaitError>> {
        let poll = |scheduler: &mut Scheduler, _| scheduler.poll_result(self.subscriber, context);
        // The result may have to be copied, so it is taken out of the lock first.
        let result = ready!(self.shared.with_state(poll));
        Poll::Ready(result.into_result())
    }

    fn poll_event(&self, context: &Context<'_>) -> Poll<Option<Result<(Duration, Event), Lagged>>> {
        self.shared.with_state(|scheduler, _| scheduler.poll_event(self.subscriber, context))
    }

    fn snapshot(&self) -> Option<JobSnapshot> {
        self.shared.with_state(|scheduler, _| scheduler.snapshot(self.subscriber))
    }

    fn objects(&self) -> Vec<ObjectStatus> {
        self.shared.with_state(|scheduler, _| scheduler.objects(self.subscriber))
    }

    fn last_job(&self) -> Option<LastJob> {
        self.shared.with_state(|scheduler, _| scheduler.last_job(self.subscriber))
    }

    fn elapsed(&self) -> Duration {
        self.shared.with_state(|scheduler, now| scheduler.elapsed(now, self.subscriber))
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        self.shared.with_state(|scheduler, now| scheduler.checkpoint(now, self.subscriber))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.update_state(|scheduler, now| scheduler.unsubscribe(now, self.subscriber));
    }
}

impl Future for FleetWait {
    type Output = Result<FinishedJob, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_result(context)
    }
}

impl Stream for FleetEvents {
    type Item = Result<(Duration, Event), Lagged>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_event(context)
    }
}

impl fmt::Debug for FleetWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetWait").field("job_id", self.job_id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for FleetEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetEvents").field("job_id", self.job_id()).finish_non_exhaustive()
    }
}
