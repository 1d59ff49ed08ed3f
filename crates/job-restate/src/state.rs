//! The state of a wait, which the engine stores between two ticks. Reads no clock, performs no I/O.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use job_notify::Delivery;
use job_poller::{
    WaitPolicy,
    durable::{StoredResult, StoredWait, WaitKey},
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    budget::{PlannedWait, Slot},
    request::MAX_ATTEMPT_TIMEOUT,
};

/// A wait, active or finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum WaitState {
    Waiting(Box<ActiveWait>),
    Finished(Box<FinishedWait>),
}

/// The result of a tick. The engine records it in its journal, so a replay does not repeat the
/// attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TickResult {
    pub(crate) state: WaitState,
    /// How long until the next tick.
    pub(crate) delay: Duration,
}

/// An active wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActiveWait {
    /// The number of the next tick. A tick with another number does not belong to this wait.
    pub(crate) tick: u64,
    #[serde(flatten)]
    pub(crate) stored: StoredWait,
    /// The slot for the next tick, if the wait has one already.
    #[serde(default)]
    pub(crate) slot: Option<Slot>,
    /// When the next tick is planned.
    pub(crate) next_tick_at: Timestamp,
    pub(crate) receivers: Vec<Receiver>,
}

/// A finished wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FinishedWait {
    /// The number of the tick that deletes this state. Other waits of this key have other numbers.
    pub(crate) tick: u64,
    /// When this tick is planned, or `None` if an earlier version has stored the state.
    #[serde(default)]
    pub(crate) next_tick_at: Option<Timestamp>,
    #[serde(flatten)]
    pub(crate) result: StoredResult,
    pub(crate) receivers: Vec<Receiver>,
}

/// The address of a receiver, and the delivery of its notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receiver {
    pub(crate) address: String,
    /// The tries so far. There are none while the wait is active.
    #[serde(deserialize_with = "deserialize_delivery")]
    pub(crate) delivery: Delivery,
}

/// A delivery as this version and earlier ones store it.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredDelivery {
    Current(Delivery),
    Earlier(EarlierDelivery),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EarlierDelivery {
    Pending,
    Delivered,
    Failed(String),
}

fn deserialize_delivery<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Delivery, D::Error> {
    let mut delivery = Delivery::new();
    match StoredDelivery::deserialize(deserializer)? {
        StoredDelivery::Current(current) => return Ok(current),
        StoredDelivery::Earlier(EarlierDelivery::Pending) => {}
        StoredDelivery::Earlier(EarlierDelivery::Delivered) => {
            // The time is not used after the end of a delivery.
            delivery.handle_result(Ok(()), Timestamp::UNIX_EPOCH);
        }
        StoredDelivery::Earlier(EarlierDelivery::Failed(error)) => delivery.give_up(error),
    }
    Ok(delivery)
}

impl Receiver {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.into(), delivery: Delivery::new() }
    }

    /// Records the result of a try, unless a later one is recorded already.
    pub(crate) fn record(&mut self, delivery: Delivery) {
        if delivery.tries() >= self.delivery.tries() {
            self.delivery = delivery;
        }
    }
}

/// What a tick does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TickTask {
    /// It makes an attempt.
    Attempt(Box<ActiveWait>),
    /// It deletes the state of a finished wait.
    Delete,
    Nothing,
}

impl WaitState {
    /// Returns what the tick with this number does. An advanced tick comes before it is due.
    ///
    /// Only the planned tick has an effect, and only the one that comes when it is due deletes a
    /// result.
    pub(crate) fn tick_task(self, number: u64, is_advanced: bool) -> TickTask {
        match self {
            state if state.tick() != number => TickTask::Nothing,
            Self::Waiting(waiting)
                if !is_advanced || waiting.stored.earliest_attempt_at().is_some() =>
            {
                TickTask::Attempt(waiting)
            }
            Self::Finished(_) if !is_advanced => TickTask::Delete,
            Self::Waiting(_) | Self::Finished(_) => TickTask::Nothing,
        }
    }

    /// Returns the number of the next tick.
    pub(crate) const fn tick(&self) -> u64 {
        match self {
            Self::Waiting(waiting) => waiting.tick,
            Self::Finished(finished) => finished.tick,
        }
    }

    /// Returns how long until the planned time of the next tick, or `None` if it is not known.
    pub(crate) fn until_tick(&self, now: Timestamp) -> Option<Duration> {
        let at = match self {
            Self::Waiting(waiting) => waiting.next_tick_at,
            Self::Finished(finished) => finished.next_tick_at?,
        };
        Some(at.duration_since(now).try_into().unwrap_or(Duration::ZERO))
    }

    pub(crate) const fn receivers(&mut self) -> &mut Vec<Receiver> {
        match self {
            Self::Waiting(waiting) => &mut waiting.receivers,
            Self::Finished(finished) => &mut finished.receivers,
        }
    }
}

/// How late a tick may be: the longest attempt, during which the state is that of before, and half
/// a minute.
const TICK_LOST_AFTER: SignedDuration =
    SignedDuration::from_secs(MAX_ATTEMPT_TIMEOUT.as_secs() as i64 + 30);

impl ActiveWait {
    /// Creates a wait that starts at `now`, with its first tick due at once.
    pub(crate) fn new(
        key: &WaitKey,
        policy: WaitPolicy,
        seed: u64,
        tick: u64,
        now: Timestamp,
    ) -> Self {
        let stored = StoredWait::new(key.job.clone(), policy, seed, now);
        Self { tick, stored, slot: None, next_tick_at: now, receivers: Vec::new() }
    }

    /// Returns whether the tick is so late that it is lost, for example because an operator killed
    /// it at the engine.
    pub(crate) fn is_stalled(&self, now: Timestamp) -> bool {
        now.duration_since(self.next_tick_at) > TICK_LOST_AFTER
    }

    /// Returns how the budget plans this wait.
    pub(crate) const fn planned(&self) -> PlannedWait {
        let (urgency, earliest) = (self.stored.urgency(), self.stored.earliest_attempt_at());
        PlannedWait { tick: self.tick, urgency, earliest }
    }
}

/// The maximum number of receivers of one wait.
const MAX_RECEIVERS: usize = 16;

/// Adds a receiver unless it is already in the list, and returns whether it was added.
///
/// # Errors
///
/// Returns an error if there are already [`MAX_RECEIVERS`] other receivers.
pub(crate) fn add_receiver(receivers: &mut Vec<Receiver>, to: &str) -> Result<bool, String> {
    if receivers.iter().any(|receiver| receiver.address == to) {
        return Ok(false);
    }
    if receivers.len() >= MAX_RECEIVERS {
        return Err(format!("too many receivers for this wait (limit {MAX_RECEIVERS})"));
    }
    receivers.push(Receiver::new(to));
    Ok(true)
}

#[cfg(test)]
mod tests;
