//! Runs file operations on a thread that may block.

/// Runs a task that blocks its thread. Uses another thread if the caller runs on tokio.
///
/// Returns `None` if the runtime ends before the task.
///
/// # Cancel safety
///
/// If the future is dropped, the task continues on its thread.
#[cfg(feature = "tokio")]
pub(super) async fn run_blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(task).await.ok(),
        Err(_) => Some(task()),
    }
}

#[cfg(not(feature = "tokio"))]
pub(super) async fn run_blocking<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    Some(task())
}
