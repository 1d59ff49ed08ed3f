//! The end of a wait whose job has ended: first the lookup of its sub-jobs, then the result. Nothing here changes
//! how the job ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::Job;
use job_transport::ErrorClass;

use super::{
    Machine,
    event::{AttemptReason, Event},
    outcome::{Failed, FinishedJob, Outcome},
    step::{Action, Input, MIN_PAUSE, StepContext},
    sub_job_lookup::Lookup,
    verdict::active_sub_jobs,
};
use crate::schedule::update_time;

impl Machine {
    /// Ends the wait for the job as it was last read; before that, looks at what is not in its
    /// reply.
    pub(super) fn conclude(
        &mut self,
        context: &mut StepContext<'_>,
        job: Box<Job>,
        date: Option<Timestamp>,
        succeeded: bool,
    ) -> Action {
        self.job = None;
        let delay = date.zip(update_time(&job)).map(|(read, ended)| read.duration_since(ended));
        // `Date` has whole seconds: up to one may seem missing.
        let delay = delay.filter(|delay| delay.as_secs() >= 0);
        let until = context.elapsed.saturating_add(LOOKUP_TIMEOUT);
        let looking = Lookup {
            succeeded,
            deadline: if self.deadline_waived { until } else { until.min(self.policy.deadline()) },
            looked_up: Vec::new(),
            in_flight: None,
            requests: 0,
            retry_at: Duration::ZERO,
            errors_in_a_row: 0,
            detection_delay: delay.map(|delay| delay.try_into().unwrap_or_default()),
            observation: self.final_observation(&job, date, context.elapsed),
            job,
        };
        self.settling = None;
        // After a fault there is no asking for more: it may be what ends the wait.
        if self.last_error.is_some() {
            self.finish(context, looking)
        } else {
            self.start_next_lookup(context, looking.into())
        }
    }

    /// Takes what came of the last lookup.
    pub(super) fn on_lookup(&mut self, context: &mut StepContext<'_>, input: Input) -> Action {
        let Some(mut looking) = self.lookup.take() else { return self.on_wake(context) };
        match input {
            // Taken up again elsewhere: what was under way is asked for again.
            Input::Wake if looking.in_flight.take().is_some() => {
                looking.requests = looking.requests.saturating_sub(1);
            }
            Input::Wake if context.elapsed < looking.retry_at => {
                let at = looking.retry_at;
                self.lookup = Some(looking);
                return Action::SleepUntil(at);
            }
            Input::Wake => {}
            Input::Reading { job, credentials_refreshed: renewed, .. } => {
                if renewed {
                    context.events.push(Event::CredentialsRefreshed);
                }
                looking.errors_in_a_row = 0;
                // A replica that is behind says what is no longer so.
                if !looking.replace_sub_job(*job.job) {
                    return self.retry_lookup(
                        context,
                        looking,
                        MIN_PAUSE,
                        AttemptReason::Scheduled,
                    );
                }
                looking.looked_up.extend(looking.in_flight.take());
            }
            Input::Error(fault) => {
                if fault.credentials_refreshed {
                    context.events.push(Event::CredentialsRefreshed);
                }
                looking.errors_in_a_row = looking.errors_in_a_row.saturating_add(1);
                let (class, asked) = (fault.class, fault.retry_after.unwrap_or_default());
                let in_a_row = looking.errors_in_a_row;
                context.events.push(Event::AttemptFailed { error: fault, in_a_row });
                match class {
                    ErrorClass::Transient | ErrorClass::Throttled => {
                        let pause = asked.max(MIN_PAUSE);
                        return self.retry_lookup(context, looking, pause, AttemptReason::Backoff);
                    }
                    // It would be no other for another sub-job.
                    ErrorClass::Unauthorized => return self.finish(context, *looking),
                    ErrorClass::NotFound | ErrorClass::Permanent => {
                        looking.looked_up.extend(looking.in_flight.take());
                    }
                }
            }
            Input::Stop => return self.finish(context, *looking),
        }
        self.start_next_lookup(context, looking)
    }

    /// Asks once more for what a passing fault, or a replica, kept back, after a pause; where nothing more is to be
    /// asked by then, ends at once.
    fn retry_lookup(
        &mut self,
        context: &mut StepContext<'_>,
        mut looking: Box<Lookup>,
        pause: Duration,
        reason: AttemptReason,
    ) -> Action {
        looking.in_flight = None;
        let at = context.elapsed.saturating_add(pause);
        if at >= looking.deadline || looking.requests >= self.max_lookups(&looking) {
            return self.finish(context, *looking);
        }
        looking.retry_at = at;
        self.lookup = Some(looking);
        context.events.push(Event::NextAttempt { at, reason });
        Action::SleepUntil(at)
    }

    fn start_next_lookup(
        &mut self,
        context: &mut StepContext<'_>,
        mut looking: Box<Lookup>,
    ) -> Action {
        let left = looking.deadline.saturating_sub(context.elapsed);
        let max_lookups = self.max_lookups(&looking);
        let next =
            looking.next_sub_job().filter(|_| looking.requests < max_lookups && !left.is_zero());
        let Some(id) = next else { return self.finish(context, *looking) };
        looking.requests += 1;
        // One that is not answered leaves time for another.
        let share = if looking.requests < max_lookups { left / 2 } else { left };
        self.sub_job_lookups = self.sub_job_lookups.saturating_add(1);
        context.events.push(Event::SubJobLookup { id: id.clone() });
        looking.in_flight = Some(id.clone());
        self.lookup = Some(looking);
        Action::Fetch { id, timeout: self.policy.attempt_timeout.min(share) }
    }

    fn max_lookups(&self, looking: &Lookup) -> u32 {
        if looking.succeeded {
            self.policy.max_tree_lookups
        } else {
            self.policy.max_failure_lookups
        }
    }

    fn finish(&self, context: &StepContext<'_>, looking: Lookup) -> Action {
        let Lookup { succeeded, detection_delay, observation: lifetime, job, .. } = looking;
        let outcome = if succeeded {
            Outcome::Succeeded
        } else {
            let failure = job.failure().unwrap_or_default();
            let live = active_sub_jobs(&job).map(|node| node.path).collect();
            Outcome::Failed(Box::new(Failed { failure, active_sub_jobs: live }))
        };
        Action::Finish(Box::new(Ok(FinishedJob {
            outcome,
            inconsistencies: job.inconsistencies(),
            job,
            attempts: self.attempts,
            sub_job_lookups: self.sub_job_lookups,
            elapsed: context.elapsed,
            detection_delay,
            observation: lifetime,
        })))
    }
}

/// How long sub-jobs are looked up: an outcome that is known should not wait for its details.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
