//! The poll decision. Reads no clock, performs no I/O.

mod reading;
mod policy;
mod event;
mod changes;
mod verdict;
mod outcome;
mod attempt_error;
mod error;
mod checkpoint;
mod kept;
mod job_text;
pub(crate) mod error_limits;
mod sub_job_lookup;

pub use attempt_error::{AttemptError, AttemptErrorKind};
pub use checkpoint::Checkpoint;
pub use error::{WaitError, WaitErrorKind};
pub(crate) use error_limits::MAX_RETRY_AFTER;
pub use event::{AttemptReason, Event, PhaseChange};
pub use kept::JobSnapshot;
pub use outcome::{Failed, FinishedJob, JobFailed, Outcome};
pub use policy::WaitPolicy;

use std::{mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use job_model::{Job, JobId};
use job_transport::{FetchError, Reading};
use serde::{Deserialize, Serialize};

use self::{error_limits::ErrorRun, kept::StoredText, reading::Settling, sub_job_lookup::Lookup};
use crate::schedule::{JobObservation, PollState, Schedule, splitmix64};

/// Decides, step by step, how to wait for one job: what to do now, given the time and what
/// happened.
///
/// ```text
///           ┌──────── Input::Wake ───────┐
///           ▼                            │
///  Action::Fetch ─▶ Input::Reading ─▶ Action::SleepUntil
///                   Input::Error   ─▶ Action::Finish
/// ```
///
/// The first input is [`Input::Wake`]. Time is a `Duration` since the wait began; the driver
/// brings it. There is one attempt at a time. The same inputs at the same times give the same
/// steps, to the byte, also where the machine went through any format of serde in between.
///
/// ```
/// use std::time::Duration;
/// use job_model::Job;
/// use job_poller::{Action, Fixed, Input, Machine, Outcome, WaitPolicy};
/// use job_transport::Reading;
///
/// let schedule = Fixed::new(Duration::from_secs(10));
/// let mut machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
/// let at = Duration::from_secs;
/// let reading = |body: &str| Job::from_slice(body.as_bytes()).map(|job| Reading::new(job).into());
///
/// let step = machine.step(&schedule, at(0), Input::Wake);
/// assert_eq!(step.action, Action::Fetch { id: "4a5b".parse()?, timeout: at(30) });
///
/// let step = machine.step(&schedule, at(1), reading(r#"{"status": {"phase": "Running"}}"#)?);
/// assert_eq!(step.action, Action::SleepUntil(at(11)));
///
/// let step = machine.step(&schedule, at(11), Input::Wake);
/// assert!(matches!(step.action, Action::Fetch { .. }));
///
/// let step = machine.step(&schedule, at(12), reading(r#"{"status": {"phase": "Success"}}"#)?);
/// let Action::Finish(result) = step.action else { panic!("the job has ended") };
/// assert_eq!(result.map(|ended| ended.outcome), Ok(Outcome::Succeeded));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    id: JobId,
    policy: Arc<WaitPolicy>,
    seed: u64,
    attempts: u32,
    sub_job_lookups: u32,
    readings: u32,
    /// When the next attempt is planned, and before when there is none whatever the deadline: by what
    /// the service asked, and by the floor.
    next_attempt_at: Duration,
    not_before: Duration,
    /// Taken up again elsewhere, and no attempt since: the deadline leaves it one.
    late_attempt_allowed: bool,
    /// The attempt under way has its whole time, beyond the deadline.
    deadline_waived: bool,
    error_run: Option<Box<ErrorRun>>,
    stale_in_a_row: u32,
    /// When the job last changed, and whether it was reported as stalled since.
    changed_at: Duration,
    stall_reported: bool,
    /// When something was last told.
    last_event_at: Duration,
    /// Whether the end is near, and how many readings there were before that.
    nearly_done: bool,
    near_end_base: u32,
    settling: Option<Box<Settling>>,
    lookup: Option<Box<Lookup>>,
    last_error: Option<Box<AttemptError>>,
    /// The job's age when it was first seen to go on, and when it last was.
    observed_from: Option<Duration>,
    observed_until: Duration,
    job: Option<StoredText>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Input {
    /// The wait begins, or the pause is over.
    Wake,
    /// The attempt gave the job; made from a [`Reading`].
    #[non_exhaustive]
    Reading {
        /// The job.
        job: JobSnapshot,
        /// The reply's `Date`.
        date: Option<Timestamp>,
        /// Whether the credentials were renewed in the course of the attempt.
        credentials_refreshed: bool,
    },
    /// The attempt gave no job.
    Error(AttemptError),
    /// The caller wants the wait to stop.
    Stop,
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
        /// Which job to ask for: the one waited for, or a sub-job of it.
        id: JobId,
        /// How long the attempt may take.
        timeout: Duration,
    },
    /// Do nothing until this time since the wait began. Comes back as a wake.
    SleepUntil(Duration),
    /// The wait is over: the job ended, or watching it stopped. Nothing comes back.
    Finish(Box<Result<FinishedJob, WaitError>>),
}

