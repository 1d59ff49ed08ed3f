//! What the engine keeps of a wait between one tick and the next. Reads no clock, performs no I/O, sends nothing.

use std::time::Duration;

use jiff::Timestamp;
use job_model::Job;
use job_poller::{
    Action, Checkpoint, Event, FinishedJob, Input, Machine, Report, Schedule, WaitError,
    WaitPolicy,
    budget::{BudgetedSchedule, UrgencyBucket},
};
use serde::{Deserialize, Serialize};

use crate::{
    budget::{Arrival, CountKey, Slot},
    key::WaitKey,
    notify::Notification,
    wait::HalfPauseSchedule,
};

/// A wait, under way or over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum WaitState {
    Waiting(Box<ActiveWait>),
    Finished(Box<FinishedWait>),
}

/// A wait under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActiveWait {
    /// The tick that is to come. One of another number is none of this wait.
    pub(crate) tick: u64,
    pub(crate) checkpoint: Checkpoint,
    /// How urgent it is, and where it was counted last.
    pub(crate) urgency: Option<UrgencyBucket>,
    pub(crate) count_key: Option<CountKey>,
    /// Whether it is to have its turn with the next tick.
    pub(crate) has_reservation: bool,
    /// When the next tick is to come, and when the attempt is due: later, where it may come early.
    pub(crate) next_tick_at: Timestamp,
    pub(crate) due_at: Timestamp,
    pub(crate) receivers: Vec<Receiver>,
}

/// A wait that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FinishedWait {
    /// The tick that clears all this away; no other wait of this key has the same.
    pub(crate) tick: u64,
    pub(crate) outcome: String,
    /// Whether the job has ended, too.
    pub(crate) has_job_ended: bool,
    /// What those are told who asked for it: a [`Report`] and whose it is, as JSON.
    pub(crate) body: String,
    pub(crate) receivers: Vec<Receiver>,
}

/// How a wait ended, and whose it was.
#[derive(Serialize)]
struct FinishedEvent<'a> {
    v: u32,
    event: &'static str,
    project: &'a str,
    job: &'a str,
    #[serde(flatten)]
    report: Report<'a>,
}

/// Where a notification is to go, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receiver {
    pub(crate) address: String,
    pub(crate) delivery: Delivery,
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// The wait is not over, or the engine delivers.
    Pending,
    Delivered,
    /// It was given up, for this reason.
    Failed(String),
}

impl WaitState {
    /// Returns the number of the tick that is to come.
    pub(crate) const fn tick(&self) -> u64 {
        match self {
            Self::Waiting(waiting) => waiting.tick,
            Self::Finished(over) => over.tick,
        }
    }

    pub(crate) const fn receivers(&mut self) -> &mut Vec<Receiver> {
        match self {
            Self::Waiting(waiting) => &mut waiting.receivers,
            Self::Finished(over) => &mut over.receivers,
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

    /// Tells the decision what happened; returns what to tell, and what to do.
    pub(crate) fn step(
        &mut self,
        schedule: &dyn Schedule,
        turn: Slot,
        now: Timestamp,
        input: Input,
    ) -> (Vec<Event>, Action) {
        let sharing = BudgetedSchedule::new(schedule, turn.share);
        let early = HalfPauseSchedule::new(&sharing, turn.is_budget_spent);
        let (mut machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let step = machine.step(&early, elapsed, input);
        if let Action::SleepUntil(at) = step.action {
            let due = early.time_until_due(at.saturating_sub(elapsed));
            self.due_at = now.saturating_add(due).unwrap_or(Timestamp::MAX);
        }
        self.checkpoint = Checkpoint::new(machine, elapsed).taken_at(now);
        self.urgency = sharing.last_urgency().or(self.urgency);
        (step.events, step.action)
    }

    /// Returns why the wait comes, at this time.
    pub(crate) fn arrival(&self, now: Timestamp) -> Arrival {
        match self.has_reservation {
            true => Arrival::Reserved,
            false if now < self.due_at => Arrival::Early,
            false => Arrival::Due,
        }
    }

    /// Gives the wait the time that another would have that begins now, where that is longer.
    pub(crate) fn extend(&mut self, policy: &WaitPolicy, now: Timestamp) {
        let (machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let policy = machine.policy().extended_for(elapsed, policy, Duration::ZERO);
        self.checkpoint = Checkpoint::new(machine.with_policy(policy), elapsed).taken_at(now);
    }
}

impl FinishedWait {
    pub(crate) fn new(
        key: &WaitKey,
        result: &Result<FinishedJob, WaitError>,
        tick: u64,
        receivers: Vec<Receiver>,
    ) -> Self {
        let last: Option<Box<Job>> = result.as_ref().err().and_then(WaitError::job);
        let report = Report::new(result, last.as_deref());
        let (project, job) = (key.project.as_str(), key.job.as_str());
        let outcome = report.outcome.into();
        let end = FinishedEvent { v: 1, event: "finished", project, job, report };
        // Fails for a map without text names alone.
        let body = serde_json::to_string(&end).unwrap_or_default();
        Self { tick, outcome, has_job_ended: result.is_ok(), body, receivers }
    }

    /// Returns what those are told who asked for it.
    pub(crate) fn notification(&self, key: &WaitKey) -> Notification {
        Notification { key: key.clone(), outcome: self.outcome.clone(), body: self.body.clone() }
    }
}

/// As many as may be told of one wait.
const MAX_RECEIVERS: usize = 16;

/// Adds a receiver, unless it is there; returns whether it was not. There may be too many (`Err`).
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
