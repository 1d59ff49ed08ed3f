//! Limits the threads that wait for a file to one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::transport::run_blocking;

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
