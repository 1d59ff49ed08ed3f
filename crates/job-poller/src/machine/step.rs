//! One step of the machine: an input goes in, events and an action come out.

use std::{mem, time::Duration};

use jiff::Timestamp;
use job_model::{
    JobId,
    object::{Object, ObjectId},
};
use job_transport::{FetchError, Fetched, JobSnapshot, ObjectReading, Reading, Unchanged};
use serde::{Deserialize, Serialize};

use super::{
    Machine,
    attempt_error::AttemptError,
    checkpoint::Checkpoint,
    error::WaitError,
    error_kind::WaitErrorKind,
    error_limits::{ConsecutiveErrors, MAX_RETRY_AFTER, RecentErrors, Threshold},
    event::{AttemptReason, Event},
    object_status::ObjectSnapshot,
    outcome::FinishedJob,
    reading_objects::ReadingObjects,
    state::State,
};
use crate::schedule::{BudgetShare, PollPlan, PollState, Schedule, splitmix64};

/// An input of a step: the result of the last action, or a request to stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Input {
    /// The wait begins, or the time of [`Action::SleepUntil`] has come.
    Wake,
    /// The attempt returned a job. Convert a [`Reading`] into this input.
    #[non_exhaustive]
    Reading {
        /// The job as it was read.
        snapshot: JobSnapshot,
        /// The reply's `Date`.
        date: Option<Timestamp>,
        /// Whether the credentials were refreshed during the attempt.
        credentials_refreshed: bool,
    },
    /// The reply equals the snapshot in [`Action::Fetch`] byte for byte. Convert an [`Unchanged`]
    /// into this input.
    ///
    /// It counts as a reading. If the action had no snapshot, it counts as a failed attempt.
    #[non_exhaustive]
    Unchanged {
        /// The reply's `Date`.
        date: Option<Timestamp>,
        /// Whether the credentials were refreshed during the attempt.
        credentials_refreshed: bool,
    },
    /// The attempt returned a cluster or a node. Convert an [`ObjectReading`] into this input.
    #[non_exhaustive]
    Object {
        /// The cluster or the node as it was read.
        object: ObjectSnapshot,
        /// Whether the credentials were refreshed during the attempt.
        credentials_refreshed: bool,
    },
    /// The attempt failed.
    Error(AttemptError),
    /// The caller stops the wait.
    Stop,
}

/// The result of a step: events, and the action to perform.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use = "a wait makes no progress unless its action is performed"]
pub struct Step {
    /// The events to pass on to the caller before the action is performed.
    pub events: Vec<Event>,
    /// The action to perform.
    pub action: Action,
    /// The schedule's plan, or `None` if this step did not call the schedule.
    ///
    /// A [`Budget`](crate::budget::Budget) uses its urgency to count the wait.
    pub plan: Option<PollPlan>,
}

/// An action for the driver.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must be able to do every action")]
pub enum Action {
    /// Make one attempt. The next input is its result.
    Fetch {
        /// The job to fetch: the job of the wait, or one of its sub-jobs.
        id: JobId,
        /// The timeout of the attempt. If it expires, pass [`AttemptError::timed_out`] as the next
        /// input.
        timeout: Duration,
        /// The last accepted snapshot, for
        /// [`JobSource::fetch_since`](crate::source::JobSource::fetch_since). `None` before the
        /// first reading and for the lookup of a sub-job.
        last: Option<JobSnapshot>,
    },
    /// Make one attempt to read a cluster or a node. The next input is its result.
    FetchObject {
        /// The cluster or the node.
        id: ObjectId,
        /// The timeout of the attempt. If it expires, pass [`AttemptError::timed_out`] as the next
        /// input.
        timeout: Duration,
    },
    /// Sleep until this time since the wait began. The next input is [`Input::Wake`].
    SleepUntil(Duration),
    /// The wait is over: the job has ended, or the wait stopped. There is no next input.
    Finish(Box<Result<FinishedJob, WaitError>>),
}

