//! When a fleet reads lists of jobs, and which jobs it reads because of them.

use std::{mem, time::Duration};

use futures_util::future::{AbortHandle, AbortRegistration};
use job_transport::{FetchError, FetchErrorKind, ListReading, transport::TransportErrorKind};

use super::Scheduler;
use crate::{
    budget::{AttemptStats, UrgencyBucket},
    fleet::{
        job::JobActivity,
        lists::{Check, ListActivity, MAX_CHECKS, RowAge, RowState},
    },
    machine::{AttemptError, Event, Input, ListIssue},
    schedule::{BudgetShare, PollPlan},
    source::ListId,
};

/// A list that the task has to read.
pub(in crate::fleet) struct PendingList {
    pub(in crate::fleet) list: usize,
    pub(in crate::fleet) number: u64,
    pub(in crate::fleet) id: ListId,
    pub(in crate::fleet) registration: AbortRegistration,
}

/// Timeout of a list. A list that takes longer costs more than it saves.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of a list, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;

/// The longest gap between two readings of a job that a list covers. An end that the list never
/// shows is found after this time.
const MAX_COVERED_GAP: Duration = Duration::from_secs(300);

/// Maximum lag of a list behind a change, in seconds. The service's times are whole seconds.
const ALLOWED_LAG_SECS: i64 = 2;

/// Maximum number of rows of a list from which durations are learned. The others are learned from
/// the next lists.
const MAX_LEARNED_ROWS: usize = 256;

/// How many waits of a list get a new *h* after a reading of it.
const MAX_REFRESHES: usize = 512;

impl Scheduler {
    /// Adds a new wait to the list that shows its job. Reads the list if nothing is known of it.
    pub(super) fn join_list(&mut self, now: Duration, key: usize) {
        let Some(list) = self.lists.add(key, self.jobs[key].machine.job_id()) else { return };
        let group = self.lists.group(list);
        if !group.has_been_read && (group.has_several_members() || self.schedule_source.is_new()) {
            self.request_list(now, list);
        }
    }

    /// Removes a wait that is over from its list. Stops reading a list without waits.
    pub(super) fn leave_list(&mut self, key: usize) {
        let list = self.lists.list_of(key);
        self.lists.remove(key);
        let Some(list) = list.filter(|list| !self.lists.group(*list).has_members()) else { return };
        let group = self.lists.group_mut(list);
        group.is_covering = false;
        self.budget.update(mem::take(&mut group.urgency), None);
        match &group.activity {
            ListActivity::Suspended => return,
            ListActivity::Reading(_, handle, _) => {
                handle.abort();
                self.in_flight -= 1;
            }
            ListActivity::Idle | ListActivity::Planned | ListActivity::Ready(_) => {}
        }
        self.lists.set_activity(list, ListActivity::Idle, None);
    }

    /// Reads a list as soon as the budget allows, unless it is suspended.
    fn request_list(&mut self, now: Duration, list: usize) {
        if matches!(self.lists.group(list).activity, ListActivity::Idle | ListActivity::Planned) {
            self.lists.set_activity(list, ListActivity::Ready(now.into()), None);
        }
    }

    /// Processes the timers of the lists.
    pub(super) fn process_list_timers(&mut self, now: Duration) {
        while let Some(list) = self.lists.due(now) {
            match &self.lists.group(list).activity {
                ListActivity::Planned => {
                    self.lists.set_activity(list, ListActivity::Ready(now.into()), None);
                }
                ListActivity::Reading(_, handle, _) => {
                    handle.abort();
                    self.in_flight -= 1;
                    self.lists.set_activity(list, ListActivity::Idle, None);
                    self.suspend_list(now, list, ListIssue::Slow);
                }
                ListActivity::Suspended => {
                    self.lists.set_activity(list, ListActivity::Idle, None);
                    if self.lists.group(list).has_several_members() {
                        self.request_list(now, list);
                    } else {
                        self.lists.group_mut(list).has_been_read = false;
                    }
                }
                ListActivity::Idle | ListActivity::Ready(_) => {
                    self.lists.set_activity(list, ListActivity::Idle, None);
                }
            }
        }
    }

