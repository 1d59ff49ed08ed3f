//! The clock of a client: current time and sleeping. A client has no other source of time.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_core::future::BoxFuture;
use jiff::Timestamp;

/// The source of time for a [`Client`](crate::Client).
///
/// # For implementers
///
/// Clients that share an access key or credentials must have clocks with the same time, because
/// they share the offset to the service's clock and the expiry time of the credentials.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time, which is used only for signatures.
    ///
    /// It may jump. If it is wrong, the client corrects it with the service's time.
    fn now(&self) -> Timestamp;

    /// Returns the monotonic time since an arbitrary fixed point, for the lifetimes of credentials.
    ///
    /// It never jumps and never goes back.
    fn monotonic(&self) -> Duration;

    /// Completes after this duration.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the timer.
    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        (**self).sleep(span)
    }
}

/// Returns the output of the future, or `None` if it takes longer than `limit`.
pub(crate) async fn timeout<T>(
    clock: &dyn Clock,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let (mut future, mut sleep) = (pin!(future), clock.sleep(limit));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// A clock with the system's wall-clock time and tokio's monotonic time.
///
/// If tokio's clock is paused, both times are paused.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TokioClock;

#[cfg(feature = "tokio")]
impl TokioClock {
    /// Creates a clock. All clocks in a process have the same time.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// The zero of the monotonic time, for all clocks in the process.
#[cfg(feature = "tokio")]
static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();

#[cfg(feature = "tokio")]
#[expect(clippy::disallowed_methods, reason = "the one place where time enters a client")]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let (tokio, system) = (tokio::time::Instant::now().into_std(), std::time::Instant::now());
        // The two differ only if a test paused or advanced tokio's clock.
        let wall = wall.unwrap_or_default() + tokio.saturating_duration_since(system);
        let wall = wall.saturating_sub(system.saturating_duration_since(tokio));
        // A time after the year 9999 is replaced by 1970. Both are wrong, and are corrected with
        // the service's time.
        Timestamp::UNIX_EPOCH.saturating_add(wall).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn monotonic(&self) -> Duration {
        let now = tokio::time::Instant::now().into_std();
        now.saturating_duration_since(*ORIGIN.get_or_init(|| now))
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}
