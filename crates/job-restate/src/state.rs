//! The state of a wait, which the engine stores between two ticks. Reads no clock, performs no I/O.

use job_poller::durable::WaitKey;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use job_model::Job;
use job_notify::Delivery;
use job_poller::{
    Checkpoint, Event, FinishedJob, Report, Until, WaitError, WaitPolicy,
    budget::UrgencyBucket,
    machine::{Action, Input, Machine},
    schedule::{BudgetShare, Schedule},
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
    pub(crate) checkpoint: Checkpoint,
    /// The urgency of the last plan.
    pub(crate) urgency: Option<UrgencyBucket>,
    /// The slot for the next tick, if the wait has one already.
    #[serde(default)]
    pub(crate) slot: Option<Slot>,
    /// When the next tick is planned.
    pub(crate) next_tick_at: Timestamp,
    /// When the next attempt may be made at the earliest, if it may be made before it is due.
    #[serde(default)]
    pub(crate) earliest: Option<Timestamp>,
    pub(crate) receivers: Vec<Receiver>,
}

/// A finished wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FinishedWait {
    /// The number of the tick that deletes this state. Other waits of this key have other numbers.
    pub(crate) tick: u64,
    pub(crate) outcome: String,
    /// When this tick is planned, or `None` if an earlier version has stored the state.
    #[serde(default)]
    pub(crate) next_tick_at: Option<Timestamp>,
    /// Whether the job has ended. If not, the wait stopped early.
    pub(crate) has_job_ended: bool,
    /// The body of the notifications: a [`Report`] with the project and the job, as JSON.
    pub(crate) body: String,
    pub(crate) receivers: Vec<Receiver>,
}

/// The result of a wait, with its project and job.
#[derive(Serialize)]
struct FinishedEvent<'a> {
    v: u32,
    event: &'static str,
    project: &'a str,
    job: &'a str,
    #[serde(flatten)]
    report: Report<'a>,
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
            Self::Waiting(waiting) if !is_advanced || waiting.earliest.is_some() => {
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
        let machine = Machine::new(key.job.clone(), policy).with_seed(seed);
        Self {
            tick,
            checkpoint: Checkpoint::new(machine, Duration::ZERO).with_taken_at(now),
            urgency: None,
            slot: None,
            next_tick_at: now,
            earliest: None,
            receivers: Vec::new(),
        }
    }

    /// Passes an input to the machine, and returns the events and the next action.
    pub(crate) fn step(
        &mut self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        now: Timestamp,
        input: Input,
    ) -> (Vec<Event>, Action) {
        let (mut machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let step = machine.step_with_share(schedule, share, elapsed, input);
        if let (Action::SleepUntil(at), Some(plan)) = (&step.action, step.plan) {
            // A delay that the machine chose itself (a backoff, or the last delay before the
            // deadline) is not shortened.
            let is_planned = at.saturating_sub(elapsed) == plan.delay && plan.urgency.is_some();
            self.earliest = is_planned.then(|| now.saturating_add(MIN_GAP).unwrap_or(now));
        }
        self.checkpoint = Checkpoint::new(machine, elapsed).with_taken_at(now);
        self.urgency = step.plan.and_then(UrgencyBucket::from_plan).or(self.urgency);
        (step.events, step.action)
    }

    /// Returns whether the tick is so late that it is lost, for example because an operator killed
    /// it at the engine.
    pub(crate) fn is_stalled(&self, now: Timestamp) -> bool {
        now.duration_since(self.next_tick_at) > TICK_LOST_AFTER
    }

    /// Makes the next attempt due at `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let (mut machine, elapsed) = self.checkpoint.clone().continue_at(now);
        machine.advance_attempt(elapsed);
        self.checkpoint = Checkpoint::new(machine, elapsed).with_taken_at(now);
    }

    /// Returns how the budget plans this wait.
    pub(crate) fn planned(&self) -> PlannedWait {
        PlannedWait { tick: self.tick, urgency: self.urgency, earliest: self.earliest }
    }

    /// Returns whether [`extend`](Self::extend) sets a later deadline.
    pub(crate) fn is_extended_by(&self, policy: &WaitPolicy, now: Timestamp) -> bool {
        let mut extended = self.clone();
        extended.extend(policy, now);
        extended.checkpoint.policy().deadline() > self.checkpoint.policy().deadline()
    }

    /// Extends the deadline to that of a wait with `policy` that starts at `now`, if that is later.
    pub(crate) fn extend(&mut self, policy: &WaitPolicy, now: Timestamp) {
        let (machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let policy = machine.policy().extended_for(elapsed, policy, Duration::ZERO);
        self.checkpoint = Checkpoint::new(machine.with_policy(policy), elapsed).with_taken_at(now);
    }
}

/// The minimum gap between two attempts, if the second one is made before it is due.
const MIN_GAP: Duration = Duration::from_secs(2);

impl FinishedWait {
    /// Returns whether this result answers a request for a wait until `until`.
    ///
    /// After the end of a job, its objects may still have to be read. A broken object may be repaired.
    pub(crate) fn answers(&self, until: Until) -> bool {
        let is_reached = match until {
            Until::Ended => true,
            // A job that deletes is done when its objects are gone.
            Until::Ready => matches!(&*self.outcome, "ready" | "gone"),
            Until::Gone => self.outcome == "gone",
        };
        self.has_job_ended && (is_reached || self.outcome == "failed")
    }

    pub(crate) fn new(
        key: &WaitKey,
        result: &Result<FinishedJob, WaitError>,
        tick: u64,
        receivers: Vec<Receiver>,
    ) -> Self {
        let last_job: Option<Box<Job>> = result.as_ref().err().and_then(WaitError::job);
        let report = Report::new(result, last_job.as_deref());
        let (project, job) = (key.project.as_str(), key.job.as_str());
        let outcome = report.outcome.into();
        let event = FinishedEvent { v: 1, event: "finished", project, job, report };
        // Serialization can only fail for a map whose keys are not strings, and a report has no
        // such map.
        let body = serde_json::to_string(&event).unwrap_or_default();
        let has_job_ended = result.is_ok();
        Self { tick, next_tick_at: None, outcome, has_job_ended, body, receivers }
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
