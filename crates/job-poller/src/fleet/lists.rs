//! Lists of jobs: one request shows many jobs, and tells the fleet which of them to read next.
//!
//! Nothing that a list shows is reported as a reading. A row only decides when the job's own
//! reading is made. So a list that is wrong costs time or requests, and never an outcome.

mod evidence;
mod row;
mod group;
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
    group::{Check, ListActivity, ListGroup, MAX_CHECKS},
    row::{RowAge, RowState},
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
    groups: Vec<ListGroup>,
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

/// What the lists show of one wait's job.
#[derive(Clone, Copy, Default)]
pub(super) struct ListedJob {
    /// The number of the list plus one, and the position among its members. Zero if the job is in
    /// no list.
    group: u32,
    position: u32,
    /// √*h* at the last computation.
    urgency: f32,
    /// The row in the last list that had one.
    pub(super) row: RowState,
    pub(super) flags: RowFlags,
}

/// What a fleet remembers about a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct RowFlags {
    /// The last list had a row for the job, or the job is new and the next list will have one.
    pub(super) is_listed: bool,
    /// The last list had no row for the job.
    pub(super) is_missing: bool,
    /// The list before the last one had a row for the job.
    pub(super) was_listed: bool,
    /// A list had a row for the job since it was last suspended.
    pub(super) has_row: bool,
    /// A list shows a change, so the job's own reading goes before all others.
    pub(super) is_urgent: bool,
    /// The list showed the last change too late.
    pub(super) was_late: bool,
    /// An own reading did not confirm what the row shows.
    pub(super) is_unconfirmed: bool,
    /// The row has shown the end of the job.
    pub(super) has_ended: bool,
    /// A hint came since the last reading of the job.
    pub(super) is_hinted: bool,
    /// A hint came while an attempt was in flight. The job is read again.
    pub(super) is_hinted_in_flight: bool,
}