    /// Takes a list that is ready, and counts its request.
    pub(super) fn start_list(&mut self, now: Duration) -> Option<PendingList> {
        let list = self.lists.ready(now)?;
        self.budget.consume(now, 1);
        self.stats.requests += 1;
        self.stats.lists += 1;
        self.in_flight += 1;
        self.attempts += 1;
        let (handle, registration) = AbortHandle::new_pair();
        let activity = ListActivity::Reading(self.attempts, handle, now);
        self.lists.set_activity(list, activity, Some(now.saturating_add(LIST_TIMEOUT)));
        let id = self.lists.group(list).id;
        Some(PendingList { list, number: self.attempts, id, registration })
    }

    /// Processes the result of reading a list. Ignores it if the reading was canceled.
    pub(in crate::fleet) fn complete_list(
        &mut self,
        now: Duration,
        list: usize,
        number: u64,
        result: &Result<ListReading, FetchError>,
    ) {
        let ListActivity::Reading(current, _, began_at) = self.lists.group(list).activity else {
            return;
        };
        if current != number {
            return;
        }
        self.in_flight -= 1;
        self.lists.set_activity(list, ListActivity::Idle, None);
        self.lists.group_mut(list).has_been_read = true;
        let input = match result {
            Ok(ListReading { date, credentials_refreshed, .. }) => {
                let (date, credentials_refreshed) = (*date, *credentials_refreshed);
                Input::Unchanged { date, credentials_refreshed }
            }
            Err(error) => Input::Error(AttemptError::from(error)),
        };
        let stats = AttemptStats::from_input(now.saturating_sub(began_at), &input);
        self.stats.requests += u64::from(stats.extra_requests);
        self.stats.throttled += u64::from(stats.throttled);
        self.record_in_budget(now, &stats);
        match result {
            Ok(reading) if reading.body_len > MAX_LIST_BYTES => {
                self.count_bytes(now, reading.body_len);
                self.suspend_list(now, list, ListIssue::Oversized);
            }
            Ok(reading) => self.read_list(now, list, began_at, reading),
            Err(error) => self.suspend_list(now, list, issue(error)),
        }
    }

    /// Spreads the bytes of a list over the time after it.
    fn count_bytes(&mut self, now: Duration, bytes: usize) {
        let seconds = self.lists.settings.seconds_for(bytes);
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.lists.earliest_at = self.lists.earliest_at.max(now).saturating_add(pause);
    }

    fn read_list(&mut self, now: Duration, list: usize, began_at: Duration, reading: &ListReading) {
        self.count_bytes(now, reading.body_len);
        let members = self.lists.members(list);
        for &key in &members {
            if let Some(job) = self.lists.job(key) {
                job.flags.was_listed = mem::take(&mut job.flags.is_listed);
            }
        }
        let mut rows_to_learn_from = MAX_LEARNED_ROWS;
        let previous = mem::replace(&mut self.lists.group_mut(list).last_date, reading.date);
        let mut is_stale = false;
        for row in reading.list.rows() {
            let Some(id) = row.uid() else { continue };
            let state = RowState::new(row.phase().as_ref(), row.updated_at());
            match self.by_id.get(id).copied().filter(|key| self.lists.list_of(*key) == Some(list)) {
                Some(key) => self.compare_row(now, key, state, previous),
                None => self.schedule_source.learn_from_row(row, &mut rows_to_learn_from),
            }
            let checks = &mut self.lists.group_mut(list).checks;
            if !checks.is_empty()
                && checks.get(id).is_some_and(|check| check.since <= began_at)
                && let Some(check) = checks.remove(id)
            {
                let shows_change = state.age_relative_to(check.own) != RowAge::Older;
                // The list may lag a little.
                let proves =
                    shows_change || !check.own.is_newer_than(reading.date, ALLOWED_LAG_SECS);
                if proves {
                    is_stale |= !shows_change;
                    self.record_evidence(list, shows_change);
                }
            }
        }
        // A job that is missing proves nothing.
        self.lists.group_mut(list).checks.retain(|_, check| check.since > began_at);
        self.use_learned_schedule(now);
        if is_stale {
            return self.suspend_list(now, list, ListIssue::Stale);
        }
        for key in members {
            let Some(job) = self.lists.job(key) else { continue };
            job.flags.is_missing = !job.flags.is_listed;
            if job.flags.is_missing && job.flags.was_listed {
                self.plan_without_list(now, key);
            }
        }
        self.plan_list(now, list);
    }

