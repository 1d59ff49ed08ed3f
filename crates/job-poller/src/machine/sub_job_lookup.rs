//! The end of a wait whose job has ended, and the lookup of sub-jobs that the reply does not show in
//! full: the service often lists one level, and each sub-job is a job of its own. Nothing here
//! changes how the job ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, JobId, Limits, Phase};
use job_transport::ErrorClass;
use serde::{Deserialize, Serialize};

use super::{
    Action, Input, MIN_PAUSE, Machine, StepContext,
    event::{AttemptReason, Event},
    job_text,
    outcome::{Failed, FinishedJob, Outcome},
    verdict::active_sub_jobs,
};
use crate::schedule::{JobObservation, update_time};

/// A job that has ended, while sub-jobs of it are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lookup {
    succeeded: bool,
    /// No attempt goes on after this.
    pub(super) deadline: Duration,
    /// Which sub-jobs were asked for and are not to be again, the one asked for now, and how many
    /// requests that took.
    looked_up: Vec<JobId>,
    in_flight: Option<JobId>,
    requests: u32,
    /// When the next may be asked for, after a fault.
    retry_at: Duration,
    errors_in_a_row: u32,
    detection_delay: Option<Duration>,
    observation: Option<JobObservation>,
    #[serde(with = "job_text")]
    job: Box<Job>,
}

impl Lookup {
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Returns the sub-job to ask for next: of a job that succeeded the next one that may have
    /// more; of one that failed the one that may tell which step failed.
    fn next_sub_job(&self) -> Option<JobId> {
        let shallow = |job: &Job| job.sub_jobs().is_empty();
        let not_asked = |job: &Job| {
            let id: JobId = job.uid()?.parse().ok()?;
            (!self.looked_up.contains(&id)).then_some(id)
        };
        let mut sub_jobs = self.job.walk().skip(1).map(|node| node.job).filter(|job| shallow(job));
        if self.succeeded {
            return sub_jobs.find_map(not_asked);
        }
        let deepest = self.job.failure().filter(|failure| failure.path.depth() > 0);
        match deepest.and_then(|failure| self.job.sub_job_at(&failure.path)) {
            // The failed step is there, and says why.
            Some(step) if step.reason().is_some() => None,
            Some(step) => Some(step).filter(|step| shallow(step)).and_then(not_asked),
            None => sub_jobs.filter(|job| job.phase() != Some(&Phase::Success)).find_map(not_asked),
        }
    }

    /// Puts a sub-job as it was asked for in the place of the one that the job lists, unless it makes
    /// a tree that no one could read again. Returns `false` where it is another one, or contradicts
    /// that.
    fn replace_sub_job(&mut self, found: Job) -> bool {
        let Some(asked) = self.in_flight.as_ref().map(JobId::as_str) else { return false };
        let mut listed = self.job.walk().skip(1).filter(|node| node.job.uid() == Some(asked));
        let Some(node) = listed.next() else { return false };
        let same_phase = node.job.phase().is_none_or(|phase| found.phase() == Some(phase));
        let levels = found.walk().map(|node| node.path.depth() + 1).max().unwrap_or_default();
        let fits = node.path.depth() + levels <= Limits::MAX_DEPTH_CAP as usize;
        let same = same_phase && found.uid().is_none_or(|uid| uid.is_empty() || uid == asked);
        if same && fits {
            let path = node.path;
            let place = path.indices().iter().try_fold(&mut *self.job, |job, index| {
                job.spec.as_mut()?.sub_jobs.as_mut()?.get_mut(*index)
            });
            if let Some(place) = place {
                *place = found;
            }
        }
        same
    }
}

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
