//! A service and the waits of a fleet in virtual time. Each step is checked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fastrand::Rng;
use job_model::Job;
use job_transport::{ErrorClass, FetchErrorKind, Reading};
use proptest::prelude::*;

use super::{super::*, no_lists};
use crate::{
    machine::WaitPolicy,
    schedule::{Adaptive, History},
};

pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) jobs: usize,
    pub(super) per_second: f64,
    pub(super) max_in_flight: usize,
    pub(super) faults: Faults,
    /// Whether another job follows each job that ends.
    pub(super) is_refilled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Faults {
    None,
    /// One reply in five is an error: 429 with a `Retry-After`, 503, 502, or no reply.
    Random,
    /// All replies are 503 from 200 s to 260 s.
    Outage,
}

pub(super) struct Simulation {
    setup: Setup,
    rng: Rng,
    scheduler: Scheduler,
    now: Duration,
    watched: BTreeMap<usize, Watched>,
    replies: BTreeMap<(Duration, u64), usize>,
    /// The earliest time of the next request at even spacing.
    next_slot: Duration,
    blocked_until: Duration,
    throttled_at: Option<Duration>,
    jobs_added: u64,
    /// The number of waits over time, and the gaps between two readings of a job.
    sizes: Vec<(Duration, usize)>,
    gaps: Vec<(Duration, Duration)>,
    /// Number of attempts.
    attempts: u64,
    /// Number of advanced attempts.
    pub(super) advanced: u64,
    /// Number of times that the scheduler was polled.
    polls: u64,
}

/// What the simulation knows about a wait, apart from the scheduler.
struct Watched {
    subscriber: usize,
    ends_at: Duration,
    /// Whether its failed step has to be looked up.
    fails: bool,
    last_attempt_at: Duration,
    last_result: LastResult,
    /// When the scheduler has planned its next attempt.
    due: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastResult {
    /// No attempt so far. A job that was just submitted has a plan.
    None {
        is_new: bool,
    },
    InFlight,
    /// The job is active.
    Active,
    Error,
    /// The job has ended, and its failed step is looked up.
    Failed,
}

type Checked<T = ()> = Result<T, TestCaseError>;

const MIN_ADVANCED_GAP: Duration = Duration::from_secs(2);
/// The longest delay of the schedule, from a reply to the next attempt.
const CAP: Duration = Duration::from_secs(60);
const MAX_LATENCY: Duration = Duration::from_millis(1_500);
const OUTAGE: std::ops::Range<Duration> = Duration::from_secs(200)..Duration::from_secs(260);

impl Simulation {
    pub(super) fn new(setup: Setup) -> Self {
        let budget = Budget::new(setup.per_second, setup.max_in_flight);
        let source = ScheduleSource::learned(Adaptive::new(), History::new());
        let mut simulation = Self {
            rng: Rng::with_seed(setup.seed),
            scheduler: Scheduler::new(budget, no_lists(), source),
            now: Duration::ZERO,
            watched: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_slot: Duration::ZERO,
            blocked_until: Duration::ZERO,
            throttled_at: None,
            jobs_added: 0,
            sizes: Vec::new(),
            gaps: Vec::new(),
            attempts: 0,
            advanced: 0,
            polls: 0,
            setup,
        };
        (0..simulation.setup.jobs).for_each(|_| simulation.watch());
        simulation
    }

    fn watch(&mut self) {
        self.jobs_added += 1;
        let id = format!("job-{}", self.jobs_added).parse().unwrap();
        let policy = Arc::new(WaitPolicy::new().no_timeout());
        let machine = Machine::new(id, policy).with_seed(self.rng.u64(..));
        let job_type = self.rng.bool().then_some("CreateCluster");
        let new = NewWait { machine, elapsed_before: Duration::ZERO, schedule: None, job_type };
        let subscriber = self.scheduler.subscribe(self.now, new);
        let key = self.scheduler.subscribers[subscriber].job.unwrap().get();
        let takes = Duration::from_millis(self.rng.u64(5_000..900_000));
        let watched = Watched {
            subscriber,
            ends_at: self.now + takes,
            fails: self.rng.u8(..5) == 0,
            last_attempt_at: self.now,
            last_result: LastResult::None { is_new: job_type.is_some() },
            due: self.due(key),
        };
        self.watched.insert(key, watched);
        self.record_size();
    }

    fn record_size(&mut self) {
        self.sizes.push((self.now, self.scheduler.jobs.len()));
    }

