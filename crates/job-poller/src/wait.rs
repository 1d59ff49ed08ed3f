//! A wait for one job, as a future. The stream of its events is in `events`.

mod clock;
mod events;

pub use events::WaitEvents;

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use job_model::{JobId, object::ObjectId};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::MemoryLimit,
};

use self::clock::WaitClock;
use crate::{
    machine::{Checkpoint, Event, FinishedJob, Machine, WaitError, WaitPolicy},
    observer::Observer,
    schedule::{Adaptive, Schedule},
    source::JobSource,
};

/// Waits for one job.
///
/// Await it for the result, or follow its [`events`](Self::events). The result is `Ok` if the job
/// has ended, even if it failed: [`FinishedJob::into_success`] turns a failed job into an error.
/// The result is `Err` if the wait stopped before the job ended. Requires a tokio runtime with time
/// enabled.
///
/// # Cancel safety
///
/// Dropping the future ends the wait. An attempt in flight is canceled, and nothing continues in
/// the background. The job itself is not affected.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// # let id = sim.job().clone();
/// use job_poller::{Outcome, Wait};
///
/// let ended = Wait::new(client, id).await?;
/// match &ended.outcome {
///     Outcome::Failed(failure) => println!("failed: {failure}"),
///     outcome => println!("{} after {} attempts", outcome.as_str(), ended.attempts),
/// }
/// # assert_eq!(ended.outcome, Outcome::Succeeded);
/// # Ok(()) }
/// ```
#[must_use = "a wait does nothing until it is awaited"]
pub struct Wait(WaitEvents);

/// What most waits do not have.
#[derive(Default)]
struct Extras {
    /// `None` for the limit of the process.
    memory_limit: Option<MemoryLimit>,
    observer: Option<Arc<dyn Observer>>,
    stop: Option<BoxFuture<'static, ()>>,
    on_event: Option<OnEvent>,
    /// A hint came while an attempt was in flight.
    is_hinted: bool,
}

/// A caller's function that receives events.
type OnEvent = Box<dyn FnMut(Duration, &Event) + Send>;

impl Wait {
    /// Creates a wait with the default limits and the [`Adaptive`] schedule.
    ///
    /// The default timeout is one hour.
    pub fn new(source: impl JobSource + 'static, id: JobId) -> Self {
        let machine = Machine::new(id, DEFAULT_POLICY.clone()).with_seed(random_seed());
        Self::from_machine(source, machine, WaitClock::new())
    }

    /// Creates a wait until a cluster or a node is ready, without a job.
    ///
    /// Use it for operations that return no job, such as resizing or hibernating a cluster, or if the
    /// id of the job is lost. [`until_gone`](Self::until_gone) waits until the object is gone. The
    /// limits and the schedule are those of [`new`](Self::new). Most accessors of the result are about
    /// the job, and thus empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    /// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    /// # let cluster = client.job(sim.job()).await?.job().spec.clone().and_then(|spec| spec.cluster_uid);
    /// # let cluster = cluster.expect("a cluster");
    /// use job_model::object::ObjectId;
    /// use job_poller::Wait;
    ///
    /// let finished = Wait::for_object(client, ObjectId::Cluster(cluster.parse()?)).await?;
    /// assert_eq!(finished.objects[0].phase.as_deref(), Some("Available"));
    /// # Ok(()) }
    /// ```
    pub fn for_object(source: impl JobSource + 'static, id: ObjectId) -> Self {
        let machine = Machine::for_object(id, DEFAULT_POLICY.clone()).with_seed(random_seed());
        Self::from_machine(source, machine, WaitClock::new())
    }

    /// Resumes a wait from a checkpoint, in this or another process.
    ///
    /// The deadline and the next attempt keep their times. An overdue attempt is made at once, even
    /// if the deadline has passed. The checkpoint does not contain the schedule: set it again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    /// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    /// # let id = sim.job().clone();
    /// # let shutdown = tokio::time::sleep(Duration::from_secs(1));
    /// use job_poller::{Checkpoint, Wait, WaitErrorKind};
    ///
    /// let error = Wait::new(client.clone(), id).stop_on(shutdown).await.unwrap_err();
    /// assert_eq!(error.kind(), WaitErrorKind::Stopped);
    /// let kept = serde_json::to_string(error.checkpoint())?;
    ///
    /// // Later, elsewhere:
    /// let checkpoint: Checkpoint = serde_json::from_str(&kept)?;
    /// let job = Wait::resume(client, checkpoint).await?.into_success()?;
    /// # assert_eq!(job.job_type(), Some("CreateCluster"));
    /// # Ok(()) }
    /// ```
    pub fn resume(source: impl JobSource + 'static, checkpoint: Checkpoint) -> Self {
        let (machine, elapsed) = checkpoint.resume(TokioClock::new().now());
        Self::from_machine(source, machine, WaitClock::resumed(elapsed))
    }

    fn from_machine(source: impl JobSource + 'static, machine: Machine, clock: WaitClock) -> Self {
        let schedule = DEFAULT_SCHEDULE.clone();
        Self(WaitEvents::new(Arc::new(source), schedule, machine, clock))
    }

