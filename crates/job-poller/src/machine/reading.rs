//! Handles readings: emits the events, and detects whether the job has ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, Phase};
use job_transport::{JobDigest, JobSnapshot};

use super::{
    Machine,
    attempt_error::AttemptError,
    changes::{changes, own_change},
    deviations::new_deviations,
    error_kind::WaitErrorKind,
    event::{AttemptReason, Event},
    identity::check_uid,
    settling::Settling,
    state::State,
    step::{Action, StepContext},
    verdict::Verdict,
};
use crate::schedule::{CompletedSteps, JobObservation, PollState, step_ends};

impl Machine {
    pub(super) fn on_reading(
        &mut self,
        context: &mut StepContext<'_>,
        snapshot: JobSnapshot,
        date: Option<Timestamp>,
        credentials_refreshed: bool,
    ) -> Action {
        if let Err(error) = check_uid(snapshot.job(), &self.id) {
            return self.on_attempt_error(context, AttemptError { credentials_refreshed, ..error });
        }
        if self.snapshot.as_ref() == Some(&snapshot) {
            return self.on_unchanged(context, date, credentials_refreshed);
        }
        self.count_reading(context, credentials_refreshed);
        match self.snapshot.take() {
            Some(before) if self.is_stale(before.digest(), snapshot.digest()) => {
                self.stale_in_a_row = self.stale_in_a_row.saturating_add(1);
                context.events.push(Event::StaleReply { in_a_row: self.stale_in_a_row });
                let before = before.without_job();
                self.snapshot = Some(before.clone());
                self.plan_scheduled_attempt(context, &before, date)
            }
            before => {
                self.emit_changes(context, before.as_ref(), &snapshot);
                self.on_accepted(context, snapshot, date)
            }
        }
    }

    /// Handles a reply that equals the last accepted one: a reading without changes.
    pub(super) fn on_unchanged(
        &mut self,
        context: &mut StepContext<'_>,
        date: Option<Timestamp>,
        credentials_refreshed: bool,
    ) -> Action {
        let Some(snapshot) = self.snapshot.take() else {
            let error = AttemptError::unexpected_unchanged();
            return self.on_attempt_error(context, AttemptError { credentials_refreshed, ..error });
        };
        self.count_reading(context, credentials_refreshed);
        // The reply has no more than the part of the job that was kept.
        self.reduced_from = None;
        self.on_accepted(context, snapshot, date)
    }

    fn count_reading(&mut self, context: &mut StepContext<'_>, credentials_refreshed: bool) {
        if credentials_refreshed {
            context.events.push(Event::CredentialsRefreshed);
        }
        self.recent_errors = None;
        self.readings = self.readings.saturating_add(1);
    }

    /// Decides from the digest of an accepted reading how the wait continues.
    fn on_accepted(
        &mut self,
        context: &mut StepContext<'_>,
        snapshot: JobSnapshot,
        date: Option<Timestamp>,
    ) -> Action {
        self.stale_in_a_row = 0;
        match Verdict::from_digest(snapshot.digest(), &self.policy) {
            Verdict::Succeeded => return self.conclude(context, snapshot, date, true),
            Verdict::Failed => return self.conclude(context, snapshot, date, false),
            Verdict::Settling => {
                let before = self.state.settling().copied();
                let mut settling = before.unwrap_or_else(|| Settling {
                    since: context.elapsed,
                    age: job_age(&snapshot, date, context.elapsed),
                    readings: 0,
                    date,
                });
                settling.readings = settling.readings.saturating_add(1);
                settling.date = date;
                self.state = State::Settling(settling.into());
                if before.is_none()
                    && self.settling_time_left(context.elapsed) > Some(Duration::ZERO)
                {
                    context.events.push(Event::Settling);
                }
            }
            Verdict::Active => {
                self.state = State::Polling;
                let age = job_age(&snapshot, date, context.elapsed);
                self.observed_until = self.observed_until.max(age.into());
                self.observed_from.get_or_insert(self.observed_until);
                if self.check_stalled(context) && self.policy.stop_when_stalled {
                    self.snapshot = Some(snapshot.without_job());
                    return self.stop(context, WaitErrorKind::Stalled);
                }
            }
        }
        // A settling wait keeps the decoded job, because a later step finishes with it, and a step
        // should not decode.
        let is_settling = self.state.settling().is_some();
        let snapshot = if is_settling { snapshot } else { snapshot.without_job() };
        self.snapshot = Some(snapshot.clone());
        self.plan_scheduled_attempt(context, &snapshot, date)
    }

    /// Finishes the wait for a job that is `Success`, even if sub-jobs are still active.
    pub(super) fn settle(&mut self, context: &mut StepContext<'_>) -> Action {
        let snapshot = self.snapshot.take().unwrap_or_else(|| Job::default().into());
        let failed = Verdict::for_success(snapshot.digest(), &self.policy) == Verdict::Failed;
        let date = self.state.settling().and_then(|settling| settling.date);
        self.conclude(context, snapshot, date, !failed)
    }

    /// Returns how much longer a job that is `Success` is read again, or `None` if the wait is not
    /// settling.
    pub(super) fn settling_time_left(&self, elapsed: Duration) -> Option<Duration> {
        Some(self.state.settling()?.time_left(self.policy.settle, elapsed))
    }

