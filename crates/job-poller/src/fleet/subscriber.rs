//! A subscriber of a wait: keeps the events and the result until its caller takes them.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::machine::{Checkpoint, Event, FinishedJob, WaitError};

/// How many events are kept for a subscriber that takes events; then its wait stands still.
const MAX_BUFFERED_EVENTS: usize = 32;

/// How many events are kept for a subscriber that has not asked for events yet. After that they are dropped, and
/// it gets only those to come.
const MAX_UNCLAIMED_EVENTS: usize = 4;

/// A subscriber of a wait.
#[derive(Default)]
pub(super) struct Subscriber {
    /// The wait, while it goes on.
    pub(super) job: Option<usize>,
    interest: Interest,
    events: VecDeque<(Duration, Event)>,
    finished: Option<Box<FinishedFleetWait>>,
    waker: Option<Waker>,
}

/// How a wait ended, and what to go on from.
#[derive(Clone)]
pub(super) struct FinishedFleetWait {
    pub(super) result: Result<FinishedJob, WaitError>,
    pub(super) checkpoint: Checkpoint,
}

/// What it asked for first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Interest {
    /// Nothing yet: the first events are kept.
    #[default]
    Undecided,
    Result,
    Events,
}

impl Subscriber {
    /// Returns whether its wait is to stand still until something is taken.
    pub(super) fn is_full(&self) -> bool {
        self.interest == Interest::Events && self.events.len() >= MAX_BUFFERED_EVENTS
    }

    /// Keeps the events to come.
    pub(super) const fn request_events(&mut self) {
        self.interest = Interest::Events;
    }

    /// Keeps an event; returns whom to wake.
    pub(super) fn push_event(&mut self, at: Duration, event: Event) -> Option<Waker> {
        if self.interest == Interest::Undecided && self.events.len() == MAX_UNCLAIMED_EVENTS {
            self.interest = Interest::Result;
            self.events = VecDeque::new();
        }
        if self.interest == Interest::Result {
            return None;
        }
        self.events.push_back((at, event));
        self.waker.take()
    }

    /// Keeps how the wait ended; returns whom to wake.
    pub(super) fn finish(&mut self, finished: FinishedFleetWait) -> Option<Waker> {
        self.job = None;
        self.finished = Some(Box::new(finished));
        self.waker.take()
    }

    /// Takes the result, and no event any more.
    pub(super) fn poll_result(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Result<FinishedJob, WaitError>> {
        self.interest = Interest::Result;
        self.events = VecDeque::new();
        match self.finished.take() {
            Some(finished) => Poll::Ready(finished.result),
            None => self.register_waker(context),
        }
    }

    /// Takes the next event; `None` where the wait is over.
    pub(super) fn poll_event(&mut self, context: &Context<'_>) -> Poll<Option<(Duration, Event)>> {
        match self.events.pop_front() {
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

    /// Returns how the wait ended, where that was not taken.
    pub(super) fn finished(&self) -> Option<&FinishedFleetWait> {
        self.finished.as_deref()
    }
}
