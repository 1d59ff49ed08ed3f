//! All waits of a fleet, and which of them asks next. Reads no clock, performs no I/O: the driver brings
//! the time and makes the attempts.

mod queue;
mod queries;

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    task::Waker,
    time::Duration,
};

use futures_util::future::{AbortHandle, AbortRegistration};
use job_model::JobId;
use job_transport::{Clock, TokioClock};
use slab::Slab;

use super::{
    job::{Doing, Member},
    learner::Schedules,
    stats::FleetStats,
    subscriber::{Over, Watcher},
};
use crate::{
    budget::{Attempted, Budget, Urgency},
    machine::{Action, Checkpoint, Ended, Event, Fault, Input, Machine, Step, WaitError, Why},
    schedule::Share,
};

/// All waits of a fleet. Times count from the fleet's beginning.
pub(super) struct State {
    members: Slab<Member>,
    watchers: Slab<Watcher>,
    by_id: HashMap<JobId, usize>,
    /// When each member's doing ends, and the members whose turn it would be, by since when: the sooner
    /// first.
    timers: BTreeSet<(Duration, usize)>,
    ready: BTreeSet<(Duration, usize)>,
    in_flight: usize,
    budget: Budget,
    schedules: Schedules,
    stats: FleetStats,
    attempts: u64,
    /// No wait goes on: the task is gone.
    is_closed: bool,
    /// Whom to wake once nobody looks at all this.
    pub(super) wakers: Vec<Waker>,
}

/// An attempt to be made.
pub(super) struct Attempt {
    pub(super) member: usize,
    pub(super) number: u64,
    pub(super) id: JobId,
    pub(super) registration: AbortRegistration,
}

/// Makes room for a few more: for twice as many would be for many that never come.
fn grow<T>(slab: &mut Slab<T>) {
    if slab.len() == slab.capacity() {
        slab.reserve_exact((slab.len() / 8).max(32));
    }
}

impl State {
    pub(super) fn new(budget: Budget, schedules: Schedules) -> Self {
        Self {
            members: Slab::new(),
            watchers: Slab::new(),
            by_id: HashMap::new(),
            timers: BTreeSet::new(),
            ready: BTreeSet::new(),
            in_flight: 0,
            budget,
            schedules,
            stats: FleetStats::default(),
            attempts: 0,
            is_closed: false,
            wakers: Vec::new(),
        }
    }

    /// Adds a wait, or one who watches the wait for this job that is under way already, which then has the time
    /// that this one would have.
    pub(super) fn watch(
        &mut self,
        now: Duration,
        machine: Machine,
        before: Duration,
        job_type: Option<&str>,
    ) -> usize {
        grow(&mut self.watchers);
        let watcher = self.watchers.insert(Watcher::default());
        let known = self.by_id.get(machine.job_id()).copied();
        let key = match known {
            Some(key) => {
                let member = &mut self.members[key];
                member.prolong(now, machine.policy(), before);
                member.watchers.push(watcher);
                key
            }
            None => {
                let id = machine.job_id().clone();
                let schedule = self.schedules.at(now);
                let member = Member::new(machine, schedule, now, before, vec![watcher]);
                let first = member.first(self.share(), job_type);
                grow(&mut self.members);
                let key = self.members.insert(member);
                self.by_id.insert(id, key);
                self.plan_first(now, key, first, job_type.is_some());
                key
            }
        };
        self.watchers[watcher].member = Some(key);
        if self.is_closed {
            self.stop(now);
        }
        watcher
    }

    /// Plans a wait's first reading: now or, where the budget is spent and the job is known to have just begun, when
    /// its like end.
    fn plan_first(
        &mut self,
        now: Duration,
        key: usize,
        (pause, urgency): (Duration, Option<Urgency>),
        is_new: bool,
    ) {
        let member = &mut self.members[key];
        self.budget.count(mem::replace(&mut member.urgency, urgency), urgency);
        if self.budget.is_binding() && is_new && urgency.is_some() {
            let last = member.time(member.machine.policy().last_start());
            member.doing = Doing::Pause;
            self.time(key, Some(now.saturating_add(pause).min(last.max(now))));
        } else {
            self.make_ready(now, key, None);
        }
    }

    /// Removes one who watches; the wait ends with the last of them.
    pub(super) fn unwatch(&mut self, now: Duration, watcher: usize) {
        let Some(key) = self.watchers.remove(watcher).member else { return };
        let member = &mut self.members[key];
        member.watchers.retain(|one| *one != watcher);
        if member.watchers.is_empty() {
            // What was seen of the job is worth as much as what others have seen.
            let lifetime = member.machine.lifetime();
            self.schedules.learn(lifetime.as_ref());
            self.remove(key);
        } else {
            self.go_on_if_still(now, key);
        }
    }

