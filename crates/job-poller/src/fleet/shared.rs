//! The state that a fleet's task and its callers share, behind a lock.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::scheduler::Scheduler;

/// The scheduler behind a lock, and what is needed to wake the task.
pub(super) struct Shared {
    scheduler: Mutex<Scheduler>,
    /// Wakes the task.
    wake: Arc<Notify>,
    started_at: Instant,
}

impl Shared {
    pub(super) const fn new(scheduler: Scheduler, wake: Arc<Notify>, started_at: Instant) -> Self {
        Self { scheduler: Mutex::new(scheduler), wake, started_at }
    }

    /// Calls `f` with the scheduler and the time. Wakes the callers that have new events or
    /// results, after the lock is released.
    pub(super) fn with_state<T>(&self, f: impl FnOnce(&mut Scheduler, Duration) -> T) -> T {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut scheduler, self.started_at.elapsed());
        let wakers = mem::take(&mut scheduler.wakers);
        drop(scheduler);
        wakers.into_iter().for_each(Waker::wake);
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
        // The task wakes, finds that this value is gone, and ends.
        self.wake();
    }
}
