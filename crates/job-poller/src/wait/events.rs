//! The driver on tokio: does what the machine says, and brings it the time. Decides nothing.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use futures_core::{Stream, future::BoxFuture};
use job_model::{Job, JobId};
use job_transport::{Clock, TokioClock};
use tokio::time::{Instant, Sleep};

use crate::{
    machine::{Action, Checkpoint, Ended, Event, Fault, Input, Machine, Step, WaitError},
    schedule::Schedule,
    source::JobSource,
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
pub struct Events {
    pub(crate) source: Arc<dyn JobSource>,
    pub(crate) schedule: Arc<dyn Schedule>,
    pub(crate) machine: Machine,
    /// How long the wait had gone on before this began, in another process.
    pub(crate) before: Duration,
    /// When the stream was first asked.
    began: Option<Instant>,
    pub(crate) stop: Option<BoxFuture<'static, ()>>,
    doing: Doing,
    /// When a pause, or the time for an attempt, ends: there is one at a time.
    timer: Option<Pin<Box<Sleep>>>,
    /// What the last step told and was not passed on yet, and when that was.
    told: vec::IntoIter<Event>,
    told_at: Duration,
}

enum Doing {
    Nothing,
    /// The timer is set when the attempt does not end at once.
    Fetch {
        attempt: BoxFuture<'static, Input>,
        timeout: Duration,
        until: Duration,
        timed: bool,
    },
    Sleep,
    Finished(Box<Result<Ended, WaitError>>),
    /// The result was taken.
    Over,
}

impl Events {
    pub(crate) fn new(
        source: Arc<dyn JobSource>,
        schedule: Arc<dyn Schedule>,
        machine: Machine,
    ) -> Self {
        Self {
            source,
            schedule,
            machine,
            before: Duration::ZERO,
            began: None,
            stop: None,
            doing: Doing::Nothing,
            timer: None,
            told: Vec::new().into_iter(),
            told_at: Duration::ZERO,
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
    pub async fn finish(mut self) -> Result<Ended, WaitError> {
        poll_fn(|context| self.poll_result(context, &mut |_, _| ())).await
    }

    /// Returns which job is waited for.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        self.machine.job_id()
    }

    /// Returns the job as last read, where it ever was.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        match &self.doing {
            Doing::Finished(result) => match &**result {
                Err(error) => error.job(),
                Ok(ended) => Some(ended.job.clone()),
            },
            _ => self.machine.job(),
        }
    }

    /// Returns the time since the wait began; zero where it did not yet.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.before.saturating_add(self.began.map_or(Duration::ZERO, |began| began.elapsed()))
    }

    /// Returns what to go on from, now or in another process: [`Wait::resume`](crate::Wait::resume).
    /// An attempt in flight is made again there. Where the wait is over already, that is the one
    /// which its [`WaitError`] has or, where the job has ended, one that asks once more.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let machine = match &self.doing {
            Doing::Finished(result) => match &**result {
                Err(error) => return error.checkpoint().clone(),
                Ok(ended) => self.machine.clone().with_job(&ended.job),
            },
            _ => self.machine.clone(),
        };
        Checkpoint::new(machine, self.elapsed()).taken_at(TokioClock::new().now())
    }

    /// Lets the time begin, if it did not yet.
    pub(crate) fn begin(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "the one place where time enters a wait")]
        self.began.get_or_insert_with(Instant::now);
    }

    /// Waits to the end, and tells each event on the way.
    pub(crate) fn poll_result(
        &mut self,
        context: &mut Context<'_>,
        tell: &mut dyn FnMut(Duration, &Event),
    ) -> Poll<Result<Ended, WaitError>> {
        loop {
            if let Some((at, event)) = ready!(self.poll_event(context)) {
                tell(at, &event);
            } else {
                return match mem::replace(&mut self.doing, Doing::Over) {
                    Doing::Finished(result) => Poll::Ready(*result),
                    // Polled after its end, which no one should.
                    _ => Poll::Pending,
                };
            }
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<(Duration, Event)>> {
        loop {
            if let Some(event) = self.told.next() {
                return Poll::Ready(Some((self.told_at, event)));
            }
            // Many waits pause at once: give the memory back.
            self.told = Vec::new().into_iter();
            if let Doing::Finished(_) | Doing::Over = self.doing {
                return Poll::Ready(None);
            }
            let stop = self.stop.as_mut().map(|stop| stop.as_mut().poll(context));
            let input = match stop {
                Some(Poll::Ready(())) => Input::Stop,
                Some(Poll::Pending) | None => ready!(self.poll_input(context)),
            };
            self.step(input);
        }
    }

    /// Takes what was waited for, and begins what is to be done.
    fn step(&mut self, input: Input) {
        self.begin();
        let elapsed = self.elapsed();
        let Step { events, action } = self.machine.step(&*self.schedule, elapsed, input);
        (self.told, self.told_at) = (events.into_iter(), elapsed);
        self.doing = match action {
            Action::Fetch { id, timeout } => {
                let attempt = Box::pin(attempt(self.source.clone(), id));
                let until = elapsed.saturating_add(timeout);
                Doing::Fetch { attempt, timeout, until, timed: false }
            }
            Action::SleepUntil(at) => {
                self.set_timer(at.saturating_sub(elapsed));
                Doing::Sleep
            }
            Action::Finish(mut result) => {
                if let Err(error) = &mut *result {
                    error.checkpoint.stamp(TokioClock::new().now());
                }
                (self.stop, self.timer) = (None, None);
                Doing::Finished(result)
            }
        };
    }

    /// Waits for what is being done.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Input> {
        let limit = match &mut self.doing {
            Doing::Nothing | Doing::Finished(_) | Doing::Over => return Poll::Ready(Input::Wake),
            Doing::Sleep => None,
            Doing::Fetch { attempt, timeout, until, timed } => {
                if let Poll::Ready(input) = attempt.as_mut().poll(context) {
                    return Poll::Ready(input);
                }
                let (limit, until) = (*timeout, *until);
                if !mem::replace(timed, true) {
                    self.set_timer(until.saturating_sub(self.elapsed()));
                }
                Some(limit)
            }
        };
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
        }
        Poll::Ready(limit.map_or(Input::Wake, |limit| Input::Fault(Fault::timed_out(limit))))
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

impl Stream for Events {
    type Item = (Duration, Event);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("job_id", self.job_id())
            .field("policy", self.machine.policy())
            .finish_non_exhaustive()
    }
}

async fn attempt(source: Arc<dyn JobSource>, id: JobId) -> Input {
    source.fetch(&id).await.into()
}