impl Step {
    /// Creates a step without events and without a plan, for tests of drivers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use job_poller::{
    ///     Event,
    ///     machine::{Action, Step},
    /// };
    ///
    /// let mut step = Step::new(Action::SleepUntil(Duration::from_secs(10)));
    /// step.events.push(Event::Heartbeat);
    /// ```
    pub const fn new(action: Action) -> Self {
        Self { events: Vec::new(), action, plan: None }
    }
}

impl From<Reading> for Input {
    fn from(reading: Reading) -> Self {
        let (date, credentials_refreshed) = (reading.date, reading.credentials_refreshed);
        Self::Reading { snapshot: reading.snapshot, date, credentials_refreshed }
    }
}

impl From<ObjectReading<Object>> for Input {
    fn from(reading: ObjectReading<Object>) -> Self {
        let credentials_refreshed = reading.credentials_refreshed;
        Self::Object { object: (&reading).into(), credentials_refreshed }
    }
}

impl From<Unchanged> for Input {
    fn from(unchanged: Unchanged) -> Self {
        let Unchanged { date, credentials_refreshed, .. } = unchanged;
        Self::Unchanged { date, credentials_refreshed }
    }
}

impl From<Fetched> for Input {
    fn from(fetched: Fetched) -> Self {
        match fetched {
            Fetched::Reading(reading) => reading.into(),
            Fetched::Unchanged(unchanged) => unchanged.into(),
        }
    }
}

impl From<FetchError> for Input {
    fn from(error: FetchError) -> Self {
        Self::Error(AttemptError::from(&error))
    }
}

/// Converts the result of [`JobSource::fetch`](crate::source::JobSource::fetch), which returns a
/// [`Reading`], or of [`JobSource::fetch_since`](crate::source::JobSource::fetch_since), which
/// returns a
/// [`Fetched`], or of [`JobSource::fetch_object`](crate::source::JobSource::fetch_object).
impl<R: Into<Self>> From<Result<R, FetchError>> for Input {
    fn from(result: Result<R, FetchError>) -> Self {
        match result {
            Ok(reading) => reading.into(),
            Err(error) => error.into(),
        }
    }
}

/// The arguments and results of the current step.
pub(super) struct StepContext<'a> {
    pub(super) schedule: &'a dyn Schedule,
    pub(super) share: Option<BudgetShare>,
    pub(super) elapsed: Duration,
    pub(super) events: Vec<Event>,
    /// The result of the schedule, if it was called.
    pub(super) plan: Option<PollPlan>,
}

/// The minimum delay between attempts. A deadline shortens a delay to this at most; shorter planned
/// delays stay as they are.
pub(super) const MIN_PAUSE: Duration = Duration::from_secs(1);

impl Machine {
    /// Handles an input and returns events and the next action.
    ///
    /// `elapsed` is the time since the wait began. It must not decrease. If a wake is too early,
    /// the step returns the same [`Action::SleepUntil`] again.
    pub fn step(&mut self, schedule: &dyn Schedule, elapsed: Duration, input: Input) -> Step {
        self.run_step(schedule, None, elapsed, input)
    }

    /// Performs a [`step`](Self::step) of a wait that shares a budget with other waits.
    ///
    /// The schedule receives the share in [`PollState::share`].
    pub fn step_with_share(
        &mut self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        elapsed: Duration,
        input: Input,
    ) -> Step {
        self.run_step(schedule, Some(share), elapsed, input)
    }

    fn run_step(
        &mut self,
        schedule: &dyn Schedule,
        share: Option<BudgetShare>,
        elapsed: Duration,
        input: Input,
    ) -> Step {
        let mut context = StepContext { schedule, share, elapsed, events: Vec::new(), plan: None };
        let action = match mem::replace(&mut self.state, State::Polling) {
            State::LookingUp(lookup) => self.on_lookup(&mut context, lookup, input),
            State::ReadingObjects(objects) => self.on_object_input(&mut context, objects, input),
            state => {
                self.state = state;
                self.on_input(&mut context, input)
            }
        };
        Step { events: context.events, action, plan: context.plan }
    }

