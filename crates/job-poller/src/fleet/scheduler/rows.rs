//! What the rows of a list show: which jobs to read now, and how far the list can be trusted.

use std::{mem, time::Duration};

use jiff::Timestamp;
use job_transport::ListReading;

use super::Scheduler;
use crate::{
    fleet::lists::{ExpectedChange, MAX_EXPECTED_CHANGES, Presence},
    listing::{RowAge, RowState},
    machine::{Event, Input, ListIssue},
};

/// Maximum lag of a list behind a change, in seconds. The service's times are whole seconds.
const MAX_LAG_SECS: i64 = 2;

/// Maximum number of rows of a list from which durations are learned. The others are learned from
/// the next lists.
const MAX_LEARNED_ROWS: usize = 256;

impl Scheduler {
    /// Processes the rows of a list that was requested at `began_at`. Suspends the list if it does not
    /// show a change that it has to show.
    pub(super) fn read_rows(
        &mut self,
        now: Duration,
        list: usize,
        began_at: Duration,
        reading: &ListReading,
    ) {
        let members = self.lists.members(list);
        for &key in &members {
            if let Some(job) = self.lists.job(key) {
                job.flags.was_listed = job.is_listed();
                job.presence = Presence::Missing;
            }
        }
        let mut rows_to_learn_from = MAX_LEARNED_ROWS;
        let previous = mem::replace(&mut self.lists.state_mut(list).last_date, reading.date);
        let mut is_stale = false;
        for row in reading.list.rows() {
            let Some(id) = row.uid() else { continue };
            let state = RowState::new(row.phase().as_ref(), row.updated_at());
            match self.by_id.get(id).copied().filter(|key| self.lists.list_of(*key) == Some(list)) {
                Some(key) => self.compare_row(now, key, state, previous),
                None => self.schedule_source.learn_from_row(row, &mut rows_to_learn_from),
            }
            is_stale |= self.misses_change(list, id, state, began_at, reading.date);
        }
        // A job that is missing proves nothing.
        let expected_changes = &mut self.lists.state_mut(list).expected_changes;
        expected_changes.retain(|_, change| change.since > began_at);
        self.use_learned_schedule(now);
        if is_stale {
            return self.suspend_list(now, list, ListIssue::Stale);
        }
        for key in members {
            let job = self.lists.job(key);
            if job.is_some_and(|job| job.flags.was_listed && !job.is_listed()) {
                self.plan_without_list(now, key);
            }
        }
        self.plan_list(now, list);
    }

    /// Records whether a row shows a change that the job's own reading has shown, if there is one.
    /// Returns whether it does not.
    fn misses_change(
        &mut self,
        list: usize,
        id: &str,
        row: RowState,
        began_at: Duration,
        date: Option<Timestamp>,
    ) -> bool {
        let expected_changes = &mut self.lists.state_mut(list).expected_changes;
        if expected_changes.get(id).is_none_or(|change| change.since > began_at) {
            return false;
        }
        let Some(change) = expected_changes.remove(id) else { return false };
        let is_missed = row.age_relative_to(change.own) == RowAge::Older;
        // The list may lag a little.
        if is_missed && change.own.is_newer_than(date, MAX_LAG_SECS) {
            return false;
        }
        self.record_evidence(list, !is_missed);
        is_missed
    }

    /// Compares a row with the job's own reading, and reads the job if the row shows a change.
    fn compare_row(
        &mut self,
        now: Duration,
        key: usize,
        row: RowState,
        previous_date: Option<Timestamp>,
    ) {
        let own = self.own_state(key);
        let Some(job) = self.lists.job(key) else { return };
        job.presence = Presence::Listed;
        let before = job.row.replace(row);
        let is_newer = own.is_some_and(|own| row.age_relative_to(own) == RowAge::Newer);
        if !is_newer || before == Some(row) {
            return;
        }
        let was_in_previous = before.is_some() && job.flags.was_listed;
        job.flags.was_late = was_in_previous && row.was_updated_before(previous_date, MAX_LAG_SECS);
        // After a row that the job's own reading did not confirm, no row is urgent.
        job.flags.is_urgent = !job.flags.is_unconfirmed;
        let is_urgent = job.flags.is_urgent;
        if row.has_ended() && !mem::replace(&mut job.flags.is_end_reported, true) {
            self.publish(key, self.jobs[key].elapsed(now), &[Event::ListedEnded]);
        }
        if is_urgent {
            self.read_now(now, key);
        }
    }

    /// Returns the phase and the time of the last own reading of a job.
    fn own_state(&self, key: usize) -> Option<RowState> {
        let snapshot = self.jobs[key].machine.snapshot()?;
        Some(RowState::from_digest(snapshot.digest()))
    }

    /// Learns from a job's own reading how far its list can be trusted. Call it before the machine
    /// gets the reading.
    pub(super) fn learn_from_reading(&mut self, now: Duration, key: usize, input: &Input) {
        self.count_hinted_end(key, input);
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
        let last_date = self.lists.state(list).last_date;
        let Some(job) = self.lists.job(key) else { return };
        let row_age = job.row.filter(|_| job.is_listed()).map(|row| row.age_relative_to(own));
        job.flags.is_unconfirmed = row_age == Some(RowAge::Newer);
        let is_changed = before.is_some_and(|before| own.age_relative_to(before) == RowAge::Newer);
        if !is_changed || job.presence == Presence::Missing {
            return;
        }
        let was_late = mem::take(&mut job.flags.was_late);
        let is_missed = match row_age {
            Some(RowAge::Older) if own.was_updated_before(last_date, MAX_LAG_SECS) => true,
            // Only the next list can show the change.
            Some(RowAge::Older) | None => return self.expect_change(now, key, list, own),
            Some(RowAge::Same | RowAge::Newer) => was_late,
        };
        self.record_evidence(list, !is_missed);
        if is_missed {
            self.suspend_list(now, list, ListIssue::Stale);
        }
    }

    /// Records a change that the next list has to show. Reads the list for that, if it is not yet
    /// known how far the list can be trusted.
    fn expect_change(&mut self, now: Duration, key: usize, list: usize, own: RowState) {
        let id = self.jobs[key].machine.job_id().clone();
        let state = self.lists.state_mut(list);
        if state.expected_changes.len() < MAX_EXPECTED_CHANGES {
            state.expected_changes.insert(id, ExpectedChange { own, since: now });
        }
        if state.has_several_members() && !state.evidence.is_sufficient() {
            self.request_list(now, list);
        }
    }

    fn record_evidence(&mut self, list: usize, shows_change: bool) {
        let evidence = &mut self.lists.state_mut(list).evidence;
        if shows_change { evidence.record_fresh() } else { evidence.record_miss() }
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
