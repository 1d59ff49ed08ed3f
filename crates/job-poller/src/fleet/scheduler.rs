//! Decides which wait of a fleet sends the next request.
//!
//! Reads no clock and performs no I/O: the fleet's task passes in the time and makes the attempts.

mod poll_clock;
mod planned;
mod queue;
mod listing;
mod rows;
mod hinting;
mod deadlines;
mod ended_jobs;
mod observing;
mod quotas;
mod queries;

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use futures_util::future::{AbortHandle, AbortRegistration};
use job_model::JobId;
use job_transport::clock::{Clock, TokioClock};
use slab::Slab;
use tokio::sync::mpsc::UnboundedSender;

pub(super) use self::listing::PendingList;
use self::{deadlines::own_deadline, observing::BudgetReports, poll_clock::PollClock};
use super::{
    job::{AttemptRequest, FleetJob, JobActivity},
    learner::ScheduleSource,
    lists::Lists,
    merged_events::MergedReaders,
    observations::Observations,
    stats::FleetStats,
    subscriber::FinishedFleetWait,
    subscribers::{Subscribers, grow},
};
use crate::{
    budget::{AttemptStats, Budget, UrgencyBucket},
    machine::{
        Action, AttemptError, AttemptReason, Checkpoint, CompactDuration, Event, FinishedJob,
        Input, Machine, StatedQuota, Step, WaitError,
    },
    observer::{WaitFinished, WaitOutcome, WaitSpan},
    schedule::{BudgetShare, PollPlan, Schedule},
    source::AttemptTarget,
};

/// The waits of a fleet, their subscribers and their queues. Times count from the start of the
/// fleet.
pub(super) struct Scheduler {
    jobs: Slab<FleetJob>,
    subscribers: Subscribers,
    merged_readers: MergedReaders,
    by_id: HashMap<JobId, usize>,
    /// When each wait's current activity ends, earliest first. Then the queued waits, longest
    /// queued first.
    timers: BTreeSet<(CompactDuration, usize)>,
    ready: BTreeSet<(CompactDuration, usize)>,
    /// The waits whose attempt may be advanced, by its time on the poll clock.
    planned: BTreeSet<(CompactDuration, usize)>,
    poll_clock: PollClock,
    in_flight: usize,
    budget: Budget,
    lists: Lists,
    schedule_source: ScheduleSource,
    stats: FleetStats,
    attempts: u64,
    /// Whether the task has ended. No wait can continue after that.
    is_closed: bool,
    /// The wakers to call once the lock is released.
    pub(super) wakers: Vec<Waker>,
    /// What to report once the lock is released.
    pub(super) observations: Observations,
    /// `None` if the fleet has no observer.
    budget_reports: Option<BudgetReports>,
    /// Receives the quotas that replies state. `None` if the fleet does not share them.
    shared_quotas: Option<UnboundedSender<StatedQuota>>,
}

/// A wait that a caller adds.
pub(super) struct NewWait<'a> {
    pub(super) machine: Machine,
    /// How long the wait took in an earlier process.
    pub(super) elapsed_before: Duration,
    /// `None` for the schedule of the fleet.
    pub(super) schedule: Option<Arc<dyn Schedule>>,
    /// The type of the job, if it was just submitted.
    pub(super) job_type: Option<&'a str>,
}

/// What the task has to read now.
pub(super) struct Due {
    pub(super) attempts: Vec<PendingAttempt>,
    pub(super) lists: Vec<PendingList>,
}

/// An attempt that the task has to make.
pub(super) struct PendingAttempt {
    pub(super) job: usize,
    pub(super) number: u64,
    pub(super) target: AttemptTarget,
    pub(super) registration: AbortRegistration,
    pub(super) span: WaitSpan,
}

impl Scheduler {
    pub(super) fn new(budget: Budget, lists: Lists, schedule_source: ScheduleSource) -> Self {
        Self {
            jobs: Slab::new(),
            subscribers: Subscribers::default(),
            merged_readers: MergedReaders::default(),
            by_id: HashMap::new(),
            timers: BTreeSet::new(),
            ready: BTreeSet::new(),
            planned: BTreeSet::new(),
            poll_clock: PollClock::new(),
            in_flight: 0,
            budget,
            lists,
            schedule_source,
            stats: FleetStats::default(),
            attempts: 0,
            is_closed: false,
            wakers: Vec::new(),
            observations: Observations::default(),
            budget_reports: None,
            shared_quotas: None,
        }
    }

