//! One wait, as the command follows it: its events, and what was last known. Decides nothing.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use jiff::Timestamp;
use job_model::{Job, JobId, Phase};
use job_poller::{
    Checkpoint, Ended, Event, FaultKind, History, Lifetime, WaitError, WaitErrorKind, WatchEvents,
};

use super::{progress::Sight, source::Source};
use crate::exit::Exit;

/// A wait under way: a stream of its events.
pub(crate) struct Watch {
    /// Which of the jobs, in the order in which they were named.
    place: usize,
    events: WatchEvents,
    source: Arc<Source>,
    /// What jobs before these are known to have taken.
    history: Arc<History>,
    faults: Faults,
    next: Option<Duration>,
    /// What happened, where it is to be reported.
    log: Option<Vec<(Duration, Event)>>,
}

/// Attempts in a row that gave no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FaultRun {
    pub(crate) message: String,
    pub(crate) in_a_row: u32,
    /// Whether the last one said something else than the one before.
    pub(crate) is_news: bool,
}

/// What the attempts of a wait come to that give no job.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    last: Option<FaultRun>,
    /// Whether the attempt before the next plan gave none.
    is_fresh: bool,
    /// Whether the last attempt was the first in a while that gave one.
    pub(crate) are_over: bool,
}

/// A wait that is over.
pub(crate) struct Finished {
    pub(crate) id: JobId,
    pub(crate) place: usize,
    pub(crate) result: Result<Ended, WaitError>,
    /// What to go on from; of a job that has ended, what asks once more.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The job as last read.
    pub(crate) job: Option<Box<Job>>,
    pub(crate) body: Bytes,
    /// The service's time when the wait began, where it was told.
    pub(crate) began: Option<Timestamp>,
    pub(crate) log: Vec<(Duration, Event)>,
}

impl Watch {
    /// Takes a wait that asks this source; with a log, for a report.
    pub(crate) fn new(
        place: usize,
        wait: job_poller::Watch,
        source: Arc<Source>,
        history: Arc<History>,
        logs: bool,
    ) -> Self {
        Self {
            place,
            history,
            events: wait.events(),
            source,
            faults: Faults::default(),
            next: None,
            log: logs.then(Vec::new),
        }
    }

    pub(crate) const fn id(&self) -> &JobId {
        self.events.job_id()
    }

    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    pub(crate) const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Returns what is known at this moment.
    pub(crate) fn sight(&self) -> Sight<'_> {
        let elapsed = self.events.elapsed();
        let sight = Sight {
            id: self.id(),
            job: self.events.job(),
            elapsed,
            remaining: None,
            service_time: self.source.service_time(),
            faults: self.faults.now(),
            until_next: self.next.and_then(|next| next.checked_sub(elapsed)),
        };
        let goes_on = |job: &&Job| !job.phase().is_some_and(Phase::is_terminal);
        let job = sight.job.as_deref().filter(goes_on);
        let remaining =
            job.and_then(|job| self.history.remaining(job, sight.age(job).unwrap_or(elapsed)));
        Sight { remaining, ..sight }
    }

    /// Returns what to go on from: the result is not taken before the end.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.events.checkpoint()
    }

    /// Ends, once there are no more events.
    pub(crate) async fn finish(self) -> Finished {
        let elapsed = self.events.elapsed();
        let (id, checkpoint) = (self.id().clone(), self.checkpoint());
        let result = self.events.finish().await;
        Finished {
            job: match &result {
                Ok(ended) => Some(ended.job.clone()),
                Err(error) => error.job(),
            },
            place: self.place,
            checkpoint,
            body: self.source.body(&id),
            began: self.source.service_time().and_then(|now| now.checked_sub(elapsed).ok()),
            log: self.log.unwrap_or_default(),
            result,
            id,
        }
    }

    fn note(&mut self, at: Duration, event: &Event) {
        self.faults.note(event);
        let is_dropped = match event {
            Event::Stale { .. } => true,
            Event::Fault { fault, .. } => fault.kind == FaultKind::Mismatch,
            _ => false,
        };
        if is_dropped {
            self.source.dropped(self.events.job_id());
        }
        if let Event::NextAttempt { at, .. } = event {
            self.next = Some(*at);
        }
        if let Some(log) = &mut self.log {
            log.push((at, event.clone()));
        }
    }
}

impl Faults {
    /// Takes note of what happened.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Fault { fault, in_a_row, .. } => {
                // Each reply has another id, and is no news for that.
                let message = match &fault.request_id {
                    Some(id) => fault.message.replace(&format!(" (request id {id})"), ""),
                    None => fault.message.clone(),
                };
                let before = self.last.take();
                let is_news = before.is_none_or(|before| before.message != message);
                self.last = Some(FaultRun { message, in_a_row: *in_a_row, is_news });
                self.is_fresh = true;
            }
            Event::NextAttempt { .. } if !mem::take(&mut self.is_fresh) => {
                self.are_over = self.last.take().is_some();
            }
            _ => {}
        }
    }

    /// Returns the fault of the last attempts, where they gave no job.
    pub(crate) const fn now(&self) -> Option<&FaultRun> {
        self.last.as_ref()
    }
}

impl Stream for Watch {
    type Item = (Duration, Event);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.events).poll_next(context));
        if let Some((at, event)) = &next {
            self.note(*at, event);
        }
        Poll::Ready(next)
    }
}

impl Finished {
    /// Returns the exit code that it would be alone; `None` where the command stopped it.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match &self.result {
            Ok(ended) => Some(Exit::from(&ended.outcome)),
            Err(error) if error.kind() == WaitErrorKind::Stopped => None,
            Err(error) => Some(Exit::from(error)),
        }
    }

    /// Returns what was seen of the job's life.
    pub(crate) fn lifetime(&self) -> Option<Lifetime> {
        match &self.result {
            Ok(ended) => ended.lifetime.clone(),
            Err(error) => error.lifetime(),
        }
    }
}
