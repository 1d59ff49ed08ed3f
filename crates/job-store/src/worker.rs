//! The worker: claims waits that are due, makes their attempts, and delivers notifications.

mod clients;
mod claim;
mod attempt;
mod complete;
mod lists;

use std::{
    future::{pending, ready},
    sync::Arc,
    time::Duration,
};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use job_model::ProjectId;
use job_poller::{observer::Observer, schedule::Schedule};
use job_transport::{
    Client,
    clock::{Clock, TokioClock},
    transport::display_chain,
};
use tokio::{sync::watch, task::JoinSet};

use self::{
    claim::Claim,
    clients::{Clients, ProjectClient},
};
use crate::{budget::Limits, error::StoreError, store::Store};

/// Makes the attempts of the waits in a store, and delivers their notifications.
///
/// Any number of workers can share a PostgreSQL database. They share one request budget. If a worker
/// crashes, others repeat its attempts after their lease: the timeout of an attempt and half a minute.
///
/// # Examples
///
/// See the [crate's documentation](crate).
#[derive(Clone)]
pub struct Worker {
    store: Store,
    clients: Clients,
    /// The schedule that the caller has set. Otherwise, each endpoint has the one that is learned from
    /// its jobs.
    schedule: Option<Arc<dyn Schedule>>,
    observer: Option<Arc<dyn Observer>>,
    reads_lists: bool,
    limits: Limits,
    retention: Duration,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The longest time between two looks at the database. Other processes start waits without waking
/// this one.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// The shortest time between two looks at the database.
const MIN_IDLE: Duration = Duration::from_millis(5);

/// The delay after an error of the database.
const ERROR_DELAY: Duration = Duration::from_secs(1);

/// The time between two deletions of finished waits.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// The time between two reports of the budget to the observer.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of tries to deliver a notification at the same time.
const MAX_DELIVERIES: usize = 16;

impl Worker {
    /// Creates a worker that reads the jobs of all projects with `client`. The client's project is
    /// replaced by that of each wait.
    ///
    /// The budget of all workers together is 50 requests per second, with at most 20 in flight.
    #[must_use]
    pub fn new(store: Store, client: Client) -> Self {
        Self::with_clients(store, Clients::one(client))
    }

    /// Creates a worker that serves these projects, each with its own client. Their endpoints and
    /// credentials may differ.
    ///
    /// The waits of other projects are left to other workers. The budget is shared by all projects, as
    /// that of [`new`](Self::new).
    #[must_use]
    pub fn for_projects(
        store: Store,
        clients: impl IntoIterator<Item = (ProjectId, Client)>,
    ) -> Self {
        Self::with_clients(store, Clients::by_project(clients))
    }

    fn with_clients(store: Store, clients: Clients) -> Self {
        Self {
            store,
            clients,
            schedule: None,
            observer: None,
            reads_lists: true,
            limits: Limits::DEFAULT,
            retention: Duration::from_secs(24 * 3600),
            clock: Arc::new(TokioClock::new()),
        }
    }

    /// Sets the maximum number of requests per second, for all workers together. The minimum is
    /// 0.001. Use the same number in all workers.
    #[must_use]
    pub const fn requests_per_second(mut self, requests: f64) -> Self {
        self.limits.per_second = requests;
        self
    }

    /// Sets the maximum number of requests in flight, for all workers together. Use the same number in
    /// all workers.
    #[must_use]
    pub const fn max_in_flight(mut self, requests: usize) -> Self {
        self.limits.max_in_flight = requests;
        self
    }

    /// Sets the schedule of the waits.
    ///
    /// The default is [`Adaptive`](job_poller::schedule::Adaptive), with a history in the database
    /// that all workers of the same endpoint share. Nothing is learned from an endpoint on loopback.
    #[must_use]
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Sets whether lists of jobs are read. They are by default. Use the same setting in all workers.
    ///
    /// One request for a list shows many jobs. Workers read the list of each project with at least ten
    /// waits, and that of a smaller project while it saves requests. They read it at most every two
    /// seconds, and more often the more jobs are likely to end. Its requests are part of the budget. If a
    /// row shows that a job has changed or ended, the job is read next. No outcome comes from a list.
    ///
    /// While a list shows the changes that the jobs' own readings show, these readings become rarer: up
    /// to one in 300 s, instead of 60 s. So an end that the list does not show is read at most 300 s
    /// later, if the budget permits that. A list is not read for a minute if it lacks a change, is
    /// refused, takes longer than 5 s, is larger than 4 MiB or cannot be read; then for two minutes, and
    /// so on up to an hour. Meanwhile its jobs are read as if there were no list.
    ///
    /// The default [`schedule`](Self::schedule) also learns from the rows how long other jobs took,
    /// except on loopback.
    #[must_use]
    pub const fn read_lists_of_jobs(mut self, reads_lists: bool) -> Self {
        self.reads_lists = reads_lists;
        self
    }

    /// Sets an observer of the waits.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets how long a finished wait is kept. The default is one day. A wait with a notification that
    /// is not delivered yet is kept longer.
    #[must_use]
    pub const fn retention(mut self, span: Duration) -> Self {
        self.retention = span;
        self
    }

