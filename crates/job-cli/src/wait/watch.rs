//! A running wait: the stream of its events, and the state that they lead to.

use std::{
    cell::OnceCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use job_model::{JobId, Phase};
use job_poller::{
    Checkpoint, Event, Until,
    fleet::{FleetEvents, FleetWait, Lagged},
    machine::ObjectStatus,
    schedule::History,
};
use job_transport::{
    JobSnapshot,
    clock::{Clock, TokioClock},
};

use super::{
    error_run::ErrorTracker, finished::Finished, snapshot::WaitSnapshot, source::RecordingSource,
};

/// The events of a running wait.
pub(crate) struct WatchEvents {
    /// The position of the job on the command line.
    index: usize,
    events: FleetEvents,
}

/// The state of a running wait, for the outputs.
pub(crate) struct Watch {
    id: JobId,
    /// When the command started the wait, and how long the wait had run before that.
    started_at: Duration,
    elapsed_before: Duration,
    clock: TokioClock,
    source: Arc<RecordingSource>,
    /// The durations of past jobs.
    history: Arc<History>,
    errors: ErrorTracker,
    /// The last reading.
    last: Option<JobSnapshot>,
    /// The clusters and nodes as last read, and the state that they should reach.
    /// A snapshot shares them, because a job may have thousands of nodes.
    objects: Arc<Vec<ObjectStatus>>,
    until: Until,
    next_attempt_at: Option<Duration>,
    /// When this command last read the job or an object, since the start of the wait.
    read_at: Option<Duration>,
    /// The events so far, if a report needs them.
    log: Option<Vec<(Duration, Event)>>,
}

impl WatchEvents {
    pub(crate) fn new(index: usize, wait: FleetWait) -> Self {
        Self { index, events: wait.events() }
    }

    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn job_id(&self) -> &JobId {
        self.events.job_id()
    }

    /// Returns the time since the wait began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.events.elapsed()
    }

    /// Returns the checkpoint to resume from.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.events.checkpoint()
    }

    /// Returns the last accepted reading.
    pub(crate) fn snapshot(&self) -> Option<JobSnapshot> {
        self.events.snapshot()
    }

    /// Returns what the wait is for.
    fn until(&self) -> Until {
        self.checkpoint().map_or(Until::Ended, |checkpoint| checkpoint.machine().until())
    }

    /// Returns the result. Call it after the last event, with the state that the events led to.
    pub(crate) async fn finish(self, watch: Watch) -> Finished {
        let elapsed = self.events.elapsed();
        let checkpoint = self.checkpoint();
        let result = self.events.finish().await;
        Finished {
            decoded: OnceCell::new(),
            index: self.index,
            checkpoint,
            started_at: watch.source.service_time().and_then(|now| now.checked_sub(elapsed).ok()),
            unread_for: watch.unread_for(elapsed),
            log: watch.log.unwrap_or_default(),
            result,
            id: watch.id,
        }
    }
}

impl Stream for WatchEvents {
    /// An event, or the number of events that were lost because the session took none for a while.
    type Item = Result<(Duration, Event), Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.events).poll_next(context)
    }
}

impl Watch {
    /// Creates the state of a wait that reads from `source`. Keeps its events if `retain_log` is
    /// set.
    pub(crate) fn new(
        events: &WatchEvents,
        source: Arc<RecordingSource>,
        history: Arc<History>,
        retain_log: bool,
    ) -> Self {
        let clock = TokioClock::new();
        Self {
            id: events.events.job_id().clone(),
            started_at: clock.monotonic(),
            elapsed_before: events.events.elapsed(),
            clock,
            source,
            history,
            errors: ErrorTracker::default(),
            last: events.snapshot(),
            objects: events.events.objects().into(),
            until: events.until(),
            next_attempt_at: None,
            read_at: None,
            log: retain_log.then(Vec::new),
        }
    }

    pub(crate) const fn id(&self) -> &JobId {
        &self.id
    }

    pub(crate) const fn errors(&self) -> &ErrorTracker {
        &self.errors
    }

    /// Returns the last reading.
    pub(crate) const fn last(&self) -> Option<&JobSnapshot> {
        self.last.as_ref()
    }

    /// Returns the clusters and nodes that are read after the job, or without one.
    pub(crate) fn objects(&self) -> &[ObjectStatus] {
        &self.objects
    }

    /// Returns the current state.
    pub(crate) fn snapshot(&self) -> WaitSnapshot {
        let since_start = self.clock.monotonic().saturating_sub(self.started_at);
        let elapsed = self.elapsed_before.saturating_add(since_start);
        let snapshot = WaitSnapshot {
            id: self.id.clone(),
            last: self.last.clone(),
            objects: self.objects.clone(),
            until: self.until,
            elapsed,
            remaining: None,
            service_time: self.source.service_time(),
            error_run: self.errors.current().cloned(),
            until_next_attempt: self.next_attempt_at.and_then(|next| next.checked_sub(elapsed)),
        };
        let digest = self.last.as_ref().map(JobSnapshot::digest);
        let active = digest.filter(|digest| {
            let has_ended = digest.phase().is_some_and(Phase::is_terminal);
            !has_ended && self.objects.is_empty()
        });
        let remaining = active.and_then(|digest| {
            let age = snapshot.age(digest.created_at()).unwrap_or(elapsed);
            self.history.remaining(digest, age)
        });
        WaitSnapshot { remaining, ..snapshot }
    }

    /// Returns the time since the last reading, if the last attempt failed.
    fn unread_for(&self, elapsed: Duration) -> Option<Duration> {
        let read_at = self.read_at.filter(|_| self.errors.current().is_some())?;
        Some(elapsed.saturating_sub(read_at))
    }

    /// Records an event, and the last reading after it.
    pub(super) fn record(&mut self, at: Duration, event: &Event, last: Option<JobSnapshot>) {
        self.errors.record(event);
        match event {
            Event::NextAttempt { at: next, .. } => {
                self.next_attempt_at = Some(*next);
                if self.errors.current().is_none() {
                    self.read_at = Some(at);
                }
            }
            Event::ReadingObjects { objects, until, .. } => {
                let objects = objects.iter().cloned().map(ObjectStatus::new);
                self.objects = Arc::new(objects.collect());
                self.until = *until;
            }
            Event::Object { status, .. } => {
                let objects = Arc::make_mut(&mut self.objects);
                match objects.iter_mut().find(|object| object.id == status.id) {
                    Some(known) => known.clone_from(status),
                    // A wait without a job.
                    None => objects.push((**status).clone()),
                }
            }
            _ => {}
        }
        if let Some(log) = &mut self.log {
            log.push((at, event.clone()));
        }
        self.last = last;
    }
}