    /// Compares a row with the job's own reading, and reads the job if the row shows a change.
    fn compare_row(
        &mut self,
        now: Duration,
        key: usize,
        row: RowState,
        previous_date: Option<jiff::Timestamp>,
    ) {
        let own = self.own_state(key);
        let Some(job) = self.lists.job(key) else { return };
        job.flags.is_listed = true;
        let had_row = mem::replace(&mut job.flags.has_row, true);
        let before = mem::replace(&mut job.row, row);
        let is_newer = own.is_some_and(|own| row.age_relative_to(own) == RowAge::Newer);
        if !is_newer || had_row && row == before {
            return;
        }
        let was_in_previous = had_row && job.flags.was_listed;
        job.flags.was_late =
            was_in_previous && row.was_updated_before(previous_date, ALLOWED_LAG_SECS);
        // After a row that the job's own reading did not confirm, no row is urgent.
        let is_urgent = !job.flags.is_unconfirmed;
        let is_first_end = row.has_ended() && !mem::replace(&mut job.flags.has_ended, true);
        if is_first_end {
            self.publish(now, key, &[Event::ListedEnded]);
        }
        if is_urgent {
            self.lists.flags_mut(key).is_urgent = true;
            self.read_now(now, key);
        }
    }

    /// Returns the phase and the time of the last own reading of a job.
    fn own_state(&self, key: usize) -> Option<RowState> {
        let snapshot = self.jobs[key].machine.snapshot()?;
        Some(RowState::from_digest(snapshot.digest()))
    }

    /// Makes the next attempt of a wait as soon as its schedule and a `Retry-After` permit. If a list
    /// shows a change, it goes before all other waits. Otherwise, it goes before those that had an
    /// attempt after its last one. Does nothing after a failed attempt.
    pub(super) fn read_now(&mut self, now: Duration, key: usize) {
        let job = &self.jobs[key];
        let Some(earliest) = job.earliest_attempt() else { return };
        match job.activity {
            JobActivity::Sleep | JobActivity::Planned(_) | JobActivity::Cooling(..) => {}
            JobActivity::Ready(..) => return self.promote(key),
            JobActivity::Attempt(..) => return,
        }
        let last_attempt_at = job.last_attempt_at.get();
        let at = if job.machine.attempts() == 0 { now } else { earliest.max(now) };
        if job.timer.is_some_and(|timer| timer.get() <= at) {
            return;
        }
        self.cancel(key);
        let job = &mut self.jobs[key];
        job.machine.advance_attempt(job.elapsed(at));
        if at <= now {
            self.enqueue(self.queued_since(key, last_attempt_at), key, None);
        } else {
            self.set_timer(key, Some(at));
        }
    }

    /// Returns since when a wait counts as queued: `since`, unless a list shows a change of its job.
    pub(super) fn queued_since(&self, key: usize, since: Duration) -> Duration {
        if self.lists.is_urgent(key) { Duration::ZERO } else { since }
    }

    /// Learns from a job's own reading how far its list can be trusted. Call it before the machine
    /// gets the reading.
    pub(super) fn weigh_reading(&mut self, now: Duration, key: usize, input: &Input) {
        self.weigh_hints(key, input);
        let Some(list) = self.lists.list_of(key) else { return };
        let machine = &self.jobs[key].machine;
        // A lookup of sub-jobs reads another job.
        if machine.not_before().is_none() {
            return;
        }
        let before = self.own_state(key);
        let own = match input {
            Input::Reading { snapshot, .. } => Some(RowState::from_digest(snapshot.digest())),
            Input::Unchanged { .. } => before,
            _ => None,
        };
        let Some(own) = own else { return };
        let last_date = self.lists.group(list).last_date;
        let Some(job) = self.lists.job(key) else { return };
        let row_age = job.row.age_relative_to(own);
        let has_row = job.flags.has_row && job.flags.is_listed;
        job.flags.is_unconfirmed = has_row && row_age == RowAge::Newer;
        let is_changed = before.is_some_and(|before| own.age_relative_to(before) == RowAge::Newer);
        if !is_changed || job.flags.is_missing {
            return;
        }
        let was_late = mem::take(&mut job.flags.was_late);
        if has_row && row_age != RowAge::Older {
            self.record_evidence(list, !was_late);
            if was_late {
                self.suspend_list(now, list, ListIssue::Stale);
            }
        } else if has_row && own.was_updated_before(last_date, ALLOWED_LAG_SECS) {
            self.record_evidence(list, false);
            self.suspend_list(now, list, ListIssue::Stale);
        } else {
            let id = machine.job_id().clone();
            let group = self.lists.group_mut(list);
            if group.checks.len() < MAX_CHECKS {
                group.checks.insert(id, Check { own, since: now });
            }
            if group.has_several_members() && !group.evidence.is_sufficient() {
                self.request_list(now, list);
            }
        }
    }