    /// Returns the id of the job.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        self.0.job_id()
    }

    /// Sets all limits. They count from the beginning of the wait, even if it was resumed.
    ///
    /// Several waits can share one policy in an `Arc`.
    pub fn policy(mut self, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        self.0.update_machine(|machine| machine.with_policy(policy));
        self
    }

    /// Continues after the job's success until the cluster or the nodes that it names are ready. See
    /// [`WaitPolicy::until_ready`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    /// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    /// # let id = sim.job().clone();
    /// use job_poller::{Outcome, Wait};
    ///
    /// let finished = Wait::new(client, id).until_ready().await?;
    /// match &finished.outcome {
    ///     Outcome::Ready => println!("the cluster can be used"),
    ///     Outcome::Failed(failure) => println!("the job failed: {failure}"),
    ///     _ => println!("{}", finished.object_summary()),
    /// }
    /// # assert_eq!(finished.outcome, Outcome::Ready);
    /// # Ok(()) }
    /// ```
    pub fn until_ready(self) -> Self {
        let policy = self.0.machine.policy().until_ready();
        self.policy(policy)
    }

    /// Continues after the job's success until the cluster or the nodes that it names are gone. See
    /// [`WaitPolicy::until_gone`].
    pub fn until_gone(self) -> Self {
        let policy = self.0.machine.policy().until_gone();
        self.policy(policy)
    }

    /// Sets the maximum time to wait. The default is one hour. See [`WaitPolicy::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        let policy = self.0.machine.policy().timeout(timeout);
        self.policy(policy)
    }

    /// Sets the schedule, which chooses the delays between readings. The default is [`Adaptive`].
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.0.schedule = Arc::new(schedule);
        self
    }

    /// Sets the limit that the wait's texts and its result count toward. By default it is the
    /// [limit of the process](MemoryLimit::global).
    pub fn memory_limit(mut self, limit: MemoryLimit) -> Self {
        self.0.extras_mut().memory_limit = Some(limit);
        self
    }

    /// Sets the seed of the jitter. By default each wait has a random seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.update_machine(|machine| machine.with_seed(seed));
        self
    }

    /// Stops the wait when the future `stop` completes.
    ///
    /// The wait then ends with [`WaitErrorKind::Stopped`](crate::WaitErrorKind) and a checkpoint.
    /// An attempt in flight is canceled.
    pub fn stop_on(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.0.extras_mut().stop = Some(Box::pin(stop));
        self
    }

    /// Sets an observer, which receives the start, the attempts and the end of the wait.
    ///
    /// It is called even if only the [`events`](Self::events) are read. It must return quickly,
    /// because the wait makes no progress while it runs.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.0.extras_mut().observer = Some(Arc::new(observer));
        self
    }

    /// Calls `on_event` with each event, and with its time since the wait began.
    ///
    /// It is called when the wait is awaited, and not when its [`events`](Self::events) are read.
    /// It should return quickly, because the wait makes no progress while it runs.
    pub fn on_event(mut self, on_event: impl FnMut(Duration, &Event) + Send + 'static) -> Self {
        self.0.extras_mut().on_event = Some(Box::new(on_event));
        self
    }

    /// Reads the job as soon as possible, because it may have changed. See [`WaitEvents::hint`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    /// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    /// # let id = sim.job().clone();
    /// # let (_sender, mut notifications) = tokio::sync::mpsc::channel::<()>(1);
    /// let mut wait = job_poller::Wait::new(client, id);
    /// let ended = loop {
    ///     tokio::select! {
    ///         ended = &mut wait => break ended?,
    ///         Some(()) = notifications.recv() => wait.hint(),
    ///     }
    /// };
    /// # ended.into_success()?;
    /// # Ok(()) }
    /// ```
    pub fn hint(&mut self) {
        self.0.hint();
    }

    /// Turns the wait into a stream of its events. A function set with [`on_event`](Self::on_event)
    /// is not called.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    /// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
    /// # let id = sim.job().clone();
    /// let mut events = job_poller::Wait::new(client, id).events();
    /// while let Some((at, event)) = events.next().await {
    ///     println!("{at:>8.1?}  {event}");
    /// }
    /// let job = events.finish().await?.into_success()?;
    /// # assert_eq!(job.job_type(), Some("CreateCluster"));
    /// # Ok(()) }
    /// ```
    pub fn events(mut self) -> WaitEvents {
        if let Some(extras) = &mut self.0.extras {
            extras.on_event = None;
        }
        self.0
    }
}

impl Future for Wait {
    type Output = Result<FinishedJob, WaitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_result(context)
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("job_id", self.job_id())
            .field("policy", self.0.machine.policy())
            .finish_non_exhaustive()
    }
}

/// Returns a random seed.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(0)
}

// The defaults are shared, because there may be many waits.
static DEFAULT_POLICY: LazyLock<Arc<WaitPolicy>> = LazyLock::new(Arc::default);
static DEFAULT_SCHEDULE: LazyLock<Arc<dyn Schedule>> = LazyLock::new(|| Arc::new(Adaptive::new()));
