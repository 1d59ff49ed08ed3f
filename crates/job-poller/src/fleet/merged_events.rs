//! The events of all waits of a fleet, as one stream.

use std::{
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;
use job_model::JobId;

use super::event_buffer::{EventBuffer, Lagged};
use crate::machine::Event;

/// Maximum number of events of earlier steps that are buffered for a stream.
const MAX_MERGED_EVENTS: usize = 1024;

/// The events of all waits of a [`Fleet`](crate::Fleet), as one stream.
///
/// The stream starts with the next event. If the caller reads too slowly, the oldest events are
/// lost, and the next item is [`Lagged`] with their number. The buffer holds the events of the last
/// reading and at most 1,024 older ones. The stream does not keep the fleet alive. After the fleet
/// has ended, it returns the events that are left and then ends.
///
/// The results are not part of the stream. Each [`FleetWait`](super::FleetWait) returns its own.
#[must_use = "a stream does nothing until it is read"]
pub struct MergedEvents(Arc<Mutex<Reader>>);

/// The streams of a fleet's events. A stream that was dropped is removed at the next event.
#[derive(Default)]
pub(super) struct MergedReaders(Vec<Weak<Mutex<Reader>>>);

struct Reader {
    events: EventBuffer<(JobId, Event)>,
    /// Whether the fleet has ended.
    is_ended: bool,
    waker: Option<Waker>,
}

impl MergedEvents {
    /// Returns the next event and its job, or `None` if the fleet has ended.
    ///
    /// # Errors
    ///
    /// Returns an error if events were lost before the next one. The stream continues after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<(JobId, Event), Lagged>> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Result<(JobId, Event), Lagged>>> {
        let mut reader = lock(&self.0);
        match reader.events.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if reader.is_ended => Poll::Ready(None),
            None => {
                reader.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for MergedEvents {
    type Item = Result<(JobId, Event), Lagged>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl fmt::Debug for MergedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergedEvents").finish_non_exhaustive()
    }
}

impl MergedReaders {
    /// Adds a stream. It has no events if the fleet has ended.
    pub(super) fn add(&mut self, is_ended: bool) -> MergedEvents {
        let reader = Reader { events: EventBuffer::new(), is_ended, waker: None };
        let reader = Arc::new(Mutex::new(reader));
        self.0.push(Arc::downgrade(&reader));
        MergedEvents(reader)
    }

    /// Passes the events of a step to all streams.
    pub(super) fn publish(&mut self, id: &JobId, events: &[Event], wakers: &mut Vec<Waker>) {
        if self.0.is_empty() || events.is_empty() {
            return;
        }
        self.0.retain(|reader| {
            let Some(reader) = reader.upgrade() else { return false };
            let mut reader = lock(&reader);
            let events = events.iter().map(|event| (id.clone(), event.clone()));
            reader.events.push_step(MAX_MERGED_EVENTS, events);
            wakers.extend(reader.waker.take());
            true
        });
    }

    /// Ends all streams, and returns their wakers.
    pub(super) fn end(&mut self) -> Vec<Waker> {
        let readers = mem::take(&mut self.0).into_iter().filter_map(|reader| reader.upgrade());
        let end = |reader: Arc<Mutex<Reader>>| {
            let mut reader = lock(&reader);
            reader.is_ended = true;
            reader.waker.take()
        };
        readers.filter_map(end).collect()
    }
}

fn lock(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}
