//! A subscriber of a wait: buffers the events and the result until the caller takes them.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::machine::{Checkpoint, Event, FinishedJob, WaitError};

/// Maximum number of events that are buffered for a stream. After that the wait is paused.
const MAX_BUFFERED_EVENTS: usize = 32;

/// Maximum number of events that are buffered before the caller awaits the wait or calls
/// `events()`. If there are more, all are dropped, and a later stream starts with newer events.
const MAX_UNCLAIMED_EVENTS: usize = 4;

/// A subscriber of a wait.
#[derive(Default)]
pub(super) struct Subscriber {
    /// The key of the wait, until it ends.
    pub(super) job: Option<CompactKey>,
    /// The keys of its neighbors in the list that it is in.
    pub(super) previous: Option<CompactKey>,
    pub(super) next: Option<CompactKey>,
    interest: Interest,
    /// `None` if there were no events yet, or if the caller wants none.
    #[expect(clippy::box_collection, reason = "most subscribers want no events")]
    events: Option<Box<VecDeque<(Duration, Event)>>>,
    finished: Option<Box<FinishedFleetWait>>,
    waker: Option<Waker>,
}

/// The result of a wait, and a checkpoint.
#[derive(Clone)]
pub(super) struct FinishedFleetWait {
    pub(super) result: Result<FinishedJob, WaitError>,
    pub(super) checkpoint: Checkpoint,
}

/// What the caller has asked for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Interest {
    /// Neither events nor the result yet. The first events are buffered.
    #[default]
    Undecided,
    Result,
    Events,
}

/// A key of a slab in 4 bytes, also in an `Option`, because each wait has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompactKey(
    /// The key plus one.
    NonZeroU32,
);

impl CompactKey {
    pub(super) const fn get(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl From<usize> for CompactKey {
    fn from(key: usize) -> Self {
        // Four billion entries do not fit into memory.
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(key).unwrap_or(u32::MAX)))
    }
}

impl Subscriber {
    /// Creates a subscriber of the wait with the key `job`.
    pub(super) fn new(job: CompactKey) -> Self {
        Self { job: Some(job), ..Self::default() }
    }

    /// Returns whether the caller may want events.
    pub(super) fn is_listening(&self) -> bool {
        self.interest != Interest::Result
    }

    /// Returns whether the wait has to pause until the caller reads an event.
    pub(super) fn is_full(&self) -> bool {
        self.interest == Interest::Events && self.buffered() >= MAX_BUFFERED_EVENTS
    }

    fn buffered(&self) -> usize {
        self.events.as_ref().map_or(0, |events| events.len())
    }

    /// Buffers all events from now on.
    pub(super) const fn request_events(&mut self) {
        self.interest = Interest::Events;
    }

    /// Buffers an event, and returns the waker to call.
    pub(super) fn push_event(&mut self, at: Duration, event: Event) -> Option<Waker> {
        if self.interest == Interest::Undecided && self.buffered() == MAX_UNCLAIMED_EVENTS {
            self.interest = Interest::Result;
            self.events = None;
        }
        if self.interest == Interest::Result {
            return None;
        }
        self.events.get_or_insert_default().push_back((at, event));
        self.waker.take()
    }

    /// Stores the result, and returns the waker to call.
    pub(super) fn finish(&mut self, finished: FinishedFleetWait) -> Option<Waker> {
        self.job = None;
        self.finished = Some(Box::new(finished));
        self.waker.take()
    }

    /// Takes the result, and discards all events from now on.
    pub(super) fn poll_result(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Result<FinishedJob, WaitError>> {
        self.interest = Interest::Result;
        self.events = None;
        match self.finished.take() {
            Some(finished) => Poll::Ready(finished.result),
            None => self.register_waker(context),
        }
    }

    /// Takes the next event, or `None` if the wait is over.
    pub(super) fn poll_event(&mut self, context: &Context<'_>) -> Poll<Option<(Duration, Event)>> {
        match self.events.as_mut().and_then(|events| events.pop_front()) {
            Some(event) => Poll::Ready(Some(event)),
            None if self.job.is_none() => Poll::Ready(None),
            None => self.register_waker(context),
        }
    }

    fn register_waker<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Returns the result, unless it was already taken.
    pub(super) fn finished(&self) -> Option<&FinishedFleetWait> {
        self.finished.as_deref()
    }
}
