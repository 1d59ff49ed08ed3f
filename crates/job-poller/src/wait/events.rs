//! Drives a wait on tokio: performs the machine's actions, and passes the time to it.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use futures_core::{Stream, future::BoxFuture};
use job_model::{Job, JobId};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::MemoryLimit,
};
use tokio::time::Sleep;

use super::{DEFAULT_POLICY, Extras, clock::WaitClock};
use crate::{
    machine::{
        Action, AttemptError, Checkpoint, CompactDuration, Event, FinishedJob, Input, Machine,
        Step, WaitError,
    },
    observer::{
        AttemptFinished, AttemptResult, Observer, WaitFinished, WaitOutcome, WaitSpan, WaitStarted,
    },
    schedule::Schedule,
    source::{AttemptTarget, JobSource, attempt},
};

/// A wait as a stream of its events, each with the time since the wait began.
///
/// The stream ends when the wait does; [`finish`](Self::finish) then returns the result. The wait
/// begins when the stream is first polled, and makes progress only while it is polled. Deadlines do
/// not move while it is not polled. Requires a tokio runtime with time enabled.
///
/// # Cancel safety
///
/// Dropping the stream ends the wait. An attempt in flight is canceled, and nothing continues in
/// the background. The job itself is not affected. Dropping a future of [`next`](Self::next) loses
/// nothing.
#[must_use = "a wait does nothing until it is asked for its events"]
pub struct WaitEvents {
    source: Arc<dyn JobSource>,
    pub(super) schedule: Arc<dyn Schedule>,
    pub(super) machine: Machine,
    /// Runs since the stream was first polled.
    clock: WaitClock,
    pub(super) extras: Option<Box<Extras>>,
    span: WaitSpan,
    activity: Activity,
    /// Ends a pause or an attempt, whichever is in progress.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the last step was.
    step_at: CompactDuration,
    /// The events of the last step that the caller has not read yet, in reverse order.
    pending_events: Vec<Event>,
}

/// Minimum time between an attempt and the attempt that a hint advances.
const MIN_HINTED_GAP: Duration = Duration::from_secs(2);

enum Activity {
    NotStarted,
    /// The attempt of the last step. The timer is set only if it is not ready at its first poll.
    Fetch {
        attempt: BoxFuture<'static, Input>,
        timeout: CompactDuration,
        has_timer: bool,
    },
    Sleep,
    Finished(Box<Result<FinishedJob, WaitError>>),
    /// The caller has taken the result.
    Taken,
}

impl WaitEvents {
    pub(super) fn new(
        source: Arc<dyn JobSource>,
        schedule: Arc<dyn Schedule>,
        machine: Machine,
        clock: WaitClock,
    ) -> Self {
        Self {
            source,
            schedule,
            machine,
            clock,
            extras: None,
            span: WaitSpan::default(),
            activity: Activity::NotStarted,
            timer: None,
            step_at: CompactDuration::ZERO,
            pending_events: Vec::new(),
        }
    }

    /// Returns the next event and its time since the wait began, or `None` if the wait is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<(Duration, Event)> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Waits for the result, and discards the remaining events.
    ///
    /// # Errors
    ///
    /// Returns an error if the wait stopped before the job ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait.
    pub async fn finish(mut self) -> Result<FinishedJob, WaitError> {
        poll_fn(|context| self.poll_result(context)).await
    }

