//! Lists of jobs: one request shows many jobs, and tells the fleet which of them to read next.
//!
//! Nothing that a list shows is reported as a reading. A row only decides when the job's own
//! reading is made. So a list that is wrong costs time or requests, and never an outcome.

mod state;
mod listed_job;
mod settings;

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
    time::Duration,
};

use job_model::JobId;

pub use self::settings::ListReads;
pub(super) use self::{
    listed_job::{ListedJob, Presence},
    state::{ExpectedChange, ListActivity, ListState, MAX_EXPECTED_CHANGES},
};
use super::hints::HintRecall;
use crate::{
    machine::CompactDuration,
    source::{JobSource, ListId},
};

/// All lists of a fleet, and what they show of each wait's job.
pub(super) struct Lists {
    /// `None` if no lists are read.
    source: Option<Arc<dyn JobSource>>,
    pub(super) settings: ListReads,
    states: Vec<ListState>,
    by_id: HashMap<ListId, usize>,
    /// By the key of the wait. A wait whose job is in no list may have no entry.
    jobs: Vec<ListedJob>,
    /// When each list's activity ends, earliest first.
    timers: BTreeSet<(CompactDuration, usize)>,
    /// The lists that are ready, longest ready first.
    ready: BTreeSet<(CompactDuration, usize)>,
    /// How far hints about jobs that are in no list can be trusted.
    other_hints: HintRecall,
    /// No list is read before this time, because of the limit of bytes per second.
    pub(super) earliest_at: Duration,
}

impl Lists {
    pub(super) fn new(source: Arc<dyn JobSource>, settings: ListReads) -> Self {
        Self {
            source: settings.is_on().then_some(source),
            settings,
            states: Vec::new(),
            by_id: HashMap::new(),
            jobs: Vec::new(),
            timers: BTreeSet::new(),
            ready: BTreeSet::new(),
            other_hints: HintRecall::new(),
            earliest_at: Duration::ZERO,
        }
    }

    /// Adds a wait to the list that shows its job. Returns the number of the list, or `None` if
    /// the source has no such list.
    pub(super) fn add(&mut self, key: usize, id: &JobId) -> Option<usize> {
        let list = self.source.as_ref()?.list_of(id)?;
        let at = *self.by_id.entry(list).or_insert_with(|| {
            self.states.push(ListState::new(list));
            self.states.len() - 1
        });
        let (number, wait) = (u32::try_from(at + 1).ok()?, u32::try_from(key).ok()?);
        if self.jobs.len() <= key {
            self.jobs.reserve_exact((key + 1 - self.jobs.len()).max(self.jobs.len() / 8));
            self.jobs.resize_with(key + 1, ListedJob::default);
        }
        let members = &mut self.states[at].members;
        let position = u32::try_from(members.len()).ok()?;
        members.push(wait);
        // A new job is in the next list. If it is not, it is read by itself from then on.
        let is_covering = self.states[at].is_covering;
        let presence = if is_covering { Presence::Listed } else { Presence::Unknown };
        self.jobs[key] = ListedJob { list: number, position, presence, ..ListedJob::default() };
        Some(at)
    }

    /// Removes a wait that is over.
    pub(super) fn remove(&mut self, key: usize) {
        self.set_urgency(key, 0.0);
        let Some(job) = self.jobs.get_mut(key) else { return };
        let job = mem::take(job);
        let Some(list) = job.list() else { return };
        let state = &mut self.states[list];
        state.members.swap_remove(job.position as usize);
        if let Some(moved) = state.members.get(job.position as usize) {
            self.jobs[*moved as usize].position = job.position;
        }
        if state.members.is_empty() {
            (state.urgency_sum, state.hazard_sum) = (0.0, 0.0);
        }
    }

    /// Returns the number of the list that shows the job of this wait.
    pub(super) fn list_of(&self, key: usize) -> Option<usize> {
        self.jobs.get(key)?.list()
    }

    /// Returns what is known of a wait's job, if it is in a list.
    pub(super) fn job(&mut self, key: usize) -> Option<&mut ListedJob> {
        self.jobs.get_mut(key).filter(|job| job.list().is_some())
    }

    pub(super) fn state(&self, list: usize) -> &ListState {
        &self.states[list]
    }

    pub(super) fn state_mut(&mut self, list: usize) -> &mut ListState {
        &mut self.states[list]
    }

