//! The tracing span of a wait.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use job_model::JobId;
use tracing::{Span, field::Empty};

use super::observations::WaitFinished;

/// The span of a wait, if a subscriber is interested in it.
///
/// Behind a pointer, because most waits have none. An attempt shares it with its wait, because a
/// clone of a span is a call of the subscriber.
#[derive(Clone, Default)]
pub(crate) struct WaitSpan(Option<Arc<Span>>);

impl WaitSpan {
    /// Creates the span of a wait that begins. Its parent is the caller's current span.
    ///
    /// The names of its fields match those of the spans of requests in job-transport.
    pub(crate) fn new(id: &JobId) -> Self {
        let span = tracing::info_span!(
            target: "job_poller::wait",
            "cce.wait",
            cce.job.id = id.as_str(),
            "cce.job.type" = Empty,
            cce.wait.attempts = Empty,
            cce.wait.outcome = Empty,
        );
        Self((!span.is_disabled()).then(|| Arc::new(span)))
    }

    /// Returns whether a subscriber is interested in the span.
    pub(crate) const fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Calls `f` inside the span.
    pub(crate) fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(span) => span.in_scope(f),
            None => f(),
        }
    }

    /// Runs a future inside the span.
    pub(crate) async fn instrument<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| self.in_scope(|| future.as_mut().poll(context))).await
    }

    /// Records how the wait ended. The span closes when no attempt of the wait is left.
    pub(crate) fn finish(self, finished: &WaitFinished) {
        if let Some(span) = self.0 {
            if let Some(job_type) = finished.job_type.as_deref() {
                span.record("cce.job.type", job_type);
            }
            span.record("cce.wait.attempts", finished.attempts);
            span.record("cce.wait.outcome", finished.outcome.as_str());
        }
    }
}
