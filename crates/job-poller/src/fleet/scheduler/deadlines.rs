//! The deadlines of subscribers that share a wait. Each ends at its own deadline, and the wait goes
//! on until the last one.

use std::time::Duration;

use super::Scheduler;
use crate::{
    fleet::{
        job::JobActivity,
        subscriber::{CompactKey, Deadline, DeadlineStage, FinishedFleetWait},
    },
    machine::{Checkpoint, FinishedJob, WaitError, WaitPolicy},
    observer::WaitFinished,
};

impl Scheduler {
    /// Adds a subscriber to a wait. This may extend the wait. It never extends another subscription.
    pub(super) fn join(
        &mut self,
        now: Duration,
        key: usize,
        policy: &WaitPolicy,
        elapsed_before: Duration,
    ) -> usize {
        let job = &mut self.jobs[key];
        job.extend_deadline(now, policy, elapsed_before);
        let deadline = own_deadline(policy, now, elapsed_before);
        let (lists, until) = (&mut job.subscribers, policy.until);
        let subscriber = self.subscribers.join(now, key, lists, deadline, until);
        if self.end_with_job(now, key, None) {
            return subscriber;
        }
        if self.subscribers[subscriber].deadline_stage() == DeadlineStage::EndAfterNextAttempt {
            self.attempt_early(now, key);
        }
        subscriber
    }

    /// Ends the subscriptions whose deadlines have passed. Before that, makes a last attempt for
    /// each.
    pub(super) fn process_deadlines(&mut self, now: Duration) {
        while let Some(subscriber) = self.subscribers.take_due(now) {
            let Some(key) = self.subscribers[subscriber].job.map(CompactKey::get) else { continue };
            if self.subscribers[subscriber].deadline_stage() == DeadlineStage::LastAttempt {
                self.subscribers.begin_last_attempt(subscriber, &mut self.jobs[key].subscribers);
                self.attempt_early(now, key);
            } else {
                self.expire(now, subscriber);
            }
        }
    }

    /// Ends the subscriptions for which the attempt that just ended was the last one.
    pub(super) fn end_after_attempt(&mut self, now: Duration, key: usize) {
        let Some(job) = self.jobs.get(key) else { return };
        // If the job has ended, but settles or has sub-jobs to look up, the deadline itself counts.
        let has_ended = job.machine.not_before().is_none();
        for subscriber in self.subscribers.ending_after_attempt(&job.subscribers) {
            if !has_ended || self.subscribers[subscriber].deadline_timer().is_none() {
                self.expire(now, subscriber);
            }
        }
    }

    /// Ends a subscription because its deadline has passed. The wait ends with the last one.
    fn expire(&mut self, now: Duration, subscriber: usize) {
        let Some(key) = self.subscribers[subscriber].job.map(CompactKey::get) else { return };
        let job = &self.jobs[key];
        let own = &self.subscribers[subscriber];
        let checkpoint = job.checkpoint_for(now, own);
        let result = job
            .result_at_deadline(now, own.ends_with_job())
            .ok_or_else(|| WaitError::new(job.machine.deadline_error(), checkpoint.clone()));
        self.finish_subscriber(key, subscriber, result, checkpoint);
    }

    /// Ends one subscription with this result. Returns `true` if no subscriber is left, so that the
    /// wait was removed.
    pub(super) fn finish_subscriber(
        &mut self,
        key: usize,
        subscriber: usize,
        result: Result<FinishedJob, WaitError>,
        checkpoint: Checkpoint,
    ) -> bool {
        let job = &mut self.jobs[key];
        let report = WaitFinished::from_result(&result);
        let finished = FinishedFleetWait { result, checkpoint, origin: job.origin };
        let lists = &mut job.subscribers;
        self.subscribers.finish_one(subscriber, lists, finished, &mut self.wakers);
        if !job.subscribers.is_empty() {
            return false;
        }
        self.stats.finished += 1;
        self.schedule_source.learn_from_machine(&job.machine);
        let job = self.remove(key);
        if self.is_observed(&job) {
            self.observe_end(job.span, report);
        }
        true
    }

    /// Makes the next attempt of a wait now, or as soon as a `Retry-After` allows.
    fn attempt_early(&mut self, now: Duration, key: usize) {
        let job = &self.jobs[key];
        match job.activity {
            JobActivity::Sleep | JobActivity::Planned(_) | JobActivity::Cooling(..) => {
                let Some(earliest) = job.machine.not_before() else { return };
                let at = job.to_fleet_time(earliest).max(now);
                self.cancel(key);
                let job = &mut self.jobs[key];
                job.machine.advance_attempt(job.elapsed(at));
                if at <= now {
                    self.enqueue(now, key, None);
                    self.promote(key);
                } else {
                    self.set_timer(key, Some(at));
                }
            }
            JobActivity::Ready(..) => self.promote(key),
            JobActivity::Attempt(..) => {}
        }
    }
}

/// Returns the deadline of a subscriber that begins now, or `None` without a timeout.
pub(super) fn own_deadline(
    policy: &WaitPolicy,
    now: Duration,
    elapsed_before: Duration,
) -> Option<Deadline> {
    let deadline = policy.deadline();
    let at = now.saturating_add(deadline.saturating_sub(elapsed_before));
    (deadline < Duration::MAX).then(|| Deadline { at, lead: deadline - policy.latest_start() })
}