    /// Returns the id of the job.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        self.machine.job_id()
    }

    /// Returns the job as last read, or `None` if it was never read.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        match &self.activity {
            Activity::Finished(result) => match &**result {
                Err(error) => error.job(),
                Ok(finished) => Some(finished.job.clone()),
            },
            _ => self.machine.job(),
        }
    }

    /// Returns the time since the wait began; zero if it has not begun yet.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Returns a checkpoint, from which [`Wait::resume`](crate::Wait::resume) continues the wait,
    /// in this or another process.
    ///
    /// A resumed wait repeats an attempt that is in flight now. If the job has ended, a resumed
    /// wait reads it once more. If the wait ended with a [`WaitError`], this is the error's
    /// checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        if let Activity::Finished(result) = &self.activity
            && let Err(error) = &**result
        {
            return error.checkpoint().clone();
        }
        Checkpoint::new(self.machine.clone(), self.elapsed()).with_taken_at(TokioClock::new().now())
    }

    /// Reads the job as soon as possible, because it may have changed.
    ///
    /// Call it for example when a notification about the job arrives, and then continue to poll the
    /// wait. The attempt is made at least 2 s after the last one; after a failed attempt it is not
    /// advanced. A wrong hint costs one request and never changes an outcome.
    pub fn hint(&mut self) {
        match self.activity {
            Activity::Sleep => self.advance_attempt(),
            // The reply may be older than the change, so the job is read again.
            Activity::Fetch { .. } => self.extras_mut().is_hinted = true,
            Activity::NotStarted | Activity::Finished(_) | Activity::Taken => {}
        }
    }

    /// Moves the next attempt to the earliest time that a hint permits, if the schedule planned it.
    fn advance_attempt(&mut self) {
        let Some(earliest) = self.machine.earliest_attempt() else { return };
        let elapsed = self.elapsed();
        let at = earliest.max(self.step_at.get().saturating_add(MIN_HINTED_GAP)).max(elapsed);
        if at < self.machine.next_attempt_at() {
            self.machine.advance_attempt(at);
            self.set_timer(at.saturating_sub(elapsed));
        }
    }

    /// Returns the settings that most waits do not have.
    pub(super) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Waits for the result, and calls `on_event` with each event.
    pub(super) fn poll_result(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<FinishedJob, WaitError>> {
        loop {
            if let Some((at, event)) = ready!(self.poll_event(context)) {
                let extras = self.extras.as_mut();
                if let Some(on_event) = extras.and_then(|extras| extras.on_event.as_mut()) {
                    on_event(at, &event);
                }
            } else {
                return match mem::replace(&mut self.activity, Activity::Taken) {
                    Activity::Finished(result) => Poll::Ready(*result),
                    // Polled after completion. A future may return anything then.
                    _ => Poll::Pending,
                };
            }
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<(Duration, Event)>> {
        loop {
            if let Some(event) = self.pending_events.pop() {
                return Poll::Ready(Some((self.step_at.get(), event)));
            }
            // Frees the memory, because many waits may pause at once.
            self.pending_events = Vec::new();
            match self.activity {
                Activity::Finished(_) | Activity::Taken => return Poll::Ready(None),
                Activity::NotStarted => self.report_start(),
                Activity::Fetch { .. } | Activity::Sleep => {}
            }
            // The span is not part of the wait meanwhile, because the wait is changed inside it.
            let span = mem::take(&mut self.span);
            let progress = span.in_scope(|| self.poll_step(context));
            self.span = span;
            ready!(progress);
            if let Activity::Finished(result) = &self.activity
                && self.is_observed()
            {
                let finished = WaitFinished::from_result(result);
                self.report_end(&finished);
            }
        }
    }

    /// Makes steps until there are events or the wait is over.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let stop = self.extras.as_mut().and_then(|extras| extras.stop.as_mut());
            let stop = stop.map(|stop| stop.as_mut().poll(context));
            let input = match stop {
                Some(Poll::Ready(())) => Input::Stop,
                Some(Poll::Pending) | None => ready!(self.poll_input(context)),
            };
            self.step(input);
            if !self.pending_events.is_empty() || matches!(self.activity, Activity::Finished(_)) {
                return Poll::Ready(());
            }
        }
    }

    /// Passes an input to the machine, and starts the action that it returns.
    fn step(&mut self, input: Input) {
        self.clock.start();
        let elapsed = self.elapsed();
        self.report_attempt(elapsed, &input);
        let Step { mut events, action, .. } = self.machine.step(&*self.schedule, elapsed, input);
        events.reverse();
        (self.pending_events, self.step_at) = (events, elapsed.into());
        self.activity = match action {
            Action::Fetch { id, timeout, last } => {
                self.start_attempt(AttemptTarget::Job(id, last), timeout)
            }
            Action::FetchObject { id, timeout } => {
                self.start_attempt(AttemptTarget::Object(id), timeout)
            }
            Action::SleepUntil(at) => {
                self.set_timer(at.saturating_sub(elapsed));
                let extras = self.extras.as_mut();
                if extras.is_some_and(|extras| mem::take(&mut extras.is_hinted)) {
                    self.advance_attempt();
                }
                Activity::Sleep
            }
            Action::Finish(mut result) => {
                if let Err(error) = &mut *result {
                    error.set_taken_at(TokioClock::new().now());
                }
                self.timer = None;
                if let Some(extras) = &mut self.extras {
                    extras.stop = None;
                }
                Activity::Finished(result)
            }
        };
    }

    fn start_attempt(&self, target: AttemptTarget, timeout: Duration) -> Activity {
        let (source, limit) = (self.source.clone(), self.memory_limit());
        let attempt = Box::pin(async move { attempt(&*source, &limit, &target).await });
        Activity::Fetch { attempt, timeout: timeout.into(), has_timer: false }
    }

    /// Passes the machine to `change`, which returns the one to use instead.
    pub(super) fn update_machine(&mut self, change: impl FnOnce(Machine) -> Machine) {
        // It cannot be moved out of a type that implements `Drop`.
        let unused = Machine::new(self.machine.job_id().clone(), DEFAULT_POLICY.clone());
        self.machine = change(mem::replace(&mut self.machine, unused));
    }

    fn observer(&self) -> Option<&dyn Observer> {
        self.extras.as_ref()?.observer.as_deref()
    }

    /// Returns whether the wait has an observer, or a subscriber is interested in its span.
    fn is_observed(&self) -> bool {
        self.span.is_enabled() || self.observer().is_some()
    }

    /// Reports that the wait begins.
    fn report_start(&mut self) {
        self.span = WaitSpan::new(self.job_id());
        if let Some(observer) = self.observer() {
            let elapsed_before = self.elapsed();
            let started = WaitStarted::new(self.job_id().clone());
            observer.wait_started(&WaitStarted { elapsed_before, ..started });
        }
    }

    /// Reports the attempt that led to this input, if any.
    fn report_attempt(&self, elapsed: Duration, input: &Input) {
        if let Some(observer) = self.observer()
            && let Some(result) = AttemptResult::from_input(input)
        {
            let latency = elapsed.saturating_sub(self.step_at.get());
            let is_sub_job_lookup = self.machine.lookup_deadline().is_some();
            let is_object = self.machine.is_reading_objects();
            let attempt = AttemptFinished::new(self.job_id().clone(), latency, result);
            observer.attempt_finished(&AttemptFinished { is_sub_job_lookup, is_object, ..attempt });
        }
    }

    fn report_end(&mut self, finished: &WaitFinished) {
        mem::take(&mut self.span).finish(finished);
        // While the thread panics, perhaps because of the observer, a second panic would abort the
        // process.
        if let Some(observer) = self.observer().filter(|_| !thread::panicking()) {
            observer.wait_finished(finished);
        }
    }

    /// Waits for the current activity, and returns its result as the machine's next input.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Input> {
        let timeout = match &mut self.activity {
            Activity::NotStarted | Activity::Finished(_) | Activity::Taken => {
                return Poll::Ready(Input::Wake);
            }
            Activity::Sleep => None,
            Activity::Fetch { attempt, timeout, has_timer } => {
                if let Poll::Ready(input) = attempt.as_mut().poll(context) {
                    return Poll::Ready(input);
                }
                let timeout = timeout.get();
                if !mem::replace(has_timer, true) {
                    let deadline = self.step_at.get().saturating_add(timeout);
                    self.set_timer(deadline.saturating_sub(self.elapsed()));
                }
                Some(timeout)
            }
        };
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
        }
        Poll::Ready(
            timeout.map_or(Input::Wake, |timeout| Input::Error(AttemptError::timed_out(timeout))),
        )
    }

    /// Returns the limit that the texts of the wait count toward.
    fn memory_limit(&self) -> MemoryLimit {
        let limit = self.extras.as_ref().and_then(|extras| extras.memory_limit.clone());
        limit.unwrap_or_else(MemoryLimit::global)
    }

    fn set_timer(&mut self, span: Duration) {
        #[expect(clippy::disallowed_methods, reason = "the one place where a wait pauses")]
        let sleep = tokio::time::sleep(span);
        match &mut self.timer {
            Some(timer) => timer.as_mut().set(sleep),
            None => self.timer = Some(Box::pin(sleep)),
        }
    }
}

impl Drop for WaitEvents {
    fn drop(&mut self) {
        if let Activity::Fetch { .. } | Activity::Sleep = self.activity
            && self.is_observed()
        {
            let elapsed = self.elapsed();
            let outcome = WaitOutcome::Dropped;
            self.report_end(&WaitFinished::from_machine(&self.machine, elapsed, outcome));
        }
    }
}

impl Stream for WaitEvents {
    type Item = (Duration, Event);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context)
    }
}

impl fmt::Debug for WaitEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitEvents")
            .field("job_id", self.job_id())
            .field("policy", self.machine.policy())
            .finish_non_exhaustive()
    }
}
