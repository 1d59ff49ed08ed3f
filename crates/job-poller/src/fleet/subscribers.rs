//! The subscribers of all waits.
//!
//! A job may have thousands of watchers. The subscribers of a wait form linked lists, so that one
//! is added, removed or polled in constant time, and an event visits only those that may want it.
//! The subscribers of one wait may have different deadlines, which are sorted by time.

use std::{collections::BTreeSet, iter, ops::Index, sync::Arc, task::Waker, time::Duration};

use slab::Slab;

use super::subscriber::{CompactKey, Deadline, DeadlineStage, FinishedFleetWait, Subscriber};
use crate::machine::{CompactDuration, Event, Until};

/// The subscribers of all waits.
#[derive(Default)]
pub(super) struct Subscribers {
    all: Slab<Subscriber>,
    /// When the stage of each subscriber's own deadline is due.
    deadlines: BTreeSet<(CompactDuration, usize)>,
}

/// The subscribers of one wait.
#[derive(Default)]
pub(super) struct SubscriberLists {
    /// The first subscriber that may want events.
    listening: Option<CompactKey>,
    /// The first subscriber that only wants the result.
    silent: Option<CompactKey>,
    count: u32,
    /// Number of subscribers whose subscription ends after the next attempt.
    ending_after_attempt: u32,
    /// Number of subscribers whose subscription ends with the job, even if its objects are read.
    ending_with_job: u32,
}

impl SubscriberLists {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) const fn len(&self) -> usize {
        self.count as usize
    }

    /// Returns whether a subscription ends with the job, even if its objects are read.
    pub(super) const fn any_ends_with_job(&self) -> bool {
        self.ending_with_job > 0
    }

    const fn first(&mut self, is_listening: bool) -> &mut Option<CompactKey> {
        if is_listening { &mut self.listening } else { &mut self.silent }
    }
}

impl Subscribers {
    /// Adds a subscriber of the wait `job`, whose lists are `lists`. It ends with the wait.
    pub(super) fn add(
        &mut self,
        job: usize,
        lists: &mut SubscriberLists,
        deadline: Option<Deadline>,
        until: Until,
    ) -> usize {
        grow(&mut self.all);
        let ends_with_job = until == Until::Ended;
        let key = self.all.insert(Subscriber::new(job.into(), deadline, ends_with_job));
        lists.count += 1;
        lists.ending_with_job += u32::from(ends_with_job);
        self.link(key, lists);
        key
    }

    /// Adds a subscriber of a wait that has others. From now on each of them ends at its own
    /// deadline.
    pub(super) fn join(
        &mut self,
        now: Duration,
        job: usize,
        lists: &mut SubscriberLists,
        deadline: Option<Deadline>,
        until: Until,
    ) -> usize {
        // If there are several, they have their own deadlines already.
        if lists.count == 1
            && let Some(only) = lists.listening.or(lists.silent)
        {
            self.use_own_deadline(now, only.get(), lists);
        }
        let key = self.add(job, lists, deadline, until);
        self.use_own_deadline(now, key, lists);
        key
    }

    fn use_own_deadline(&mut self, now: Duration, key: usize, lists: &mut SubscriberLists) {
        let subscriber = &mut self.all[key];
        if subscriber.deadline_stage() == DeadlineStage::None {
            subscriber.use_own_deadline(now);
            lists.ending_after_attempt += u32::from(subscriber.ends_after_attempt());
            self.deadlines.extend(subscriber.deadline_timer().map(|at| (at, key)));
        }
    }

