//! What a reading means for the wait: the events that follow, and whether the job has ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, Phase};

use super::{
    Machine,
    attempt_error::AttemptError,
    changes::changes,
    error_kind::WaitErrorKind,
    event::{AttemptReason, Event},
    kept::{JobSnapshot, StoredText},
    settling::Settling,
    step::{Action, StepContext},
    verdict::{Verdict, all_sub_jobs_succeeded},
};
use crate::schedule::{
    CompletedSteps, JobObservation, PollState, creation_time, step_ends, update_time,
};

impl Machine {
    pub(super) fn on_reading(
        &mut self,
        context: &mut StepContext<'_>,
        snapshot: JobSnapshot,
        date: Option<Timestamp>,
        credentials_refreshed: bool,
    ) -> Action {
        let job = &*snapshot.job;
        if let Some(uid) = job.uid().filter(|uid| !uid.is_empty() && *uid != self.id.as_str()) {
            return self.on_attempt_error(
                context,
                AttemptError { credentials_refreshed, ..AttemptError::wrong_job(uid) },
            );
        }
        if credentials_refreshed {
            context.events.push(Event::CredentialsRefreshed);
        }
        (self.error_run, self.last_error) = (None, None);
        self.readings = self.readings.saturating_add(1);
        let is_changed = !self.job.as_ref().is_some_and(|stored| stored.same_bytes(&snapshot));
        // The usual case is that nothing changed.
        let before = self.job.as_ref().filter(|_| is_changed).and_then(StoredText::job);
        if self.is_stale(before.as_deref(), job) {
            self.stale_in_a_row = self.stale_in_a_row.saturating_add(1);
            context.events.push(Event::StaleReply { in_a_row: self.stale_in_a_row });
            return self.plan_scheduled_attempt(context, before.as_deref().unwrap_or(job), date);
        }
        self.stale_in_a_row = 0;
        let verdict = Verdict::from_job(job, &self.policy);
        if is_changed {
            self.emit_changes(context, before.as_deref(), job);
            self.job = Some(StoredText::from_snapshot(&snapshot));
        }
        match verdict {
            Verdict::Succeeded => self.conclude(context, snapshot.job, date, true),
            Verdict::Failed => self.conclude(context, snapshot.job, date, false),
            Verdict::Settling => {
                let is_first = self.settling.is_none();
                let (since, age) = (context.elapsed, job_age(job, date, context.elapsed));
                let none = || Box::new(Settling { since, age, readings: 0, date });
                let settling = self.settling.get_or_insert_with(none);
                settling.readings = settling.readings.saturating_add(1);
                settling.date = date;
                if is_first && self.settling_time_left(context.elapsed) > Some(Duration::ZERO) {
                    context.events.push(Event::Settling);
                }
                self.plan_scheduled_attempt(context, job, date)
            }
            Verdict::Active => {
                self.settling = None;
                self.observed_until = job_age(job, date, context.elapsed).max(self.observed_until);
                self.observed_from.get_or_insert(self.observed_until);
                if self.check_stalled(context) && self.policy.stop_when_stalled {
                    return self.stop(context, WaitErrorKind::Stalled);
                }
                self.plan_scheduled_attempt(context, job, date)
            }
        }
    }

    /// Ends a wait for a job that is `Success`, whatever of it is still under way.
    pub(super) fn settle(&mut self, context: &mut StepContext<'_>) -> Action {
        let job = self.job.as_ref().and_then(StoredText::job).unwrap_or_default();
        let failed = Verdict::for_success(&job, &self.policy) == Verdict::Failed;
        let date = self.settling.as_deref().and_then(|settling| settling.date);
        self.conclude(context, job, date, !failed)
    }

    /// Returns how much longer a job that is `Success` is read again; `None` if it is not `Success`.
    pub(super) fn settling_time_left(&self, elapsed: Duration) -> Option<Duration> {
        Some(self.settling.as_deref()?.time_left(self.policy.settle, elapsed))
    }