    fn record_evidence(&mut self, list: usize, shows_change: bool) {
        let evidence = &mut self.lists.group_mut(list).evidence;
        if shows_change { evidence.record_fresh() } else { evidence.record_miss() }
    }

    /// Returns a wait's share of the budget. A wait whose job a list covers pays more for a request,
    /// because its own reading only finds the changes that the list misses.
    pub(super) fn own_share(&self, key: usize) -> BudgetShare {
        let (share, missed) = (self.share(), self.lists.miss_probability(key));
        if missed >= 1.0 {
            return share;
        }
        let price = share.request_price.as_secs_f64() / missed;
        let price = Duration::try_from_secs_f64(price).unwrap_or(Duration::MAX);
        BudgetShare::new(price, share.max_gap.max(MAX_COVERED_GAP))
    }

    /// Counts the plan of a wait for its list. Returns the urgency that the wait has in the budget.
    pub(super) fn count_plan(&mut self, key: usize, plan: PollPlan) -> Option<UrgencyBucket> {
        let urgency = plan.urgency.filter(|urgency| *urgency > 0.0)?;
        self.lists.set_urgency(key, urgency);
        Some(UrgencyBucket::from_urgency(urgency * self.lists.miss_probability(key).sqrt()))
    }

    /// Starts to read the list of a wait if that has become cheaper than reading its jobs.
    pub(super) fn consider_list(&mut self, now: Duration, key: usize) {
        let Some(list) = self.lists.list_of(key) else { return };
        let group = self.lists.group(list);
        let is_cheaper = || group.is_cheaper(self.share().request_price.as_secs_f64());
        let may_have_durations = || {
            let digest = self.jobs.get(key)?.machine.snapshot()?.digest();
            let job_type = digest.job_type()?;
            (!group.has_been_read && self.schedule_source.lacks(job_type)).then_some(())
        };
        if !group.is_covering && (is_cheaper() || may_have_durations().is_some()) {
            self.request_list(now, list);
        }
    }

    /// Decides whether the list replaces readings of its jobs, and when it is read next.
    fn plan_list(&mut self, now: Duration, list: usize) {
        let most_urgent = self.refresh_urgencies(now, list);
        let price = self.share().request_price.as_secs_f64();
        let group = self.lists.group_mut(list);
        let is_covering = group.is_cheaper(price) && most_urgent.is_some();
        let was_covering = mem::replace(&mut group.is_covering, is_covering);
        let shown = 1.0 - group.evidence.miss_probability();
        let hazard = group.hazard_sum.max(0.0) * shown;
        let urgency = is_covering.then(|| UrgencyBucket::from_urgency(hazard.sqrt()));
        self.budget.update(mem::replace(&mut group.urgency, urgency), urgency);
        let Some(key) = most_urgent.filter(|_| is_covering) else {
            if was_covering {
                for key in self.lists.members(list) {
                    self.plan_without_list(now, key);
                }
            }
            return;
        };
        let highest = self.lists.urgency(key);
        let jobs = (hazard / (highest * highest)).round().max(1.0) as u32;
        let delay = self.plan_now(now, key, jobs).map_or(MAX_COVERED_GAP, |plan| plan.delay);
        let at = now.saturating_add(delay);
        self.lists.set_activity(list, ListActivity::Planned, Some(at));
    }

