//! The time, and pauses. A client takes both from here and from nowhere else.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_core::future::BoxFuture;
use jiff::Timestamp;

/// What a client knows of time.
///
/// # For implementers
///
/// Clients that sign with the same key, or share credentials, must have clocks that show the same
/// times: how far the service's is from them, and when credentials expire, is kept once for all.
pub trait Clock: Send + Sync {
    /// Returns the time of day, for signatures alone. It may jump: the service says when a
    /// signature's time is wrong.
    fn now(&self) -> Timestamp;

    /// Returns the time since some moment that stays the same, for the lifetimes of credentials. It
    /// never jumps and never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns after this span.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the pause.
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

/// Returns what the future gives, or `None` where it takes longer than the limit.
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

/// The system's time of day, and tokio's monotonic time. Where tokio's clock is paused, both stand
/// still with it.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TokioClock;

#[cfg(feature = "tokio")]
impl TokioClock {
    /// Creates a clock. All of a process show the same times.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// From when on time has elapsed, for all of the process's clocks.
#[cfg(feature = "tokio")]
static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();

#[cfg(feature = "tokio")]
#[expect(clippy::disallowed_methods, reason = "the one place where time enters a client")]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let (tokio, system) = (tokio::time::Instant::now().into_std(), std::time::Instant::now());
        // The two are the same, but where tokio's is paused or was advanced by a test.
        let wall = wall.unwrap_or_default() + tokio.saturating_duration_since(system);
        let wall = wall.saturating_sub(system.saturating_duration_since(tokio));
        // A clock past the year 9999 is as wrong as one at 1970: the service's time is learnt.
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
