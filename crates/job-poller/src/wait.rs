//! The driver on tokio: does what the machine says, and brings it the time. Decides nothing.

use std::{fmt, future::IntoFuture, time::Duration};

use futures_core::future::BoxFuture;
use job_model::JobId;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Action, Ended, Event, Exponential, Fault, Input, JobSource, Machine, Schedule, Step, WaitError,
    WaitPolicy,
};

/// A wait for one job, to be awaited.
///
/// An `Ok` says how the job ended, well or badly: [`Ended::into_success`]. An `Err` says that this
/// wait stopped watching before. Needs a tokio runtime with time enabled.
///
/// # Cancel safety
///
/// Dropping the future ends the wait: at most the attempt in flight is lost, nothing runs on, and
/// the job is not affected.
#[must_use = "a wait does nothing until it is awaited"]
pub struct Wait {
    source: Box<dyn JobSource>,
    id: JobId,
    policy: WaitPolicy,
    schedule: Box<dyn Schedule>,
    on_event: OnEvent,
}

/// What a caller wants to be told with.
type OnEvent = Box<dyn FnMut(Duration, &Event) + Send>;

impl Wait {
    /// Creates a wait for a job: up to an hour, asking at first every 2 s, at last every 20 s.
    pub fn new(source: impl JobSource + 'static, id: JobId) -> Self {
        // Other clients ask every 3 to 20 s: sooner than that at first, no later at last.
        let pauses = Duration::from_secs(2)..=Duration::from_secs(20);
        Self {
            source: Box::new(source),
            id,
            policy: WaitPolicy::new(),
            schedule: Box::new(Exponential::new(pauses)),
            on_event: Box::new(|_, _| ()),
        }
    }

    /// Sets all the limits.
    pub fn policy(mut self, policy: WaitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how long to wait in all; one hour by default. See [`WaitPolicy::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy = self.policy.timeout(timeout);
        self
    }

    /// Sets the pauses between readings.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Box::new(schedule);
        self
    }

    /// Tells this function each event as it happens, and when that was, since the wait began. It
    /// should return soon: the wait stands still while it runs.
    pub fn on_event(mut self, on_event: impl FnMut(Duration, &Event) + Send + 'static) -> Self {
        self.on_event = Box::new(on_event);
        self
    }

    async fn run(mut self) -> Result<Ended, WaitError> {
        #[expect(clippy::disallowed_methods, reason = "the one place where time enters a wait")]
        let began = Instant::now();
        let mut machine = Machine::new(self.policy);
        let mut input = Input::Wake;
        loop {
            let elapsed = began.elapsed();
            let Step { events, action } = machine.step(&*self.schedule, elapsed, input);
            events.iter().for_each(|event| (self.on_event)(elapsed, event));
            input = match action {
                Action::Fetch { timeout } => attempt(&*self.source, &self.id, timeout).await,
                #[expect(clippy::disallowed_methods, reason = "the one place where a wait pauses")]
                Action::SleepUntil(at) => {
                    sleep(at.saturating_sub(began.elapsed())).await;
                    Input::Wake
                }
                Action::Finish(result) => return *result,
            };
        }
    }
}

impl IntoFuture for Wait {
    type Output = Result<Ended, WaitError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("id", &self.id)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

async fn attempt(source: &dyn JobSource, id: &JobId, limit: Duration) -> Input {
    match timeout(limit, source.fetch(id)).await {
        Ok(Ok(reading)) => Input::Reading(reading.job.into()),
        Ok(Err(error)) => Input::Fault(Fault::from(&error)),
        Err(_) => Input::Fault(Fault::timed_out(limit)),
    }
}