impl Machine {
    /// Creates the decision for a wait that has not begun. Many can share their limits.
    #[must_use]
    pub fn new(id: JobId, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        Self {
            id,
            policy: policy.into(),
            seed: 0,
            attempts: 0,
            sub_job_lookups: 0,
            readings: 0,
            next_attempt_at: Duration::ZERO,
            not_before: Duration::ZERO,
            late_attempt_allowed: false,
            deadline_waived: false,
            error_run: None,
            stale_in_a_row: 0,
            changed_at: Duration::ZERO,
            stall_reported: false,
            last_event_at: Duration::ZERO,
            nearly_done: false,
            near_end_base: 0,
            settling: None,
            lookup: None,
            last_error: None,
            observed_from: None,
            observed_until: Duration::ZERO,
            job: None,
        }
    }

    /// Sets what the random part of pauses comes from; 0 by default. Machines of one seed pause
    /// alike.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets other limits. They count from the wait's beginning, also where it is taken up again.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Returns when the lookup of sub-jobs of a job that has ended is over, where there is one.
    #[cfg(feature = "tokio")]
    pub(crate) fn lookup_deadline(&self) -> Option<Duration> {
        self.lookup.as_deref().map(|looking| looking.deadline)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn set_policy(&mut self, policy: WaitPolicy) {
        self.policy = policy.into();
    }

    /// Takes a wait up again elsewhere: where the deadline has passed meanwhile, or all but, one
    /// attempt is made all the same, under its own timeout. What was seen of the job's life before is not in
    /// [`observation`](Self::observation) again: whoever stopped has had it.
    #[must_use]
    pub const fn resume(mut self) -> Self {
        (self.late_attempt_allowed, self.observed_from) = (true, None);
        self
    }

    /// Sets whether its driver was elsewhere when the deadline passed.
    pub(crate) const fn with_missed_deadline(mut self, missed: bool) -> Self {
        self.late_attempt_allowed = missed;
        self
    }

    /// Returns which job is waited for.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        &self.id
    }

    /// Returns the limits.
    #[must_use]
    pub fn policy(&self) -> &WaitPolicy {
        &self.policy
    }

