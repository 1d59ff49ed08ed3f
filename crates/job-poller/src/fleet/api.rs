//! The handle of a fleet: it starts, lists and stops waits.

use std::{fmt, sync::Arc, time::Duration};

use job_model::JobId;
use job_transport::{
    JobSnapshot,
    clock::{Clock, TokioClock},
};

use super::{
    FleetBuilder, FleetJobStatus, FleetStats, FleetWait, MergedEvents, WaitRequest,
    scheduler::{NewWait, Scheduler},
    shared::Shared,
    wait_request::WaitTarget,
};
use crate::{
    machine::{Checkpoint, Machine, WaitPolicy},
    schedule::History,
    source::JobSource,
    wait::random_seed,
};

/// Waits for many jobs under one request budget.
///
/// A fleet runs as a single task. Its budget limits the number of requests per second
/// ([`requests_per_second`](FleetBuilder::requests_per_second)) and the number of requests in
/// flight ([`max_in_flight`](FleetBuilder::max_in_flight)).
///
/// # Fairness
///
/// If the jobs need more requests than the budget allows, each job gets a share proportional to
/// √*h*, where *h* is the rate at which jobs of its type and age end (see [`Adaptive`](crate::schedule::Adaptive)). The time
/// between two requests for a job is at most 60 s, or twice the time that round-robin polling takes
/// at the full rate if that is longer.
///
/// No request is wasted: while the budget is used up and no wait is due, the wait that is planned
/// next sends its request earlier. Plans also become due earlier when other waits end and the price
/// of a request falls. This applies only to waits whose schedule planned the request: not after a
/// failed attempt, during a lookup of sub-jobs or while a job settles, not within 2 s of the wait's
/// last request, and not while the service throttles.
///
/// The budget also applies to the first request for each job. Use [`WaitRequest::submitted`] for a
/// job that was just submitted: its first request then waits until such jobs usually end.
///
/// # Throttling
///
/// A 429 or 503 reduces the budget by 30 %, at most once per second. A single reduction is undone
/// within ten seconds. A `Retry-After` pauses the whole fleet for up to five minutes, because it
/// applies to the service and not to a single job.
///
/// If a 429 states the gateway's rate limit for this caller, at most 90 % of it is used for an hour
/// ([`Budget`](crate::budget::Budget)). Requests that are due may be sent in a burst; the others are
/// spread over the window. [`quota_store`](FleetBuilder::quota_store) shares the limit with the next
/// fleet.
///
/// # Watching a job twice
///
/// Two watches of one job share one wait: its requests, its events and its result. Each has its own
/// timeout, which begins when the watch does. If one of them is for the end of the job, and another
/// until its objects are ready or gone, each ends at its own goal. One until ready and one until gone
/// do not share a wait, and [`get`](Self::get), [`hint`](Self::hint) and [`cancel`](Self::cancel) apply
/// to the later one. The other limits and the schedule are those of the first watch. A watch that reads its events too slowly loses the oldest ones, and does not affect
/// the others.
///
/// # Learning
///
/// A fleet learns how long jobs take from the jobs that end in it. [`history`](Self::history)
/// returns what it learned, so that another fleet can start with it.
///
/// # Tracing
///
/// Each wait has a span `cce.wait` as in [`Wait`](crate::Wait). It begins with the first watch, in
/// the span that is current then. The requests of the wait are made inside it; the schedule and the
/// observer are called outside it.
///
/// # Lifetime
///
/// `Fleet` is a cheap handle; clones refer to the same fleet. The task ends when the last handle
/// and the last [`FleetWait`] or [`FleetEvents`](super::FleetEvents) are dropped, or after [`shutdown`](Self::shutdown).
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
/// # let ids = (0..100).map(|_| sim.add(Plan::delete_node())).collect::<Vec<_>>();
/// use job_poller::Fleet;
///
/// let fleet = Fleet::builder(client).requests_per_second(20.0).start();
/// let watches: Vec<_> = ids.into_iter().map(|id| fleet.watch(id)).collect();
/// for watch in watches {
///     let job = watch.await?.into_success()?;
///     assert_eq!(job.job_type(), Some("DeleteNode"));
/// }
/// assert_eq!(fleet.stats().jobs, 0);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
    policy: Arc<WaitPolicy>,
}

impl Fleet {
    pub(super) fn new(shared: Arc<Shared>, policy: WaitPolicy) -> Self {
        Self { shared, policy: policy.into() }
    }

    /// Creates a builder for a fleet that reads jobs from `source`.
    pub fn builder(source: impl JobSource + 'static) -> FleetBuilder {
        FleetBuilder::new(Arc::new(source))
    }

    /// Waits for a job, with the policy and the schedule of the fleet.
    ///
    /// If the fleet already waits for this job, both watches share that wait, and this one receives
    /// the events from now on.
    pub fn watch(&self, id: JobId) -> FleetWait {
        self.watch_with(WaitRequest::new(id))
    }

    /// Waits for a job, with the settings of `request`.
    pub fn watch_with(&self, request: WaitRequest) -> FleetWait {
        let WaitRequest { target, policy, schedule, job_type } = request;
        let (machine, elapsed_before) = match target {
            WaitTarget::New(id) => {
                let policy = policy.unwrap_or_else(|| self.policy.clone());
                (Machine::new(id, policy).with_seed(random_seed()), Duration::ZERO)
            }
            WaitTarget::Object(id) => {
                let policy = policy.unwrap_or_else(|| self.policy.clone());
                (Machine::for_object(id, policy).with_seed(random_seed()), Duration::ZERO)
            }
            WaitTarget::Resumed(checkpoint) => {
                let (machine, elapsed) = checkpoint.resume(TokioClock::new().now());
                // A job that has ended may be the result. It is decoded here, without the lock.
                let last = machine.snapshot().filter(|last| last.digest().is_terminal());
                last.map(JobSnapshot::job);
                match policy {
                    Some(policy) => (machine.with_policy(policy), elapsed),
                    None => (machine, elapsed),
                }
            }
        };
        let id = machine.job_id().clone();
        let new = NewWait { machine, elapsed_before, schedule, job_type: job_type.as_deref() };
        let subscriber = self.shared.update_state(|scheduler, now| scheduler.subscribe(now, new));
        FleetWait::new(self.shared.clone(), subscriber, id)
    }

