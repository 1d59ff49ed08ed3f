//! The scheduler of a fleet behind its lock, as the fleet's task and its callers share it.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::scheduler::Scheduler;

/// What the fleet's task and its callers share; one of them uses it at a time.
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

    /// Calls a function with the scheduler and the time, and then wakes the callers whose events or results
    /// are there.
    pub(super) fn with_state<T>(&self, f: impl FnOnce(&mut Scheduler, Duration) -> T) -> T {
        let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut scheduler, self.started_at.elapsed());
        let wakers = mem::take(&mut scheduler.wakers);
        drop(scheduler);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// The same, and wakes the task, because there may be something to do.
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
        // The task wakes, and ends because no fleet and no wait is left.
        self.wake();
    }
}
