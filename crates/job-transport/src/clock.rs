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
/// Clients that sign with the same key must have clocks that show the same time of day: how far the
/// service's is from it is learnt once for all of them.
pub trait Clock: Send + Sync {
    /// Returns the time of day, for signatures alone. It may jump: the service says when a
    /// signature's time is wrong.
    fn now(&self) -> Timestamp;

    /// Returns the time since some moment that stays the same, for the lifetimes of credentials. It
    /// never jumps and never goes back.
    fn elapsed(&self) -> Duration;

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

    fn elapsed(&self) -> Duration {
        (**self).elapsed()
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

/// The system's time of day, and tokio's monotonic time. Where tokio's clock is paused, both stand
/// still with it.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    created: std::time::Instant,
    created_for_tokio: tokio::time::Instant,
}

#[cfg(feature = "tokio")]
impl TokioClock {
    /// Creates a clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "where a client's time starts")]
    pub fn new() -> Self {
        let (created, created_for_tokio) = (std::time::Instant::now(), tokio::time::Instant::now());
        Self { created, created_for_tokio }
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
        #[expect(clippy::disallowed_methods, reason = "the one look at the wall clock")]
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // As it was when this clock was created, and on from there by tokio's time: the wall clock
        // itself, but for a paused clock.
        let wall = wall.unwrap_or_default() + self.elapsed();
        let wall =
            Timestamp::UNIX_EPOCH.saturating_add(wall.saturating_sub(self.created.elapsed()));
        // A clock past the year 9999 is as wrong as one at 1970: the service's time is learnt.
        wall.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn elapsed(&self) -> Duration {
        self.created_for_tokio.elapsed()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        #[expect(clippy::disallowed_methods, reason = "the one place where a client pauses")]
        Box::pin(tokio::time::sleep(span))
    }
}
