//! The worker: claims waits that are due, makes their attempts, and delivers notifications.

mod claim;
mod attempt;
mod complete;
mod lists;

use std::{future::pending, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use job_poller::{observer::Observer, schedule::Schedule};
use job_transport::{
    Client,
    clock::{Clock, TokioClock},
    transport::display_chain,
};
use tokio::{sync::watch, task::JoinSet};

use self::claim::Claim;
use crate::{budget::Limits, error::StoreError, history::LearnedSchedule, store::Store};

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
    client: Client,
    schedule: ScheduleSource,
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

/// The schedule of the waits.
#[derive(Clone)]
enum ScheduleSource {
    /// It was set by the caller.
    Fixed(Arc<dyn Schedule>),
    /// It is built from the history in the database.
    Learned(Arc<LearnedSchedule>),
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
const MAX_DELIVERIES: u32 = 16;

impl Worker {
    /// Creates a worker that reads jobs with `client`. The client's project is replaced by that of
    /// each wait.
    ///
    /// The budget of all workers together is 50 requests per second, with at most 20 in flight.
    #[must_use]
    pub fn new(store: Store, client: Client) -> Self {
        let learned = Arc::new(LearnedSchedule::new(client.endpoint()));
        Self {
            store,
            client,
            schedule: ScheduleSource::Learned(learned),
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
        self.schedule = ScheduleSource::Fixed(Arc::new(schedule));
        self
    }

    /// Sets whether lists of jobs are read. They are by default. Use the same setting in all workers.
    ///
    /// The list of each project with at least ten waits is read. One request shows many jobs, so a
    /// list is read more often the more jobs are likely to end, at most every two seconds, with slots
    /// of the budget. If a row shows that a job has changed or ended, the job is read next. No outcome
    /// comes from a list.
    ///
    /// Each change that a job's own reading shows and that the list shows as well makes the readings
    /// of the jobs in the list rarer: up to one in 300 s, instead of 60 s. A list that lacks a change,
    /// is refused, takes longer than 5 s, is larger than 4 MiB or cannot be read is not read for a
    /// minute, then for two, and so on up to an hour, and the jobs are read as without it. So an end
    /// that a list does not show is read at most 300 s later, and within 60 s after the list was given
    /// up, if the budget permits that.
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
            if let Err(error) = self.refresh_schedule().await {
                log_error("cannot read the history", &error);
            }
            let now = self.clock.monotonic();
            let observer = self.observer.as_deref().filter(|_| now >= next_status);
            let idle = match self.claim(observer).await {
                Ok(Claim { waits, idle }) => {
                    if observer.is_some() {
                        next_status = now + STATUS_INTERVAL;
                    }
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
            let free = MAX_DELIVERIES.saturating_sub(tries.len() as u32);
            let due = if free > 0 && self.store.notifier.is_some() {
                self.store.due_notifications(free).await
            } else {
                Ok(Vec::new())
            };
            match due {
                Ok(due) => {
                    for notification in due {
                        let worker = self.clone();
                        tries.spawn(async move {
                            if let Err(error) = worker.store.deliver(notification).await {
                                log_error("cannot record a delivery", &error);
                            }
                        });
                    }
                }
                Err(error) => log_error("cannot read the outbox", &error),
            }
            tokio::select! {
                biased;
                _ = stopping.changed() => break,
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

    /// Reads the history that the schedule is built from, once a minute.
    async fn refresh_schedule(&self) -> Result<(), StoreError> {
        match &self.schedule {
            ScheduleSource::Fixed(_) => Ok(()),
            ScheduleSource::Learned(learned) => {
                learned.refresh(&self.store.database, self.clock.monotonic()).await
            }
        }
    }

    fn schedule_now(&self) -> Arc<dyn Schedule> {
        match &self.schedule {
            ScheduleSource::Fixed(schedule) => schedule.clone(),
            ScheduleSource::Learned(learned) => learned.schedule(),
        }
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

    /// Reads the lists that are due, as `run` does.
    pub(crate) async fn read_list(&self) {
        if !self.reads_lists {
            return;
        }
        self.add_lists().await.unwrap();
        while self.read_due_list().await.unwrap().is_zero() {}
    }

    /// Makes the attempts that are due now, one after the other, and delivers the notifications.
    /// Returns how long nothing else is due.
    pub(crate) async fn run_once(&self) -> Duration {
        self.refresh_schedule().await.unwrap();
        let Claim { waits, idle } = self.claim(self.observer.as_deref()).await.unwrap();
        let idle = if waits.is_empty() { idle } else { Duration::ZERO };
        for wait in waits {
            self.attempt(wait).await;
        }
        if self.store.notifier.is_some() {
            for notification in self.store.due_notifications(MAX_DELIVERIES).await.unwrap() {
                self.store.deliver(notification).await.unwrap();
            }
        }
        idle
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