    /// Runs until this time.
    pub(super) fn run(&mut self, until: u64) -> Checked {
        let until = Duration::from_secs(until);
        while self.now < until {
            self.poll()?;
            let reply = self.replies.first_key_value().map(|((at, _), _)| *at);
            let action = self.now + Duration::from_millis(self.rng.u64(100..20_000));
            let wake = self.scheduler.next_wake();
            let next = wake.into_iter().chain(reply).chain([action]).min().unwrap();
            if let Some(wake) = wake.filter(|wake| *wake > self.now) {
                // No request could be sent before the scheduler wants to be called again.
                let before = wake.saturating_sub(Duration::from_millis(1)).max(self.now);
                for at in [self.now + (before - self.now) / 2, before] {
                    if at < next {
                        self.check_unused(at)?;
                    }
                }
            }
            self.now = next.max(self.now + Duration::from_nanos(1));
            if let Some((&(at, number), &key)) = self.replies.first_key_value()
                && at <= self.now
            {
                self.replies.remove(&(at, number));
                self.complete(key, number);
            } else if action <= self.now {
                self.act();
            }
        }
        Ok(())
    }

    /// Drops a wait, or adds one.
    fn act(&mut self) {
        if self.rng.bool() && self.watched.len() < self.setup.jobs {
            return self.watch();
        }
        let keys: Vec<usize> = self.watched.keys().copied().collect();
        if let Some(key) = self.rng.choice(&keys) {
            self.unwatch(*key);
        }
    }

    fn unwatch(&mut self, key: usize) {
        let watched = self.watched.remove(&key).unwrap();
        self.scheduler.unsubscribe(self.now, watched.subscriber);
        self.replies.retain(|_, of| *of != key);
        self.record_size();
    }

    /// Polls the scheduler, and checks each attempt that it starts.
    fn poll(&mut self) -> Checked {
        self.polls += 1;
        for attempt in self.scheduler.poll(self.now).attempts {
            self.attempts += 1;
            let is_on_time = self.now + Duration::from_millis(11) >= self.next_slot;
            prop_assert!(is_on_time, "the budget is exceeded: {:?}", self.next_slot);
            prop_assert!(self.now >= self.blocked_until, "a request during a Retry-After");
            let gap = Duration::from_secs_f64(1.0 / self.setup.per_second);
            self.next_slot = self.next_slot.max(self.now) + gap;
            let watched = self.watched.get_mut(&attempt.job).unwrap();
            if watched.due.is_some_and(|due| self.now < due) {
                self.advanced += 1;
                let is_planned = matches!(
                    watched.last_result,
                    LastResult::Active | LastResult::None { is_new: true }
                );
                prop_assert!(is_planned, "advanced after {:?}", watched.last_result);
                let since = self.now - watched.last_attempt_at;
                prop_assert!(since >= MIN_ADVANCED_GAP, "advanced after {since:?}");
                let is_throttled = self.throttled_at.is_some_and(|at| self.now - at < THROTTLED);
                prop_assert!(!is_throttled, "advanced while the service throttles");
            }
            self.gaps.push((watched.last_attempt_at, self.now));
            watched.last_attempt_at = self.now;
            watched.last_result = LastResult::InFlight;
            let latency = MAX_LATENCY.mul_f64(self.rng.f64()).max(Duration::from_millis(1));
            self.replies.insert((self.now + latency, attempt.number), attempt.job);
        }
        prop_assert!(self.scheduler.in_flight <= self.setup.max_in_flight);
        let added_before = self.jobs_added;
        self.remove_finished();
        // A wait that was just added is queued until the next poll.
        if self.jobs_added == added_before { self.check_unused(self.now) } else { Ok(()) }
    }

    /// Checks that no request could be sent at this time, unless no wait may send it.
    fn check_unused(&self, at: Duration) -> Checked {
        let scheduler = &self.scheduler;
        if !scheduler.can_dispatch(at) {
            return Ok(());
        }
        prop_assert!(scheduler.ready.is_empty(), "a wait is queued");
        if scheduler.budget.is_binding() && scheduler.budget.recovered_at() <= at {
            for (key, watched) in &self.watched {
                let may_advance = match watched.last_result {
                    LastResult::Active => {
                        let not_before = scheduler.jobs[*key].earliest_attempt();
                        not_before.is_none_or(|not_before| not_before <= at)
                    }
                    LastResult::None { is_new } => is_new,
                    _ => false,
                };
                let is_recent = at - watched.last_attempt_at < MIN_ADVANCED_GAP;
                prop_assert!(!may_advance || is_recent, "wait {key} could use a request at {at:?}");
            }
        }
        Ok(())
    }

