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

/// What a client knows of time: when it is, for signatures and the lifetimes of tokens, and how to
/// pause, for timeouts.
///
/// # For implementers
///
/// A time that jumps does no harm beyond a token renewed early, or a signature made twice; one that
/// stands still never renews a token early.
pub trait Clock: Send + Sync {
    /// Returns the time of day.
    fn now(&self) -> Timestamp;

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

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        (**self).sleep(span)
    }
}

/// Returns what the future gives, or `None` where it takes longer than the limit.
pub(crate) async fn within<T>(
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

/// Tokio's clock: the wall clock as it was when this was created, moved on by monotonic time. It
/// never jumps, and stands still with tokio's paused clock.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    created: tokio::time::Instant,
    wall: Timestamp,
}

#[cfg(feature = "tokio")]
impl TokioClock {
    /// Creates a clock that shows the time of day.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one look at the wall clock")]
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970, or past 9999, is as wrong as one at 1970: the first signature learns
        // the service's time.
        let wall = Timestamp::UNIX_EPOCH.saturating_add(wall.unwrap_or_default());
        let wall = wall.unwrap_or(Timestamp::UNIX_EPOCH);
        #[expect(clippy::disallowed_methods, reason = "where a client's time starts")]
        let created = tokio::time::Instant::now();
        Self { created, wall }
    }
}

#[cfg(feature = "tokio")]
impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "tokio")]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.wall.saturating_add(self.created.elapsed()).unwrap_or(Timestamp::MAX)
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        #[expect(clippy::disallowed_methods, reason = "the one place where a client pauses")]
        Box::pin(tokio::time::sleep(span))
    }
}
