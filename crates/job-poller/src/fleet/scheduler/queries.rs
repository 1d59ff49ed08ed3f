//! What callers read from a fleet: events, results, jobs, checkpoints and figures.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use job_transport::JobSnapshot;

use super::Scheduler;
use crate::{
    fleet::{job::LastJob, stats::FleetStats, subscriber::Subscriber},
    machine::{Checkpoint, Event, FinishedJob, WaitError},
    schedule::History,
};

impl Scheduler {
    /// Buffers all events of a subscriber from now on.
    pub(in crate::fleet) fn request_events(&mut self, subscriber: usize) {
        self.update_subscriber(subscriber, Subscriber::request_events);
    }

    /// Takes the next event of a subscriber. Also returns whether this lets a paused wait continue.
    pub(in crate::fleet) fn poll_event(
        &mut self,
        now: Duration,
        subscriber: usize,
        context: &Context<'_>,
    ) -> (Poll<Option<(Duration, Event)>>, bool) {
        let event = self.update_subscriber(subscriber, |one| one.poll_event(context));
        (event, self.on_events_taken(now, subscriber))
    }

    /// Takes the result of a subscriber, and discards its events. Also returns whether this lets a
    /// paused wait continue.
    pub(in crate::fleet) fn poll_result(
        &mut self,
        now: Duration,
        subscriber: usize,
        context: &Context<'_>,
    ) -> (Poll<Result<FinishedJob, WaitError>>, bool) {
        let result = self.update_subscriber(subscriber, |one| one.poll_result(context));
        (result, self.on_events_taken(now, subscriber))
    }

    fn update_subscriber<T>(&mut self, key: usize, f: impl FnOnce(&mut Subscriber) -> T) -> T {
        let job = self.subscribers[key].job;
        let lists = job.map(|job| &mut self.jobs[job.get()].subscribers);
        self.subscribers.update(key, lists, f)
    }

    fn on_events_taken(&mut self, now: Duration, subscriber: usize) -> bool {
        let job = self.subscribers[subscriber].job;
        job.is_some_and(|job| self.resume_if_backpressured(now, job.get()))
    }

    /// Returns the job of a subscriber as last read. Does not decode it, because the caller holds
    /// the fleet's lock.
    pub(in crate::fleet) fn last_job(&self, subscriber: usize) -> Option<LastJob> {
        let machine = match self.result(subscriber) {
            Some(Ok(finished_job)) => return Some(LastJob::Decoded(finished_job.job.clone())),
            Some(Err(error)) => error.checkpoint().machine(),
            None => &self.jobs[self.subscribers[subscriber].job?.get()].machine,
        };
        // During a lookup of sub-jobs the machine also holds the decoded job, with what was found.
        match machine.looked_up_job() {
            Some(job) => Some(LastJob::Decoded(Box::new(job.clone()))),
            None => machine.snapshot().cloned().map(LastJob::Snapshot),
        }
    }

    /// Returns the last accepted reading of a subscriber's wait.
    pub(in crate::fleet) fn snapshot(&self, subscriber: usize) -> Option<JobSnapshot> {
        match self.result(subscriber) {
            Some(Ok(finished_job)) => Some(finished_job.snapshot.clone()),
            Some(Err(error)) => error.snapshot().cloned(),
            None => {
                let job = self.subscribers[subscriber].job?;
                self.jobs[job.get()].machine.snapshot().cloned()
            }
        }
    }

    /// Returns the result of a subscriber's wait, if it is over and the result was not taken.
    fn result(&self, subscriber: usize) -> Option<&Result<FinishedJob, WaitError>> {
        self.subscribers[subscriber].finished().map(|finished| &finished.result)
    }

    /// Returns how long the wait of a subscriber has run, or ran in all if it is over.
    pub(in crate::fleet) fn elapsed(&self, now: Duration, subscriber: usize) -> Duration {
        let subscriber = &self.subscribers[subscriber];
        match (subscriber.job, subscriber.finished()) {
            (Some(job), _) => self.jobs[job.get()].elapsed(now),
            (None, finished) => {
                finished.map_or(Duration::ZERO, |finished| finished.checkpoint.elapsed())
            }
        }
    }

    /// Returns a checkpoint of a subscriber's wait, or `None` if its result was taken.
    pub(in crate::fleet) fn checkpoint(
        &self,
        now: Duration,
        subscriber: usize,
    ) -> Option<Checkpoint> {
        let subscriber = &self.subscribers[subscriber];
        match subscriber.job {
            Some(job) => Some(self.jobs[job.get()].checkpoint(now)),
            None => Some(subscriber.finished()?.checkpoint.clone()),
        }
    }

    /// Returns the key and a checkpoint of the first wait whose key is at least `from`.
    pub(in crate::fleet) fn checkpoint_from(
        &self,
        now: Duration,
        from: usize,
    ) -> Option<(usize, Checkpoint)> {
        let mut places = from..self.jobs.capacity();
        let (key, job) = places.find_map(|key| Some((key, self.jobs.get(key)?)))?;
        Some((key, job.checkpoint(now)))
    }

    pub(in crate::fleet) fn history(&self) -> History {
        self.schedule_source.history()
    }

    pub(in crate::fleet) fn stats(&mut self, now: Duration) -> FleetStats {
        self.budget.reprice(now, self.jobs.len());
        FleetStats {
            jobs: self.jobs.len(),
            queued: self.ready.len(),
            in_flight: self.in_flight,
            requests_per_second: self.budget.current_rate(),
            request_price: self.share().request_price,
            ..self.stats
        }
    }
}
