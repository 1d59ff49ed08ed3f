//! What one who watches is told, until it is taken. Knows no wait.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::machine::{Checkpoint, Ended, Event, WaitError};

/// How many events are kept for one who takes them; then its wait stands still.
const MOST: usize = 32;

/// How many are kept for one who may take them. Who has not begun by then takes those to come.
const FIRST: usize = 4;

/// One who watches a wait.
#[derive(Default)]
pub(super) struct Watcher {
    /// The wait, while it goes on.
    pub(super) member: Option<usize>,
    wants: Wants,
    events: VecDeque<(Duration, Event)>,
    over: Option<Box<Over>>,
    waker: Option<Waker>,
}

/// How a wait ended, and what to go on from.
#[derive(Clone)]
pub(super) struct Over {
    pub(super) result: Result<Ended, WaitError>,
    pub(super) checkpoint: Checkpoint,
}

/// What it asked for first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wants {
    /// Nothing yet: the first events are kept.
    #[default]
    Anything,
    Result,
    Events,
}

impl Watcher {
    /// Returns whether its wait is to stand still until something is taken.
    pub(super) fn is_full(&self) -> bool {
        self.wants == Wants::Events && self.events.len() >= MOST
    }

    /// Keeps the events to come.
    pub(super) const fn want_events(&mut self) {
        self.wants = Wants::Events;
    }

    /// Keeps an event; returns whom to wake.
    pub(super) fn tell(&mut self, at: Duration, event: Event) -> Option<Waker> {
        if self.wants == Wants::Anything && self.events.len() == FIRST {
            self.wants = Wants::Result;
            self.events = VecDeque::new();
        }
        if self.wants == Wants::Result {
            return None;
        }
        self.events.push_back((at, event));
        self.waker.take()
    }

    /// Keeps how the wait ended; returns whom to wake.
    pub(super) fn end(&mut self, over: Over) -> Option<Waker> {
        self.member = None;
        self.over = Some(Box::new(over));
        self.waker.take()
    }

    /// Takes the result, and no event any more.
    pub(super) fn poll_result(&mut self, context: &Context<'_>) -> Poll<Result<Ended, WaitError>> {
        self.wants = Wants::Result;
        self.events = VecDeque::new();
        match self.over.take() {
            Some(over) => Poll::Ready(over.result),
            None => self.wait(context),
        }
    }

    /// Takes the next event; `None` where the wait is over.
    pub(super) fn poll_event(&mut self, context: &Context<'_>) -> Poll<Option<(Duration, Event)>> {
        match self.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if self.member.is_none() => Poll::Ready(None),
            None => self.wait(context),
        }
    }

    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Returns how the wait ended, where that was not taken.
    pub(super) fn over(&self) -> Option<&Over> {
        self.over.as_deref()
    }
}
