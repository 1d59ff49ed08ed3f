//! What callers read from a fleet: events, results, jobs, checkpoints and figures.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use job_model::JobId;
use job_transport::JobSnapshot;

use super::Scheduler;
use crate::{
    fleet::{
        event_buffer::Lagged,
        job::{JobActivity, LastJob},
        merged_events::MergedEvents,
        stats::{FleetJobStatus, FleetStats},
        subscriber::{Subscriber, SubscriberResult},
    },
    machine::{Checkpoint, CompactDuration, Event, FinishedJob, Machine, ObjectStatus, WaitError},
    schedule::History,
};

impl Scheduler {
    /// Buffers all events of a subscriber from now on.
    pub(in crate::fleet) fn request_events(&mut self, subscriber: usize) {
        self.update_subscriber(subscriber, Subscriber::request_events);
    }

    /// Takes the next event of a subscriber.
    pub(in crate::fleet) fn poll_event(
        &mut self,
        subscriber: usize,
        context: &Context<'_>,
    ) -> Poll<Option<Result<(Duration, Event), Lagged>>> {
        self.update_subscriber(subscriber, |one| one.poll_event(context))
    }

    /// Takes the result of a subscriber, and discards its events.
    pub(in crate::fleet) fn poll_result(
        &mut self,
        subscriber: usize,
        context: &Context<'_>,
    ) -> Poll<SubscriberResult> {
        self.update_subscriber(subscriber, |one| one.poll_result(context))
    }

    fn update_subscriber<T>(&mut self, key: usize, f: impl FnOnce(&mut Subscriber) -> T) -> T {
        let job = self.subscribers[key].job;
        let lists = job.map(|job| &mut self.jobs[job.get()].subscribers);
        self.subscribers.update(key, lists, f)
    }

    /// Returns the job of a subscriber as last read. Neither decodes nor copies it, because the
    /// caller holds the fleet's lock.
    pub(in crate::fleet) fn last_job(&self, subscriber: usize) -> Option<LastJob> {
        let subscriber = &self.subscribers[subscriber];
        if let Some(finished) = subscriber.finished() {
            return Some(LastJob::Finished(finished.clone()));
        }
        let machine = &self.jobs[subscriber.job?.get()].machine;
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

    /// Returns the clusters and nodes of a subscriber's wait, as they were last read.
    pub(in crate::fleet) fn objects(&self, subscriber: usize) -> Vec<ObjectStatus> {
        match self.result(subscriber) {
            Some(Ok(finished)) => finished.objects.clone(),
            Some(Err(error)) => error.objects().cloned().collect(),
            None => {
                let job = self.subscribers[subscriber].job;
                let machine = job.map(|job| &self.jobs[job.get()].machine);
                machine.into_iter().flat_map(Machine::objects).cloned().collect()
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
            Some(job) => Some(self.jobs[job.get()].checkpoint_for(now, subscriber)),
            None => Some(subscriber.result()?.checkpoint()),
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

    /// Returns the key and the id of the first job whose key is at least `from`.
    pub(in crate::fleet) fn job_from(&self, from: usize) -> Option<(usize, JobId)> {
        let mut places = from..self.jobs.capacity();
        places.find_map(|key| Some((key, self.jobs.get(key)?.machine.job_id().clone())))
    }

    /// Returns what is known about the wait for a job, or `None` if there is no such wait.
    pub(in crate::fleet) fn job_status(&self, now: Duration, id: &JobId) -> Option<FleetJobStatus> {
        let job = &self.jobs[*self.by_id.get(id)?];
        let left = |due: CompactDuration| due.get().saturating_sub(now);
        let next_attempt_in = match job.activity {
            JobActivity::Sleep | JobActivity::Planned(_) => job.timer.map(left),
            JobActivity::Cooling(_, due) => Some(left(due)),
            JobActivity::Ready(..) => Some(Duration::ZERO),
            JobActivity::Attempt(..) => None,
        };
        Some(FleetJobStatus {
            snapshot: job.machine.snapshot().cloned(),
            attempts: job.machine.attempts(),
            last_error: job.machine.last_error().cloned(),
            elapsed: job.elapsed(now),
            next_attempt_in,
            watches: job.subscribers.len(),
        })
    }

    /// Adds a stream of the events of all waits.
    pub(in crate::fleet) fn add_merged_stream(&mut self) -> MergedEvents {
        self.merged_readers.add(self.is_closed)
    }

    pub(in crate::fleet) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Ends the streams of all events, because the fleet ends. Returns their wakers.
    pub(in crate::fleet) fn end_merged_streams(&mut self) -> Vec<Waker> {
        self.merged_readers.end()
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
            throttled_for: self.budget.throttled_until().saturating_sub(now),
            request_price: self.share().request_price,
            ..self.stats
        }
    }
}
