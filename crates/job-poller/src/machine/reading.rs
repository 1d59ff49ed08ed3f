//! What a reading means for the wait: what to tell of it, and whether the job has ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, Phase};
use serde::{Deserialize, Serialize};

use super::{
    Action, Machine, Turn,
    attempt_error::Fault,
    changes::changes,
    error::WaitErrorKind,
    event::{Event, Why},
    kept::{Kept, ReadJob},
    verdict::{Verdict, steps_are_done},
};
use crate::schedule::{Lifetime, Seen, Steps, created, step_ends, updated};

/// Since when a job is `Success` whose sub-jobs have not all ended, and how often it was read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settling {
    since: Duration,
    /// How old the job was then.
    age: Duration,
    readings: u32,
    /// The `Date` of the last reply with it.
    date: Option<Timestamp>,
}

impl Machine {
    pub(super) fn reading(
        &mut self,
        turn: &mut Turn<'_>,
        read: ReadJob,
        date: Option<Timestamp>,
        renewed: bool,
    ) -> Action {
        let job = &*read.job;
        if let Some(uid) = job.uid().filter(|uid| !uid.is_empty() && *uid != self.id.as_str()) {
            return self.fault_seen(turn, Fault { renewed, ..Fault::mismatch(uid) });
        }
        if renewed {
            turn.events.push(Event::Renewed);
        }
        (self.faults, self.fault) = (None, None);
        self.readings = self.readings.saturating_add(1);
        let is_news = !self.job.as_ref().is_some_and(|kept| kept.is(&read));
        // The usual case is that nothing changed.
        let before = self.job.as_ref().filter(|_| is_news).and_then(Kept::job);
        if self.is_stale(before.as_deref(), job) {
            self.stale_in_a_row = self.stale_in_a_row.saturating_add(1);
            turn.events.push(Event::Stale { in_a_row: self.stale_in_a_row });
            return self.scheduled_pause(turn, before.as_deref().unwrap_or(job), date);
        }
        self.stale_in_a_row = 0;
        let verdict = Verdict::of(job, &self.policy);
        if is_news {
            self.tell_changes(turn, before.as_deref(), job);
            self.job = Some(Kept::of(&read));
        }
        match verdict {
            Verdict::Succeeded => self.conclude(turn, read.job, date, true),
            Verdict::Failed => self.conclude(turn, read.job, date, false),
            Verdict::Settling => {
                let first = self.settling.is_none();
                let (since, age) = (turn.elapsed, age(job, date, turn.elapsed));
                let none = || Box::new(Settling { since, age, readings: 0, date });
                let settling = self.settling.get_or_insert_with(none);
                settling.readings = settling.readings.saturating_add(1);
                settling.date = date;
                if first && self.settling_left(turn.elapsed) > Some(Duration::ZERO) {
                    turn.events.push(Event::Settling);
                }
                self.scheduled_pause(turn, job, date)
            }
            Verdict::Live => {
                self.settling = None;
                self.seen_to = age(job, date, turn.elapsed).max(self.seen_to);
                self.seen_from.get_or_insert(self.seen_to);
                if self.is_stuck(turn) && self.policy.stop_when_stuck {
                    return self.stop(turn, WaitErrorKind::Stuck);
                }
                self.scheduled_pause(turn, job, date)
            }
        }
    }

    /// Ends a wait for a job that is `Success`, whatever of it is still under way.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) -> Action {
        let job = self.job.as_ref().and_then(Kept::job).unwrap_or_default();
        let failed = Verdict::of_success(&job, &self.policy) == Verdict::Failed;
        let date = self.settling.as_deref().and_then(|settling| settling.date);
        self.conclude(turn, job, date, !failed)
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
    fn is_stale(&self, before: Option<&Job>, job: &Job) -> bool {
        let ended = job.phase().is_some_and(Phase::is_terminal);
        let before = before.and_then(updated);
        let went_back = updated(job).is_some_and(|now| before > Some(now));
        went_back && !ended && self.stale_in_a_row < MOST_STALE
    }

    fn tell_changes(&mut self, turn: &mut Turn<'_>, before: Option<&Job>, job: &Job) {
        let changes = changes(before, job);
        if !changes.is_empty() || before.and_then(updated) != updated(job) {
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
    fn scheduled_pause(
        &mut self,
        turn: &mut Turn<'_>,
        job: &Job,
        date: Option<Timestamp>,
    ) -> Action {
        let nearly_done = self.settling.is_some() || steps_are_done(job);
        if nearly_done && !self.nearly_done {
            self.counted_from = self.readings.saturating_sub(1);
        }
        self.nearly_done = nearly_done;
        let age = age(job, date, turn.elapsed);
        let Seen { elapsed, count, random, .. } =
            self.seen(turn.elapsed, self.readings.saturating_sub(self.counted_from));
        let seen = Steps::of(job, age).seen(job, age);
        let seen = Seen { elapsed, count, random, nearly_done, ..seen };
        let pause = turn.schedule.pause(&seen);
        self.pause(turn, pause, Why::Scheduled)
    }

    /// Returns what was seen of the life of a job that has ended, by its last reading; `None` where it had
    /// at the first.
    pub(super) fn whole_life(
        &self,
        job: &Job,
        date: Option<Timestamp>,
        elapsed: Duration,
    ) -> Option<Lifetime> {
        if !job.phase().is_some_and(Phase::is_terminal) {
            return self.life(job, self.seen_to, false);
        }
        // It was seen to go on before, and to have ended now.
        let settling = self.settling.as_deref().map(|settling| settling.age);
        let now = settling.unwrap_or_else(|| age(job, date, elapsed)).max(self.seen_to);
        // Without a `Date` the age is not by the service's times.
        let to = match job.running_time().filter(|_| date.is_some()) {
            Some(time) => time.clamp(self.seen_to, now),
            None => self.seen_to + (now - self.seen_to) / 2,
        };
        self.life(job, to, true)
    }

    pub(super) fn life(&self, job: &Job, to: Duration, ended: bool) -> Option<Lifetime> {
        let job_type = job.job_type().unwrap_or_default().into();
        let steps = step_ends(job, to);
        Some(Lifetime { job_type, from: self.seen_from?, to, ended, steps })
    }
}

/// Returns how old a job was when it was read, by the service's own times; where those are missing, how old
/// the wait is.
fn age(job: &Job, date: Option<Timestamp>, elapsed: Duration) -> Duration {
    let age = date.zip(created(job)).map(|(date, created)| date.duration_since(created));
    age.and_then(|age| age.try_into().ok()).unwrap_or(elapsed)
}

/// How many stale replies in a row are dropped.
const MOST_STALE: u32 = 3;
