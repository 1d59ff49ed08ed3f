//! The state of a wait that the engine stores between two ticks. Reads no clock, performs no I/O, sends nothing.

use std::time::Duration;

use jiff::Timestamp;
use job_model::Job;
use job_poller::{
    Action, Checkpoint, Event, FinishedJob, Input, Machine, PollPlan, PollState, Report, Schedule,
    WaitError, WaitPolicy, budget::UrgencyBucket,
};
use serde::{Deserialize, Serialize};

use crate::{
    budget::{Arrival, CountKey, Slot},
    key::WaitKey,
};

/// A wait, active or finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum WaitState {
    Waiting(Box<ActiveWait>),
    Finished(Box<FinishedWait>),
}

/// The result of a tick. The engine stores it in its journal, so that a replay does not repeat the attempt.
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
    /// How urgent it is.
    pub(crate) urgency: Option<UrgencyBucket>,
    /// Where it was counted last.
    pub(crate) count_key: Option<CountKey>,
    /// Whether it has a reservation for the next tick.
    pub(crate) has_reservation: bool,
    /// When the next tick is planned.
    pub(crate) next_tick_at: Timestamp,
    /// When the attempt is due: later than the next tick, if that comes early.
    pub(crate) due_at: Timestamp,
    pub(crate) receivers: Vec<Receiver>,
}

/// A finished wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FinishedWait {
    /// The number of the tick that deletes this state. No other wait of this key has the same.
    pub(crate) tick: u64,
    pub(crate) outcome: String,
    /// Whether the job has ended too.
    pub(crate) has_job_ended: bool,
    /// The body of the notifications: a [`Report`] with the project and the job, as JSON.
    pub(crate) body: String,
    pub(crate) receivers: Vec<Receiver>,
}

/// How a wait ended, with its project and job.
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
    pub(crate) delivery: Delivery,
}

/// The delivery of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// The wait has not finished, or the engine is delivering.
    Pending,
    Delivered,
    /// The delivery was given up, with this error.
    Failed(String),
}

impl WaitState {
    /// Returns the number of the next tick.
    pub(crate) const fn tick(&self) -> u64 {
        match self {
            Self::Waiting(waiting) => waiting.tick,
            Self::Finished(finished) => finished.tick,
        }
    }

    pub(crate) const fn receivers(&mut self) -> &mut Vec<Receiver> {
        match self {
            Self::Waiting(waiting) => &mut waiting.receivers,
            Self::Finished(finished) => &mut finished.receivers,
        }
    }
}

impl ActiveWait {
    /// Creates a wait that begins now, with a first tick at once.
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
            checkpoint: Checkpoint::new(machine, Duration::ZERO).taken_at(now),
            urgency: None,
            count_key: None,
            has_reservation: false,
            next_tick_at: now,
            due_at: now,
            receivers: Vec::new(),
        }
    }

    /// Passes an input to the machine, and returns its events and its action.
    pub(crate) fn step(
        &mut self,
        schedule: &dyn Schedule,
        slot: Slot,
        now: Timestamp,
        input: Input,
    ) -> (Vec<Event>, Action) {
        let half_delays = HalfDelaySchedule(schedule);
        let schedule = if slot.is_budget_spent { &half_delays } else { schedule };
        let (mut machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let step = machine.step_with_share(schedule, slot.share, elapsed, input);
        if let Action::SleepUntil(at) = step.action {
            let delay = at.saturating_sub(elapsed);
            // A different delay is that of a backoff, or the last before a deadline.
            let is_half = slot.is_budget_spent && step.plan.is_some_and(|plan| plan.delay == delay);
            let due = if is_half { delay * 2 } else { delay };
            self.due_at = now.saturating_add(due).unwrap_or(Timestamp::MAX);
        }
        self.checkpoint = Checkpoint::new(machine, elapsed).taken_at(now);
        self.urgency = step.plan.and_then(UrgencyBucket::from_plan).or(self.urgency);
        (step.events, step.action)
    }

    /// Returns why the wait requests a slot at this time.
    pub(crate) fn arrival(&self, now: Timestamp) -> Arrival {
        match self.has_reservation {
            true => Arrival::Reserved,
            false if now < self.due_at => Arrival::Early,
            false => Arrival::Due,
        }
    }

    /// Extends the deadline to that of a wait that begins now, if that is later.
    pub(crate) fn extend(&mut self, policy: &WaitPolicy, now: Timestamp) {
        let (machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let policy = machine.policy().extended_for(elapsed, policy, Duration::ZERO);
        self.checkpoint = Checkpoint::new(machine.with_policy(policy), elapsed).taken_at(now);
    }
}

/// A schedule that halves the delays of another, for the time while the budget is spent.
///
/// A wait that was planned under a price that is too high by now would leave a part of the budget unspent, because
/// the timer of an engine cannot be set back. So each wait ticks once in the middle of its delay, and gets a slot
/// then if no other wait needs it.
struct HalfDelaySchedule<'a>(&'a dyn Schedule);

impl Schedule for HalfDelaySchedule<'_> {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        let mut plan = self.0.plan(state);
        plan.delay /= 2;
        plan
    }
}

impl FinishedWait {
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
        // Fails for a map without text names alone.
        let body = serde_json::to_string(&event).unwrap_or_default();
        Self { tick, outcome, has_job_ended: result.is_ok(), body, receivers }
    }
}

/// The most receivers of one wait.
const MAX_RECEIVERS: usize = 16;

/// Adds a receiver, unless it is there already; returns whether it was added. Returns an error if there are too many.
pub(crate) fn add_receiver(receivers: &mut Vec<Receiver>, to: &str) -> Result<bool, String> {
    if receivers.iter().any(|receiver| receiver.address == to) {
        return Ok(false);
    }
    if receivers.len() >= MAX_RECEIVERS {
        return Err(format!("{MAX_RECEIVERS} are told of this wait already; there may be no more"));
    }
    receivers.push(Receiver { address: to.into(), delivery: Delivery::Pending });
    Ok(true)
}

#[cfg(test)]
mod tests;
