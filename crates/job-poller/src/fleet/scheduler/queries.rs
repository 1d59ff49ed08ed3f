//! What subscribers read: events, results, jobs, checkpoints; and the fleet's figures. Changes no wait, except
//! one that stood still.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::Scheduler;
use crate::{
    fleet::{job::LastJob, stats::FleetStats, subscriber::Subscriber},
    machine::{Checkpoint, Event, FinishedJob, WaitError},
    schedule::History,
};

impl Scheduler {
    pub(in crate::fleet) fn subscriber(&mut self, subscriber: usize) -> &mut Subscriber {
        &mut self.subscribers[subscriber]
    }

    /// Takes the next event for a subscriber. Also returns whether a wait that stood still for it is queued again.
    pub(in crate::fleet) fn poll_event(
        &mut self,
        now: Duration,
        subscriber: usize,
        context: &Context<'_>,
    ) -> (Poll<Option<(Duration, Event)>>, bool) {
        let event = self.subscribers[subscriber].poll_event(context);
        (event, self.on_events_taken(now, subscriber))
    }

    /// Takes the result for a subscriber, which then gets no more events. Also returns the same.
    pub(in crate::fleet) fn poll_result(
        &mut self,
        now: Duration,
        subscriber: usize,
        context: &Context<'_>,
    ) -> (Poll<Result<FinishedJob, WaitError>>, bool) {
        let result = self.subscribers[subscriber].poll_result(context);
        (result, self.on_events_taken(now, subscriber))
    }

    fn on_events_taken(&mut self, now: Duration, subscriber: usize) -> bool {
        self.subscribers[subscriber].job.is_some_and(|key| self.resume_if_backpressured(now, key))
    }

    /// Returns the job that is watched, as last read. Decodes nothing, because the caller holds the fleet's lock.
    pub(in crate::fleet) fn last_job(&self, subscriber: usize) -> Option<LastJob> {
        let subscriber = &self.subscribers[subscriber];
        let machine = match subscriber.job {
            Some(key) => &self.jobs[key].machine,
            None => match &subscriber.finished()?.result {
                Ok(finished_job) => return Some(LastJob::Decoded(finished_job.job.clone())),
                Err(error) => error.checkpoint().machine(),
            },
        };
        match machine.snapshot() {
            Some(snapshot) => Some(LastJob::Snapshot(snapshot.clone())),
            // The sub-jobs of a job that has ended are looked up, so the job is decoded.
            None => machine.job().map(LastJob::Decoded),
        }
    }

    /// Returns the time since the wait began that is watched, up to its end.
    pub(in crate::fleet) fn elapsed(&self, now: Duration, subscriber: usize) -> Duration {
        let subscriber = &self.subscribers[subscriber];
        match (subscriber.job, subscriber.finished()) {
            (Some(key), _) => self.jobs[key].elapsed(now),
            (None, finished) => {
                finished.map_or(Duration::ZERO, |finished| finished.checkpoint.elapsed())
            }
        }
    }

    /// Returns what to go on from, of the wait that is watched.
    pub(in crate::fleet) fn checkpoint(
        &self,
        now: Duration,
        subscriber: usize,
    ) -> Option<Checkpoint> {
        let subscriber = &self.subscribers[subscriber];
        match subscriber.job {
            Some(key) => Some(self.jobs[key].checkpoint(now)),
            None => Some(subscriber.finished()?.checkpoint.clone()),
        }
    }

    /// Returns what to go on from, of the first wait from this place on, and that wait's place.
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

    pub(in crate::fleet) fn stats(&self) -> FleetStats {
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
