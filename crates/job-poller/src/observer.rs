//! The trait for observers of waits, for metrics and other statistics.

mod observations;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tokio")]
mod wait_span;

use std::sync::Arc;

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
pub use self::observations::{
    AttemptFinished, AttemptResult, BudgetStatus, WaitFinished, WaitOutcome, WaitStarted,
};
#[cfg(feature = "tokio")]
pub(crate) use self::wait_span::WaitSpan;

/// Receives figures of waits: their attempts, their ends and the request budget.
///
/// Use it for metrics and statistics. For the changes of one job, use the events of its wait.
///
/// # For callers
///
/// Set it with `Wait::observer` or `FleetBuilder::observer`. Several waits and fleets can share one
/// observer in an `Arc`. A driver of your own can call it too. With the feature `metrics`,
/// `MetricsObserver` passes the figures to the crate `metrics`.
///
/// # For implementers
///
/// Each method does nothing by default, so implement only what you need. A method must return
/// quickly and must not block, because the wait, or all waits of the fleet, make no progress while
/// it runs. If an observation takes long to process, clone it and send it to another task.
///
/// A fleet holds no lock during a call, so a method may call the methods of the fleet. Calls may
/// come from several threads at once, and then in any order: the first attempt of a wait may be
/// reported before its start. A method must not panic: a panic ends the wait, or the fleet's task.
///
/// Later versions may add methods, which do nothing by default.
///
/// # Examples
///
/// ```
/// # #[cfg(not(feature = "tokio"))]
/// # fn main() {}
/// # use job_sim::{Plan, Sim, SimTransport, TimeSource};
/// use std::sync::{
///     Arc,
///     atomic::{AtomicU32, Ordering},
/// };
///
/// # #[cfg(feature = "tokio")]
/// use job_poller::Wait;
/// use job_poller::observer::{AttemptFinished, Observer};
///
/// /// Counts attempts.
/// #[derive(Default)]
/// struct Attempts(AtomicU32);
///
/// impl Observer for Attempts {
///     fn attempt_finished(&self, _: &AttemptFinished) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// # #[cfg(feature = "tokio")]
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
/// # let client = sim.client("https://cce.example".parse()?, SimTransport::new(sim.clone()));
/// # let id = sim.job().clone();
/// let attempts = Arc::new(Attempts::default());
/// let finished = Wait::new(client, id).observer(attempts.clone()).await?;
/// assert_eq!(attempts.0.load(Ordering::Relaxed), finished.attempts);
/// # Ok(()) }
/// ```
pub trait Observer: Send + Sync {
    /// A wait has begun, or was resumed.
    fn wait_started(&self, wait: &WaitStarted) {
        let _ = wait;
    }

    /// An attempt has returned a reading or an error. An attempt that was canceled is not reported.
    fn attempt_finished(&self, attempt: &AttemptFinished) {
        let _ = attempt;
    }

    /// A wait is over. This is called once for each wait that has started, even if it was dropped.
    fn wait_finished(&self, wait: &WaitFinished) {
        let _ = wait;
    }

    /// The budget of a fleet, or the number of its waits or requests, has changed.
    ///
    /// This is called at most once a second, and once more when the fleet ends.
    fn budget_changed(&self, budget: &BudgetStatus) {
        let _ = budget;
    }
}

/// Implements the trait for a pointer to an observer.
macro_rules! forward {
    ($pointer:ident) => {
        impl<O: Observer + ?Sized> Observer for $pointer<O> {
            fn wait_started(&self, wait: &WaitStarted) {
                (**self).wait_started(wait);
            }

            fn attempt_finished(&self, attempt: &AttemptFinished) {
                (**self).attempt_finished(attempt);
            }

            fn wait_finished(&self, wait: &WaitFinished) {
                (**self).wait_finished(wait);
            }

            fn budget_changed(&self, budget: &BudgetStatus) {
                (**self).budget_changed(budget);
            }
        }
    };
}

forward!(Arc);
forward!(Box);
