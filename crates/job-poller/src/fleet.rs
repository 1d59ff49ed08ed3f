//! Many waits in one task, under one budget of requests. `scheduler` decides which wait sends the next request,
//! and the machine of each wait how the wait goes on.

mod stats;
mod subscriber;
mod learner;
mod job;
mod scheduler;
mod shared;
mod task;
mod handle;

use std::{fmt, sync::Arc, time::Duration};

use job_model::JobId;
use job_transport::{Clock, TokioClock};
use tokio::{sync::Notify, time::Instant};

pub use self::{
    handle::{FleetEvents, FleetWait},
    stats::FleetStats,
};
use self::{learner::ScheduleSource, scheduler::Scheduler, shared::Shared, task::CloseOnDrop};
use crate::{
    budget::Budget,
    machine::{Checkpoint, Machine, WaitPolicy},
    schedule::{Adaptive, History, Schedule},
    source::JobSource,
    wait::random_seed,
};

/// Waits for many jobs of one service: one task, one queue of times, one budget of requests.
///
/// Who waits longest for what is likeliest to have ended asks first: while the budget is spent, the waits
/// divide it by √*h*, the square root of the rate at which their jobs end ([`Adaptive`]), and none asks
/// at gaps of more than twice what it would be if all asked alike. First readings are paced too, and those of
/// jobs that were just submitted come when their like end ([`watch_new`](Self::watch_new)). A 429 or a
/// 503 takes 30 % off the budget, which comes back within ten seconds; a Retry-After holds all, for it
/// speaks for the service. A job that is watched twice is asked for once.
///
/// The fleet learns how long jobs take from those that end in it ([`history`](Self::history)).
///
/// Cheap to clone: the same fleet. Its task ends once no clone and no [`FleetWait`] is left.
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

/// A fleet before it is started.
#[must_use = "a fleet does nothing until it is started"]
pub struct FleetBuilder {
    source: Arc<dyn JobSource>,
    requests_per_second: f64,
    max_in_flight: usize,
    policy: WaitPolicy,
    adaptive: Adaptive,
    history: History,
    schedule: Option<Arc<dyn Schedule>>,
}

impl Fleet {
    /// Begins a fleet that asks this source.
    pub fn builder(source: impl JobSource + 'static) -> FleetBuilder {
        FleetBuilder {
            source: Arc::new(source),
            requests_per_second: 50.0,
            max_in_flight: 20,
            policy: WaitPolicy::new(),
            adaptive: Adaptive::new(),
            history: History::new(),
            schedule: None,
        }
    }

    /// Waits for a job, under the fleet's limits. If there is a wait for it already, that wait has the whole time
    /// from now on, and from now on all its subscribers get the same events.
    pub fn watch(&self, id: JobId) -> FleetWait {
        let machine = Machine::new(id, self.policy.clone()).with_seed(random_seed());
        self.start_wait(machine, Duration::ZERO, None)
    }

    /// Waits for a job that was submitted just now and is of this type, as whoever submitted it knows: while the
    /// budget is spent, the first reading is when such jobs are likely to end, and none is spent on
    /// learning what it is.
    pub fn watch_new(&self, id: JobId, job_type: &str) -> FleetWait {
        let machine = Machine::new(id, self.policy.clone()).with_seed(random_seed());
        self.start_wait(machine, Duration::ZERO, Some(job_type))
    }

    /// Goes on from a checkpoint, whose limits hold. The deadline and the next attempt stay where they were; where
    /// they are over, an attempt is made as soon as the budget allows. If there is a wait for the job already,
    /// that wait goes on under its own limits, until the later of the two deadlines.
    pub fn resume(&self, checkpoint: Checkpoint) -> FleetWait {
        let (machine, elapsed) = checkpoint.resume(TokioClock::new().now());
        self.start_wait(machine, elapsed, None)
    }

    fn start_wait(&self, machine: Machine, elapsed: Duration, job_type: Option<&str>) -> FleetWait {
        let id = machine.job_id().clone();
        let watch =
            |scheduler: &mut Scheduler, now| scheduler.subscribe(now, machine, elapsed, job_type);
        let subscriber = self.shared.update_state(watch);
        FleetWait::new(self.shared.clone(), subscriber, id)
    }

    /// Stops all waits, each with [`WaitErrorKind::Stopped`](crate::WaitErrorKind) and a checkpoint.
    pub fn stop(&self) {
        self.shared.update_state(Scheduler::stop);
    }

    /// Returns what to go on from, of each wait under way: one after another, so that they need not all be
    /// in memory. A wait that begins or ends meanwhile may be among them or not.
    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + use<> {
        let shared = self.shared.clone();
        let mut next = 0;
        std::iter::from_fn(move || {
            let (key, checkpoint) =
                shared.with_state(|scheduler, now| scheduler.checkpoint_from(now, next))?;
            next = key + 1;
            Some(checkpoint)
        })
    }

    /// Returns the history: the one that the fleet started with, and what it learned since.
    #[must_use]
    pub fn history(&self) -> History {
        self.shared.with_state(|scheduler, _| scheduler.history())
    }

    /// Returns the fleet's figures.
    #[must_use]
    pub fn stats(&self) -> FleetStats {
        self.shared.with_state(|scheduler, _| scheduler.stats())
    }
}

impl FleetBuilder {
    /// Sets how many requests a second may leave, of all waits together; 50 by default. At least one in a
    /// thousand seconds.
    pub const fn requests_per_second(mut self, requests: f64) -> Self {
        self.requests_per_second = requests;
        self
    }

    /// Sets how many requests may be in flight; 20 by default, at least 1.
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Sets the limits of each wait. See [`WaitPolicy`] for the default.
    pub const fn policy(mut self, policy: WaitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets what waits go by as long as the budget is not spent; [`Adaptive::new`] by default. Each wait goes by
    /// what is known when it begins, of this history and of the jobs that ended in the fleet since.
    pub fn adaptive(mut self, adaptive: Adaptive, history: History) -> Self {
        (self.adaptive, self.history, self.schedule) = (adaptive, history, None);
        self
    }

    /// Sets the schedule of all waits; nothing is learned. If its plans have no urgency
    /// ([`PollPlan::urgency`](crate::PollPlan::urgency)), they leave no requests for other waits: when the budget is spent,
    /// waits are queued, and the wait that was due first sends the next request.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Starts the fleet's task. Needs a tokio runtime with time enabled. Where the task ends before its waits (the
    /// runtime is shut down, the source or the schedule panics), they and all that begin later are
    /// [stopped](crate::WaitErrorKind::Stopped).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(self) -> Fleet {
        let request_price = self.adaptive.request_price;
        let schedule_source = match self.schedule {
            Some(schedule) => ScheduleSource::Fixed(schedule),
            None => ScheduleSource::learned(self.adaptive, self.history),
        };
        let budget = Budget::new(self.requests_per_second, self.max_in_flight)
            .min_request_price(request_price);
        let scheduler = Scheduler::new(budget, schedule_source);
        let wake = Arc::new(Notify::new());
        #[expect(clippy::disallowed_methods, reason = "the one place where time enters a fleet")]
        let started_at = Instant::now();
        let shared = Arc::new(Shared::new(scheduler, wake.clone(), started_at));
        let close_on_drop = CloseOnDrop(Arc::downgrade(&shared));
        tokio::spawn(task::run(close_on_drop, wake, started_at, self.source));
        Fleet { shared, policy: self.policy.into() }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl fmt::Debug for FleetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("requests_per_second", &self.requests_per_second)
            .field("max_in_flight", &self.max_in_flight)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