impl Lists {
    pub(super) fn new(source: Arc<dyn JobSource>, settings: ListReads) -> Self {
        Self {
            source: settings.is_on().then_some(source),
            settings,
            groups: Vec::new(),
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
            self.groups.push(ListGroup::new(list));
            self.groups.len() - 1
        });
        let (group, wait) = (u32::try_from(at + 1).ok()?, u32::try_from(key).ok()?);
        if self.jobs.len() <= key {
            self.jobs.reserve_exact((key + 1 - self.jobs.len()).max(self.jobs.len() / 8));
            self.jobs.resize_with(key + 1, ListedJob::default);
        }
        let members = &mut self.groups[at].members;
        let position = u32::try_from(members.len()).ok()?;
        members.push(wait);
        // A new job is in the next list. If it is not, it is read by itself from then on.
        let is_listed = self.groups[at].is_covering;
        let flags = RowFlags { is_listed, ..RowFlags::default() };
        self.jobs[key] = ListedJob { group, position, flags, ..ListedJob::default() };
        Some(at)
    }

    /// Removes a wait that is over.
    pub(super) fn remove(&mut self, key: usize) {
        self.set_urgency(key, 0.0);
        let Some(job) = self.jobs.get_mut(key) else { return };
        let ListedJob { group, position, .. } = mem::take(job);
        let Some(at) = (group as usize).checked_sub(1) else { return };
        let group = &mut self.groups[at];
        group.members.swap_remove(position as usize);
        if let Some(moved) = group.members.get(position as usize) {
            self.jobs[*moved as usize].position = position;
        }
        if group.members.is_empty() {
            (group.urgency_sum, group.hazard_sum) = (0.0, 0.0);
        }
    }

    /// Returns the number of the list that shows the job of this wait.
    pub(super) fn list_of(&self, key: usize) -> Option<usize> {
        (self.jobs.get(key)?.group as usize).checked_sub(1)
    }

    pub(super) fn job(&mut self, key: usize) -> Option<&mut ListedJob> {
        self.jobs.get_mut(key).filter(|job| job.group > 0)
    }

    pub(super) fn group(&self, list: usize) -> &ListGroup {
        &self.groups[list]
    }

    pub(super) fn group_mut(&mut self, list: usize) -> &mut ListGroup {
        &mut self.groups[list]
    }

    /// Returns the keys of the waits in a list.
    pub(super) fn members(&self, list: usize) -> Vec<usize> {
        self.groups[list].members.iter().map(|key| *key as usize).collect()
    }

    /// Returns whether readings of the list replace readings of this wait's job.
    pub(super) fn is_covered(&self, key: usize) -> bool {
        let job = self.jobs.get(key).filter(|job| job.flags.is_listed && !job.flags.is_unconfirmed);
        let list = job.and_then(|job| (job.group as usize).checked_sub(1));
        list.is_some_and(|list| self.groups[list].is_covering)
    }

    /// Returns whether the last list had a row for this wait's job.
    pub(super) fn is_listed(&self, key: usize) -> bool {
        self.jobs.get(key).is_some_and(|job| job.flags.is_listed)
    }

    /// Returns the probability that neither a list nor a hint shows the next change of this wait's
    /// job in time.
    pub(super) fn miss_probability(&self, key: usize) -> f64 {
        let list = self.list_of(key);
        let hints = list.map_or(self.other_hints, |list| self.groups[list].hints);
        let by_list = match list {
            Some(list) if self.is_covered(key) => self.groups[list].evidence.miss_probability(),
            _ => 1.0,
        };
        by_list * hints.miss_probability()
    }

    /// Returns whether a list shows a change of this wait's job that its own reading did not show.
    pub(super) fn is_urgent(&self, key: usize) -> bool {
        self.jobs.get(key).is_some_and(|job| job.flags.is_urgent)
    }

    /// Forgets what the list showed of this wait's job, because the list is suspended.
    pub(super) fn forget_row(&mut self, key: usize) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.row = RowState::default();
            let RowFlags { has_ended, is_hinted, is_hinted_in_flight, .. } = job.flags;
            job.flags =
                RowFlags { has_ended, is_hinted, is_hinted_in_flight, ..RowFlags::default() };
        }
    }

    /// Returns the flags of a wait, whether its job is in a list or not.
    pub(super) fn flags_mut(&mut self, key: usize) -> &mut RowFlags {
        if self.jobs.len() <= key {
            self.jobs.resize_with(key + 1, ListedJob::default);
        }
        &mut self.jobs[key].flags
    }

    /// Returns the flags of a wait, if it has any.
    pub(super) fn known_flags_mut(&mut self, key: usize) -> Option<&mut RowFlags> {
        self.jobs.get_mut(key).map(|job| &mut job.flags)
    }

    /// Returns how far hints about the job of a wait can be trusted.
    pub(super) fn hints_mut(&mut self, key: usize) -> &mut HintRecall {
        match self.list_of(key) {
            Some(list) => &mut self.groups[list].hints,
            None => &mut self.other_hints,
        }
    }

    /// Sets √*h* of a wait in the sums of its list.
    pub(super) fn set_urgency(&mut self, key: usize, urgency: f64) {
        let Some(list) = self.list_of(key) else { return };
        let (group, job) = (&mut self.groups[list], &mut self.jobs[key]);
        let before = f64::from(mem::replace(&mut job.urgency, urgency as f32));
        let now = f64::from(job.urgency);
        group.urgency_sum += now - before;
        group.hazard_sum += now * now - before * before;
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
        let group = &mut self.groups[list];
        let until = until.map(CompactDuration::from);
        if let Some(before) = mem::replace(&mut group.timer, until) {
            self.timers.remove(&(before, list));
        }
        self.timers.extend(until.map(|at| (at, list)));
        if let ListActivity::Ready(since) = group.activity {
            self.ready.remove(&(since, list));
        }
        if let ListActivity::Ready(since) = activity {
            self.ready.insert((since, list));
        }
        group.activity = activity;
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