    fn on_input(&mut self, context: &mut StepContext<'_>, input: Input) -> Action {
        match input {
            Input::Wake => self.on_wake(context),
            Input::Reading { snapshot, date, credentials_refreshed } => {
                self.on_reading(context, snapshot, date, credentials_refreshed)
            }
            Input::Unchanged { date, credentials_refreshed } => {
                self.on_unchanged(context, date, credentials_refreshed)
            }
            Input::Object { credentials_refreshed, .. } => {
                let error = AttemptError::unexpected_object();
                self.on_attempt_error(context, AttemptError { credentials_refreshed, ..error })
            }
            Input::Error(error) => self.on_attempt_error(context, error),
            Input::Stop => self.stop(context, WaitErrorKind::Stopped),
        }
    }

    pub(super) fn on_wake(&mut self, context: &mut StepContext<'_>) -> Action {
        // The policy may have changed since the attempt was planned.
        let at =
            self.next_attempt_at.get().min(self.policy.latest_start()).max(self.not_before.get());
        if context.elapsed < at {
            // A resumed wait may make an attempt after its deadline only if it is resumed too late for
            // the one that is planned.
            self.late_attempt_allowed = false;
            return match self.policy.deadline() {
                deadline if at < deadline => Action::SleepUntil(at),
                _ => self.stop(context, WaitErrorKind::DeadlineExceeded),
            };
        }
        let late = mem::take(&mut self.late_attempt_allowed)
            && context.elapsed >= self.policy.latest_start();
        // With a timeout of zero, the wait makes exactly one attempt.
        self.deadline_waived = late || self.policy.timeout == Some(Duration::ZERO);
        let left = self.policy.deadline().saturating_sub(context.elapsed);
        let timeout = match self.policy.attempt_timeout {
            timeout if self.deadline_waived => timeout,
            _ if left.is_zero() => return self.stop(context, WaitErrorKind::DeadlineExceeded),
            timeout => timeout.min(left),
        };
        if let State::ReadingObjects(objects) = &mut self.state {
            objects.choose_current(context.elapsed);
            return Action::FetchObject { id: objects.current().id.clone(), timeout };
        }
        self.attempts = self.attempts.saturating_add(1);
        Action::Fetch { id: self.id.clone(), timeout, last: self.snapshot.clone() }
    }

    pub(super) fn on_attempt_error(
        &mut self,
        context: &mut StepContext<'_>,
        error: AttemptError,
    ) -> Action {
        if error.credentials_refreshed {
            context.events.push(Event::CredentialsRefreshed);
        }
        // The last job may have been decoded for a reply that was then refused.
        if self.state.settling().is_none() {
            self.snapshot = self.snapshot.take().map(JobSnapshot::without_job);
        }
        let was_object_read = self.state.objects().is_some_and(ReadingObjects::was_any_read);
        let is_proven = self.readings > 0 || was_object_read;
        let run = ConsecutiveErrors::with_error(
            self.recent_errors.as_ref().and_then(|errors| errors.consecutive.as_ref()),
            &error,
            is_proven,
            context.elapsed,
        );
        let retry_after = error.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.not_before = context.elapsed.saturating_add(retry_after).into();
        let in_a_row = run.count();
        let threshold = Threshold::for_error(
            &error,
            &self.policy.error_limits(),
            is_proven,
            self.state.settling().is_some(),
        );
        context.events.push(Event::AttemptFailed { error: error.clone(), in_a_row });
        self.recent_errors = Some(Box::new(RecentErrors { last: error, consecutive: Some(run) }));
        let too_many = self.policy.max_consecutive_errors.is_some_and(|max| in_a_row >= max);
        match threshold {
            Some(threshold) if run.reaches(&threshold, context.elapsed) => {
                if threshold.ends_as == WaitErrorKind::Vanished
                    && let Some(action) = self.read_objects_of_deleted_job(context)
                {
                    return action;
                }
                self.stop(context, threshold.ends_as)
            }
            _ if too_many => self.stop(context, WaitErrorKind::TooManyErrors),
            _ => {
                let state = self.poll_state(context.elapsed, in_a_row);
                let delay = self.policy.backoff.plan(&state).delay;
                self.plan_next_attempt(context, delay, AttemptReason::Backoff)
            }
        }
    }

