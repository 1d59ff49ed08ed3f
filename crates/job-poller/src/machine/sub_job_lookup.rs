//! The end of a wait whose job has ended, and the look at sub-jobs that the reply does not show in
//! full: the service often lists one level, and each sub-job is a job of its own. Nothing here
//! changes how the job ended.

use std::time::Duration;

use jiff::Timestamp;
use job_model::{Job, JobId, Limits, Phase};
use job_transport::Class;
use serde::{Deserialize, Serialize};

use super::{
    Action, Input, LEAST_PAUSE, Machine, Turn,
    event::{Event, Why},
    job_text,
    outcome::{Ended, Failed, Outcome},
    verdict::live,
};
use crate::schedule::{Lifetime, updated};

/// A job that has ended, while sub-jobs of it are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Looking {
    succeeded: bool,
    /// No attempt goes on after this.
    pub(super) until: Duration,
    /// Which sub-jobs were asked for and are not to be again, the one asked for now, and how many
    /// requests that took.
    asked: Vec<JobId>,
    under_way: Option<JobId>,
    requests: u32,
    /// When the next may be asked for, after a fault.
    planned: Duration,
    faults_in_a_row: u32,
    detection_delay: Option<Duration>,
    lifetime: Option<Lifetime>,
    #[serde(with = "job_text")]
    job: Box<Job>,
}

impl Looking {
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Returns the sub-job to ask for next: of a job that succeeded the next one that may have
    /// more; of one that failed the one that may tell which step failed.
    fn next(&self) -> Option<JobId> {
        let shallow = |job: &Job| job.sub_jobs().is_empty();
        let not_asked = |job: &Job| {
            let id: JobId = job.uid()?.parse().ok()?;
            (!self.asked.contains(&id)).then_some(id)
        };
        let mut sub_jobs = self.job.walk().skip(1).map(|node| node.job).filter(|job| shallow(job));
        if self.succeeded {
            return sub_jobs.find_map(not_asked);
        }
        let deepest = self.job.failure().filter(|failure| failure.path.depth() > 0);
        match deepest.and_then(|failure| self.job.at(&failure.path)) {
            // The failed step is there, and says why.
            Some(step) if step.reason().is_some() => None,
            Some(step) => Some(step).filter(|step| shallow(step)).and_then(not_asked),
            None => sub_jobs.filter(|job| job.phase() != Some(&Phase::Success)).find_map(not_asked),
        }
    }

    /// Puts a sub-job as it was asked for in the place of the one that the job lists, unless it makes
    /// a tree that no one could read again. Returns `false` where it is another one, or contradicts
    /// that.
    fn put(&mut self, found: Job) -> bool {
        let Some(asked) = self.under_way.as_ref().map(JobId::as_str) else { return false };
        let mut listed = self.job.walk().skip(1).filter(|node| node.job.uid() == Some(asked));
        let Some(node) = listed.next() else { return false };
        let same_phase = node.job.phase().is_none_or(|phase| found.phase() == Some(phase));
        let levels = found.walk().map(|node| node.path.depth() + 1).max().unwrap_or_default();
        let fits = node.path.depth() + levels <= Limits::MAX_LEVELS as usize;
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
        turn: &mut Turn<'_>,
        job: Box<Job>,
        date: Option<Timestamp>,
        succeeded: bool,
    ) -> Action {
        self.job = None;
        let delay = date.zip(updated(&job)).map(|(read, ended)| read.duration_since(ended));
        // `Date` has whole seconds: up to one may seem missing.
        let delay = delay.filter(|delay| delay.as_secs() >= 0);
        let until = turn.elapsed.saturating_add(LOOK_FOR);
        let looking = Looking {
            succeeded,
            until: if self.overtime { until } else { until.min(self.policy.deadline()) },
            asked: Vec::new(),
            under_way: None,
            requests: 0,
            planned: Duration::ZERO,
            faults_in_a_row: 0,
            detection_delay: delay.map(|delay| delay.try_into().unwrap_or_default()),
            lifetime: self.whole_life(&job, date, turn.elapsed),
            job,
        };
        self.settling = None;
        // After a fault there is no asking for more: it may be what ends the wait.
        if self.fault.is_some() { self.end(turn, looking) } else { self.look(turn, looking.into()) }
    }

