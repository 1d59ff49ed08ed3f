//! A running wait: its events, and the state for the progress display.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use job_model::{JobId, Phase};
use job_poller::{Checkpoint, Event, FleetEvents, History};
use job_transport::JobSnapshot;

use super::{
    error_run::ErrorTracker, finished::Finished, snapshot::WaitSnapshot, source::RecordingSource,
};

/// A running wait, as a stream of its events.
pub(crate) struct Watch {
    /// The position of the job on the command line.
    index: usize,
    events: FleetEvents,
    source: Arc<RecordingSource>,
    /// The durations of past jobs.
    history: Arc<History>,
    errors: ErrorTracker,
    /// The last reading. An equal one does not replace it, so the job is not decoded again.
    last: Option<JobSnapshot>,
    next_attempt_at: Option<Duration>,
    /// The events so far, if a report needs them.
    log: Option<Vec<(Duration, Event)>>,
}

impl Watch {
    /// Follows a wait that reads from `source`, and keeps its events if `retain_log` is set.
    pub(crate) fn new(
        index: usize,
        wait: job_poller::FleetWait,
        source: Arc<RecordingSource>,
        history: Arc<History>,
        retain_log: bool,
    ) -> Self {
        let events = wait.events();
        Self {
            index,
            history,
            last: events.snapshot(),
            events,
            source,
            errors: ErrorTracker::default(),
            next_attempt_at: None,
            log: retain_log.then(Vec::new),
        }
    }

    pub(crate) const fn id(&self) -> &JobId {
        self.events.job_id()
    }

    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    pub(crate) const fn errors(&self) -> &ErrorTracker {
        &self.errors
    }

    /// Returns the current state.
    pub(crate) fn snapshot(&self) -> WaitSnapshot<'_> {
        let elapsed = self.events.elapsed();
        let snapshot = WaitSnapshot {
            id: self.id(),
            last: self.last.clone(),
            elapsed,
            remaining: None,
            service_time: self.source.service_time(),
            error_run: self.errors.current(),
            until_next_attempt: self.next_attempt_at.and_then(|next| next.checked_sub(elapsed)),
        };
        let digest = self.last.as_ref().map(JobSnapshot::digest);
        let active = digest.filter(|digest| !digest.phase().is_some_and(Phase::is_terminal));
        let remaining = active.and_then(|digest| {
            let age = snapshot.age(digest.created_at()).unwrap_or(elapsed);
            self.history.remaining(digest, age)
        });
        WaitSnapshot { remaining, ..snapshot }
    }

    /// Returns the checkpoint to resume from.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.events.checkpoint()
    }

    /// Returns the result. Call it after the last event.
    pub(crate) async fn finish(self) -> Finished {
        let elapsed = self.events.elapsed();
        let (id, checkpoint) = (self.id().clone(), self.checkpoint());
        let result = self.events.finish().await;
        Finished {
            job: match &result {
                Ok(ended) => Some(ended.job.clone()),
                Err(error) => error.job(),
            },
            index: self.index,
            checkpoint,
            started_at: self.source.service_time().and_then(|now| now.checked_sub(elapsed).ok()),
            log: self.log.unwrap_or_default(),
            result,
            id,
        }
    }

    fn record(&mut self, at: Duration, event: &Event) {
        self.errors.record(event);
        if let Event::NextAttempt { at, .. } = event {
            self.next_attempt_at = Some(*at);
        }
        if let Some(log) = &mut self.log {
            log.push((at, event.clone()));
        }
    }
}

impl Stream for Watch {
    type Item = (Duration, Event);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.events).poll_next(context));
        if let Some((at, event)) = &next {
            self.record(*at, event);
            let last = self.events.snapshot();
            if self.last != last {
                self.last = last;
            }
        }
        Poll::Ready(next)
    }
}