    /// Returns the keys of the waits in a list.
    pub(super) fn members(&self, list: usize) -> Vec<usize> {
        self.states[list].members.iter().map(|key| *key as usize).collect()
    }

    /// Returns whether readings of the list replace readings of this wait's job.
    pub(super) fn is_covered(&self, key: usize) -> bool {
        let job = self.jobs.get(key).filter(|job| job.is_listed() && !job.flags.is_unconfirmed);
        job.and_then(ListedJob::list).is_some_and(|list| self.states[list].is_covering)
    }

    /// Returns whether the last list had a row for this wait's job.
    pub(super) fn is_listed(&self, key: usize) -> bool {
        self.jobs.get(key).is_some_and(ListedJob::is_listed)
    }

    /// Returns the probability that neither a list nor a hint shows the next change of this wait's
    /// job in time.
    pub(super) fn miss_probability(&self, key: usize) -> f64 {
        let list = self.list_of(key);
        let hints = list.map_or(self.other_hints, |list| self.states[list].hints);
        let by_list = match list {
            Some(list) if self.is_covered(key) => self.states[list].evidence.miss_probability(),
            _ => 1.0,
        };
        by_list * hints.miss_probability()
    }

    /// Returns whether a list shows a change of this wait's job that its own reading did not show.
    pub(super) fn is_urgent(&self, key: usize) -> bool {
        self.jobs.get(key).is_some_and(|job| job.flags.is_urgent)
    }

    /// Returns what is known of a wait's job, whether it is in a list or not.
    pub(super) fn any_job(&mut self, key: usize) -> &mut ListedJob {
        if self.jobs.len() <= key {
            self.jobs.resize_with(key + 1, ListedJob::default);
        }
        &mut self.jobs[key]
    }

    /// Returns what is known of a wait's job, whether it is in a list or not, if anything is.
    pub(super) fn known_job(&mut self, key: usize) -> Option<&mut ListedJob> {
        self.jobs.get_mut(key)
    }

    /// Returns how far hints about the job of a wait can be trusted.
    pub(super) fn hints_mut(&mut self, key: usize) -> &mut HintRecall {
        match self.list_of(key) {
            Some(list) => &mut self.states[list].hints,
            None => &mut self.other_hints,
        }
    }

    /// Sets √*h* of a wait in the sums of its list.
    pub(super) fn set_urgency(&mut self, key: usize, urgency: f64) {
        let Some(list) = self.list_of(key) else { return };
        let (state, job) = (&mut self.states[list], &mut self.jobs[key]);
        let before = f64::from(mem::replace(&mut job.urgency, urgency as f32));
        let now = f64::from(job.urgency);
        state.urgency_sum += now - before;
        state.hazard_sum += now * now - before * before;
    }

    pub(super) fn urgency(&self, key: usize) -> f64 {
        self.jobs.get(key).map_or(0.0, |job| f64::from(job.urgency))
    }

    /// Sets what a list does, and until when.
    pub(super) fn set_activity(
        &mut self,
        list: usize,
        activity: ListActivity,
        until: Option<Duration>,
    ) {
        let state = &mut self.states[list];
        let until = until.map(CompactDuration::from);
        if let Some(before) = mem::replace(&mut state.timer, until) {
            self.timers.remove(&(before, list));
        }
        self.timers.extend(until.map(|at| (at, list)));
        if let ListActivity::Ready(since) = state.activity {
            self.ready.remove(&(since, list));
        }
        if let ListActivity::Ready(since) = activity {
            self.ready.insert((since, list));
        }
        state.activity = activity;
    }

    /// Returns a list whose timer has expired.
    pub(super) fn due(&self, now: Duration) -> Option<usize> {
        self.timers.first().filter(|(at, _)| at.get() <= now).map(|(_, list)| *list)
    }

    /// Returns when the next timer expires.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        Some(self.timers.first()?.0.get())
    }

    /// Returns when a list that is ready may be read, because of the limit of bytes per second.
    pub(super) fn next_ready(&self) -> Option<Duration> {
        self.ready.first().map(|_| self.earliest_at)
    }

    /// Returns the list that is ready for longest, if the limit of bytes per second allows it.
    pub(super) fn ready(&self, now: Duration) -> Option<usize> {
        self.ready.first().filter(|_| self.earliest_at <= now).map(|(_, list)| *list)
    }
}
