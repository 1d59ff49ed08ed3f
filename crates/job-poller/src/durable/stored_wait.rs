//! An active wait that an engine stores. Reads no clock, performs no I/O.

use std::time::Duration;

use jiff::Timestamp;
use job_model::JobId;
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

use crate::{
    budget::UrgencyBucket,
    listing::listed_share,
    machine::{
        Action, Input, Machine, Step, checkpoint::Checkpoint, forecast::Forecast,
        policy::WaitPolicy,
    },
    schedule::{BudgetShare, PollPlan, Schedule},
};

/// An active wait: its checkpoint, and what a shared budget needs to know of its plan.
///
/// All times are by one wall clock that the engine chooses. It should be the same for all processes
/// of the engine, for example that of its database.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use jiff::Timestamp;
/// use job_poller::{
///     WaitPolicy, durable::StoredWait, machine::{Action, Input},
///     schedule::{Adaptive, BudgetShare},
/// };
///
/// let now = Timestamp::UNIX_EPOCH;
/// let mut wait = StoredWait::new("4a5b".parse()?, WaitPolicy::new(), 0, now);
/// let share = BudgetShare::new(Duration::from_millis(250), Duration::from_secs(60));
/// let step = wait.step(&Adaptive::new(), share, now, Input::Wake);
/// assert!(matches!(step.action, Action::Fetch { .. }));
///
/// let text = serde_json::to_string(&wait)?;
/// assert_eq!(serde_json::from_str::<StoredWait>(&text)?, wait);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredWait {
    checkpoint: Checkpoint,
    #[serde(default)]
    urgency: Option<UrgencyBucket>,
    #[serde(default)]
    earliest: Option<Timestamp>,
}

/// The minimum gap between two attempts, if the second one is made before it is due.
const MIN_GAP: Duration = Duration::from_secs(2);

impl StoredWait {
    /// Creates a wait that begins at `now`, with its first attempt due at once. `seed` varies its
    /// delays.
    #[must_use]
    pub fn new(job: JobId, policy: WaitPolicy, seed: u64, now: Timestamp) -> Self {
        let machine = Machine::new(job, policy).with_seed(seed);
        let checkpoint = Checkpoint::new(machine, Duration::ZERO).with_taken_at(now);
        Self { checkpoint, urgency: None, earliest: None }
    }

    /// Returns the checkpoint of the last step.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Sets the last reading of the job, or removes it. See
    /// [`Checkpoint::with_snapshot`](crate::Checkpoint::with_snapshot).
    #[must_use]
    pub fn with_snapshot(mut self, snapshot: Option<JobSnapshot>) -> Self {
        self.checkpoint = self.checkpoint.with_snapshot(snapshot);
        self
    }

    /// Returns the urgency of the last plan, by which a [`Budget`](crate::budget::Budget) counts the
    /// wait.
    #[must_use]
    pub const fn urgency(&self) -> Option<UrgencyBucket> {
        self.urgency
    }

    /// Returns when the next attempt may be made at the earliest, or `None` if it may not be made
    /// before it is due.
    #[must_use]
    pub const fn earliest_attempt_at(&self) -> Option<Timestamp> {
        self.earliest
    }

    /// Returns how long until the deadline. Zero if it has passed.
    #[must_use]
    pub fn until_deadline(&self, now: Timestamp) -> Duration {
        let (machine, elapsed) = self.checkpoint.clone().continue_at(now);
        machine.policy().deadline().saturating_sub(elapsed)
    }

    /// Returns what a schedule has to know to plan a request for the job, at any time after the last
    /// step. It is `None` unless the job was read and is active.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        self.checkpoint.machine().forecast(self.checkpoint.elapsed())
    }

    /// Passes an input to the machine. `share` is this wait's share of a budget.
    pub fn step(
        &mut self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        now: Timestamp,
        input: Input,
    ) -> Step {
        self.step_listed(schedule, share, 1.0, now, input)
    }

    /// Passes an input to the machine, if a list of jobs shows the job.
    ///
    /// `miss_probability` is the probability that the list does not show the next change
    /// ([`ListEvidence::miss_probability`](super::ListEvidence::miss_probability)). The smaller it is,
    /// the longer are the delays of the job's own readings, up to 300 s, or longer if the budget is
    /// used up. 1 is the same as [`step`](Self::step), and so is each step in which the wait reads
    /// clusters or nodes, because the list does not show them.
    pub fn step_listed(
        &mut self,
        schedule: &dyn Schedule,
        share: BudgetShare,
        miss_probability: f64,
        now: Timestamp,
        input: Input,
    ) -> Step {
        let (mut machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let is_job = !machine.is_reading_objects();
        let missed = if is_job { miss_probability.clamp(1e-6, 1.0) } else { 1.0 };
        let share = listed_share(share, missed);
        let step = machine.step_with_share(schedule, share, elapsed, input);
        self.earliest = match step.action {
            Action::SleepUntil(_) => machine
                .earliest_attempt()
                .and_then(|at| now.saturating_add(at.saturating_sub(elapsed).max(MIN_GAP)).ok()),
            _ => None,
        };
        self.checkpoint = Checkpoint::new(machine, elapsed).with_taken_at(now);
        let plan = step.plan.map(|plan| PollPlan {
            urgency: plan.urgency.map(|urgency| urgency * missed.sqrt()),
            ..plan
        });
        self.urgency = plan.and_then(UrgencyBucket::from_plan).or(self.urgency);
        step
    }

    /// Makes the next attempt due at `now`, unless it is due earlier.
    pub fn advance(&mut self, now: Timestamp) {
        let (mut machine, elapsed) = self.checkpoint.clone().continue_at(now);
        machine.advance_attempt(elapsed);
        self.checkpoint = Checkpoint::new(machine, elapsed).with_taken_at(now);
    }

    /// Permits the next attempt from `now` on, because it is due but could not be made.
    pub const fn permit_early_attempt(&mut self, now: Timestamp) {
        self.earliest = Some(now);
    }

    /// Returns whether [`extend`](Self::extend) sets a later deadline.
    #[must_use]
    pub fn is_extended_by(&self, policy: &WaitPolicy, now: Timestamp) -> bool {
        let mut extended = self.clone();
        extended.extend(policy, now);
        extended.checkpoint.policy().deadline() > self.checkpoint.policy().deadline()
    }

    /// Extends the deadline to that of a wait with `policy` that begins at `now`, if that is later.
    /// If `policy` waits until objects are ready or gone, the wait does so, too.
    pub fn extend(&mut self, policy: &WaitPolicy, now: Timestamp) {
        let (machine, elapsed) = self.checkpoint.clone().continue_at(now);
        let policy = machine.policy().extended_for(elapsed, policy, Duration::ZERO);
        self.checkpoint = Checkpoint::new(machine.with_policy(policy), elapsed).with_taken_at(now);
    }
}

#[cfg(test)]
mod tests;
