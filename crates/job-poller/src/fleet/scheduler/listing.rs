//! When a fleet reads a list of jobs, and what the list saves.

use std::{mem, time::Duration};

use futures_util::future::{AbortHandle, AbortRegistration};
use job_transport::{FetchError, FetchErrorKind, ListReading, transport::TransportErrorKind};

use super::Scheduler;
use crate::{
    budget::{AttemptStats, UrgencyBucket},
    fleet::{
        job::JobActivity,
        lists::{ListActivity, ListedJob},
    },
    listing::{MAX_LISTED_GAP, listed_share},
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

/// How many waits of a list get a new *h* after a reading of it.
const MAX_REFRESHES: usize = 512;

impl Scheduler {
    /// Adds a new wait to the list that shows its job. Reads the list if nothing is known of it.
    pub(super) fn join_list(&mut self, now: Duration, key: usize) {
        let Some(list) = self.lists.add(key, self.jobs[key].machine.job_id()) else { return };
        let state = self.lists.state(list);
        if !state.has_been_read
            && (state.has_several_members() || self.schedule_source.has_no_history())
        {
            self.request_list(now, list);
        }
    }

    /// Removes a wait that is over from its list. Stops reading a list without waits.
    pub(super) fn leave_list(&mut self, key: usize) {
        let list = self.lists.list_of(key);
        self.lists.remove(key);
        let Some(list) = list else { return };
        // The wait itself is learned from.
        self.schedule_source.ignore_row(self.jobs[key].machine.job_id());
        if self.lists.state(list).has_members() {
            return;
        }
        let state = self.lists.state_mut(list);
        state.is_covering = false;
        self.budget.update(mem::take(&mut state.urgency), None);
        if !matches!(state.activity, ListActivity::Suspended) {
            self.stop_reading(list);
        }
    }

    /// Cancels the reading of a list, or the plan to read it.
    fn stop_reading(&mut self, list: usize) {
        if let ListActivity::Reading(_, handle, _) = &self.lists.state(list).activity {
            handle.abort();
            self.in_flight -= 1;
        }
        self.lists.set_activity(list, ListActivity::Idle, None);
    }

    /// Reads a list as soon as the budget allows, unless it is suspended.
    pub(super) fn request_list(&mut self, now: Duration, list: usize) {
        if matches!(self.lists.state(list).activity, ListActivity::Idle | ListActivity::Planned) {
            self.lists.set_activity(list, ListActivity::Ready(now.into()), None);
        }
    }

    /// Processes the timers of the lists.
    pub(super) fn process_list_timers(&mut self, now: Duration) {
        while let Some(list) = self.lists.due(now) {
            match &self.lists.state(list).activity {
                ListActivity::Reading(..) => self.suspend_list(now, list, ListIssue::Slow),
                ListActivity::Suspended if !self.lists.state(list).has_several_members() => {
                    self.lists.set_activity(list, ListActivity::Idle, None);
                    self.lists.state_mut(list).has_been_read = false;
                }
                _ => self.lists.set_activity(list, ListActivity::Ready(now.into()), None),
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
        let id = self.lists.state(list).id;
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
        let ListActivity::Reading(current, _, began_at) = self.lists.state(list).activity else {
            return;
        };
        if current != number {
            return;
        }
        self.in_flight -= 1;
        self.lists.set_activity(list, ListActivity::Idle, None);
        self.lists.state_mut(list).has_been_read = true;
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
            Ok(reading) => {
                self.count_bytes(now, reading.body_len);
                self.read_rows(now, list, began_at, reading);
            }
            Err(error) => self.suspend_list(now, list, issue(error)),
        }
    }

    /// Spreads the bytes of a list over the time after it.
    fn count_bytes(&mut self, now: Duration, bytes: usize) {
        let seconds = self.lists.settings.seconds_for(bytes);
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        self.lists.earliest_at = self.lists.earliest_at.max(now).saturating_add(pause);
    }

    /// Returns a wait's share of the budget. A wait whose job a list covers pays more for a request,
    /// because its own reading only finds the changes that the list misses.
    pub(super) fn share_of_wait(&self, key: usize) -> BudgetShare {
        listed_share(self.share(), self.miss_probability(key))
    }

    /// Returns the probability that neither a list nor a hint shows the end of what a wait polls. They
    /// show jobs, and no clusters and nodes.
    pub(super) fn miss_probability(&self, key: usize) -> f64 {
        let is_job = !self.jobs[key].machine.is_reading_objects();
        if is_job { self.lists.miss_probability(key) } else { 1.0 }
    }

    /// Counts the plan of a wait for its list. Returns the urgency that the wait has in the budget.
    pub(super) fn count_plan(&mut self, key: usize, plan: PollPlan) -> Option<UrgencyBucket> {
        let urgency = plan.urgency.filter(|urgency| *urgency > 0.0)?;
        self.lists.set_urgency(key, urgency);
        Some(UrgencyBucket::from_urgency(urgency * self.miss_probability(key).sqrt()))
    }

    /// Reads the list of a wait if that has become cheaper than reading its jobs, or if the list may
    /// have durations of such jobs.
    pub(super) fn consider_list(&mut self, now: Duration, key: usize) {
        let Some(list) = self.lists.list_of(key) else { return };
        let state = self.lists.state(list);
        let snapshot = self.jobs.get(key).and_then(|job| job.machine.snapshot());
        let job_type = snapshot.and_then(|snapshot| snapshot.digest().job_type());
        // The list may have durations of such jobs.
        let is_instructive = !state.has_been_read
            && job_type.is_some_and(|job_type| self.schedule_source.knows_few_jobs(job_type));
        let is_cheaper = state.is_cheaper(self.share().request_price.as_secs_f64());
        if !state.is_covering && (is_cheaper || is_instructive) {
            self.request_list(now, list);
        }
    }

    /// Decides whether the list replaces readings of its jobs, and when it is read next.
    pub(super) fn plan_list(&mut self, now: Duration, list: usize) {
        let most_urgent = self.refresh_urgencies(now, list);
        let price = self.share().request_price.as_secs_f64();
        let state = self.lists.state_mut(list);
        let is_covering = state.is_cheaper(price) && most_urgent.is_some();
        let was_covering = mem::replace(&mut state.is_covering, is_covering);
        let shown = 1.0 - state.evidence.miss_probability();
        let hazard = state.hazard_sum.max(0.0) * shown;
        let urgency = is_covering.then(|| UrgencyBucket::from_urgency(hazard.sqrt()));
        self.budget.update(mem::replace(&mut state.urgency, urgency), urgency);
        let Some(key) = most_urgent.filter(|_| is_covering) else {
            if was_covering {
                for key in self.lists.members(list) {
                    self.plan_without_list(now, key);
                }
            }
            return;
        };
        let state = self.lists.state(list);
        let jobs =
            state.evidence.jobs_per_request(state.hazard_sum.max(0.0), self.lists.urgency(key));
        let delay = self.plan_now(now, key, jobs).map_or(MAX_LISTED_GAP, |plan| plan.delay);
        let at = now.saturating_add(delay);
        self.lists.set_activity(list, ListActivity::Planned, Some(at));
    }

    /// Computes *h* of some waits in a list again. Returns the wait with the highest.
    fn refresh_urgencies(&mut self, now: Duration, list: usize) -> Option<usize> {
        let members = self.lists.members(list);
        let from = self.lists.state(list).next_refresh;
        let count = members.len().min(MAX_REFRESHES);
        for step in 0..count {
            let key = members[(from + step) % members.len()];
            let plan = self.lists.is_listed(key).then(|| self.plan_now(now, key, 1)).flatten();
            let urgency = plan.and_then(|plan| plan.urgency).filter(|urgency| *urgency > 0.0);
            self.lists.set_urgency(key, urgency.unwrap_or(0.0));
        }
        self.lists.state_mut(list).next_refresh = (from + count) % members.len().max(1);
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
    pub(super) fn suspend_list(&mut self, now: Duration, list: usize, issue: ListIssue) {
        let state = self.lists.state_mut(list);
        let length = state.evidence.suspend(issue != ListIssue::Failed);
        state.expected_changes.clear();
        state.last_date = None;
        let was_covering = mem::take(&mut state.is_covering);
        self.budget.update(mem::take(&mut state.urgency), None);
        self.stop_reading(list);
        let until = now.saturating_add(length);
        self.lists.set_activity(list, ListActivity::Suspended, Some(until));
        self.stats.list_suspensions += 1;
        let members = self.lists.members(list);
        if let Some(&key) = members.first() {
            let at = self.jobs[key].elapsed(now);
            self.publish(key, at, &[Event::ListSuspended { issue, length }]);
        }
        for key in members {
            self.lists.job(key).into_iter().for_each(ListedJob::forget_rows);
            if was_covering {
                self.plan_without_list(now, key);
            }
        }
    }

    /// Plans the next attempt of a wait as if no list had been read.
    pub(super) fn plan_without_list(&mut self, now: Duration, key: usize) {
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
}

fn issue(error: &FetchError) -> ListIssue {
    match error.kind() {
        FetchErrorKind::Status(403 | 404 | 405 | 501) => ListIssue::Refused,
        FetchErrorKind::Transport(TransportErrorKind::BodyTooLarge) => ListIssue::Oversized,
        FetchErrorKind::Transport(TransportErrorKind::Timeout) => ListIssue::Slow,
        _ => ListIssue::Failed,
    }
}
