//! A subscriber of a wait: buffers the events and the result until the caller takes them.

use std::{
    num::NonZeroU32,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::event_buffer::{EventBuffer, Lagged};
use crate::machine::{Checkpoint, CompactDuration, Event, FinishedJob, WaitError};

/// Maximum number of events that are buffered for a stream, not counting those of the last step.
const MAX_BUFFERED_EVENTS: usize = 32;

/// Maximum number of events that are buffered before the caller awaits the wait or calls
/// `events()`. If there are more, all are dropped, and a later stream starts with newer events.
const MAX_UNCLAIMED_EVENTS: usize = 4;

/// A subscriber of a wait.
#[derive(Default)]
pub(super) struct Subscriber {
    /// The key of the wait, until it ends.
    pub(super) job: Option<CompactKey>,
    /// The keys of its neighbors in the list that it is in.
    pub(super) previous: Option<CompactKey>,
    pub(super) next: Option<CompactKey>,
    interest: Interest,
    /// Whether the caller waits for the end of the job, and not for its objects.
    ends_with_job: bool,
    deadline_stage: DeadlineStage,
    /// How long before the deadline the last attempt starts, in milliseconds.
    last_attempt_lead: u16,
    /// When the caller's timeout ends. `None` without a timeout.
    deadline: Option<CompactDuration>,
    /// `None` if there were no events yet, or if the caller wants none. Boxed, because most
    /// subscribers want no events.
    events: Option<Box<EventBuffer<(Duration, Event)>>>,
    finished: Option<Arc<FinishedFleetWait>>,
    waker: Option<Waker>,
}

/// The next thing to do because of a subscriber's own deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DeadlineStage {
    /// Nothing: the subscriber has no deadline, or the wait ends at the same time.
    #[default]
    None,
    /// Make the last attempt before the deadline.
    LastAttempt,
    /// End the subscription at the deadline, or after the attempt that was just requested.
    EndAtDeadline,
    /// End the subscription after the next attempt. The deadline had passed from the beginning.
    EndAfterNextAttempt,
}

/// The deadline of a subscriber, as a time since the start of the fleet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) at: Duration,
    /// How long before the deadline the last attempt starts.
    pub(super) lead: Duration,
}

/// The result of a wait, and a checkpoint. The subscribers of the wait share it.
#[derive(Clone)]
pub(super) struct FinishedFleetWait {
    pub(super) result: Result<FinishedJob, WaitError>,
    pub(super) checkpoint: Checkpoint,
    pub(super) origin: WaitOrigin,
}

/// When a wait began.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitOrigin {
    /// When this fleet started the wait, as a time since the start of the fleet.
    pub(super) started_at: CompactDuration,
    /// For how long the wait had run before that.
    pub(super) elapsed_before: CompactDuration,
}

impl WaitOrigin {
    /// Converts a time since the start of the fleet into a time since the wait began.
    pub(super) const fn to_wait_time(self, at: Duration) -> Duration {
        self.elapsed_before.get().saturating_add(at.saturating_sub(self.started_at.get()))
    }

    /// Converts a time since the wait began into a time since the start of the fleet.
    pub(super) const fn to_fleet_time(self, elapsed: Duration) -> Duration {
        self.started_at.get().saturating_add(elapsed).saturating_sub(self.elapsed_before.get())
    }
}

/// The result of a wait for one of its subscribers, who may have a deadline of its own.
pub(super) struct SubscriberResult {
    finished: Arc<FinishedFleetWait>,
    own_deadline: Option<Duration>,
}

impl SubscriberResult {
    /// Returns the result. Copies it only if other subscribers still need it.
    pub(super) fn into_result(self) -> Result<FinishedJob, WaitError> {
        let FinishedFleetWait { result, origin, .. } = Arc::unwrap_or_clone(self.finished);
        match self.own_deadline {
            Some(deadline) => {
                result.map_err(|error| error.with_timeout(origin.to_wait_time(deadline)))
            }
            None => result,
        }
    }

    /// Returns a checkpoint of the wait.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let checkpoint = self.finished.checkpoint.clone();
        match self.own_deadline {
            Some(deadline) => checkpoint.with_timeout(self.finished.origin.to_wait_time(deadline)),
            None => checkpoint,
        }
    }
}

/// What the caller has asked for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Interest {
    /// Neither events nor the result yet. The first events are buffered.
    #[default]
    Undecided,
    Result,
    Events,
}

/// A key of a slab in 4 bytes, also in an `Option`, because each wait has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompactKey(
    /// The key plus one.
    NonZeroU32,
);

impl CompactKey {
    pub(super) const fn get(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl From<usize> for CompactKey {
    fn from(key: usize) -> Self {
        // Four billion entries do not fit into memory.
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(key).unwrap_or(u32::MAX)))
    }
}