    /// Passes a reply to the scheduler.
    fn complete(&mut self, key: usize, number: u64) {
        let watched = self.watched.get_mut(&key).unwrap();
        let fault = match self.setup.faults {
            Faults::Random if self.rng.u8(..5) == 0 => self.rng.u8(1..5),
            Faults::Outage if OUTAGE.contains(&self.now) => 2,
            _ => 0,
        };
        let error = |kind, class| AttemptError::new(kind, class, "a fault");
        let status = FetchErrorKind::Status;
        let (input, last_result) = match fault {
            0 if watched.ends_at <= self.now => {
                let phase = if watched.fails { "Failed" } else { "Success" };
                (reading(phase), LastResult::Failed)
            }
            0 => (reading("Running"), LastResult::Active),
            1 => {
                let mut error = error(status(429), ErrorClass::Throttled);
                error.retry_after = Some(Duration::from_secs(self.rng.u64(1..10)));
                (Input::Error(error), LastResult::Error)
            }
            2 => (Input::Error(error(status(503), ErrorClass::Transient)), LastResult::Error),
            3 => (Input::Error(error(status(502), ErrorClass::Transient)), LastResult::Error),
            _ => {
                let error = AttemptError::timed_out(Duration::from_secs(1));
                (Input::Error(error), LastResult::Error)
            }
        };
        if let Input::Error(AttemptError { retry_after: Some(after), .. }) = &input {
            self.blocked_until = self.blocked_until.max(self.now + *after);
        }
        if matches!(fault, 1 | 2) {
            self.throttled_at = Some(self.now);
        }
        self.scheduler.complete(self.now, key, number, input);
        watched.last_result = last_result;
        self.remove_finished();
        let due = self.scheduler.jobs.contains(key).then(|| self.due(key)).flatten();
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.due = due;
        }
    }

    /// Removes the waits that are over, and adds others.
    fn remove_finished(&mut self) {
        let is_over =
            |watched: &Watched| self.scheduler.subscribers[watched.subscriber].job.is_none();
        let over = self.watched.iter().filter(|(_, watched)| is_over(watched));
        let over: Vec<usize> = over.map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.unwatch(*key));
        if self.setup.is_refilled {
            over.iter().for_each(|_| self.watch());
        }
    }

    /// Returns when the next attempt of a wait is due, or `None` if it is due already.
    fn due(&self, key: usize) -> Option<Duration> {
        let job = &self.scheduler.jobs[key];
        let is_queued = matches!(job.activity, JobActivity::Ready(..));
        job.timer.filter(|_| !is_queued).map(CompactDuration::get)
    }

    /// Checks that no gap exceeds twice the round-robin gap or the cap, whichever is larger.
    pub(super) fn check_gaps(&self) -> Checked {
        for &(from, to) in &self.gaps {
            let before = self.sizes.iter().rev().find(|(at, _)| *at <= from);
            let within = self.sizes.iter().filter(|(at, _)| from < *at && *at <= to);
            let jobs = before.into_iter().chain(within).map(|(_, jobs)| *jobs).max().unwrap();
            let max_gap = Duration::from_secs_f64(2.0 * jobs as f64 / self.setup.per_second);
            let max_gap = max_gap.max(CAP + MAX_LATENCY);
            prop_assert!(to - from <= max_gap, "{jobs} jobs: {from:?} to {to:?}");
        }
        Ok(())
    }

    /// Drops all waits, and checks that nothing is left of them.
    pub(super) fn end(&mut self) -> Checked {
        // A request, its reply and now and then a timer. The rest are actions of the simulation.
        let polls = (self.polls, self.attempts);
        prop_assert!(polls.0 <= 5 * polls.1 + 200, "too many wakes: {polls:?}");
        let keys: Vec<usize> = self.watched.keys().copied().collect();
        keys.into_iter().for_each(|key| self.unwatch(key));
        let scheduler = &self.scheduler;
        prop_assert!(scheduler.timers.is_empty() && scheduler.ready.is_empty());
        prop_assert!(scheduler.planned.is_empty() && scheduler.subscribers.is_empty());
        prop_assert_eq!((scheduler.in_flight, scheduler.budget.waiters()), (0, 0));
        prop_assert!(scheduler.next_wake().is_none());
        Ok(())
    }
}

/// How long the rate stays reduced at least after a throttled reply. A reduction by 30 % takes 9 s
/// to recover, and the reply may come up to a second after the reduction.
const THROTTLED: Duration = Duration::from_secs(8);

pub(super) fn reading(phase: &str) -> Input {
    let body = format!(
        r#"{{"spec": {{"type": "CreateCluster", "subJobs": [
            {{"metadata": {{"uid": "step"}}, "status": {{"phase": "{phase}"}}}}
        ]}}, "status": {{"phase": "{phase}"}}}}"#
    );
    Reading::new(Job::from_slice(body.as_bytes()).unwrap()).into()
}