    /// Returns whether a reading of an active job is older than the last one, because it comes from
    /// a replica that lags behind.
    ///
    /// Only [`MAX_STALE_REPLIES`] in a row are dropped: if there are more, the service's clock was
    /// set back. A reading with a terminal phase is never dropped.
    fn is_stale(&self, before: &JobDigest, now: &JobDigest) -> bool {
        let ended = now.phase().is_some_and(Phase::is_terminal);
        let went_back = now.updated_at().is_some_and(|now| before.updated_at() > Some(now));
        went_back && !ended && self.stale_in_a_row < MAX_STALE_REPLIES
    }

    /// Emits an event for each change since the last accepted reading, and one for new deviations.
    fn emit_changes(
        &mut self,
        context: &mut StepContext<'_>,
        before: Option<&JobSnapshot>,
        now: &JobSnapshot,
    ) {
        // Most replies change no phase. The last job is decoded again only if a phase has changed.
        let reduced_from = self.reduced_from.take();
        let has_same_tree = match &reduced_from {
            Some(hashes) => hashes.has_tree_of(now),
            None => before.is_some_and(|before| before.digest().has_same_tree(now.digest())),
        };
        let job_before = || before.map(JobSnapshot::job);
        let changes = if has_same_tree {
            Vec::new()
        } else if now.is_truncated() || before.is_some_and(JobSnapshot::is_truncated) {
            // A summary has no sub-jobs to compare.
            own_change(job_before(), now.job()).into_iter().collect()
        } else {
            changes(job_before(), now.job())
        };
        let updated_before = before.and_then(|before| before.digest().updated_at());
        if !changes.is_empty() || updated_before != now.digest().updated_at() {
            self.changed_at = context.elapsed.into();
            self.stall_reported = false;
        }
        context.events.extend(changes);
        let known = before.map(JobSnapshot::deviations).unwrap_or_default();
        let new = match &reduced_from {
            Some(hashes) if hashes.has_deviations_of(now) => Vec::new(),
            _ => new_deviations(known, now.deviations()),
        };
        if !new.is_empty() {
            context.events.push(Event::Deviations(new));
        }
    }

    /// Returns whether the job is stalled. Emits an event the first time.
    pub(super) fn check_stalled(&mut self, context: &mut StepContext<'_>) -> bool {
        let unchanged = context.elapsed.saturating_sub(self.changed_at.get());
        let is_stalled = unchanged >= self.policy.stalled_after;
        if is_stalled && !self.stall_reported {
            self.stall_reported = true;
            context.events.push(Event::Stalled { unchanged_for: unchanged });
        }
        is_stalled
    }

    /// Plans the next attempt with the schedule. The schedule's count starts again when the job is
    /// nearly done.
    fn plan_scheduled_attempt(
        &mut self,
        context: &mut StepContext<'_>,
        snapshot: &JobSnapshot,
        date: Option<Timestamp>,
    ) -> Action {
        let digest = snapshot.digest();
        let nearly_done = self.state.settling().is_some() || digest.all_sub_jobs_succeeded();
        if nearly_done && !self.nearly_done {
            self.near_end_base = self.readings.saturating_sub(1);
        }
        self.nearly_done = nearly_done;
        let age = job_age(snapshot, date, context.elapsed);
        let PollState { elapsed, count, random, .. } =
            self.poll_state(context.elapsed, self.readings.saturating_sub(self.near_end_base));
        let state = CompletedSteps::from_digest(digest, age).poll_state(digest.job_type(), age);
        let state =
            PollState { elapsed, count, random, nearly_done, share: context.share, ..state };
        let plan = context.schedule.plan(&state);
        context.plan = Some(plan);
        self.plan_next_attempt(context, plan.delay, AttemptReason::Scheduled)
    }

    /// Returns what the wait observed of the job, given its last reading. Returns `None` if the job
    /// had ended at the first reading.
    pub(super) fn final_observation(
        &self,
        snapshot: &JobSnapshot,
        date: Option<Timestamp>,
        elapsed: Duration,
    ) -> Option<JobObservation> {
        let digest = snapshot.digest();
        let observed_until = self.observed_until.get();
        if !digest.phase().is_some_and(Phase::is_terminal) {
            return self.observation_until(digest, observed_until, false);
        }
        // The job ended between the last reading that showed it active and this reading.
        let settling = self.state.settling().map(|settling| settling.age);
        let now = settling.unwrap_or_else(|| job_age(snapshot, date, elapsed)).max(observed_until);
        // Without a `Date`, the age is the time since the wait began, so it cannot be compared with
        // the service's times.
        let until = match snapshot.job().duration().filter(|_| date.is_some()) {
            Some(time) => time.clamp(observed_until, now),
            None => observed_until + (now - observed_until) / 2,
        };
        self.observation_until(digest, until, true)
    }

    pub(super) fn observation_until(
        &self,
        digest: &JobDigest,
        until: Duration,
        completed: bool,
    ) -> Option<JobObservation> {
        let job_type = digest.job_type().unwrap_or_default().into();
        Some(JobObservation {
            job_type,
            from: self.observed_from?.get(),
            until,
            completed,
            step_ends: step_ends(digest, until),
        })
    }
}

/// Returns the job's age when it was read, by the service's clock. If a time is missing or the age
/// would be negative, returns the time since the wait began.
fn job_age(snapshot: &JobSnapshot, date: Option<Timestamp>, elapsed: Duration) -> Duration {
    let created_at = snapshot.digest().created_at();
    let age = date.zip(created_at).map(|(date, created)| date.duration_since(created));
    age.and_then(|age| age.try_into().ok()).unwrap_or(elapsed)
}

/// How many stale replies in a row are dropped.
const MAX_STALE_REPLIES: u32 = 3;