impl Subscriber {
    /// Creates a subscriber of the wait with the key `job`.
    pub(super) fn new(job: CompactKey, deadline: Option<Deadline>, ends_with_job: bool) -> Self {
        let lead = deadline.map_or(0, |deadline| deadline.lead.as_millis());
        Self {
            job: Some(job),
            ends_with_job,
            deadline: deadline.map(|deadline| deadline.at.into()),
            last_attempt_lead: u16::try_from(lead).unwrap_or(u16::MAX),
            ..Self::default()
        }
    }

    /// Returns whether the caller may want events.
    pub(super) fn is_listening(&self) -> bool {
        self.interest != Interest::Result
    }

    /// Returns when the caller's timeout ends, if the wait itself may end later.
    pub(super) fn own_deadline(&self) -> Option<Duration> {
        let is_own = self.deadline_stage != DeadlineStage::None;
        self.deadline.filter(|_| is_own).map(CompactDuration::get)
    }

    pub(super) const fn deadline_stage(&self) -> DeadlineStage {
        self.deadline_stage
    }

    /// Returns whether the subscription ends after the next attempt.
    pub(super) const fn ends_after_attempt(&self) -> bool {
        matches!(
            self.deadline_stage,
            DeadlineStage::EndAtDeadline | DeadlineStage::EndAfterNextAttempt
        )
    }

    /// Returns whether the subscription ends with the job, even if its objects are read.
    pub(super) const fn ends_with_job(&self) -> bool {
        self.ends_with_job
    }

    /// Lets the subscription end at its own deadline, because the wait may end later.
    pub(super) fn use_own_deadline(&mut self, now: Duration) {
        if let (DeadlineStage::None, Some(deadline)) = (self.deadline_stage, self.deadline) {
            let has_passed = deadline.get() <= now;
            self.deadline_stage = if has_passed {
                DeadlineStage::EndAfterNextAttempt
            } else {
                DeadlineStage::LastAttempt
            };
        }
    }

    /// Records that the last attempt before the deadline was requested.
    pub(super) const fn end_at_deadline(&mut self) {
        self.deadline_stage = DeadlineStage::EndAtDeadline;
    }

    /// Returns when the stage of the deadline is due.
    pub(super) fn deadline_timer(&self) -> Option<CompactDuration> {
        let deadline = self.deadline?;
        match self.deadline_stage {
            DeadlineStage::LastAttempt => {
                let lead = Duration::from_millis(self.last_attempt_lead.into());
                Some(deadline.get().saturating_sub(lead).into())
            }
            DeadlineStage::EndAtDeadline => Some(deadline),
            DeadlineStage::None | DeadlineStage::EndAfterNextAttempt => None,
        }
    }

    /// Buffers all events from now on.
    pub(super) const fn request_events(&mut self) {
        self.interest = Interest::Events;
    }

    /// Buffers the events of a step, and returns the waker to call.
    pub(super) fn push_events(&mut self, at: Duration, events: &[Event]) -> Option<Waker> {
        let buffered = self.events.as_ref().map_or(0, |events| events.len());
        if self.interest == Interest::Undecided && buffered + events.len() > MAX_UNCLAIMED_EVENTS {
            self.interest = Interest::Result;
            self.events = None;
        }
        if self.interest == Interest::Result {
            return None;
        }
        let buffer = self.events.get_or_insert_with(|| Box::new(EventBuffer::new()));
        buffer.push_step(MAX_BUFFERED_EVENTS, events.iter().map(|event| (at, event.clone())));
        self.waker.take()
    }

    /// Stores the result, and returns the waker to call.
    pub(super) fn finish(&mut self, finished: Arc<FinishedFleetWait>) -> Option<Waker> {
        self.job = None;
        self.finished = Some(finished);
        self.waker.take()
    }

    /// Takes the result, and discards all events from now on.
    pub(super) fn poll_result(&mut self, context: &Context<'_>) -> Poll<SubscriberResult> {
        self.interest = Interest::Result;
        self.events = None;
        match self.result() {
            Some(result) => {
                self.finished = None;
                Poll::Ready(result)
            }
            None => self.register_waker(context),
        }
    }

    /// Takes the next event, or `None` if the wait is over.
    pub(super) fn poll_event(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<(Duration, Event), Lagged>>> {
        match self.events.as_mut().and_then(|events| events.pop()) {
            Some(event) => Poll::Ready(Some(event)),
            None if self.job.is_none() => Poll::Ready(None),
            None => self.register_waker(context),
        }
    }

    fn register_waker<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Returns the result for this subscriber, unless it was already taken.
    pub(super) fn result(&self) -> Option<SubscriberResult> {
        let finished = self.finished.clone()?;
        Some(SubscriberResult { finished, own_deadline: self.own_deadline() })
    }

    /// Returns the result, unless it was already taken.
    pub(super) const fn finished(&self) -> Option<&Arc<FinishedFleetWait>> {
        self.finished.as_ref()
    }
}