    /// Whether a job that goes on is as it was earlier: a replica lags behind. Not for ever, for then
    /// it is the service's time that was set back; and never where it says that the job has ended.
    fn is_stale(&self, before: Option<&Job>, job: &Job) -> bool {
        let ended = job.phase().is_some_and(Phase::is_terminal);
        let before = before.and_then(update_time);
        let went_back = update_time(job).is_some_and(|now| before > Some(now));
        went_back && !ended && self.stale_in_a_row < MAX_STALE_REPLIES
    }

    fn emit_changes(&mut self, context: &mut StepContext<'_>, before: Option<&Job>, job: &Job) {
        let changes = changes(before, job);
        if !changes.is_empty() || before.and_then(update_time) != update_time(job) {
            self.changed_at = context.elapsed;
            self.stall_reported = false;
        }
        context.events.extend(changes);
    }

    /// Returns whether nothing has changed for long; emits an event the first time.
    fn check_stalled(&mut self, context: &mut StepContext<'_>) -> bool {
        let unchanged = context.elapsed.saturating_sub(self.changed_at);
        let is_stalled = unchanged >= self.policy.stalled_after;
        if is_stalled && !self.stall_reported {
            self.stall_reported = true;
            context.events.push(Event::Stalled { unchanged_for: unchanged });
        }
        is_stalled
    }

    /// Plans the next attempt as the schedule has it. Where the end comes near, it starts over.
    fn plan_scheduled_attempt(
        &mut self,
        context: &mut StepContext<'_>,
        job: &Job,
        date: Option<Timestamp>,
    ) -> Action {
        let nearly_done = self.settling.is_some() || all_sub_jobs_succeeded(job);
        if nearly_done && !self.nearly_done {
            self.near_end_base = self.readings.saturating_sub(1);
        }
        self.nearly_done = nearly_done;
        let age = job_age(job, date, context.elapsed);
        let PollState { elapsed, count, random, .. } =
            self.poll_state(context.elapsed, self.readings.saturating_sub(self.near_end_base));
        let state = CompletedSteps::from_job(job, age).poll_state(job, age);
        let state = PollState { elapsed, count, random, nearly_done, ..state };
        let pause = context.schedule.pause(&state);
        self.plan_next_attempt(context, pause, AttemptReason::Scheduled)
    }

    /// Returns what was observed of a job that has ended, by its last reading; `None` if it had ended at the first
    /// reading.
    pub(super) fn final_observation(
        &self,
        job: &Job,
        date: Option<Timestamp>,
        elapsed: Duration,
    ) -> Option<JobObservation> {
        if !job.phase().is_some_and(Phase::is_terminal) {
            return self.observation_until(job, self.observed_until, false);
        }
        // It was seen to go on before, and to have ended now.
        let settling = self.settling.as_deref().map(|settling| settling.age);
        let now = settling.unwrap_or_else(|| job_age(job, date, elapsed)).max(self.observed_until);
        // Without a `Date` the age is not by the service's times.
        let until = match job.duration().filter(|_| date.is_some()) {
            Some(time) => time.clamp(self.observed_until, now),
            None => self.observed_until + (now - self.observed_until) / 2,
        };
        self.observation_until(job, until, true)
    }

    pub(super) fn observation_until(
        &self,
        job: &Job,
        until: Duration,
        completed: bool,
    ) -> Option<JobObservation> {
        let job_type = job.job_type().unwrap_or_default().into();
        Some(JobObservation {
            job_type,
            from: self.observed_from?,
            until,
            completed,
            step_ends: step_ends(job, until),
        })
    }
}

/// Returns how old a job was when it was read, by the service's own times; where those are missing, how old
/// the wait is.
fn job_age(job: &Job, date: Option<Timestamp>, elapsed: Duration) -> Duration {
    let age = date.zip(creation_time(job)).map(|(date, created)| date.duration_since(created));
    age.and_then(|age| age.try_into().ok()).unwrap_or(elapsed)
}

/// How many stale replies in a row are dropped.
const MAX_STALE_REPLIES: u32 = 3;
