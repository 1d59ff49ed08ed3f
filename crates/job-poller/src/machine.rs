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

pub use attempt_error::{Fault, FaultKind};
pub use checkpoint::Checkpoint;
pub use error::{WaitError, WaitErrorKind};
pub(crate) use error_limits::MOST_RETRY_AFTER;
pub use event::{Course, Event, Why};
pub use kept::ReadJob;
pub use outcome::{Ended, Failed, JobFailed, Outcome};
pub use policy::WaitPolicy;

use std::{mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use job_model::{Job, JobId};
use job_transport::{FetchError, Reading};
use serde::{Deserialize, Serialize};

use self::{error_limits::FaultRun, kept::Kept, reading::Settling, sub_job_lookup::Looking};
use crate::schedule::{Lifetime, Schedule, Seen, random};

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
    looks: u32,
    readings: u32,
    /// When the next attempt is planned, and before when there is none whatever the deadline: by what
    /// the service asked, and by the floor.
    planned: Duration,
    earliest: Duration,
    /// Taken up again elsewhere, and no attempt since: the deadline leaves it one.
    resumed: bool,
    /// The attempt under way has its whole time, beyond the deadline.
    overtime: bool,
    faults: Option<Box<FaultRun>>,
    stale_in_a_row: u32,
    /// When the job last changed, and whether it was told that it is stuck since.
    changed_at: Duration,
    told_stuck: bool,
    /// When something was last told.
    told_at: Duration,
    /// Whether the end is near, and how many readings there were before that.
    nearly_done: bool,
    counted_from: u32,
    settling: Option<Box<Settling>>,
    looking: Option<Box<Looking>>,
    fault: Option<Box<Fault>>,
    /// The job's age when it was first seen to go on, and when it last was.
    seen_from: Option<Duration>,
    seen_to: Duration,
    job: Option<Kept>,
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
        job: ReadJob,
        /// The reply's `Date`.
        date: Option<Timestamp>,
        /// Whether the credentials were renewed in the course of the attempt.
        renewed: bool,
    },
    /// The attempt gave no job.
    Fault(Fault),
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
    Finish(Box<Result<Ended, WaitError>>),
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
            looks: 0,
            readings: 0,
            planned: Duration::ZERO,
            earliest: Duration::ZERO,
            resumed: false,
            overtime: false,
            faults: None,
            stale_in_a_row: 0,
            changed_at: Duration::ZERO,
            told_stuck: false,
            told_at: Duration::ZERO,
            nearly_done: false,
            counted_from: 0,
            settling: None,
            looking: None,
            fault: None,
            seen_from: None,
            seen_to: Duration::ZERO,
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

    /// Returns when the look at sub-jobs of a job that has ended is over, where there is one.
    #[cfg(feature = "tokio")]
    pub(crate) fn look_ends(&self) -> Option<Duration> {
        self.looking.as_deref().map(|looking| looking.until)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn set_policy(&mut self, policy: WaitPolicy) {
        self.policy = policy.into();
    }

    /// Takes a wait up again elsewhere: where the deadline has passed meanwhile, or all but, one
    /// attempt is made all the same, under its own timeout. What was seen of the job's life before is not in
    /// [`lifetime`](Self::lifetime) again: whoever stopped has had it.
    #[must_use]
    pub const fn resumed(mut self) -> Self {
        (self.resumed, self.seen_from) = (true, None);
        self
    }

    /// Sets whether its driver was elsewhere when the deadline passed.
    pub(crate) const fn overslept(mut self, overslept: bool) -> Self {
        self.resumed = overslept;
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
        match self.looking.as_deref() {
            Some(looking) => Some(Box::new(looking.job().clone())),
            None => self.job.as_ref()?.job(),
        }
    }

    /// Returns what was seen of the job's life so far; `None` where it was not yet seen to go on.
    #[must_use]
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.seen_from?;
        self.life(&*self.job()?, self.seen_to, false)
    }

    /// Returns the fault of the last attempt, where that gave no job.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_deref()
    }

    /// Sets the job as last read.
    #[cfg(feature = "tokio")]
    pub(crate) fn with_job(mut self, job: &Job) -> Self {
        self.job = Some(Kept::of(&ReadJob::from(Box::new(job.clone()))));
        self
    }

    /// Takes what happened and returns what to do.
    ///
    /// `elapsed` is the time since the wait began and never goes back. A wake that comes early is
    /// answered with the same pause again.
    pub fn step(&mut self, schedule: &dyn Schedule, elapsed: Duration, input: Input) -> Step {
        let mut turn = Turn { schedule, elapsed, events: Vec::new() };
        let action = if self.looking.is_some() {
            self.looked(&mut turn, input)
        } else {
            match input {
                Input::Wake => self.wake(&mut turn),
                Input::Reading { job, date, renewed } => {
                    self.reading(&mut turn, job, date, renewed)
                }
                Input::Fault(fault) => self.fault_seen(&mut turn, fault),
                Input::Stop => self.stop(&mut turn, WaitErrorKind::Stopped),
            }
        };
        Step { events: turn.events, action }
    }

    fn wake(&mut self, turn: &mut Turn<'_>) -> Action {
        // The limits may be others than when it was planned.
        let at = self.planned.min(self.policy.last_start()).max(self.earliest);
        if turn.elapsed < at {
            return match self.policy.deadline() {
                deadline if at < deadline => Action::SleepUntil(at),
                _ => self.stop(turn, WaitErrorKind::DeadlineExceeded),
            };
        }
        let late = mem::take(&mut self.resumed) && turn.elapsed >= self.policy.last_start();
        // A wait without any time is one look: no other is planned.
        self.overtime = late || self.policy.timeout == Some(Duration::ZERO);
        let left = self.policy.deadline().saturating_sub(turn.elapsed);
        let timeout = match self.policy.attempt_timeout {
            timeout if self.overtime => timeout,
            _ if left.is_zero() => return self.stop(turn, WaitErrorKind::DeadlineExceeded),
            timeout => timeout.min(left),
        };
        self.attempts = self.attempts.saturating_add(1);
        Action::Fetch { id: self.id.clone(), timeout }
    }

    /// Plans the next attempt: after the pause, later where the service asks for that, sooner where
    /// that is the last chance before the deadline. Where that chance was had, or there is none,
    /// the wait is over.
    fn pause(&mut self, turn: &mut Turn<'_>, pause: Duration, why: Why) -> Action {
        let now = turn.elapsed;
        let asked = self.earliest.saturating_sub(now);
        let pause = match self.settling_left(now) {
            Some(left) if left.is_zero() || left < asked => return self.settle(turn),
            Some(left) => pause.min(left.max(LEAST_PAUSE)),
            None => pause,
        };
        let why = if asked > pause { Why::RetryAfter } else { why };
        let wish = now.saturating_add(asked.max(pause));
        let least = now.saturating_add(asked.max(pause.min(LEAST_PAUSE)));
        let last_start = self.policy.last_start();
        let at = wish.min(last_start).max(least);
        let why = if at < wish { Why::Deadline } else { why };
        if now >= last_start || at >= self.policy.deadline() {
            return self.stop(turn, WaitErrorKind::DeadlineExceeded);
        }
        (self.planned, self.earliest) = (at, least);
        self.heartbeat(turn);
        turn.events.push(Event::NextAttempt { at, why });
        Action::SleepUntil(at)
    }

    /// Tells that the wait goes on, where nothing else was told for long.
    fn heartbeat(&mut self, turn: &mut Turn<'_>) {
        let silent = turn.elapsed.saturating_sub(self.told_at);
        if turn.events.is_empty() && self.policy.heartbeat.is_some_and(|every| silent >= every) {
            turn.events.push(Event::Heartbeat);
        }
        if !turn.events.is_empty() {
            self.told_at = turn.elapsed;
        }
    }

    /// Returns what a schedule is asked about.
    fn seen(&self, elapsed: Duration, count: u32) -> Seen<'_> {
        Seen { random: random(self.seed, self.attempts), ..Seen::new(elapsed, count) }
    }

    /// Stops watching. A job that was `Success` already has succeeded, whatever of it was still
    /// under way and keeps this wait from asking again; but not where the caller stops the wait.
    fn stop(&mut self, turn: &mut Turn<'_>, kind: WaitErrorKind) -> Action {
        if self.settling.is_some() && kind != WaitErrorKind::Stopped {
            return self.settle(turn);
        }
        if kind != WaitErrorKind::Stopped {
            // Who goes on from here has mended something, or has other limits.
            self.faults = None;
        }
        let spent = Self::new(self.id.clone(), self.policy.clone());
        let checkpoint = Checkpoint::new(mem::replace(self, spent), turn.elapsed);
        Action::Finish(Box::new(Err(WaitError { kind, checkpoint })))
    }
}

/// One step under way.
struct Turn<'a> {
    schedule: &'a dyn Schedule,
    elapsed: Duration,
    events: Vec<Event>,
}

impl From<Reading> for Input {
    fn from(reading: Reading) -> Self {
        let (date, renewed) = (reading.date, reading.renewed);
        Self::Reading { job: reading.into(), date, renewed }
    }
}

/// Takes what an attempt gave.
impl From<Result<Reading, FetchError>> for Input {
    fn from(result: Result<Reading, FetchError>) -> Self {
        match result {
            Ok(reading) => reading.into(),
            Err(error) => Self::Fault(Fault::from(&error)),
        }
    }
}

/// No deadline makes a pause shorter than this, unless it was shorter from the start.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod reference;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
