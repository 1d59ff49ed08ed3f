//! The settings of a fleet, and its start.

use std::{fmt, sync::Arc};

use job_transport::transport::MemoryLimit;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    api::Fleet,
    learner::ScheduleSource,
    lists::{ListReads, Lists},
    quota_sharing::QuotaSharing,
    scheduler::Scheduler,
    shared::Shared,
    task::{CloseOnDrop, run},
};
use crate::{
    budget::{Budget, QuotaKey, QuotaStore},
    machine::WaitPolicy,
    observer::Observer,
    schedule::{Adaptive, History, Schedule},
    source::JobSource,
};

/// Configures and starts a [`Fleet`].
#[must_use = "a fleet does nothing until it is started"]
pub struct FleetBuilder {
    source: Arc<dyn JobSource>,
    observer: Option<Arc<dyn Observer>>,
    memory_limit: MemoryLimit,
    requests_per_second: f64,
    max_in_flight: usize,
    policy: WaitPolicy,
    adaptive: Adaptive,
    history: History,
    schedule: Option<Arc<dyn Schedule>>,
    list_reads: ListReads,
    quota_store: Option<(Arc<dyn QuotaStore>, QuotaKey)>,
}

impl FleetBuilder {
    pub(super) fn new(source: Arc<dyn JobSource>) -> Self {
        Self {
            source,
            observer: None,
            memory_limit: MemoryLimit::global(),
            requests_per_second: 50.0,
            max_in_flight: 20,
            policy: WaitPolicy::new(),
            adaptive: Adaptive::new(),
            history: History::new(),
            schedule: None,
            list_reads: ListReads::new(),
            quota_store: None,
        }
    }

    /// Sets the maximum number of requests per second, over all waits. The default is 50.
    ///
    /// The minimum is 0.001, which is one request in 1,000 seconds.
    pub const fn requests_per_second(mut self, requests: f64) -> Self {
        self.requests_per_second = requests;
        self
    }

    /// Sets the maximum number of requests in flight. The default is 20, the minimum 1.
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Sets the limit that the texts and the results of all waits count toward. By default it is
    /// the [limit of the process](MemoryLimit::global).
    pub fn memory_limit(mut self, limit: MemoryLimit) -> Self {
        self.memory_limit = limit;
        self
    }

    /// Shares the rate limits that the service states with other fleets and processes of the same
    /// caller. By default they are not shared.
    ///
    /// `caller` identifies the credentials of the source at its endpoint.
    pub fn quota_store(mut self, store: impl QuotaStore + 'static, caller: QuotaKey) -> Self {
        self.quota_store = Some((Arc::new(store), caller));
        self
    }

    /// Sets an observer, which receives the starts, the attempts and the ends of all waits, and the
    /// state of the budget.
    ///
    /// Watches that share a wait are reported as one wait. The observer must return quickly, because
    /// the fleet makes no progress while it runs. The fleet holds no lock meanwhile.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets the limits of each wait. The default is [`WaitPolicy::new`].
    pub const fn policy(mut self, policy: WaitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the adaptive schedule, and the history that it starts with.
    ///
    /// The default is [`Adaptive::new`] with an empty history. A wait uses what the history
    /// contains when the wait begins, including the jobs that have ended in the fleet. The schedule
    /// is rebuilt from the history at most once a minute.
    pub fn adaptive(mut self, adaptive: Adaptive, history: History) -> Self {
        (self.adaptive, self.history, self.schedule) = (adaptive, history, None);
        self
    }

    /// Sets one schedule for all waits, instead of the adaptive one. The fleet then learns nothing.
    ///
    /// If the plans of this schedule have no urgency
    /// ([`PollPlan::urgency`](crate::schedule::PollPlan::urgency)), the price of a request stays at its
    /// minimum. If the waits need more requests than the budget allows, requests are queued and
    /// sent in the order in which they were due.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Sets whether and how the fleet reads lists of jobs. By default it does, if the source has
    /// lists and several jobs of one list are watched.
    pub const fn list_reads(mut self, list_reads: ListReads) -> Self {
        self.list_reads = list_reads;
        self
    }

    /// Starts the fleet's task. Requires a tokio runtime with time enabled.
    ///
    /// The task can end early, if the runtime shuts down or if the source, the schedule or the
    /// observer panics. All current and later waits then end with
    /// [`WaitErrorKind::Stopped`](crate::WaitErrorKind::Stopped).
    ///
    /// # Panics
    ///
    /// Panics if it is called outside of a tokio runtime.
    pub fn start(self) -> Fleet {
        let request_price = self.adaptive.request_price;
        let schedule_source = match self.schedule {
            Some(schedule) => ScheduleSource::Fixed(schedule),
            None => ScheduleSource::learned(self.adaptive, self.history),
        };
        let budget = Budget::new(self.requests_per_second, self.max_in_flight)
            .min_request_price(request_price);
        let lists = Lists::new(self.source.clone(), self.list_reads);
        let mut scheduler = Scheduler::new(budget, lists, schedule_source);
        if self.observer.is_some() {
            scheduler.enable_observations();
        }
        let quota_sharing = self
            .quota_store
            .map(|(store, caller)| QuotaSharing::new(store, caller, scheduler.stated_quotas()));
        let wake = Arc::new(Notify::new());
        #[expect(clippy::disallowed_methods, reason = "the one place where time enters a fleet")]
        let started_at = Instant::now();
        let (task_end, task_ended) = watch::channel(());
        let shared = Shared::new(scheduler, self.observer, wake.clone(), started_at, task_ended);
        let shared = Arc::new(shared);
        let close_on_drop = CloseOnDrop { shared: Arc::downgrade(&shared), _task_ended: task_end };
        let weak = Arc::downgrade(&shared);
        let task = run(close_on_drop, wake, started_at, self.source, self.memory_limit);
        match quota_sharing {
            Some(sharing) => drop(tokio::spawn(sharing.run_with(task, weak))),
            None => drop(tokio::spawn(task)),
        }
        Fleet::new(shared, self.policy)
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
