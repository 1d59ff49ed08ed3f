//! The driver on tokio: performs the machine's actions, and brings it the time.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::{Stream, future::BoxFuture};
use job_model::{Job, JobId};
use job_transport::{Clock, JobSnapshot, TokioClock};
use tokio::time::Sleep;

use super::{OnEvent, clock::WaitClock};
use crate::{
    machine::{
        Action, AttemptError, Checkpoint, CompactDuration, Event, FinishedJob, Input, Machine,
        Step, WaitError,
    },
    schedule::Schedule,
    source::{JobSource, attempt},
};

/// A wait under way, as a stream of what happens, each event with the time since the wait began. It
/// ends when the wait does; [`finish`](Self::finish) then says how.
///
/// The wait begins when the stream is first asked for an event, and moves on only while it is asked:
/// an attempt in flight stands still meanwhile, and deadlines pass. Needs a tokio runtime with time
/// enabled.
///
/// # Cancel safety
///
/// Dropping the stream ends the wait: at most the attempt in flight is lost, nothing runs on, and
/// the job is not affected. Dropping a future of [`next`](Self::next) loses nothing: the next one
/// goes on.
#[must_use = "a wait does nothing until it is asked for its events"]
pub struct WaitEvents {
    source: Arc<dyn JobSource>,
    schedule: Arc<dyn Schedule>,
    machine: Machine,
    /// Runs since the stream was first polled.
    clock: WaitClock,
    /// Boxed again, because most waits have none.
    stop: Option<Box<BoxFuture<'static, ()>>>,
    activity: Activity,
    /// When a pause, or the time for an attempt, ends: there is one at a time.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the last step was.
    step_at: CompactDuration,
    /// The events of the last step that were not passed on yet, the next one last.
    pending_events: Vec<Event>,
}

enum Activity {
    NotStarted,
    /// The attempt of the last step. The timer is set when the attempt does not end at once.
    Fetch {
        attempt: BoxFuture<'static, Input>,
        timeout: CompactDuration,
        has_timer: bool,
    },
    Sleep,
    Finished(Box<Result<FinishedJob, WaitError>>),
    /// The result was taken.
    Taken,
}

impl WaitEvents {
    pub(super) fn new(
        source: Arc<dyn JobSource>,
        schedule: Arc<dyn Schedule>,
        machine: Machine,
        clock: WaitClock,
        stop: Option<BoxFuture<'static, ()>>,
    ) -> Self {
        Self {
            source,
            schedule,
            machine,
            clock,
            stop: stop.map(Box::new),
            activity: Activity::NotStarted,
            timer: None,
            step_at: CompactDuration::ZERO,
            pending_events: Vec::new(),
        }
    }

    /// Returns the next event, and when it happened, since the wait began; `None` once the wait is
    /// over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(Duration, Event)> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Waits to the end, and says how it came.
    ///
    /// # Errors
    ///
    /// Where the wait stopped watching before the job ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait.
    pub async fn finish(mut self) -> Result<FinishedJob, WaitError> {
        poll_fn(|context| self.poll_result(context, None)).await
    }

    /// Returns which job is waited for.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        self.machine.job_id()
    }

    /// Returns the job as last read, where it ever was.
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

    /// Returns what to go on from, now or in another process: [`Wait::resume`](crate::Wait::resume).
    /// An attempt in flight is made again there. Where the wait is over already, that is the one
    /// which its [`WaitError`] has or, where the job has ended, one that asks once more.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let machine = match &self.activity {
            Activity::Finished(result) => match &**result {
                Err(error) => return error.checkpoint().clone(),
                Ok(finished) => self.machine.clone().with_job(&finished.job),
            },
            _ => self.machine.clone(),
        };
        Checkpoint::new(machine, self.elapsed()).taken_at(TokioClock::new().now())
    }

    /// Waits to the end, and calls the function with each event on the way.
    pub(super) fn poll_result(
        &mut self,
        context: &mut Context<'_>,
        mut on_event: Option<&mut OnEvent>,
    ) -> Poll<Result<FinishedJob, WaitError>> {
        loop {
            if let Some((at, event)) = ready!(self.poll_event(context)) {
                if let Some(on_event) = &mut on_event {
                    on_event(at, &event);
                }
            } else {
                return match mem::replace(&mut self.activity, Activity::Taken) {
                    Activity::Finished(result) => Poll::Ready(*result),
                    // Polled after its end, which no one should.
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
            // Many waits pause at once: give the memory back.
            self.pending_events = Vec::new();
            if let Activity::Finished(_) | Activity::Taken = self.activity {
                return Poll::Ready(None);
            }
            let stop = self.stop.as_mut().map(|stop| Pin::new(&mut **stop).poll(context));
            let input = match stop {
                Some(Poll::Ready(())) => Input::Stop,
                Some(Poll::Pending) | None => ready!(self.poll_input(context)),
            };
            self.step(input);
        }
    }

    /// Takes what was waited for, and begins what is to be done.
    fn step(&mut self, input: Input) {
        self.clock.start();
        let elapsed = self.elapsed();
        let Step { mut events, action, .. } = self.machine.step(&*self.schedule, elapsed, input);
        events.reverse();
        (self.pending_events, self.step_at) = (events, elapsed.into());
        self.activity = match action {
            Action::Fetch { id, timeout, last } => {
                let attempt = Box::pin(run_attempt(self.source.clone(), id, last));
                Activity::Fetch { attempt, timeout: timeout.into(), has_timer: false }
            }
            Action::SleepUntil(at) => {
                self.set_timer(at.saturating_sub(elapsed));
                Activity::Sleep
            }
            Action::Finish(mut result) => {
                if let Err(error) = &mut *result {
                    error.set_taken_at(TokioClock::new().now());
                }
                (self.stop, self.timer) = (None, None);
                Activity::Finished(result)
            }
        };
    }

    /// Waits for what is being done.
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

    fn set_timer(&mut self, span: Duration) {
        #[expect(clippy::disallowed_methods, reason = "the one place where a wait pauses")]
        let sleep = tokio::time::sleep(span);
        match &mut self.timer {
            Some(timer) => timer.as_mut().set(sleep),
            None => self.timer = Some(Box::pin(sleep)),
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

async fn run_attempt(source: Arc<dyn JobSource>, id: JobId, last: Option<JobSnapshot>) -> Input {
    attempt(&*source, &id, last.as_ref()).await.into()
}
