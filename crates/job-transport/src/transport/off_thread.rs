//! Decodes large bodies off the async thread, so that they delay no other wait.

use std::{
    num::NonZero,
    sync::{Arc, LazyLock},
    thread,
};

use async_lock::Semaphore;

use super::blocking::run_blocking;

/// The maximum size of a body that is decoded on the thread that received it. A release build needs
/// about a millisecond for it.
const MAX_INLINE_BYTES: usize = 256 * 1024;

/// The maximum size of a body that is decoded at the same time as another large one. The decoded job
/// of a hostile body of this size takes up to 20 times as much memory. A job with 10,000 sub-jobs
/// fits.
const MAX_CONCURRENT_BYTES: usize = 4 << 20;

/// One permit per core.
static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, NonZero::get)))
});

/// The permit for bodies above [`MAX_CONCURRENT_BYTES`].
static LARGEST: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));

/// Runs `decode` for a body of `bytes`: on a thread for blocking work if the body is large and the
/// caller runs on tokio, otherwise at once.
///
/// # Cancel safety
///
/// If the future is dropped, a decoding that has begun goes on, and its result is dropped.
pub(crate) async fn off_thread<T: Send + 'static>(
    bytes: usize,
    decode: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= MAX_INLINE_BYTES {
        return decode();
    }
    // Boxed, so that the futures of small bodies stay small.
    Box::pin(async move {
        let largest = match bytes > MAX_CONCURRENT_BYTES {
            true => Some(LARGEST.acquire_arc().await),
            false => None,
        };
        let permits = (largest, PERMITS.acquire_arc().await);
        let decoded = run_blocking(move || {
            let decoded = decode();
            drop(permits);
            decoded
        });
        match decoded.await {
            Some(decoded) => decoded,
            // The runtime is shutting down, and drops this future as well.
            None => std::future::pending().await,
        }
    })
    .await
}
