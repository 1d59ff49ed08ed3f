//! The queues of a fleet: the timers of the waits, and the waits that are ready to send a request.

use std::{mem, time::Duration};

use super::Scheduler;
use crate::{
    fleet::job::{AttemptRequest, FleetJob, JobActivity},
    machine::CompactDuration,
};

impl Scheduler {
    /// Returns whether the budget allows a request now.
    pub(super) fn can_dispatch(&self, now: Duration) -> bool {
        self.in_flight < self.budget.max_in_flight() && self.budget.next_slot() <= now
    }

    /// Returns when [`poll`](Self::poll) has to be called next, unless something else happens
    /// first.
    pub(in crate::fleet) fn next_wake(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, _)| at.get());
        let next_request = match self.ready.is_empty() {
            false => Some(Duration::ZERO),
            true => self.next_advance().into_iter().chain(self.lists.next_ready()).min(),
        };
        let can_send = self.in_flight < self.budget.max_in_flight();
        let next_slot = next_request.filter(|_| can_send).map(|at| at.max(self.budget.next_slot()));
        let lists = self.lists.next_timer();
        let others =
            [self.subscribers.next_deadline(), next_slot, lists, self.next_budget_report()];
        timer.into_iter().chain(others.into_iter().flatten()).min()
    }

    pub(super) fn enqueue(
        &mut self,
        since: Duration,
        key: usize,
        decided: Option<Box<AttemptRequest>>,
    ) {
        let starvation_gap = self.budget.starvation_gap(self.jobs.len());
        let since = CompactDuration::from(since);
        let job = &mut self.jobs[key];
        job.activity = JobActivity::Ready(since, decided);
        let last_chance = job.to_fleet_time(job.machine.policy().latest_start());
        let promoted_at = job.last_attempt_at.get().saturating_add(starvation_gap).min(last_chance);
        self.ready.insert((since, key));
        self.set_timer(key, self.queue_deadline(key).into_iter().chain([promoted_at]).min());
    }

    /// Returns when a queued wait has to leave the queue: at its deadline, or at the deadline of
    /// its lookup of sub-jobs. An attempt that the machine has already requested has no deadline in
    /// the queue, because its timeout starts when it is sent.
    pub(super) fn queue_deadline(&self, key: usize) -> Option<Duration> {
        let job = &self.jobs[key];
        match job.activity {
            JobActivity::Ready(_, Some(_)) => {
                Some(job.to_fleet_time(job.machine.lookup_deadline()?))
            }
            _ => job.deadline(),
        }
    }

    /// Moves a queued wait forward, because it starves or because its deadline is near. It then
    /// counts as queued since its last attempt.
    pub(super) fn promote(&mut self, key: usize) {
        let job = &mut self.jobs[key];
        if let JobActivity::Ready(since, _) = &mut job.activity {
            self.ready.remove(&(*since, key));
            *since = (*since).min(job.last_attempt_at);
            self.ready.insert((*since, key));
        }
        self.set_timer(key, self.queue_deadline(key));
    }

    /// Makes the next attempt of a wait as soon as its schedule and a `Retry-After` permit. If a list
    /// shows a change, it goes before all other waits. Otherwise, it goes before those that had an
    /// attempt after its last one. Does nothing after a failed attempt.
    pub(super) fn read_now(&mut self, now: Duration, key: usize) {
        let job = &self.jobs[key];
        let Some(earliest) = job.earliest_attempt() else { return };
        match job.activity {
            JobActivity::Sleep | JobActivity::Planned(_) | JobActivity::Cooling(..) => {}
            JobActivity::Ready(..) => return self.promote(key),
            JobActivity::Attempt(..) => return,
        }
        let last_attempt_at = job.last_attempt_at.get();
        let at = if job.machine.attempts() == 0 { now } else { earliest.max(now) };
        if job.timer.is_some_and(|timer| timer.get() <= at) {
            return;
        }
        self.cancel(key);
        let job = &mut self.jobs[key];
        job.machine.advance_attempt(job.elapsed(at));
        if at <= now {
            self.enqueue(self.queued_since(key, last_attempt_at), key, None);
        } else {
            self.set_timer(key, Some(at));
        }
    }

    /// Returns since when a wait counts as queued: `since`, unless a list shows a change of its job.
    pub(super) fn queued_since(&self, key: usize, since: Duration) -> Duration {
        if self.lists.is_urgent(key) { Duration::ZERO } else { since }
    }

    /// Cancels the activity of a wait, which then does nothing for the moment.
    pub(super) fn cancel(&mut self, key: usize) {
        self.set_timer(key, None);
        match mem::replace(&mut self.jobs[key].activity, JobActivity::Sleep) {
            JobActivity::Sleep | JobActivity::Cooling(..) => {}
            JobActivity::Planned(time) => {
                self.planned.remove(&(time, key));
            }
            JobActivity::Ready(since, _) => {
                self.ready.remove(&(since, key));
            }
            JobActivity::Attempt(_, handle, _) => {
                handle.abort();
                self.in_flight -= 1;
            }
        }
    }

    pub(super) fn remove(&mut self, key: usize) -> FleetJob {
        self.cancel(key);
        self.leave_list(key);
        let job = self.jobs.remove(key);
        self.budget.update(job.urgency, None);
        // A later wait for this job may have another goal.
        if self.by_id.get(job.machine.job_id()) == Some(&key) {
            self.by_id.remove(job.machine.job_id());
        }
        job
    }

    /// Sets when the activity of a wait ends.
    pub(super) fn set_timer(&mut self, key: usize, at: Option<Duration>) {
        let at = at.map(CompactDuration::from);
        let timer = mem::replace(&mut self.jobs[key].timer, at);
        if let Some(before) = timer {
            self.timers.remove(&(before, key));
        }
        if let Some(at) = at {
            self.timers.insert((at, key));
        }
    }
}
