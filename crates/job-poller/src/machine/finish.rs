//! Finishes a wait whose job has ended: looks up missing sub-jobs, then returns the result. Does
//! not change whether the job succeeded.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use job_transport::{ErrorClass, JobSnapshot};

use super::{
    Machine,
    attempt_error::AttemptError,
    error_kind::WaitErrorKind,
    error_limits::{MAX_RETRY_AFTER, RecentErrors},
    event::{AttemptReason, Event},
    outcome::{FinishedJob, Outcome},
    state::State,
    step::{Action, Input, MIN_PAUSE, StepContext},
    sub_job_lookup::{Lookup, MAX_REFUSALS},
    until::Until,
    verdict::active_sub_jobs,
};
use crate::schedule::Schedule;

impl Machine {
    /// Finishes the wait with the job as last read, after looking up the sub-jobs that are missing
    /// from the reply.
    pub(super) fn conclude(
        &mut self,
        context: &mut StepContext<'_>,
        snapshot: JobSnapshot,
        date: Option<Timestamp>,
        succeeded: bool,
    ) -> Action {
        let ended = snapshot.digest().updated_at();
        let delay = date.zip(ended).map(|(read, ended)| read.duration_since(ended));
        // `Date` has whole seconds, so the delay may be negative by less than a second.
        let delay = delay.filter(|delay| delay.as_secs() >= 0);
        // If the job ended before the wait began, the delay counts from the start of the wait.
        let delay = delay.map(|delay| Duration::try_from(delay).unwrap_or_default());
        let delay = delay.map(|delay| delay.min(context.elapsed));
        let until = context.elapsed.saturating_add(LOOKUP_TIMEOUT);
        let observation = self.final_observation(&snapshot, date, context.elapsed);
        let is_truncated = snapshot.is_truncated();
        let (job, snapshot) = snapshot.into_parts();
        self.snapshot = Some(snapshot);
        let is_for_objects = succeeded && self.policy.until != Until::Ended;
        let lookup = Lookup {
            succeeded,
            is_for_objects,
            deadline: if self.deadline_waived { until } else { until.min(self.policy.deadline()) },
            looked_up: Vec::new(),
            in_flight: None,
            requests: 0,
            retry_at: Duration::ZERO,
            errors_in_a_row: 0,
            detection_delay: delay,
            observation,
            is_truncated,
            job: job.into(),
        };
        self.state = State::Polling;
        // No lookup after an error, because the error may be what ends the wait, except if the wait
        // goes on. No lookup if memory is short either.
        if (self.recent_errors.is_some() && !is_for_objects) || is_truncated {
            self.finish(context, lookup)
        } else {
            self.start_next_lookup(context, lookup.into())
        }
    }

