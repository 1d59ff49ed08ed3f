//! The state that a fleet's task and its callers share, behind a lock.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::scheduler::Scheduler;
use crate::observer::Observer;

/// The scheduler behind a lock, and what is needed to wake the task.
pub(super) struct Shared {
    scheduler: Mutex<Scheduler>,
    observer: Option<Arc<dyn Observer>>,
    /// Wakes the task.
    wake: Arc<Notify>,
    started_at: Instant,
    /// Closed when the task has ended.
    task_ended: watch::Receiver<()>,
}

impl Shared {
    pub(super) const fn new(
        scheduler: Scheduler,
        observer: Option<Arc<dyn Observer>>,
        wake: Arc<Notify>,
        started_at: Instant,
        task_ended: watch::Receiver<()>,
    ) -> Self {
        Self { scheduler: Mutex::new(scheduler), observer, wake, started_at, task_ended }
    }

    /// Waits until the task has ended.
    pub(super) async fn task_ended(&self) {
        // Nothing is ever sent. `changed` returns an error once the task has dropped the sender.
        while self.task_ended.clone().changed().await.is_ok() {}
    }

    /// Calls `f` with the scheduler and the time. After the lock is released, wakes the callers that
    /// have new events or results, and calls the observer.
    pub(super) fn with_state<T>(&self, f: impl FnOnce(&mut Scheduler, Duration) -> T) -> T {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut scheduler, self.started_at.elapsed());
        let wakers = mem::take(&mut scheduler.wakers);
        let observations = scheduler.observations.take();
        drop(scheduler);
        wakers.into_iter().for_each(Waker::wake);
        if let Some(observations) = observations {
            observations.report_to(self.observer.as_deref());
        }
        result
    }

    /// Like [`with_state`](Self::with_state), and then wakes the task, because it may have
    /// something to do.
    pub(super) fn update_state<T>(&self, f: impl FnOnce(&mut Scheduler, Duration) -> T) -> T {
        let result = self.with_state(f);
        self.wake();
        result
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The task wakes, finds that this value is gone, and ends. The streams of all events end
        // too.
        self.wake();
        let scheduler = self.scheduler.get_mut().unwrap_or_else(PoisonError::into_inner);
        scheduler.end_merged_streams().into_iter().for_each(Waker::wake);
        // A fleet whose task has ended has reported its budget already.
        let is_reported = scheduler.is_closed() || thread::panicking();
        if let Some(observer) = self.observer.as_ref().filter(|_| !is_reported) {
            observer.budget_changed(&scheduler.budget_status(self.started_at.elapsed()));
        }
    }
}