    /// Plans the next attempt: after the delay, later if a `Retry-After` requires it, or earlier if
    /// this is the last attempt before the deadline. If the last attempt has already been made, or
    /// no attempt is possible before the deadline, the wait is over.
    pub(super) fn plan_next_attempt(
        &mut self,
        context: &mut StepContext<'_>,
        pause: Duration,
        reason: AttemptReason,
    ) -> Action {
        let now = context.elapsed;
        let min_wait = self.not_before.get().saturating_sub(now);
        let pause = match self.settling_time_left(now) {
            Some(left) if left.is_zero() || left < min_wait => return self.settle(context),
            Some(left) => pause.min(left.max(MIN_PAUSE)),
            None => pause,
        };
        let reason = if min_wait > pause { AttemptReason::RetryAfter } else { reason };
        let planned_at = now.saturating_add(min_wait.max(pause));
        let not_before = now.saturating_add(min_wait.max(pause.min(MIN_PAUSE)));
        let last_start = self.policy.latest_start();
        let at = planned_at.min(last_start).max(not_before);
        let reason = if at < planned_at { AttemptReason::Deadline } else { reason };
        if now >= last_start || at >= self.policy.deadline() {
            return self.stop(context, WaitErrorKind::DeadlineExceeded);
        }
        (self.next_attempt_at, self.not_before) = (at.into(), not_before.into());
        self.emit_heartbeat(context);
        context.events.push(Event::NextAttempt { at, reason });
        Action::SleepUntil(at)
    }

    /// Emits a heartbeat if there was no other event for the policy's heartbeat interval.
    fn emit_heartbeat(&mut self, context: &mut StepContext<'_>) {
        let silent = context.elapsed.saturating_sub(self.last_event_at.get());
        if context.events.is_empty() && self.policy.heartbeat.is_some_and(|every| silent >= every) {
            context.events.push(Event::Heartbeat);
        }
        if !context.events.is_empty() {
            self.last_event_at = context.elapsed.into();
        }
    }

    /// Returns the input of a schedule.
    pub(super) fn poll_state(&self, elapsed: Duration, count: u32) -> PollState<'_> {
        let number = self.attempts.wrapping_add(self.object_readings);
        PollState { random: splitmix64(self.seed, number), ..PollState::new(elapsed, count) }
    }

    /// Ends the wait before the job has ended.
    ///
    /// A settling job has already succeeded, so the wait then ends with that result, unless the
    /// caller stopped it.
    pub(super) fn stop(&mut self, context: &mut StepContext<'_>, kind: WaitErrorKind) -> Action {
        if self.state.settling().is_some() && kind != WaitErrorKind::Stopped {
            return self.settle(context);
        }
        let kind = match kind {
            WaitErrorKind::DeadlineExceeded => self.deadline_error(),
            kind => kind,
        };
        if kind == WaitErrorKind::NotReady {
            // A longer deadline would not help.
            match mem::replace(&mut self.state, State::Polling) {
                State::ReadingObjects(objects) if objects.has_failed() => {
                    return self.finish_objects(context, *objects);
                }
                state => self.state = state,
            }
        }
        if kind != WaitErrorKind::Stopped {
            // The error count starts again when the wait is resumed, because the cause may have
            // been fixed, for example the credentials or the limits.
            if let Some(errors) = &mut self.recent_errors {
                errors.consecutive = None;
            }
        }
        let spent = Self::new(self.id.clone(), self.policy.clone());
        let checkpoint = Checkpoint::new(mem::replace(self, spent), context.elapsed);
        Action::Finish(Box::new(Err(WaitError::new(kind, checkpoint))))
    }
}