    /// Handles the result of the last lookup.
    pub(super) fn on_lookup(
        &mut self,
        context: &mut StepContext<'_>,
        mut lookup: Box<Lookup>,
        input: Input,
    ) -> Action {
        // The limits may have changed: another wait for this job may have joined, which goes on until
        // its objects are ready, or the wait was resumed with another goal.
        lookup.is_for_objects = lookup.succeeded && self.policy.until != Until::Ended;
        match input {
            // The wait was resumed: repeat the lookup that was in flight.
            Input::Wake if lookup.in_flight.take().is_some() => {
                lookup.requests = lookup.requests.saturating_sub(1);
                self.sub_job_lookups = self.sub_job_lookups.saturating_sub(1);
            }
            Input::Wake if context.elapsed < lookup.retry_at => {
                let at = lookup.retry_at;
                // The wait was not resumed too late for the planned lookup.
                self.late_attempt_allowed &= at >= self.policy.deadline();
                self.state = State::LookingUp(lookup);
                return Action::SleepUntil(at);
            }
            Input::Wake => {}
            Input::Reading { snapshot, credentials_refreshed, .. } => {
                if credentials_refreshed {
                    context.events.push(Event::CredentialsRefreshed);
                }
                // The reply is stale, because it comes from a replica that lags behind.
                if !lookup.replace_sub_job(*snapshot.into_job()) {
                    lookup.errors_in_a_row = lookup.errors_in_a_row.saturating_add(1);
                    if !lookup.is_for_objects || lookup.errors_in_a_row <= MAX_REFUSALS {
                        let reason = AttemptReason::Scheduled;
                        return self.retry_lookup(context, lookup, MIN_PAUSE, reason);
                    }
                }
                lookup.errors_in_a_row = 0;
                lookup.looked_up.extend(lookup.in_flight.take());
            }
            // A lookup has no last snapshot, so no reply can equal it.
            Input::Unchanged { credentials_refreshed, .. } => {
                let error = AttemptError::unexpected_unchanged();
                let error = AttemptError { credentials_refreshed, ..error };
                return self.on_lookup(context, lookup, Input::Error(error));
            }
            Input::Error(error) => {
                if error.credentials_refreshed {
                    context.events.push(Event::CredentialsRefreshed);
                }
                lookup.errors_in_a_row = lookup.errors_in_a_row.saturating_add(1);
                let (class, retry_after) = (error.class, error.retry_after.unwrap_or_default());
                let in_a_row = lookup.errors_in_a_row;
                if lookup.is_for_objects {
                    let last = error.clone();
                    self.recent_errors = Some(RecentErrors { last, consecutive: None }.into());
                }
                context.events.push(Event::AttemptFailed { error, in_a_row });
                match class {
                    ErrorClass::Transient | ErrorClass::Throttled => {
                        let backoff = if lookup.is_for_objects {
                            let state = self.poll_state(context.elapsed, in_a_row);
                            self.policy.backoff.plan(&state).delay
                        } else {
                            MIN_PAUSE
                        };
                        let pause = retry_after.min(MAX_RETRY_AFTER).max(backoff);
                        return self.retry_lookup(context, lookup, pause, AttemptReason::Backoff);
                    }
                    // A lookup of another sub-job would get the same error.
                    ErrorClass::Unauthorized if lookup.is_for_objects => {
                        self.state = State::LookingUp(lookup);
                        return self.stop(context, WaitErrorKind::Unauthorized);
                    }
                    ErrorClass::Unauthorized => return self.finish(context, *lookup),
                    ErrorClass::NotFound | ErrorClass::Permanent
                        if lookup.is_for_objects && in_a_row < MAX_REFUSALS =>
                    {
                        let pause = CONFIRMATION_PAUSE.max(retry_after.min(MAX_RETRY_AFTER));
                        return self.retry_lookup(context, lookup, pause, AttemptReason::Backoff);
                    }
                    ErrorClass::NotFound | ErrorClass::Permanent => {
                        lookup.errors_in_a_row = 0;
                        lookup.looked_up.extend(lookup.in_flight.take());
                    }
                }
            }
            Input::Object { credentials_refreshed, .. } => {
                let error = AttemptError::unexpected_object();
                let error = AttemptError { credentials_refreshed, ..error };
                return self.on_lookup(context, lookup, Input::Error(error));
            }
            Input::Stop if lookup.is_for_objects => {
                self.state = State::LookingUp(lookup);
                return self.stop(context, WaitErrorKind::Stopped);
            }
            Input::Stop => return self.finish(context, *lookup),
        }
        self.start_next_lookup(context, lookup)
    }

    /// Plans another lookup after a transient error or a stale reply. Finishes the wait if no time
    /// or no request is left for it.
    fn retry_lookup(
        &mut self,
        context: &mut StepContext<'_>,
        mut lookup: Box<Lookup>,
        pause: Duration,
        reason: AttemptReason,
    ) -> Action {
        lookup.in_flight = None;
        let at = context.elapsed.saturating_add(pause);
        let is_needed = lookup.next_for_objects().is_some();
        let max_lookups = self.max_lookups(&lookup, is_needed);
        if at >= self.lookup_end(&lookup, is_needed) || lookup.requests >= max_lookups {
            return self.finish(context, *lookup);
        }
        lookup.retry_at = at;
        self.state = State::LookingUp(lookup);
        context.events.push(Event::NextAttempt { at, reason });
        Action::SleepUntil(at)
    }