    /// Adds a wait and returns its subscriber. If there is a wait for this job already, adds a
    /// subscriber to that wait.
    pub(super) fn subscribe(
        &mut self,
        now: Duration,
        NewWait { machine, elapsed_before, schedule, job_type }: NewWait<'_>,
    ) -> usize {
        let until = machine.policy().until;
        let known = self.by_id.get(machine.job_id()).copied();
        let known = known.filter(|key| self.jobs[*key].machine.policy().until.agrees_with(until));
        let subscriber = match known {
            Some(key) => self.join(now, key, machine.policy(), elapsed_before),
            None => {
                let id = machine.job_id().clone();
                let schedule = schedule.unwrap_or_else(|| self.schedule_source.schedule_at(now));
                let mut job = FleetJob::new(machine, schedule, now, elapsed_before);
                job.span = WaitSpan::new(&id);
                let first = job.first_plan(self.share(), job_type);
                grow(&mut self.jobs);
                let key = self.jobs.insert(job);
                self.observe_start(&id, elapsed_before);
                self.by_id.insert(id, key);
                self.plan_first(now, key, first, job_type.is_some());
                // A schedule without urgencies has delays of its own, which no list changes.
                let is_job = !self.jobs[key].machine.is_reading_objects();
                if UrgencyBucket::from_plan(first).is_some() && is_job {
                    self.join_list(now, key);
                }
                let job = &mut self.jobs[key];
                let deadline = own_deadline(job.machine.policy(), now, elapsed_before);
                let until = job.machine.policy().until;
                self.subscribers.add(key, &mut job.subscribers, deadline, until)
            }
        };
        if self.is_closed {
            self.stop(now);
        }
        subscriber
    }

    /// Plans a wait's first reading. It is due at once, unless the budget is used up and the job is
    /// known to be new: then it is due when such jobs are likely to end.
    fn plan_first(&mut self, now: Duration, key: usize, plan: PollPlan, is_new: bool) {
        let urgency = UrgencyBucket::from_plan(plan);
        let urgency = urgency.map(|known| if is_new { known } else { UrgencyBucket::UNKNOWN });
        let job = &mut self.jobs[key];
        self.budget.update(mem::replace(&mut job.urgency, urgency), urgency);
        if self.budget.is_binding() && is_new && urgency.is_some() {
            let last = job.to_fleet_time(job.machine.policy().latest_start());
            let due = now.saturating_add(plan.delay).min(last.max(now));
            self.plan(now, key, due, plan.delay);
        } else {
            self.enqueue(now, key, None);
        }
    }

    /// Removes a subscriber. The wait ends with its last subscriber.
    pub(super) fn unsubscribe(&mut self, now: Duration, subscriber: usize) {
        let Some(key) = self.subscribers[subscriber].job else {
            return self.subscribers.remove(subscriber, None);
        };
        let key = key.get();
        let job = &mut self.jobs[key];
        self.subscribers.remove(subscriber, Some(&mut job.subscribers));
        if job.subscribers.is_empty() {
            // A dropped wait has observed the job for a while, and that is worth recording.
            self.schedule_source.learn_from_machine(&job.machine);
            let job = self.remove(key);
            self.observe_unfinished(now, job, WaitOutcome::Dropped);
        }
    }

