//! The queues: when each wait's doing ends, and whose turn it is to ask. Decides nothing about a wait.

use std::{mem, time::Duration};

use job_model::JobId;

use super::State;
use crate::fleet::job::Doing;

impl State {
    /// Whether a request may leave.
    pub(super) fn may_ask(&self, now: Duration) -> bool {
        self.in_flight < self.budget.in_flight() && self.budget.next() <= now
    }

    /// Returns when there is something to do next, unless something else happens.
    pub(in crate::fleet) fn next(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let may = !self.ready.is_empty() && self.in_flight < self.budget.in_flight();
        let turn = may.then(|| self.budget.next());
        timer.into_iter().chain(turn).min()
    }

    pub(super) fn make_ready(
        &mut self,
        since: Duration,
        key: usize,
        decided: Option<Box<(JobId, Duration)>>,
    ) {
        let starves = self.budget.starves(self.members.len());
        let member = &mut self.members[key];
        member.doing = Doing::Ready(since, decided);
        let last_chance = member.time(member.machine.policy().last_start());
        let hurries = member.asked.saturating_add(starves).min(last_chance);
        self.ready.insert((since, key));
        self.time(key, self.turn_ends(key).into_iter().chain([hurries]).min());
    }

    /// Returns when a wait gives up its turn: at its deadline, or when a look at sub-jobs is over. Another attempt
    /// that is decided has its own time, from when it is made.
    pub(super) fn turn_ends(&self, key: usize) -> Option<Duration> {
        let member = &self.members[key];
        match member.doing {
            Doing::Ready(_, Some(_)) => Some(member.time(member.machine.look_ends()?)),
            _ => member.deadline(),
        }
    }

    /// Gives a wait that stood still its turn, if nobody who watches is full any more.
    pub(super) fn go_on_if_still(&mut self, now: Duration, key: usize) -> bool {
        let goes_on = matches!(self.members[key].doing, Doing::Still) && !self.is_full(key);
        if goes_on {
            self.make_ready(now, key, None);
        }
        goes_on
    }

    /// Makes a wait the next that starves, or has its last chance before its deadline: its turn is since it last
    /// asked.
    pub(super) fn hurry(&mut self, key: usize) {
        let member = &mut self.members[key];
        if let Doing::Ready(since, _) = &mut member.doing {
            self.ready.remove(&(*since, key));
            *since = member.asked;
            self.ready.insert((member.asked, key));
        }
        self.time(key, self.turn_ends(key));
    }

    /// Ends what a wait is doing: it does nothing for the moment.
    pub(super) fn leave(&mut self, key: usize) {
        self.time(key, None);
        match mem::replace(&mut self.members[key].doing, Doing::Pause) {
            Doing::Pause | Doing::Still => {}
            Doing::Ready(since, _) => {
                self.ready.remove(&(since, key));
            }
            Doing::Attempt(_, handle, _) => {
                handle.abort();
                self.in_flight -= 1;
            }
        }
    }

    pub(super) fn remove(&mut self, key: usize) {
        self.leave(key);
        let member = self.members.remove(key);
        self.budget.count(member.urgency, None);
        self.by_id.remove(member.machine.job_id());
    }

    /// Sets when a wait's doing ends.
    pub(super) fn time(&mut self, key: usize, at: Option<Duration>) {
        let timer = mem::replace(&mut self.members[key].timer, at);
        if let Some(before) = timer {
            self.timers.remove(&(before, key));
        }
        if let Some(at) = at {
            self.timers.insert((at, key));
        }
    }
}