    fn start_next_lookup(
        &mut self,
        context: &mut StepContext<'_>,
        mut lookup: Box<Lookup>,
    ) -> Action {
        let needed = lookup.next_for_objects();
        let is_needed = needed.is_some();
        let left = self.lookup_end(&lookup, is_needed).saturating_sub(context.elapsed);
        let max_lookups = self.max_lookups(&lookup, is_needed);
        let next =
            needed.or_else(|| lookup.next_sub_job().filter(|_| lookup.requests < max_lookups));
        let next = next.filter(|_| !left.is_zero());
        let Some(id) = next else { return self.finish(context, *lookup) };
        lookup.requests += 1;
        // Keep half of the time for another lookup, in case the service does not answer.
        let share = if lookup.requests < max_lookups { left / 2 } else { left };
        self.sub_job_lookups = self.sub_job_lookups.saturating_add(1);
        context.events.push(Event::SubJobLookup { id: id.clone() });
        lookup.in_flight = Some(id.clone());
        self.state = State::LookingUp(lookup);
        Action::Fetch { id, timeout: self.policy.attempt_timeout.min(share), last: None }
    }

    /// Returns when all lookups must have ended. `is_needed` is whether the wait cannot continue
    /// without the next one.
    fn lookup_end(&self, lookup: &Lookup, is_needed: bool) -> Duration {
        let latest = if is_needed { self.policy.deadline() } else { Duration::ZERO };
        lookup.deadline.max(latest)
    }

    fn max_lookups(&self, lookup: &Lookup, is_needed: bool) -> u32 {
        if is_needed {
            u32::MAX
        } else if lookup.succeeded {
            self.policy.max_tree_lookups
        } else {
            self.policy.max_failure_lookups
        }
    }

    /// Finishes the wait for a job that has ended, or begins to read its objects.
    fn finish(&mut self, context: &mut StepContext<'_>, lookup: Lookup) -> Action {
        if lookup.is_for_objects {
            return self.read_objects_of_job(context, lookup);
        }
        let truncated = self.snapshot.as_ref().filter(|_| lookup.is_truncated);
        let outcome = if lookup.succeeded {
            Outcome::Succeeded
        } else {
            let failure = truncated.map_or_else(|| lookup.job.failure(), JobSnapshot::failure);
            Outcome::Failed(Box::new(failure.unwrap_or_default()))
        };
        Action::Finish(Box::new(Ok(self.finished_job(context.elapsed, lookup, outcome))))
    }

    /// Creates the result of the wait for a job that has ended.
    pub(super) fn finished_job(
        &mut self,
        elapsed: Duration,
        lookup: Lookup,
        outcome: Outcome,
    ) -> FinishedJob {
        let Lookup { detection_delay, observation, is_truncated, job, .. } = lookup;
        // The result contains the observation. A resumed wait must not report it again.
        self.observed_from = None;
        let truncated = self.snapshot.as_ref().filter(|_| is_truncated);
        FinishedJob {
            job_id: self.id.clone(),
            outcome,
            active_sub_jobs: active_sub_jobs(&job).map(|node| node.path).collect(),
            inconsistencies: truncated
                .map_or_else(|| job.inconsistencies(), JobSnapshot::inconsistencies),
            is_truncated,
            deviations: self.deviations().into(),
            snapshot: self.snapshot.clone().unwrap_or_else(|| JobSnapshot::from((*job).clone())),
            job: Box::new(Arc::unwrap_or_clone(job)),
            attempts: self.attempts,
            sub_job_lookups: self.sub_job_lookups,
            elapsed,
            detection_delay,
            observation,
            until: Until::Ended,
            objects: Vec::new(),
            object_readings: self.object_readings,
            object_observation: None,
            is_job_gone: false,
        }
    }
}

/// The pause before a sub-job that the wait needs is read again after a 404 or a permanent error.
const CONFIRMATION_PAUSE: Duration = Duration::from_secs(5);

/// The maximum time for looking up sub-jobs. It is short because the outcome is already known.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
