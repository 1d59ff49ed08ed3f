//! What a reading means for the wait: what to tell of it, and whether the job has ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, Phase};
use serde::{Deserialize, Serialize};

use super::{Action, Machine, Turn};
use crate::{
    Event, Fault, Seen, WaitErrorKind, Why,
    change::changes,
    verdict::{Verdict, steps_are_done},
};

/// Since when a job is `Success` whose sub-jobs have not all ended, and how often it was read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settling {
    since: Duration,
    readings: u32,
}

impl Machine {
    pub(super) fn reading(
        &mut self,
        turn: &mut Turn<'_>,
        job: Box<Job>,
        date: Option<Timestamp>,
        renewed: bool,
    ) -> Action {
        if let Some(uid) = job.uid().filter(|uid| !uid.is_empty() && *uid != self.id.as_str()) {
            return self.fault_seen(turn, Fault { renewed, ..Fault::mismatch(uid) });
        }
        if renewed {
            turn.events.push(Event::Renewed);
        }
        (self.faults, self.fault) = (None, None);
        self.readings = self.readings.saturating_add(1);
        if self.is_stale(&job) {
            self.stale_in_a_row = self.stale_in_a_row.saturating_add(1);
            turn.events.push(Event::Stale { in_a_row: self.stale_in_a_row });
            return self.scheduled_pause(turn);
        }
        self.stale_in_a_row = 0;
        let verdict = Verdict::of(&job, &self.policy);
        // The usual case is that nothing changed.
        if self.job.as_deref() != Some(&*job) {
            self.tell_changes(turn, &job);
            self.job = Some(job);
        }
        self.date = date;
        match verdict {
            Verdict::Succeeded => self.conclude(turn, true),
            Verdict::Failed => self.conclude(turn, false),
            Verdict::Settling => {
                let first = self.settling.is_none();
                let none = || Box::new(Settling { since: turn.elapsed, readings: 0 });
                let settling = self.settling.get_or_insert_with(none);
                settling.readings = settling.readings.saturating_add(1);
                if first && self.settling_left(turn.elapsed) > Some(Duration::ZERO) {
                    turn.events.push(Event::Settling);
                }
                self.scheduled_pause(turn)
            }
            Verdict::Live => {
                self.settling = None;
                if self.is_stuck(turn) && self.policy.stop_when_stuck {
                    return self.stop(turn, WaitErrorKind::Stuck);
                }
                self.scheduled_pause(turn)
            }
        }
    }

    /// Ends a wait for a job that is `Success`, whatever of it is still under way.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) -> Action {
        let verdict = self.job.as_deref().map(|job| Verdict::of_success(job, &self.policy));
        self.conclude(turn, verdict != Some(Verdict::Failed))
    }

    /// Returns for how long a job that is `Success` already is asked about again, where it is one;
    /// zero where it was for long or often enough.
    pub(super) fn settling_left(&self, elapsed: Duration) -> Option<Duration> {
        let (settling, settle) = (self.settling.as_deref()?, self.policy.settle);
        let left = settle.window.saturating_sub(elapsed.saturating_sub(settling.since));
        Some(if settling.readings < settle.readings { left } else { Duration::ZERO })
    }

    /// Whether a job that goes on is as it was earlier: a replica lags behind. Not for ever, for then
    /// it is the service's time that was set back; and never where it says that the job has ended.
    fn is_stale(&self, job: &Job) -> bool {
        let ended = job.phase().is_some_and(Phase::is_terminal);
        let before = self.job.as_deref().and_then(updated);
        let went_back = updated(job).is_some_and(|now| before > Some(now));
        went_back && !ended && self.stale_in_a_row < MOST_STALE
    }

    fn tell_changes(&mut self, turn: &mut Turn<'_>, job: &Job) {
        let changes = changes(self.job.as_deref(), job);
        if !changes.is_empty() || self.job.as_deref().and_then(updated) != updated(job) {
            self.changed_at = turn.elapsed;
            self.told_stuck = false;
        }
        turn.events.extend(changes);
    }

    /// Whether nothing has changed for long; tells it the first time.
    fn is_stuck(&mut self, turn: &mut Turn<'_>) -> bool {
        let unchanged = turn.elapsed.saturating_sub(self.changed_at);
        let stuck = unchanged >= self.policy.stuck_after;
        if stuck && !self.told_stuck {
            self.told_stuck = true;
            turn.events.push(Event::Stuck { unchanged });
        }
        stuck
    }

    /// Plans the next attempt as the schedule has it. Where the end comes near, it starts over.
    fn scheduled_pause(&mut self, turn: &mut Turn<'_>) -> Action {
        let job = self.job.as_deref();
        let nearly_done = self.settling.is_some() || job.is_some_and(steps_are_done);
        if nearly_done && !self.nearly_done {
            self.counted_from = self.readings.saturating_sub(1);
        }
        self.nearly_done = nearly_done;
        let seen = Seen {
            age: self.age().unwrap_or(turn.elapsed),
            job_type: job.and_then(Job::job_type),
            nearly_done,
            ..self.seen(turn.elapsed, self.readings.saturating_sub(self.counted_from))
        };
        let pause = turn.schedule.pause(&seen);
        self.pause(turn, pause, Why::Scheduled)
    }

    /// Returns how old the job was when it was last read, by the service's own times.
    fn age(&self) -> Option<Duration> {
        let created = self.job.as_ref()?.metadata.as_ref()?.creation_timestamp.as_ref()?;
        self.date?.duration_since(created.instant()?).try_into().ok()
    }
}

pub(super) fn updated(job: &Job) -> Option<Timestamp> {
    job.metadata.as_ref()?.update_timestamp.as_ref()?.instant()
}

/// How many stale replies in a row are dropped.
const MOST_STALE: u32 = 3;