    /// Stops all waits.
    pub(super) fn stop(&mut self, now: Duration) {
        let keys: Vec<_> = self.members.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.leave(key);
            self.go_on(now, key, Input::Stop);
        }
    }

    /// Stops all waits, and those to come: nobody drives them.
    pub(super) fn close(&mut self, now: Duration) {
        self.is_closed = true;
        self.stop(now);
    }

    /// Does what is due; returns the attempts to be made now.
    pub(super) fn turn(&mut self, now: Duration) -> Vec<Attempt> {
        self.budget.set_price(now, self.members.len());
        let mut attempts = Vec::new();
        while let Some(&(at, key)) = self.timers.first()
            && at <= now
        {
            self.time(key, None);
            match &self.members[key].doing {
                // Whose turn it is at once does not queue.
                Doing::Pause if self.may_ask(now) && self.ready.is_empty() => {
                    attempts.extend(self.serve(now, key, None));
                }
                Doing::Pause => self.make_ready(at, key, None),
                Doing::Attempt(_, _, timeout) => {
                    let fault = Fault::timed_out(*timeout);
                    self.leave(key);
                    self.attempted(now, key, Input::Fault(fault));
                }
                Doing::Ready(..) if self.turn_ends(key).is_none_or(|end| now < end) => {
                    self.hurry(key)
                }
                // The deadline has passed while it waited for its turn; it may have an attempt still.
                Doing::Ready(..) | Doing::Still => {
                    self.leave(key);
                    self.go_on(now, key, Input::Wake);
                }
            }
        }
        while self.may_ask(now)
            && let Some((_, key)) = self.ready.pop_first()
        {
            if let Doing::Ready(_, decided) = &mut self.members[key].doing {
                let decided = decided.take();
                attempts.extend(self.serve(now, key, decided));
            }
        }
        attempts
    }

    /// Takes what came of an attempt, unless it was given up.
    pub(super) fn arrived(&mut self, now: Duration, key: usize, number: u64, input: Input) {
        let under_way = self
            .members
            .get(key)
            .is_some_and(|member| matches!(member.doing, Doing::Attempt(of, ..) if of == number));
        if under_way {
            self.leave(key);
            self.attempted(now, key, input);
        }
    }

    /// Lets the one whose turn it is ask: for what is decided, or as it decides.
    fn serve(
        &mut self,
        now: Duration,
        key: usize,
        decided: Option<Box<(JobId, Duration)>>,
    ) -> Option<Attempt> {
        self.time(key, None);
        self.members[key].doing = Doing::Pause;
        let (id, timeout) = match decided {
            Some(decided) => *decided,
            None if self.is_full(key) => {
                self.members[key].doing = Doing::Still;
                self.time(key, self.members[key].deadline());
                return None;
            }
            None => self.take(now, key, Input::Wake)?,
        };
        Some(self.ask(now, key, id, timeout))
    }

    fn ask(&mut self, now: Duration, key: usize, id: JobId, timeout: Duration) -> Attempt {
        self.budget.take(now, 1);
        self.stats.requests += 1;
        self.in_flight += 1;
        self.attempts += 1;
        let (handle, registration) = AbortHandle::new_pair();
        let member = &mut self.members[key];
        member.asked = now;
        member.doing = Doing::Attempt(self.attempts, handle, timeout);
        self.time(key, Some(now.saturating_add(timeout)));
        Attempt { member: key, number: self.attempts, id, registration }
    }

    /// Takes what came of an attempt, for all.
    fn attempted(&mut self, now: Duration, key: usize, input: Input) {
        let attempted = Attempted::of(now.saturating_sub(self.members[key].asked), &input);
        self.stats.requests += u64::from(attempted.more_requests);
        self.stats.faults += u64::from(matches!(input, Input::Fault(_)));
        self.stats.throttled += u64::from(attempted.throttled);
        self.budget.attempted(now, &attempted);
        self.go_on(now, key, input);
    }

    /// Takes what happened to a wait that is doing nothing; an attempt that it is to make has its turn.
    fn go_on(&mut self, now: Duration, key: usize, input: Input) {
        if let Some(attempt) = self.take(now, key, input) {
            self.make_ready(now, key, Some(attempt.into()));
        }
    }

    /// The same; returns the attempt that it is to make: which job to ask for, and how long that may take.
    fn take(&mut self, now: Duration, key: usize, input: Input) -> Option<(JobId, Duration)> {
        let share = self.share();
        let member = &mut self.members[key];
        let at = member.elapsed(now);
        let (Step { mut events, action }, urgency) = member.take(now, input, share);
        if urgency.is_some() {
            self.budget.count(mem::replace(&mut member.urgency, urgency), urgency);
        }
        if urgency.is_some() && self.budget.is_binding() {
            for event in &mut events {
                if let Event::NextAttempt { why: why @ Why::Scheduled, .. } = event {
                    *why = Why::Budget;
                }
            }
        }
        for event in events {
            for &watcher in &self.members[key].watchers {
                self.wakers.extend(self.watchers[watcher].tell(at, event.clone()));
            }
        }
        match action {
            Action::Fetch { id, timeout } => return Some((id, timeout)),
            Action::SleepUntil(at) => {
                let member = &mut self.members[key];
                member.doing = Doing::Pause;
                let at = member.time(at);
                self.time(key, Some(at));
            }
            Action::Finish(result) => self.end(now, key, *result),
        }
        None
    }

    fn end(&mut self, now: Duration, key: usize, mut result: Result<Ended, WaitError>) {
        self.stats.ended += 1;
        let member = &mut self.members[key];
        let (checkpoint, lifetime) = match &mut result {
            Ok(ended) => {
                let machine = member.machine.clone().with_job(&ended.job);
                let checkpoint = Checkpoint::new(machine, member.elapsed(now));
                (checkpoint.taken_at(TokioClock::new().now()), ended.lifetime.clone())
            }
            Err(error) => {
                error.checkpoint.stamp(TokioClock::new().now());
                (error.checkpoint().clone(), error.lifetime())
            }
        };
        let watchers = mem::take(&mut member.watchers);
        self.schedules.learn(lifetime.as_ref());
        self.remove(key);
        let over = Over { result, checkpoint };
        for watcher in watchers {
            self.wakers.extend(self.watchers[watcher].end(over.clone()));
        }
    }

    /// Returns what the budget leaves for each.
    fn share(&self) -> Share {
        self.budget.share(self.members.len())
    }

    fn is_full(&self, key: usize) -> bool {
        self.members[key].watchers.iter().any(|watcher| self.watchers[*watcher].is_full())
    }
}