    /// Returns when the stage of a subscriber's deadline is due next.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        Some(self.deadlines.first()?.0.get())
    }

    /// Returns a subscriber whose deadline requires something now.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<usize> {
        let &(at, key) = self.deadlines.first()?;
        (at.get() <= now).then(|| {
            self.deadlines.pop_first();
            key
        })
    }

    /// Records that the last attempt before a subscriber's deadline was requested. The subscription
    /// ends after it.
    pub(super) fn begin_last_attempt(&mut self, key: usize, lists: &mut SubscriberLists) {
        lists.ending_after_attempt += 1;
        self.all[key].end_at_deadline();
        self.deadlines.extend(self.all[key].deadline_timer().map(|at| (at, key)));
    }

    /// Returns the subscribers whose subscription ends after the attempt that just ended.
    pub(super) fn ending_after_attempt(&self, lists: &SubscriberLists) -> Vec<usize> {
        if lists.ending_after_attempt == 0 {
            return Vec::new();
        }
        self.select(lists, Subscriber::ends_after_attempt)
    }

    /// Returns the subscribers whose subscription ends with the job.
    pub(super) fn ending_with_job(&self, lists: &SubscriberLists) -> Vec<usize> {
        if !lists.any_ends_with_job() {
            return Vec::new();
        }
        self.select(lists, Subscriber::ends_with_job)
    }

    fn select(&self, lists: &SubscriberLists, filter: impl Fn(&Subscriber) -> bool) -> Vec<usize> {
        let next = |key: &CompactKey| self.all[key.get()].next;
        let keys = [lists.listening, lists.silent].into_iter();
        let keys = keys.flat_map(|first| iter::successors(first, next)).map(CompactKey::get);
        keys.filter(|key| filter(&self.all[*key])).collect()
    }

    /// Removes a subscriber. `lists` are those of its wait, unless the wait is over.
    pub(super) fn remove(&mut self, key: usize, lists: Option<&mut SubscriberLists>) {
        if let Some(lists) = lists {
            self.leave(key, lists);
        }
        self.all.remove(key);
    }

    /// Removes a subscriber from its wait, whose lists are `lists`.
    fn leave(&mut self, key: usize, lists: &mut SubscriberLists) {
        lists.ending_after_attempt -= u32::from(self.all[key].ends_after_attempt());
        lists.ending_with_job -= u32::from(self.all[key].ends_with_job());
        lists.count -= 1;
        self.remove_deadline(key);
        self.unlink(key, self.all[key].is_listening(), lists);
    }

    fn remove_deadline(&mut self, key: usize) {
        if let Some(at) = self.all[key].deadline_timer() {
            self.deadlines.remove(&(at, key));
        }
    }

    /// Calls `f` with a subscriber, and updates the lists of its wait, unless the wait is over.
    pub(super) fn update<T>(
        &mut self,
        key: usize,
        lists: Option<&mut SubscriberLists>,
        f: impl FnOnce(&mut Subscriber) -> T,
    ) -> T {
        let subscriber = &mut self.all[key];
        let was_listening = subscriber.is_listening();
        let result = f(subscriber);
        if let Some(lists) = lists
            && subscriber.is_listening() != was_listening
        {
            self.unlink(key, was_listening, lists);
            self.link(key, lists);
        }
        result
    }

    /// Passes the events of a step to the subscribers that may want them.
    pub(super) fn publish(
        &mut self,
        lists: &mut SubscriberLists,
        at: Duration,
        events: &[Event],
        wakers: &mut Vec<Waker>,
    ) {
        let mut next = lists.listening.filter(|_| !events.is_empty());
        while let Some(key) = next {
            next = self.all[key.get()].next;
            let push = |subscriber: &mut Subscriber| subscriber.push_events(at, events);
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
        let finished = Arc::new(finished);
        for first in [lists.listening, lists.silent] {
            let mut next = first;
            while let Some(key) = next {
                self.remove_deadline(key.get());
                let subscriber = &mut self.all[key.get()];
                (subscriber.previous, next) = (None, subscriber.next.take());
                wakers.extend(subscriber.finish(finished.clone()));
            }
        }
    }

    /// Ends the subscription of one subscriber, while the wait goes on.
    pub(super) fn finish_one(
        &mut self,
        key: usize,
        lists: &mut SubscriberLists,
        finished: FinishedFleetWait,
        wakers: &mut Vec<Waker>,
    ) {
        self.leave(key, lists);
        wakers.extend(self.all[key].finish(Arc::new(finished)));
    }

    /// Puts a subscriber at the front of the list that it belongs to.
    fn link(&mut self, key: usize, lists: &mut SubscriberLists) {
        let first = lists.first(self.all[key].is_listening());
        let next = first.replace(key.into());
        (self.all[key].previous, self.all[key].next) = (None, next);
        if let Some(next) = next {
            self.all[next.get()].previous = Some(key.into());
        }
    }

    fn unlink(&mut self, key: usize, is_listening: bool, lists: &mut SubscriberLists) {
        let subscriber = &mut self.all[key];
        let (previous, next) = (subscriber.previous.take(), subscriber.next.take());
        match previous {
            Some(previous) => self.all[previous.get()].next = next,
            None => *lists.first(is_listening) = next,
        }
        if let Some(next) = next {
            self.all[next.get()].previous = previous;
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.deadlines.is_empty()
    }
}

impl Index<usize> for Subscribers {
    type Output = Subscriber;

    fn index(&self, key: usize) -> &Subscriber {
        &self.all[key]
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
            let (mut known, mut now) = (BTreeMap::new(), Duration::from_secs(5));
            for (operation, number) in operations {
                let key = known.keys().copied().nth(number % known.len().max(1));
                match (operation, key) {
                    (0, _) | (_, None) => {
                        let at = Duration::from_secs(number as u64);
                        let deadline = Some(Deadline { at, lead: Duration::from_secs(1) });
                        let key = if known.is_empty() {
                            subscribers.add(7, &mut lists, deadline, Until::Ended)
                        } else {
                            subscribers.join(now, 7, &mut lists, deadline, Until::Ended)
                        };
                        known.insert(key, ());
                    }
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
                    (5, Some(_)) if number == 0 => {
                        if let Some(key) = subscribers.take_due(now)
                            && subscribers[key].deadline_stage() == DeadlineStage::LastAttempt
                        {
                            subscribers.begin_last_attempt(key, &mut lists);
                        }
                        now += Duration::from_secs(1);
                    }
                    (4, Some(key)) if number == 0 => {
                        let poll = |one: &mut Subscriber| one.poll_result(&context).is_ready();
                        subscribers.update(key, Some(&mut lists), poll);
                    }
                    _ => {
                        let events = vec![Event::Heartbeat; number];
                        subscribers.publish(&mut lists, now, &events, &mut Vec::new());
                    }
                }
                let (listening, silent): (Vec<usize>, Vec<usize>) =
                    known.keys().partition(|key| subscribers[**key].is_listening());
                prop_assert_eq!(keys(&subscribers, lists.listening), listening);
                prop_assert_eq!(keys(&subscribers, lists.silent), silent);
                prop_assert_eq!(lists.len(), known.len());
                let ending = known.keys().filter(|key| subscribers[**key].ends_after_attempt());
                prop_assert_eq!(lists.ending_after_attempt as usize, ending.count());
                prop_assert_eq!(subscribers.ending_after_attempt(&lists).len(), lists.ending_after_attempt as usize);
                let timers = known.keys().filter_map(|key| subscribers[*key].deadline_timer());
                prop_assert!(subscribers.deadlines.len() <= timers.count());
            }
        }
    }
}