    /// Returns how many attempts were made, those for sub-jobs left out.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the job as last read, where it ever was. It is kept as text, and decoded for this.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        match self.lookup.as_deref() {
            Some(looking) => Some(Box::new(looking.job().clone())),
            None => self.job.as_ref()?.job(),
        }
    }

    /// Returns what was seen of the job's life so far; `None` where it was not yet seen to go on.
    #[must_use]
    pub fn observation(&self) -> Option<JobObservation> {
        self.observed_from?;
        self.observation_until(&*self.job()?, self.observed_until, false)
    }

    /// Returns the fault of the last attempt, where that gave no job.
    #[must_use]
    pub fn last_error(&self) -> Option<&AttemptError> {
        self.last_error.as_deref()
    }

    /// Sets the job as last read.
    #[cfg(feature = "tokio")]
    pub(crate) fn with_job(mut self, job: &Job) -> Self {
        self.job = Some(StoredText::from_snapshot(&JobSnapshot::from(Box::new(job.clone()))));
        self
    }

    /// Takes what happened and returns what to do.
    ///
    /// `elapsed` is the time since the wait began and never goes back. A wake that comes early is
    /// answered with the same pause again.
    pub fn step(&mut self, schedule: &dyn Schedule, elapsed: Duration, input: Input) -> Step {
        let mut context = StepContext { schedule, elapsed, events: Vec::new() };
        let action = if self.lookup.is_some() {
            self.on_lookup(&mut context, input)
        } else {
            match input {
                Input::Wake => self.on_wake(&mut context),
                Input::Reading { job, date, credentials_refreshed: renewed } => {
                    self.on_reading(&mut context, job, date, renewed)
                }
                Input::Error(fault) => self.on_attempt_error(&mut context, fault),
                Input::Stop => self.stop(&mut context, WaitErrorKind::Stopped),
            }
        };
        Step { events: context.events, action }
    }

    fn on_wake(&mut self, context: &mut StepContext<'_>) -> Action {
        // The limits may be others than when it was planned.
        let at = self.next_attempt_at.min(self.policy.latest_start()).max(self.not_before);
        if context.elapsed < at {
            return match self.policy.deadline() {
                deadline if at < deadline => Action::SleepUntil(at),
                _ => self.stop(context, WaitErrorKind::DeadlineExceeded),
            };
        }
        let late = mem::take(&mut self.late_attempt_allowed)
            && context.elapsed >= self.policy.latest_start();
        // A wait without any time is one attempt: no other is planned.
        self.deadline_waived = late || self.policy.timeout == Some(Duration::ZERO);
        let left = self.policy.deadline().saturating_sub(context.elapsed);
        let timeout = match self.policy.attempt_timeout {
            timeout if self.deadline_waived => timeout,
            _ if left.is_zero() => return self.stop(context, WaitErrorKind::DeadlineExceeded),
            timeout => timeout.min(left),
        };
        self.attempts = self.attempts.saturating_add(1);
        Action::Fetch { id: self.id.clone(), timeout }
    }

    /// Plans the next attempt: after the pause, later where the service asks for that, sooner where
    /// that is the last chance before the deadline. Where that chance was had, or there is none,
    /// the wait is over.
    fn plan_next_attempt(
        &mut self,
        context: &mut StepContext<'_>,
        pause: Duration,
        reason: AttemptReason,
    ) -> Action {
        let now = context.elapsed;
        let asked = self.not_before.saturating_sub(now);
        let pause = match self.settling_time_left(now) {
            Some(left) if left.is_zero() || left < asked => return self.settle(context),
            Some(left) => pause.min(left.max(MIN_PAUSE)),
            None => pause,
        };
        let why = if asked > pause { AttemptReason::RetryAfter } else { reason };
        let wish = now.saturating_add(asked.max(pause));
        let least = now.saturating_add(asked.max(pause.min(MIN_PAUSE)));
        let last_start = self.policy.latest_start();
        let at = wish.min(last_start).max(least);
        let why = if at < wish { AttemptReason::Deadline } else { why };
        if now >= last_start || at >= self.policy.deadline() {
            return self.stop(context, WaitErrorKind::DeadlineExceeded);
        }
        (self.next_attempt_at, self.not_before) = (at, least);
        self.emit_heartbeat(context);
        context.events.push(Event::NextAttempt { at, reason: why });
        Action::SleepUntil(at)
    }

    /// Tells that the wait goes on, where nothing else was told for long.
    fn emit_heartbeat(&mut self, context: &mut StepContext<'_>) {
        let silent = context.elapsed.saturating_sub(self.last_event_at);
        if context.events.is_empty() && self.policy.heartbeat.is_some_and(|every| silent >= every) {
            context.events.push(Event::Heartbeat);
        }
        if !context.events.is_empty() {
            self.last_event_at = context.elapsed;
        }
    }

    /// Returns what a schedule is asked about.
    fn poll_state(&self, elapsed: Duration, count: u32) -> PollState<'_> {
        PollState { random: splitmix64(self.seed, self.attempts), ..PollState::new(elapsed, count) }
    }

    /// Stops watching. A job that was `Success` already has succeeded, whatever of it was still
    /// under way and keeps this wait from asking again; but not where the caller stops the wait.
    fn stop(&mut self, context: &mut StepContext<'_>, kind: WaitErrorKind) -> Action {
        if self.settling.is_some() && kind != WaitErrorKind::Stopped {
            return self.settle(context);
        }
        if kind != WaitErrorKind::Stopped {
            // Who goes on from here has mended something, or has other limits.
            self.error_run = None;
        }
        let spent = Self::new(self.id.clone(), self.policy.clone());
        let checkpoint = Checkpoint::new(mem::replace(self, spent), context.elapsed);
        Action::Finish(Box::new(Err(WaitError { kind, checkpoint })))
    }
}

/// One step under way.
struct StepContext<'a> {
    schedule: &'a dyn Schedule,
    elapsed: Duration,
    events: Vec<Event>,
}

impl From<Reading> for Input {
    fn from(reading: Reading) -> Self {
        let (date, renewed) = (reading.date, reading.credentials_refreshed);
        Self::Reading { job: reading.into(), date, credentials_refreshed: renewed }
    }
}

/// Takes what an attempt gave.
impl From<Result<Reading, FetchError>> for Input {
    fn from(result: Result<Reading, FetchError>) -> Self {
        match result {
            Ok(reading) => reading.into(),
            Err(error) => Self::Error(AttemptError::from(&error)),
        }
    }
}

/// No deadline makes a pause shorter than this, unless it was shorter from the start.
const MIN_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod reference;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
