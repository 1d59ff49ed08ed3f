//! Runs tasks that block on a thread for blocking work.

/// Runs a task that blocks its thread: on another thread if the caller runs on tokio, otherwise at
/// once.
///
/// Returns `None` if the runtime ends before the task.
///
/// # Panics
///
/// Panics if the task panics.
///
/// # Cancel safety
///
/// If the future is dropped, the task continues on its thread.
#[cfg(feature = "tokio")]
pub(crate) async fn run_blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Some(task()) };
    match runtime.spawn_blocking(task).await {
        Ok(result) => Some(result),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

#[cfg(not(feature = "tokio"))]
pub(crate) async fn run_blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    Some(task())
}