    /// Stops all waits.
    pub(super) fn stop(&mut self, now: Duration) {
        let keys: Vec<_> = self.jobs.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.stop_wait(now, key);
        }
    }

    fn stop_wait(&mut self, now: Duration, key: usize) {
        self.cancel(key);
        self.feed(now, key, Input::Stop);
    }

    /// Stops the wait for a job. Returns whether there was one.
    pub(super) fn stop_job(&mut self, now: Duration, id: &JobId) -> bool {
        let key = self.by_id.get(id).copied();
        if let Some(key) = key {
            self.stop_wait(now, key);
        }
        key.is_some()
    }

    /// Stops all current and later waits, because the task has ended or has to end.
    pub(super) fn close(&mut self, now: Duration) {
        self.is_closed = true;
        self.stop(now);
        let wakers = self.merged_readers.end();
        self.wakers.extend(wakers);
        self.observe_budget(now, true);
    }

    /// Processes everything that is due, and returns the attempts to make now.
    pub(super) fn poll(&mut self, now: Duration) -> Due {
        self.budget.reprice(now, self.jobs.len());
        self.update_poll_clock(now);
        self.process_list_timers(now);
        let (mut attempts, mut lists) = (Vec::new(), Vec::new());
        while let Some(&(at, key)) = self.timers.first()
            && at.get() <= now
        {
            self.set_timer(key, None);
            match &self.jobs[key].activity {
                JobActivity::Sleep | JobActivity::Planned(_) | JobActivity::Cooling(..) => {
                    if !self.wake(key) {
                        continue;
                    }
                    // The queue is only needed if the request cannot be sent at once.
                    if self.can_dispatch(now) && self.ready.is_empty() {
                        attempts.extend(self.start_next(now, key, None));
                    } else {
                        self.enqueue(self.queued_since(key, at.get()), key, None);
                    }
                }
                JobActivity::Attempt(_, _, timeout) => {
                    let error = AttemptError::timed_out(timeout.get());
                    self.cancel(key);
                    self.record_attempt(now, key, Input::Error(error));
                }
                JobActivity::Ready(..) if self.queue_deadline(key).is_none_or(|end| now < end) => {
                    self.promote(key)
                }
                // The deadline has passed in the queue. The machine may still allow one attempt.
                JobActivity::Ready(..) => {
                    self.cancel(key);
                    self.feed(now, key, Input::Wake);
                }
            }
        }
        self.process_deadlines(now);
        while self.can_dispatch(now) {
            if !self.has_first_priority()
                && let Some(list) = self.start_list(now)
            {
                lists.push(list);
                continue;
            }
            let (key, decided) = if let Some((_, key)) = self.ready.pop_first() {
                let JobActivity::Ready(_, decided) = &mut self.jobs[key].activity else { continue };
                (key, decided.take())
            } else if let Some(key) = self.take_planned(now) {
                (key, None)
            } else {
                break;
            };
            attempts.extend(self.start_next(now, key, decided));
        }
        self.observe_budget(now, false);
        Due { attempts, lists }
    }

    /// Returns whether the first wait in the queue goes before all others, because a list shows a
    /// change of its job.
    fn has_first_priority(&self) -> bool {
        self.ready.first().is_some_and(|(since, _)| *since == CompactDuration::ZERO)
    }

    /// Processes the result of an attempt. Ignores it if the attempt was canceled.
    pub(super) fn complete(&mut self, now: Duration, key: usize, number: u64, input: Input) {
        let under_way = self.jobs.get(key).is_some_and(
            |job| matches!(job.activity, JobActivity::Attempt(of, ..) if of == number),
        );
        if under_way {
            self.cancel(key);
            self.record_attempt(now, key, input);
        }
    }

    /// Starts the next attempt of a wait: `decided` if there is one, or else what the machine
    /// requests now.
    fn start_next(
        &mut self,
        now: Duration,
        key: usize,
        decided: Option<Box<AttemptRequest>>,
    ) -> Option<PendingAttempt> {
        self.set_timer(key, None);
        self.jobs[key].activity = JobActivity::Sleep;
        let request = match decided {
            Some(decided) => *decided,
            None => self.advance(now, key, Input::Wake)?,
        };
        Some(self.dispatch(now, key, request))
    }

    fn dispatch(
        &mut self,
        now: Duration,
        key: usize,
        AttemptRequest { target, timeout }: AttemptRequest,
    ) -> PendingAttempt {
        self.budget.consume(now, 1);
        self.stats.requests += 1;
        self.in_flight += 1;
        self.attempts += 1;
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(job) = self.lists.job(key) {
            job.flags.is_urgent = false;
        }
        let job = &mut self.jobs[key];
        job.last_attempt_at = now.into();
        job.activity = JobActivity::Attempt(self.attempts, handle, timeout.into());
        let span = job.span.clone();
        self.set_timer(key, Some(now.saturating_add(timeout)));
        PendingAttempt { job: key, number: self.attempts, target, registration, span }
    }

    /// Records an attempt in the budget and the figures, and passes its result to the machine.
    fn record_attempt(&mut self, now: Duration, key: usize, input: Input) {
        let latency = now.saturating_sub(self.jobs[key].last_attempt_at.get());
        let stats = AttemptStats::from_input(latency, &input);
        self.observe_attempt(key, latency, &input);
        self.stats.requests += u64::from(stats.extra_requests);
        self.stats.errors += u64::from(matches!(input, Input::Error(_)));
        self.stats.throttled += u64::from(stats.throttled);
        self.record_in_budget(now, &stats);
        self.learn_from_reading(now, key, &input);
        self.feed(now, key, input);
        self.end_after_attempt(now, key);
        self.consider_list(now, key);
        self.follow_hint(now, key);
    }

    /// Passes an input to the machine of an idle wait. Queues the attempt that follows, if any.
    fn feed(&mut self, now: Duration, key: usize, input: Input) {
        if let Some(attempt) = self.advance(now, key, input) {
            self.enqueue(now, key, Some(attempt.into()));
        }
    }

    /// Like [`feed`](Self::feed), but returns the attempt that follows.
    fn advance(&mut self, now: Duration, key: usize, input: Input) -> Option<AttemptRequest> {
        let share = self.share_of_wait(key);
        let job = &mut self.jobs[key];
        let at = job.elapsed(now);
        let was_reading_objects = job.machine.is_reading_objects();
        // What the subscribers get that wait for the end of the job only, if others do not.
        let ended = job.subscribers.any_ends_with_job();
        let ended = ended.then(|| job.result_until_ended(now, &input, share)).flatten();
        let Step { mut events, action, plan } = job.step(now, input, share);
        if job.machine.is_reading_objects() && !was_reading_objects {
            self.leave_list(key);
        }
        let urgency = plan.and_then(|plan| self.count_plan(key, plan));
        if urgency.is_some() {
            let before = mem::replace(&mut self.jobs[key].urgency, urgency);
            self.budget.update(before, urgency);
        }
        let longer = match () {
            () if urgency.is_none() => None,
            () if self.lists.is_covered(key) => Some(AttemptReason::Listed),
            () if self.miss_probability(key) < 1.0 => Some(AttemptReason::Hinted),
            () => self.budget.is_binding().then_some(AttemptReason::Budget),
        };
        if let Some(longer) = longer {
            for event in &mut events {
                if let Event::NextAttempt { reason: reason @ AttemptReason::Scheduled, .. } = event
                {
                    *reason = longer;
                }
            }
        }
        self.publish(key, at, &events);
        if self.end_with_job(now, key, ended) {
            return None;
        }
        match action {
            Action::Fetch { id, timeout, last } => {
                return Some(AttemptRequest { target: AttemptTarget::Job(id, last), timeout });
            }
            Action::FetchObject { id, timeout } => {
                return Some(AttemptRequest { target: AttemptTarget::Object(id), timeout });
            }
            Action::SleepUntil(at) => {
                let job = &mut self.jobs[key];
                job.activity = JobActivity::Sleep;
                let due = job.to_fleet_time(at);
                // A resumed wait still sleeps until the attempt that was planned before.
                let is_planned = if plan.is_some() { urgency } else { job.urgency }.is_some();
                if is_planned && job.earliest_attempt().is_some() {
                    let delay = plan.map_or_else(|| due.saturating_sub(now), |plan| plan.delay);
                    self.plan(now, key, due, delay);
                } else {
                    self.set_timer(key, Some(due));
                }
            }
            Action::Finish(result) => self.finish(now, key, *result),
        }
        None
    }

    /// Passes events to the subscribers of a wait. `at` is the time since the wait began.
    fn publish(&mut self, key: usize, at: Duration, events: &[Event]) {
        let job = &mut self.jobs[key];
        self.subscribers.publish(&mut job.subscribers, at, events, &mut self.wakers);
        self.merged_readers.publish(job.machine.job_id(), events, &mut self.wakers);
    }

    fn finish(&mut self, now: Duration, key: usize, mut result: Result<FinishedJob, WaitError>) {
        self.stats.finished += 1;
        let mut job = self.remove(key);
        let (subscribers, origin) = (mem::take(&mut job.subscribers), job.origin);
        if self.is_observed(&job) {
            self.observe_end(mem::take(&mut job.span), WaitFinished::from_result(&result));
        }
        let taken_at = TokioClock::new().now();
        let (checkpoint, observations) = match &mut result {
            Ok(finished_job) => {
                let elapsed = job.elapsed(now);
                let checkpoint = Checkpoint::new(job.machine, elapsed).with_taken_at(taken_at);
                let job = finished_job.observation.clone();
                (checkpoint, [job, finished_job.object_observation.clone()])
            }
            Err(error) => {
                error.set_taken_at(taken_at);
                (error.checkpoint().clone(), [error.observation(), error.object_observation()])
            }
        };
        for observation in &observations {
            self.schedule_source.learn(observation.as_ref());
        }
        let finished = FinishedFleetWait { result, checkpoint, origin };
        self.subscribers.finish(subscribers, finished, &mut self.wakers);
    }

    /// Returns each wait's current share of the budget.
    fn share(&self) -> BudgetShare {
        self.budget.share(self.jobs.len())
    }
}

#[cfg(test)]
mod tests;
