//! What those who watch ask of the waits, and are told. Changes no wait, but for one that stood still.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use job_model::Job;

use super::State;
use crate::{
    fleet::{stats::FleetStats, subscriber::Watcher},
    machine::{Checkpoint, Ended, Event, WaitError},
    schedule::History,
};

impl State {
    pub(in crate::fleet) fn watcher(&mut self, watcher: usize) -> &mut Watcher {
        &mut self.watchers[watcher]
    }

    /// Takes the next event for one who watches, and tells whether a wait that stood still for that has its
    /// turn again.
    pub(in crate::fleet) fn poll_event(
        &mut self,
        now: Duration,
        watcher: usize,
        context: &Context<'_>,
    ) -> (Poll<Option<(Duration, Event)>>, bool) {
        let event = self.watchers[watcher].poll_event(context);
        (event, self.took_events(now, watcher))
    }

    /// Takes the result, and no events any more; and tells the same.
    pub(in crate::fleet) fn poll_result(
        &mut self,
        now: Duration,
        watcher: usize,
        context: &Context<'_>,
    ) -> (Poll<Result<Ended, WaitError>>, bool) {
        let result = self.watchers[watcher].poll_result(context);
        (result, self.took_events(now, watcher))
    }

    fn took_events(&mut self, now: Duration, watcher: usize) -> bool {
        self.watchers[watcher].member.is_some_and(|key| self.go_on_if_still(now, key))
    }

    /// Returns the job that is watched, as last read.
    pub(in crate::fleet) fn job(&self, watcher: usize) -> Option<Box<Job>> {
        let watcher = &self.watchers[watcher];
        if let Some(key) = watcher.member {
            return self.members[key].machine.job();
        }
        match &watcher.over()?.result {
            Ok(ended) => Some(ended.job.clone()),
            Err(error) => error.job(),
        }
    }

    /// Returns the time since the wait began that is watched, up to its end.
    pub(in crate::fleet) fn elapsed(&self, now: Duration, watcher: usize) -> Duration {
        let watcher = &self.watchers[watcher];
        match (watcher.member, watcher.over()) {
            (Some(key), _) => self.members[key].elapsed(now),
            (None, over) => over.map_or(Duration::ZERO, |over| over.checkpoint.elapsed()),
        }
    }

    /// Returns what to go on from, of the wait that is watched.
    pub(in crate::fleet) fn checkpoint(&self, now: Duration, watcher: usize) -> Option<Checkpoint> {
        let watcher = &self.watchers[watcher];
        match watcher.member {
            Some(key) => Some(self.members[key].checkpoint(now)),
            None => Some(watcher.over()?.checkpoint.clone()),
        }
    }

    /// Returns what to go on from, of the first wait from this place on, and that wait's place.
    pub(in crate::fleet) fn checkpoint_from(
        &self,
        now: Duration,
        from: usize,
    ) -> Option<(usize, Checkpoint)> {
        let mut places = from..self.members.capacity();
        let (key, member) = places.find_map(|key| Some((key, self.members.get(key)?)))?;
        Some((key, member.checkpoint(now)))
    }

    pub(in crate::fleet) fn history(&self) -> History {
        self.schedules.history()
    }

    pub(in crate::fleet) fn stats(&self) -> FleetStats {
        FleetStats {
            jobs: self.members.len(),
            waiting: self.ready.len(),
            in_flight: self.in_flight,
            requests_per_second: self.budget.per_second(),
            worth: self.share().worth,
            ..self.stats
        }
    }
}