    /// Takes what came of the last look.
    pub(super) fn looked(&mut self, turn: &mut Turn<'_>, input: Input) -> Action {
        let Some(mut looking) = self.looking.take() else { return self.wake(turn) };
        match input {
            // Taken up again elsewhere: what was under way is asked for again.
            Input::Wake if looking.under_way.take().is_some() => {
                looking.requests = looking.requests.saturating_sub(1);
            }
            Input::Wake if turn.elapsed < looking.planned => {
                let at = looking.planned;
                self.looking = Some(looking);
                return Action::SleepUntil(at);
            }
            Input::Wake => {}
            Input::Reading { job, renewed, .. } => {
                if renewed {
                    turn.events.push(Event::Renewed);
                }
                looking.faults_in_a_row = 0;
                // A replica that is behind says what is no longer so.
                if !looking.put(*job.job) {
                    return self.look_again(turn, looking, LEAST_PAUSE, Why::Scheduled);
                }
                looking.asked.extend(looking.under_way.take());
            }
            Input::Fault(fault) => {
                if fault.renewed {
                    turn.events.push(Event::Renewed);
                }
                looking.faults_in_a_row = looking.faults_in_a_row.saturating_add(1);
                let (class, asked) = (fault.class, fault.retry_after.unwrap_or_default());
                let in_a_row = looking.faults_in_a_row;
                turn.events.push(Event::Fault { fault, in_a_row });
                match class {
                    Class::Transient | Class::Throttled => {
                        let pause = asked.max(LEAST_PAUSE);
                        return self.look_again(turn, looking, pause, Why::Backoff);
                    }
                    // It would be no other for another sub-job.
                    Class::Unauthorized => return self.end(turn, *looking),
                    Class::NotFound | Class::Permanent => {
                        looking.asked.extend(looking.under_way.take());
                    }
                }
            }
            Input::Stop => return self.end(turn, *looking),
        }
        self.look(turn, looking)
    }

    /// Asks once more for what a passing fault, or a replica, kept back, after a pause; where nothing more is to be
    /// asked by then, ends at once.
    fn look_again(
        &mut self,
        turn: &mut Turn<'_>,
        mut looking: Box<Looking>,
        pause: Duration,
        why: Why,
    ) -> Action {
        looking.under_way = None;
        let at = turn.elapsed.saturating_add(pause);
        if at >= looking.until || looking.requests >= self.most_looks(&looking) {
            return self.end(turn, *looking);
        }
        looking.planned = at;
        self.looking = Some(looking);
        turn.events.push(Event::NextAttempt { at, why });
        Action::SleepUntil(at)
    }

    fn look(&mut self, turn: &mut Turn<'_>, mut looking: Box<Looking>) -> Action {
        let left = looking.until.saturating_sub(turn.elapsed);
        let most = self.most_looks(&looking);
        let next = looking.next().filter(|_| looking.requests < most && !left.is_zero());
        let Some(id) = next else { return self.end(turn, *looking) };
        looking.requests += 1;
        // One that is not answered leaves time for another.
        let share = if looking.requests < most { left / 2 } else { left };
        self.looks = self.looks.saturating_add(1);
        turn.events.push(Event::Look { id: id.clone() });
        looking.under_way = Some(id.clone());
        self.looking = Some(looking);
        Action::Fetch { id, timeout: self.policy.attempt_timeout.min(share) }
    }

    fn most_looks(&self, looking: &Looking) -> u32 {
        if looking.succeeded { self.policy.complete_tree } else { self.policy.look_deeper }
    }

    fn end(&self, turn: &Turn<'_>, looking: Looking) -> Action {
        let Looking { succeeded, detection_delay, lifetime, job, .. } = looking;
        let outcome = if succeeded {
            Outcome::Succeeded
        } else {
            let failure = job.failure().unwrap_or_default();
            let live = live(&job).map(|node| node.path).collect();
            Outcome::Failed(Box::new(Failed { failure, live }))
        };
        Action::Finish(Box::new(Ok(Ended {
            outcome,
            inconsistencies: job.discrepancies(),
            job,
            attempts: self.attempts,
            looks: self.looks,
            elapsed: turn.elapsed,
            detection_delay,
            lifetime,
        })))
    }
}

/// How long sub-jobs are looked at: an outcome that is known should not wait for its details.
const LOOK_FOR: Duration = Duration::from_secs(10);
