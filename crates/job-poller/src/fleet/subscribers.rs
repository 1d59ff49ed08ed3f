//! The subscribers of all waits.
//!
//! A job may have thousands of watchers. The subscribers of a wait form linked lists, so that one
//! is added, removed or polled in constant time, and an event visits only those that may want it.

use std::{ops::Index, task::Waker, time::Duration};

use slab::Slab;

use super::subscriber::{CompactKey, FinishedFleetWait, Subscriber};
use crate::machine::Event;

/// The subscribers of all waits.
#[derive(Default)]
pub(super) struct Subscribers(Slab<Subscriber>);

/// The subscribers of one wait.
#[derive(Default)]
pub(super) struct SubscriberLists {
    /// The first subscriber that may want events.
    listening: Option<CompactKey>,
    /// The first subscriber that only wants the result.
    silent: Option<CompactKey>,
    /// Number of subscribers that are full.
    full: u32,
}

impl SubscriberLists {
    pub(super) const fn is_empty(&self) -> bool {
        self.listening.is_none() && self.silent.is_none()
    }

    /// Returns whether the wait has to pause until a subscriber reads an event.
    pub(super) const fn is_full(&self) -> bool {
        self.full > 0
    }

    const fn first(&mut self, is_listening: bool) -> &mut Option<CompactKey> {
        if is_listening { &mut self.listening } else { &mut self.silent }
    }
}

impl Subscribers {
    /// Adds a subscriber of the wait `job`, whose lists are `lists`.
    pub(super) fn add(&mut self, job: usize, lists: &mut SubscriberLists) -> usize {
        grow(&mut self.0);
        let key = self.0.insert(Subscriber::new(job.into()));
        self.link(key, lists);
        key
    }

    /// Removes a subscriber. `lists` are those of its wait, unless the wait is over.
    pub(super) fn remove(&mut self, key: usize, lists: Option<&mut SubscriberLists>) {
        if let Some(lists) = lists {
            lists.full -= u32::from(self.0[key].is_full());
            self.unlink(key, self.0[key].is_listening(), lists);
        }
        self.0.remove(key);
    }

    /// Calls `f` with a subscriber, and updates the lists of its wait, unless the wait is over.
    pub(super) fn update<T>(
        &mut self,
        key: usize,
        lists: Option<&mut SubscriberLists>,
        f: impl FnOnce(&mut Subscriber) -> T,
    ) -> T {
        let subscriber = &mut self.0[key];
        let (was_listening, was_full) = (subscriber.is_listening(), subscriber.is_full());
        let result = f(subscriber);
        if let Some(lists) = lists {
            lists.full = lists.full + u32::from(subscriber.is_full()) - u32::from(was_full);
            if subscriber.is_listening() != was_listening {
                self.unlink(key, was_listening, lists);
                self.link(key, lists);
            }
        }
        result
    }

    /// Passes an event to the subscribers that may want it.
    pub(super) fn publish(
        &mut self,
        lists: &mut SubscriberLists,
        at: Duration,
        event: &Event,
        wakers: &mut Vec<Waker>,
    ) {
        let mut next = lists.listening;
        while let Some(key) = next {
            next = self.0[key.get()].next;
            let push = |subscriber: &mut Subscriber| subscriber.push_event(at, event.clone());
            wakers.extend(self.update(key.get(), Some(lists), push));
        }
    }

    /// Passes the result to all subscribers. Consumes the lists, because the wait is over.
    pub(super) fn finish(
        &mut self,
        lists: SubscriberLists,
        finished: FinishedFleetWait,
        wakers: &mut Vec<Waker>,
    ) {
        let (mut next, mut others) = (lists.listening, lists.silent);
        while let Some(key) = next.or_else(|| others.take()) {
            let subscriber = &mut self.0[key.get()];
            (subscriber.previous, next) = (None, subscriber.next.take());
            if next.or(others).is_none() {
                wakers.extend(subscriber.finish(finished));
                return;
            }
            wakers.extend(subscriber.finish(finished.clone()));
        }
    }

    /// Puts a subscriber at the front of the list that it belongs to.
    fn link(&mut self, key: usize, lists: &mut SubscriberLists) {
        let first = lists.first(self.0[key].is_listening());
        let next = first.replace(key.into());
        (self.0[key].previous, self.0[key].next) = (None, next);
        if let Some(next) = next {
            self.0[next.get()].previous = Some(key.into());
        }
    }

    fn unlink(&mut self, key: usize, is_listening: bool, lists: &mut SubscriberLists) {
        let subscriber = &mut self.0[key];
        let (previous, next) = (subscriber.previous.take(), subscriber.next.take());
        match previous {
            Some(previous) => self.0[previous.get()].next = next,
            None => *lists.first(is_listening) = next,
        }
        if let Some(next) = next {
            self.0[next.get()].previous = previous;
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Index<usize> for Subscribers {
    type Output = Subscriber;

    fn index(&self, key: usize) -> &Subscriber {
        &self.0[key]
    }
}

/// Makes room for an eighth more entries. Doubling would reserve memory for waits that may never
/// come.
pub(super) fn grow<T>(slab: &mut Slab<T>) {
    if slab.len() == slab.capacity() {
        slab.reserve_exact((slab.len() / 8).max(32));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, task::Context};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Returns the keys in a list, in ascending order. Checks the links back.
    fn keys(subscribers: &Subscribers, first: Option<CompactKey>) -> Vec<usize> {
        let (mut keys, mut previous, mut next) = (Vec::new(), None, first);
        while let Some(key) = next {
            assert_eq!(subscribers[key.get()].previous, previous);
            keys.push(key.get());
            (previous, next) = (next, subscribers[key.get()].next);
        }
        keys.sort_unstable();
        keys
    }

    proptest! {
        #[test]
        fn lists_match_what_each_subscriber_wants(operations in vec((0_u8..6, 0_usize..20), 1..300)) {
            let (mut subscribers, mut lists) = (Subscribers::default(), SubscriberLists::default());
            let context = Context::from_waker(Waker::noop());
            let mut known = BTreeMap::new();
            for (operation, number) in operations {
                let key = known.keys().copied().nth(number % known.len().max(1));
                match (operation, key) {
                    (0, _) | (_, None) => _ = known.insert(subscribers.add(7, &mut lists), ()),
                    (1, Some(key)) => {
                        subscribers.remove(key, Some(&mut lists));
                        known.remove(&key);
                    }
                    (2, Some(key)) => {
                        subscribers.update(key, Some(&mut lists), Subscriber::request_events);
                    }
                    (3, Some(key)) => {
                        let poll = |one: &mut Subscriber| one.poll_event(&context).is_ready();
                        subscribers.update(key, Some(&mut lists), poll);
                    }
                    (4, Some(key)) if number == 0 => {
                        let poll = |one: &mut Subscriber| one.poll_result(&context).is_ready();
                        subscribers.update(key, Some(&mut lists), poll);
                    }
                    _ => {
                        for _ in 0..number {
                            let event = &Event::Heartbeat;
                            subscribers.publish(&mut lists, Duration::ZERO, event, &mut Vec::new());
                        }
                    }
                }
                let (listening, silent): (Vec<usize>, Vec<usize>) =
                    known.keys().partition(|key| subscribers[**key].is_listening());
                prop_assert_eq!(keys(&subscribers, lists.listening), listening);
                prop_assert_eq!(keys(&subscribers, lists.silent), silent);
                let full = known.keys().filter(|key| subscribers[**key].is_full()).count();
                prop_assert_eq!(lists.full as usize, full);
            }
        }
    }
}
