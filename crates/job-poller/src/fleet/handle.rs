//! One wait of a fleet, as its caller has it: a future, or a stream of events.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use job_model::{Job, JobId};

use super::{job::LastJob, scheduler::Scheduler, shared::Shared};
use crate::machine::{Checkpoint, Event, FinishedJob, WaitError};

/// A wait under way in a [`Fleet`](super::Fleet), as a future of how the job ends. As a stream of what
/// happens until then: [`events`](Self::events).
///
/// It goes on whether it is polled or not.
///
/// # Cancel safety
///
/// Dropping it ends the wait, unless another watches the same job: an attempt in flight is given up, nothing
/// runs on, and the job is not affected.
#[must_use = "a watch that is dropped ends its wait"]
pub struct FleetWait(Handle);

/// The same wait, as a stream of its events, each with the time since the wait began. It ends when the wait
/// does; [`finish`](Self::finish) then says how.
///
/// If the stream is not polled, 32 events are kept. Then the wait stands still, also for other subscribers of the
/// same job, and its deadline passes meanwhile. Drop the stream, or take its [`finish`](Self::finish), if you need
/// no more events.
#[must_use = "a watch that is dropped ends its wait"]
pub struct FleetEvents(Handle);

/// A subscription to a wait; dropping it ends the subscription.
struct Handle {
    shared: Arc<Shared>,
    subscriber: usize,
    id: JobId,
}

impl FleetWait {
    pub(super) const fn new(shared: Arc<Shared>, subscriber: usize, id: JobId) -> Self {
        Self(Handle { shared, subscriber, id })
    }

    /// Returns the wait as a stream of its events: from its beginning on where that is called at once, from now
    /// on where it is called after more than four events, or after this was polled.
    pub fn events(self) -> FleetEvents {
        self.0
            .shared
            .with_state(|scheduler, _| scheduler.subscriber(self.0.subscriber).request_events());
        FleetEvents(self.0)
    }
}

impl FleetEvents {
    /// Returns the next event, and when it happened, since the wait began; `None` once the wait is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(Duration, Event)> {
        poll_fn(|context| self.0.poll_event(context)).await
    }

    /// Waits to the end, and says how it came.
    ///
    /// # Errors
    ///
    /// Where the wait stopped watching before the job ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait.
    pub async fn finish(self) -> Result<FinishedJob, WaitError> {
        poll_fn(|context| self.0.poll_result(context)).await
    }
}

/// What a caller can read while a wait goes on, in either form.
macro_rules! accessors {
    ($wait_type:ident) => {
        impl $wait_type {
            /// Returns which job is waited for.
            #[must_use]
            pub const fn job_id(&self) -> &JobId {
                &self.0.id
            }

            /// Returns the job as last read, where it ever was.
            #[must_use]
            pub fn job(&self) -> Option<Box<Job>> {
                self.0.job()
            }

            /// Returns the time since the wait began; zero once the result was taken.
            #[must_use]
            pub fn elapsed(&self) -> Duration {
                self.0.elapsed()
            }

            /// Returns what to go on from, in this fleet or in another process; of a job that has ended, what asks
            /// once more. `None` once the result was taken.
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
        self.with_state(|scheduler, now| scheduler.poll_result(now, self.subscriber, context))
    }

    fn poll_event(&self, context: &Context<'_>) -> Poll<Option<(Duration, Event)>> {
        self.with_state(|scheduler, now| scheduler.poll_event(now, self.subscriber, context))
    }

    /// Calls a function with the scheduler, and wakes the task if a wait goes on because of that.
    fn with_state<T>(&self, f: impl FnOnce(&mut Scheduler, Duration) -> (T, bool)) -> T {
        let (result, goes_on) = self.shared.with_state(f);
        if goes_on {
            self.shared.wake();
        }
        result
    }

    fn job(&self) -> Option<Box<Job>> {
        let last = self.shared.with_state(|scheduler, _| scheduler.last_job(self.subscriber));
        last.map(LastJob::decode)
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
    type Item = (Duration, Event);

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