    /// Runs until `stopped` completes, and then until the attempts and deliveries in flight have ended.
    ///
    /// An error of the database is logged, and does not end the worker.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempts in flight are repeated after their lease, and the tries to
    /// deliver a notification after two minutes.
    pub async fn run(self, stopped: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(());
        let stopper = async {
            stopped.await;
            drop(stop);
        };
        // On the heap, because these futures are large.
        let lists: BoxFuture<'_, ()> =
            if self.reads_lists { Box::pin(self.read_lists()) } else { Box::pin(pending()) };
        let (attempts, deliveries) = (self.attempts(stopping.clone()), self.deliver(stopping));
        let work = async { tokio::join!(stopper, Box::pin(attempts), Box::pin(deliveries)) };
        tokio::select! {
            _ = work => {}
            () = Box::pin(self.clean_up()) => {}
            () = lists => {}
        }
    }

    /// Claims waits and makes their attempts, until the worker stops.
    async fn attempts(&self, mut stopping: watch::Receiver<()>) {
        let mut attempts = JoinSet::new();
        let mut next_status = Duration::ZERO;
        loop {
            let changed = self.store.changed.notified();
            if let Err(error) = self.refresh_schedules().await {
                log_error("cannot read the history", &error);
            }
            let now = self.clock.monotonic();
            if now >= next_status {
                next_status = now + STATUS_INTERVAL;
                if let Err(error) = self.report_budget().await {
                    log_error("cannot read the budget", &error);
                }
            }
            let idle = match self.claim().await {
                Ok(Claim { waits, idle }) => {
                    for wait in waits {
                        let worker = self.clone();
                        attempts.spawn(async move { worker.attempt(wait).await });
                    }
                    idle.clamp(MIN_IDLE, MAX_IDLE)
                }
                Err(error) => {
                    log_error("cannot claim a wait", &error);
                    ERROR_DELAY
                }
            };
            tokio::select! {
                biased;
                // The sender is dropped when the worker stops.
                _ = stopping.changed() => break,
                // The end of an attempt permits another one.
                _ = attempts.join_next(), if !attempts.is_empty() => {}
                () = self.clock.sleep(idle) => {}
                () = changed => {}
            }
            while attempts.try_join_next().is_some() {}
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Delivers notifications, until the worker stops.
    async fn deliver(&self, mut stopping: watch::Receiver<()>) {
        let mut tries = JoinSet::new();
        loop {
            let changed = self.store.changed.notified();
            let free = MAX_DELIVERIES.saturating_sub(tries.len());
            let due = if free > 0 && self.store.notifier.is_some() {
                self.store.due_notifications(free).await
            } else {
                Ok(Vec::new())
            };
            let has_more = match due {
                Ok(due) => {
                    let has_more = !due.is_empty();
                    for notification in due {
                        let worker = self.clone();
                        tries.spawn(async move {
                            if let Err(error) = worker.store.deliver(notification).await {
                                log_error("cannot record a delivery", &error);
                            }
                        });
                    }
                    has_more
                }
                Err(error) => {
                    log_error("cannot read the outbox", &error);
                    false
                }
            };
            tokio::select! {
                biased;
                _ = stopping.changed() => break,
                () = ready(()), if has_more => {}
                _ = tries.join_next(), if !tries.is_empty() => {}
                () = self.clock.sleep(MAX_IDLE) => {}
                () = changed => {}
            }
        }
        while tries.join_next().await.is_some() {}
    }

    /// Deletes finished waits after their retention. Never returns.
    async fn clean_up(&self) {
        loop {
            if let Err(error) = self.store.delete_finished(self.retention).await {
                log_error("cannot delete finished waits", &error);
            }
            self.clock.sleep(CLEANUP_INTERVAL).await;
        }
    }

    /// Reports the budget to the observer.
    async fn report_budget(&self) -> Result<(), StoreError> {
        if let Some(observer) = &self.observer {
            observer.budget_changed(&self.store.budget_status().await?);
        }
        Ok(())
    }

    /// Reads the histories that the schedules are built from, once a minute.
    async fn refresh_schedules(&self) -> Result<(), StoreError> {
        self.clients.refresh(&self.store.database, self.clock.monotonic()).await
    }

    fn schedule_of(&self, client: &ProjectClient) -> Arc<dyn Schedule> {
        self.schedule.clone().unwrap_or_else(|| client.learned.schedule())
    }
}

/// Logs an error of the database, which does not end the worker.
fn log_error(what: &'static str, error: &StoreError) {
    let error = display_chain(error);
    tracing::warn!(%error, "{what}");
}

/// Returns the time from `now` until `at`, or zero.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    at.duration_since(now).try_into().unwrap_or_default()
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
impl Worker {
    /// Replaces the clock.
    pub(crate) fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reads the lists that are due, as `run` does. Returns the time until the next one is due.
    pub(crate) async fn read_list(&self, is_search: bool) -> Duration {
        if !self.reads_lists {
            return Duration::MAX;
        }
        if is_search {
            self.add_lists().await.unwrap();
        }
        loop {
            let idle = self.read_due_list().await.unwrap();
            if !idle.is_zero() {
                return idle.clamp(MIN_IDLE, MAX_IDLE);
            }
        }
    }

    /// Makes the attempts that are due now, one after the other, and delivers the notifications.
    /// Returns how long nothing else is due.
    pub(crate) async fn run_once(&self) -> Duration {
        self.refresh_schedules().await.unwrap();
        self.report_budget().await.unwrap();
        let Claim { waits, idle } = self.claim().await.unwrap();
        let idle = if waits.is_empty() { idle } else { Duration::ZERO };
        for wait in waits {
            self.attempt(wait).await;
        }
        if self.store.notifier.is_some() {
            loop {
                let due = self.store.due_notifications(MAX_DELIVERIES).await.unwrap();
                if due.is_empty() {
                    break;
                }
                for notification in due {
                    self.store.deliver(notification).await.unwrap();
                }
            }
        }
        idle
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