    /// Resumes a wait from a checkpoint, with the limits in the checkpoint.
    ///
    /// The deadline and the next attempt keep their times. If they have passed, an attempt is made
    /// as soon as the budget allows. If the fleet already waits for this job, both watches share
    /// that wait.
    pub fn resume(&self, checkpoint: Checkpoint) -> FleetWait {
        self.watch_with(WaitRequest::resume(checkpoint))
    }

    /// Returns the events of all waits as one stream, from now on.
    pub fn events(&self) -> MergedEvents {
        self.shared.with_state(|scheduler, _| scheduler.add_merged_stream())
    }

    /// Returns what the fleet knows about a job, or `None` if it does not wait for it.
    ///
    /// A fleet forgets a job as soon as the wait is over.
    #[must_use]
    pub fn get(&self, id: &JobId) -> Option<FleetJobStatus> {
        self.shared.with_state(|scheduler, now| scheduler.job_status(now, id))
    }

    /// Returns the ids of the jobs that the fleet waits for.
    ///
    /// The iterator may miss waits that begin or end while it runs.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + use<> {
        self.each_wait(|scheduler, _, from| scheduler.job_from(from))
    }

    /// Reads a job as soon as possible, because it may have changed. Returns whether the fleet waits
    /// for it.
    ///
    /// Call it for example when a notification about the job arrives. The attempt is made at least
    /// 2 s after the last one, and as soon as the budget allows; after a failed attempt it is not
    /// advanced. A wrong hint costs one request and never changes an outcome.
    ///
    /// If hints announced more than 90 % of the last ends, and each of the last three, the fleet reads
    /// the jobs less often, but at least every 300 s.
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
    /// use job_poller::Fleet;
    ///
    /// let fleet = Fleet::builder(client).start();
    /// let watch = fleet.watch(id.clone());
    /// assert!(fleet.hint(&id));
    /// assert!(!fleet.hint(&"another-job".parse()?));
    /// # watch.await?.into_success()?;
    /// # Ok(()) }
    /// ```
    pub fn hint(&self, id: &JobId) -> bool {
        self.shared.update_state(|scheduler, now| scheduler.hint(now, id))
    }

    /// Stops the wait for a job. Returns whether the fleet waited for it.
    ///
    /// Each watch of the job ends with [`WaitErrorKind::Stopped`](crate::WaitErrorKind) and a
    /// checkpoint, or with the job's result if the job is known to have ended. An attempt in flight
    /// is canceled. The job itself is not affected.
    pub fn cancel(&self, id: &JobId) -> bool {
        self.shared.update_state(|scheduler, now| scheduler.stop_job(now, id))
    }

    /// Stops all waits. Each ends as after [`cancel`](Self::cancel). The fleet can be used again.
    pub fn stop(&self) {
        self.shared.update_state(Scheduler::stop);
    }

    /// Stops all current and later waits, and waits until the fleet's task has ended.
    ///
    /// Each wait ends as after [`cancel`](Self::cancel), and attempts in flight are canceled. When
    /// this returns, the fleet has no task and no longer uses its source.
    ///
    /// # Cancel safety
    ///
    /// The fleet shuts down even if the future is dropped after its first poll.
    pub async fn shutdown(&self) {
        self.shared.update_state(Scheduler::close);
        self.shared.task_ended().await;
    }

    /// Returns a checkpoint of each wait in progress.
    ///
    /// The iterator takes one checkpoint at a time, so they are never all in memory. It may miss
    /// waits that begin or end while it runs.
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
    /// use job_poller::{Checkpoint, Fleet};
    ///
    /// let fleet = Fleet::builder(client.clone()).start();
    /// let _watch = fleet.watch(id);
    /// let saved: Vec<Checkpoint> = fleet.checkpoints().collect();
    /// fleet.stop();
    ///
    /// // Later, for example in another process:
    /// let fleet = Fleet::builder(client).start();
    /// for checkpoint in saved {
    ///     let job = fleet.resume(checkpoint).await?.into_success()?;
    ///     assert_eq!(job.job_type(), Some("CreateCluster"));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + use<> {
        self.each_wait(Scheduler::checkpoint_from)
    }

    /// Returns an iterator that takes one item at a time from the scheduler. `next` returns the
    /// first item whose key is at least its last argument, and that key.
    fn each_wait<T, F>(&self, next: F) -> impl Iterator<Item = T> + use<T, F>
    where
        F: Fn(&Scheduler, Duration, usize) -> Option<(usize, T)>,
    {
        let shared = self.shared.clone();
        let mut from = 0;
        std::iter::from_fn(move || {
            let (key, item) = shared.with_state(|scheduler, now| next(scheduler, now, from))?;
            from = key + 1;
            Some(item)
        })
    }

    /// Returns the history that the fleet started with, together with what it has learned since.
    ///
    /// The history is empty if the fleet uses a fixed [`schedule`](FleetBuilder::schedule).
    #[must_use]
    pub fn history(&self) -> History {
        self.shared.with_state(|scheduler, _| scheduler.history())
    }

    /// Returns the fleet's current figures.
    #[must_use]
    pub fn stats(&self) -> FleetStats {
        self.shared.with_state(|scheduler, now| scheduler.stats(now))
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