    /// Computes *h* of some waits in a list again. Returns the wait with the highest.
    fn refresh_urgencies(&mut self, now: Duration, list: usize) -> Option<usize> {
        let members = self.lists.members(list);
        let from = self.lists.group(list).next_refresh;
        let count = members.len().min(MAX_REFRESHES);
        for step in 0..count {
            let key = members[(from + step) % members.len()];
            let plan = self.lists.is_listed(key).then(|| self.plan_now(now, key, 1)).flatten();
            let urgency = plan.and_then(|plan| plan.urgency).filter(|urgency| *urgency > 0.0);
            self.lists.set_urgency(key, urgency.unwrap_or(0.0));
        }
        self.lists.group_mut(list).next_refresh = (from + count) % members.len().max(1);
        let urgency = |key: &usize| self.lists.urgency(*key);
        members
            .into_iter()
            .filter(|key| urgency(key) > 0.0)
            .max_by(|a, b| urgency(a).total_cmp(&urgency(b)))
    }

    /// Returns what the schedule would plan now, for a request that shows `jobs` jobs.
    fn plan_now(&self, now: Duration, key: usize, jobs: u32) -> Option<PollPlan> {
        let job = &self.jobs[key];
        let since_reading = now.saturating_sub(job.last_attempt_at.get());
        job.plan_now(now, since_reading, self.share(), jobs)
    }

    /// Does not read the list for some time, because of this issue.
    fn suspend_list(&mut self, now: Duration, list: usize, issue: ListIssue) {
        let group = self.lists.group_mut(list);
        if matches!(group.activity, ListActivity::Suspended) {
            return;
        }
        let length = group.evidence.suspend(issue != ListIssue::Failed);
        group.checks.clear();
        group.last_date = None;
        let was_covering = mem::take(&mut group.is_covering);
        self.budget.update(mem::take(&mut group.urgency), None);
        if let ListActivity::Reading(_, handle, _) = &group.activity {
            handle.abort();
            self.in_flight -= 1;
        }
        let until = now.saturating_add(length);
        self.lists.set_activity(list, ListActivity::Suspended, Some(until));
        self.stats.list_suspensions += 1;
        let members = self.lists.members(list);
        if let Some(&key) = members.first() {
            self.publish(now, key, &[Event::ListSuspended { issue, length }]);
        }
        for key in members {
            self.lists.forget_row(key);
            if was_covering {
                self.plan_without_list(now, key);
            }
        }
    }

    /// Plans the next attempt of a wait as if no list had been read.
    fn plan_without_list(&mut self, now: Duration, key: usize) {
        let Some(plan) = self.plan_now(now, key, 1) else { return };
        let (job, urgency) = (&mut self.jobs[key], UrgencyBucket::from_plan(plan));
        if job.urgency.is_some() {
            self.budget.update(mem::replace(&mut job.urgency, urgency), urgency);
        }
        let due = job.last_attempt_at.get().saturating_add(plan.delay).max(now);
        if !matches!(job.activity, JobActivity::Planned(_))
            || job.timer.is_none_or(|timer| timer.get() <= due)
        {
            return;
        }
        self.cancel(key);
        let job = &mut self.jobs[key];
        job.machine.advance_attempt(job.elapsed(due));
        self.plan(now, key, due, due.saturating_sub(now));
    }

    /// Passes events to the subscribers of a wait.
    fn publish(&mut self, now: Duration, key: usize, events: &[Event]) {
        let job = &mut self.jobs[key];
        let at = job.elapsed(now);
        self.subscribers.publish(&mut job.subscribers, at, events, &mut self.wakers);
        self.merged_readers.publish(job.machine.job_id(), events, &mut self.wakers);
    }

    /// Lets waits use what was learned from a list, if they use the schedule of the fleet.
    fn use_learned_schedule(&mut self, now: Duration) {
        let Some((before, after)) = self.schedule_source.rebuild_after_list(now) else { return };
        for (_, job) in &mut self.jobs {
            job.replace_schedule(&before, &after);
        }
        let keys = self.jobs.iter().map(|(key, _)| key);
        let keys: Vec<usize> = keys.filter(|key| !self.lists.is_covered(*key)).collect();
        keys.into_iter().for_each(|key| self.plan_without_list(now, key));
    }
}

fn issue(error: &FetchError) -> ListIssue {
    match error.kind() {
        FetchErrorKind::Status(403 | 404 | 405 | 501) => ListIssue::Refused,
        FetchErrorKind::Transport(TransportErrorKind::BodyTooLarge) => ListIssue::Oversized,
        FetchErrorKind::Transport(TransportErrorKind::Timeout) => ListIssue::Slow,
        _ => ListIssue::Failed,
    }
}
