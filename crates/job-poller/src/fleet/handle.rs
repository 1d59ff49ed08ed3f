//! One wait of a fleet, as its caller has it. Decides nothing.

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

use super::{Shared, scheduler::State};
use crate::machine::{Checkpoint, Ended, Event, WaitError};

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
pub struct Watch(Watching);

/// The same wait, as a stream of its events, each with the time since the wait began. It ends when the wait
/// does; [`finish`](Self::finish) then says how.
///
/// Where the stream is not polled, 32 events are kept; then the wait stands still, for whoever else watches the
/// same job too, and its deadline passes meanwhile. Drop it, or take its [`finish`](Self::finish), where the
/// events are of no interest any more.
#[must_use = "a watch that is dropped ends its wait"]
pub struct WatchEvents(Watching);

/// A place among those who watch.
struct Watching {
    shared: Arc<Shared>,
    watcher: usize,
    id: JobId,
}

impl Watch {
    pub(super) const fn new(shared: Arc<Shared>, watcher: usize, id: JobId) -> Self {
        Self(Watching { shared, watcher, id })
    }

    /// Returns the wait as a stream of its events: from its beginning on where that is called at once, from now
    /// on where it is called after more than four events, or after this was polled.
    pub fn events(self) -> WatchEvents {
        self.0.shared.with(|state, _| state.watcher(self.0.watcher).want_events());
        WatchEvents(self.0)
    }
}

impl WatchEvents {
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
    pub async fn finish(self) -> Result<Ended, WaitError> {
        poll_fn(|context| self.0.poll_result(context)).await
    }
}

/// What can be looked at while a wait goes on, in either form.
macro_rules! looks {
    ($watch:ident) => {
        impl $watch {
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

looks!(Watch);
looks!(WatchEvents);

impl Watching {
    fn poll_result(&self, context: &Context<'_>) -> Poll<Result<Ended, WaitError>> {
        self.look(|state, now| state.poll_result(now, self.watcher, context))
    }

    fn poll_event(&self, context: &Context<'_>) -> Poll<Option<(Duration, Event)>> {
        self.look(|state, now| state.poll_event(now, self.watcher, context))
    }

    /// Looks, and lets the task look again where a wait goes on for that.
    fn look<T>(&self, look: impl FnOnce(&mut State, Duration) -> (T, bool)) -> T {
        let (looked, goes_on) = self.shared.with(look);
        if goes_on {
            self.shared.wake();
        }
        looked
    }

    fn job(&self) -> Option<Box<Job>> {
        self.shared.with(|state, _| state.job(self.watcher))
    }

    fn elapsed(&self) -> Duration {
        self.shared.with(|state, now| state.elapsed(now, self.watcher))
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        self.shared.with(|state, now| state.checkpoint(now, self.watcher))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.shared.change(|state, now| state.unwatch(now, self.watcher));
    }
}

impl Future for Watch {
    type Output = Result<Ended, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_result(context)
    }
}

impl Stream for WatchEvents {
    type Item = (Duration, Event);

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_event(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("job_id", self.job_id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for WatchEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchEvents").field("job_id", self.job_id()).finish_non_exhaustive()
    }
}
