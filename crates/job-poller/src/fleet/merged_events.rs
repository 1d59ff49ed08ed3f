//! The events of all waits of a fleet, as one stream.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Weak,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;
use job_model::JobId;
use slab::Slab;

use super::{
    event_buffer::{EventBuffer, Lagged},
    shared::Shared,
};
use crate::machine::Event;

/// Maximum number of events of earlier steps that are buffered for a stream.
const MAX_MERGED_EVENTS: usize = 1024;

/// The events of all waits of a [`Fleet`](super::Fleet), as one stream.
///
/// The stream starts with the next event. If the caller reads too slowly, the oldest events are
/// lost, and the next item is [`Lagged`] with their number. At most 1,024 events are kept, besides
/// those of the last reading. The stream ends with the fleet, and does not keep it alive.
///
/// The results are not part of the stream. Each [`FleetWait`](super::FleetWait) returns its own.
#[must_use = "a stream does nothing until it is read"]
pub struct MergedEvents {
    shared: Weak<Shared>,
    reader: usize,
}

/// The streams of a fleet's events.
#[derive(Default)]
pub(super) struct MergedReaders(Slab<MergedReader>);

struct MergedReader {
    events: EventBuffer<(JobId, Event)>,
    waker: Option<Waker>,
}

impl MergedEvents {
    pub(super) const fn new(shared: Weak<Shared>, reader: usize) -> Self {
        Self { shared, reader }
    }

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
        let Some(shared) = self.shared.upgrade() else { return Poll::Ready(None) };
        shared.with_state(|scheduler, _| scheduler.poll_merged(self.reader, context))
    }
}

impl Stream for MergedEvents {
    type Item = Result<(JobId, Event), Lagged>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl Drop for MergedEvents {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.with_state(|scheduler, _| scheduler.remove_merged_reader(self.reader));
        }
    }
}

impl fmt::Debug for MergedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergedEvents").finish_non_exhaustive()
    }
}

impl MergedReaders {
    pub(super) fn add(&mut self) -> usize {
        self.0.insert(MergedReader { events: EventBuffer::new(), waker: None })
    }

    pub(super) fn remove(&mut self, reader: usize) {
        self.0.remove(reader);
    }

    /// Passes the events of a step to all streams.
    pub(super) fn publish(&mut self, id: &JobId, events: &[Event], wakers: &mut Vec<Waker>) {
        if self.0.is_empty() || events.is_empty() {
            return;
        }
        for (_, reader) in &mut self.0 {
            let events = events.iter().map(|event| (id.clone(), event.clone()));
            reader.events.push_step(MAX_MERGED_EVENTS, events);
            wakers.extend(reader.waker.take());
        }
    }

    /// Takes the next event of a stream. Returns `None` if there is none, and the waker is called
    /// later.
    pub(super) fn poll(
        &mut self,
        reader: usize,
        context: &Context<'_>,
    ) -> Poll<Result<(JobId, Event), Lagged>> {
        let reader = &mut self.0[reader];
        match reader.events.pop() {
            Some(event) => Poll::Ready(event),
            None => {
                reader.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes the wakers of all streams.
    pub(super) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.0.iter_mut().filter_map(|(_, reader)| reader.waker.take()));
    }
}
