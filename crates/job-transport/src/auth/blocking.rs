//! Runs work that blocks its thread, such as reading a file, on another thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Runs at most one blocking task at a time, for all clones.
///
/// A file may be on a disk that does not answer, so tasks that were given up must not pile up.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockingSlot(Arc<AtomicBool>);

impl BlockingSlot {
    /// Runs the task. Returns `None` if another one is still running, or if the runtime ends.
    ///
    /// If the future is dropped, the task goes on, and the slot stays taken until it ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.0.swap(true, Ordering::AcqRel) {
            return None;
        }
        let taken = TakenSlot(self.0.clone());
        run_blocking(move || {
            let _taken = taken;
            task()
        })
        .await
    }
}

/// Frees the slot when it is dropped, also if the task panics or never starts.
struct TakenSlot(Arc<AtomicBool>);

impl Drop for TakenSlot {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Runs a task that blocks its thread. Uses another thread if the caller runs on tokio. Returns
/// `None` only if the runtime ends, and then nobody needs the result.
#[cfg(feature = "tokio")]
pub(crate) async fn run_blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(task).await.ok(),
        Err(_) => Some(task()),
    }
}

#[cfg(not(feature = "tokio"))]
pub(crate) async fn run_blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    Some(task())
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_task_that_hangs_keeps_the_slot_until_it_ends() {
        let slot = BlockingSlot::default();
        assert_eq!(slot.run(|| 1).await, Some(1));
        let (release, released) = mpsc::channel::<()>();
        let mut hanging = Box::pin(slot.run(move || released.recv().is_err()));
        assert!(futures_util::poll!(&mut hanging).is_pending());
        assert_eq!(slot.run(|| 2).await, None);
        drop(release);
        assert_eq!(hanging.await, Some(true));
        assert_eq!(slot.run(|| 3).await, Some(3));
    }
}
