//! The poll decision. Reads no clock, performs no I/O.

use std::time::Duration;

use job_model::{Job, Phase};
use job_transport::Class;

use crate::{
    Ended, Event, Fault, Outcome, Schedule, Seen, WaitError, WaitErrorKind, WaitPolicy, Why,
    change::changes,
};

/// Decides, step by step, how to wait for one job: what to do now, given the time and what
/// happened.
///
/// ```text
///           ┌──────── Input::Wake ───────┐
///           ▼                            │
///  Action::Fetch ─▶ Input::Reading ─▶ Action::SleepUntil
///                   Input::Fault   ─▶ Action::Finish
/// ```
///
/// The first input is [`Input::Wake`]. Time is a `Duration` since the wait began; the driver
/// brings it. There is one attempt at a time.
///
/// ```
/// use std::time::Duration;
/// use job_model::Job;
/// use job_poller::{Action, Fixed, Input, Machine, Outcome, WaitPolicy};
///
/// let schedule = Fixed::new(Duration::from_secs(10));
/// let mut machine = Machine::new(WaitPolicy::new());
///
/// let step = machine.step(&schedule, Duration::ZERO, Input::Wake);
/// assert_eq!(step.action, Action::Fetch { timeout: Duration::from_secs(30) });
///
/// let job = Job::from_slice(br#"{"status": {"phase": "Running"}}"#)?;
/// let step = machine.step(&schedule, Duration::from_secs(1), Input::Reading(job.into()));
/// assert_eq!(step.action, Action::SleepUntil(Duration::from_secs(11)));
///
/// let step = machine.step(&schedule, Duration::from_secs(11), Input::Wake);
/// assert_eq!(step.action, Action::Fetch { timeout: Duration::from_secs(30) });
///
/// let job = Job::from_slice(br#"{"status": {"phase": "Success"}}"#)?;
/// let step = machine.step(&schedule, Duration::from_secs(12), Input::Reading(job.into()));
/// let Action::Finish(result) = step.action else { panic!("the job has ended") };
/// assert_eq!(result.map(|ended| ended.outcome), Ok(Outcome::Succeeded));
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    policy: WaitPolicy,
    attempts: u32,
    readings: u32,
    faults_in_a_row: u32,
    fault: Option<Fault>,
    job: Option<Box<Job>>,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// The wait begins, or the pause is over.
    Wake,
    /// The attempt gave the job.
    Reading(Box<Job>),
    /// The attempt gave no job.
    Fault(Fault),
}

/// What to tell, and what to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a wait stands still unless its action is done"]
pub struct Step {
    /// What to tell the caller, before the action.
    pub events: Vec<Event>,
    /// What to do.
    pub action: Action,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must be able to do every action")]
pub enum Action {
    /// Make one attempt, cut off after the timeout. Comes back as a reading or a fault.
    Fetch {
        /// How long the attempt may take.
        timeout: Duration,
    },
    /// Do nothing until this time since the wait began. Comes back as a wake.
    SleepUntil(Duration),
    /// The wait is over: the job ended, or watching it stopped. Nothing comes back.
    Finish(Box<Result<Ended, WaitError>>),
}

impl Machine {
    /// Creates the decision for a wait that has not begun.
    #[must_use]
    pub const fn new(policy: WaitPolicy) -> Self {
        Self { policy, attempts: 0, readings: 0, faults_in_a_row: 0, fault: None, job: None }
    }

    /// Takes what happened and returns what to do.
    ///
    /// `elapsed` is the time since the wait began and never goes back.
    pub fn step(&mut self, schedule: &dyn Schedule, elapsed: Duration, input: Input) -> Step {
        match input {
            Input::Wake => Step { events: Vec::new(), action: self.wake(elapsed) },
            Input::Reading(job) => self.reading(schedule, elapsed, job),
            Input::Fault(fault) => self.fault(elapsed, fault),
        }
    }

    fn wake(&mut self, elapsed: Duration) -> Action {
        let attempt_timeout = self.policy.attempt_timeout;
        let timeout = match self.policy.timeout.saturating_sub(elapsed) {
            // A wait without any time is one look: `pause` plans no other.
            Duration::ZERO if self.policy.timeout.is_zero() => attempt_timeout,
            Duration::ZERO => return self.stop(elapsed, WaitErrorKind::DeadlineExceeded),
            left => attempt_timeout.min(left),
        };
        self.attempts = self.attempts.saturating_add(1);
        Action::Fetch { timeout }
    }

    fn reading(&mut self, schedule: &dyn Schedule, elapsed: Duration, job: Box<Job>) -> Step {
        let mut events = changes(self.job.as_deref(), &job);
        self.readings = self.readings.saturating_add(1);
        self.faults_in_a_row = 0;
        self.fault = None;
        // The job's own phase is the authority, its sub-jobs are evidence: a `Success` was seen with
        // a sub-job that has no status and never will.
        let outcome = match job.phase() {
            Some(Phase::Success) => Some(Outcome::Succeeded),
            Some(Phase::Failed) => Some(Outcome::Failed(job.failure().unwrap_or_default())),
            Some(Phase::Initializing | Phase::Running | Phase::Unknown(_)) | None => None,
        };
        let action = match outcome {
            Some(outcome) => {
                let attempts = self.attempts;
                Action::Finish(Box::new(Ok(Ended { outcome, job, attempts, elapsed })))
            }
            None => {
                self.job = Some(job);
                let pause = schedule.pause(&Seen::new(elapsed, self.readings));
                self.pause(elapsed, pause, Why::Scheduled, &mut events)
            }
        };
        Step { events, action }
    }

    fn fault(&mut self, elapsed: Duration, fault: Fault) -> Step {
        self.faults_in_a_row = self.faults_in_a_row.saturating_add(1);
        let in_a_row = self.faults_in_a_row;
        let mut events = vec![Event::Fault { fault: fault.clone(), in_a_row }];
        let class = fault.class;
        self.fault = Some(fault);
        let action = match class {
            Class::Transient | Class::Throttled => {
                let pause = self.policy.backoff.pause(&Seen::new(elapsed, in_a_row));
                self.pause(elapsed, pause, Why::Backoff, &mut events)
            }
            Class::Unauthorized => self.stop(elapsed, WaitErrorKind::Unauthorized),
            Class::NotFound => self.stop(elapsed, WaitErrorKind::NotFound),
            Class::Permanent => self.stop(elapsed, WaitErrorKind::Permanent),
        };
        Step { events, action }
    }

    /// Plans the next attempt: after the pause, or sooner where that is the last chance before the
    /// deadline. Where that chance was had, the wait is over.
    fn pause(
        &mut self,
        elapsed: Duration,
        pause: Duration,
        why: Why,
        events: &mut Vec<Event>,
    ) -> Action {
        let last_start = self.policy.last_start();
        if elapsed >= last_start {
            return self.stop(elapsed, WaitErrorKind::DeadlineExceeded);
        }
        let wish = elapsed.saturating_add(pause);
        let (at, why) = if wish < last_start { (wish, why) } else { (last_start, Why::Deadline) };
        events.push(Event::NextAttempt { at, why });
        Action::SleepUntil(at)
    }

    fn stop(&mut self, elapsed: Duration, kind: WaitErrorKind) -> Action {
        Action::Finish(Box::new(Err(WaitError {
            kind,
            timeout: self.policy.timeout,
            job: self.job.take(),
            fault: self.fault.take(),
            attempts: self.attempts,
            elapsed,
        })))
    }
}

#[cfg(test)]
mod tests;
