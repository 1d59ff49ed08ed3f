//! The decision how to wait for a job: [`Machine`], what goes in and what comes out. Reads no clock, performs no
//! I/O.

mod policy;
mod event;
mod changes;
mod verdict;
mod outcome;
mod attempt_error;
mod error_kind;
mod compact_duration;
mod job_text;
// What the machine keeps from one step to the next.
mod error_limits;
mod settling;
mod sub_job_lookup;
mod state;
// The machine as data.
mod checkpoint;
mod error;
// Its steps.
mod step;
mod reading;
mod finish;

pub use attempt_error::AttemptError;
pub use checkpoint::Checkpoint;
pub(crate) use compact_duration::CompactDuration;
pub use error::WaitError;
pub use error_kind::WaitErrorKind;
pub(crate) use error_limits::MAX_RETRY_AFTER;
pub use event::{AttemptReason, Event, PhaseChange};
pub use outcome::{FinishedJob, JobFailed, Outcome};
pub use policy::WaitPolicy;
pub use step::{Action, Input, Step};

use std::{sync::Arc, time::Duration};

use job_model::{Deviation, Job, JobId, Phase};
use job_transport::{JobDigest, JobSnapshot};
use serde::{Deserialize, Serialize};

use self::{error_limits::RecentErrors, state::State};
use crate::schedule::JobObservation;

/// Decides, step by step, how to wait for one job: what to do now, given the time and what
/// happened.
///
/// The first input is [`Input::Wake`]. Each input is answered with events and one [`Action`]; the next input
/// is the result of that action:
///
/// ```text
/// SleepUntil ─▶ Wake        Fetch ─▶ Reading, Unchanged or Error        Finish: the wait is over
/// ```
///
/// Between two inputs the machine is in one of three states:
///
/// ```text
///              Running, errors, stale replies
///                  ┌───────┐
///                  ▼       │      Success, and a sub-job goes on
///  Wake ───────▶ Polling ──┴──────────────────────▶ Settling ──┐ Success again
///                  │  ▲                               │  │  ▲  │
///                  │  └───────────────────────────────┘  │  └──┘
///                  │     another phase than Success      │
///   Success,       │                                     │ all sub-jobs ended,
///   Failed         ▼                                     ▼ or after `settle`
///                LookingUp: sub-jobs that the reply does not show ──▶ Finish(Ok)
///
///  Polling, Settling ── deadline, stop, too many errors ──▶ Finish(Err), Settling: Finish(Ok)
/// ```
///
/// Time is a `Duration` since the wait began, which the driver passes in. There is one attempt at a time. The machine
/// is deterministic: the same inputs at the same times give identical steps, even if it was serialized and restored
/// in between.
///
/// ```
/// use std::time::Duration;
/// use job_model::Job;
/// use job_poller::{Action, Fixed, Input, Machine, Outcome, WaitPolicy};
/// use job_transport::Reading;
///
/// let schedule = Fixed::new(Duration::from_secs(10));
/// let mut machine = Machine::new("4a5b".parse()?, WaitPolicy::new());
/// let at = Duration::from_secs;
/// let reading = |body: &str| Job::from_slice(body.as_bytes()).map(|job| Reading::new(job).into());
///
/// let step = machine.step(&schedule, at(0), Input::Wake);
/// assert_eq!(step.action, Action::Fetch { id: "4a5b".parse()?, timeout: at(30), last: None });
///
/// let step = machine.step(&schedule, at(1), reading(r#"{"status": {"phase": "Running"}}"#)?);
/// assert_eq!(step.action, Action::SleepUntil(at(11)));
///
/// let step = machine.step(&schedule, at(11), Input::Wake);
/// assert!(matches!(step.action, Action::Fetch { .. }));
///
/// let step = machine.step(&schedule, at(12), reading(r#"{"status": {"phase": "Success"}}"#)?);
/// let Action::Finish(result) = step.action else { panic!("the job has ended") };
/// assert_eq!(result.map(|ended| ended.outcome), Ok(Outcome::Succeeded));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    id: JobId,
    policy: Arc<WaitPolicy>,
    seed: u64,
    attempts: u32,
    sub_job_lookups: u32,
    readings: u32,
    /// When the next attempt is planned, and before when there is none whatever the deadline: by what
    /// the service asked, and by the floor.
    next_attempt_at: CompactDuration,
    not_before: CompactDuration,
    /// Taken up again elsewhere, and no attempt since: the deadline leaves it one.
    late_attempt_allowed: bool,
    /// The attempt under way has its whole time, beyond the deadline.
    deadline_waived: bool,
    /// The errors since the last reading.
    recent_errors: Option<Box<RecentErrors>>,
    stale_in_a_row: u32,
    /// When the job last changed, and whether it was reported as stalled since.
    changed_at: CompactDuration,
    stall_reported: bool,
    /// When the last event was emitted.
    last_event_at: CompactDuration,
    /// Whether the end is near, and how many readings there were before that.
    nearly_done: bool,
    near_end_base: u32,
    state: State,
    /// The job's age when it was first seen to go on, and when it last was.
    observed_from: Option<CompactDuration>,
    observed_until: CompactDuration,
    /// The last accepted reading, without the decoded job.
    snapshot: Option<JobSnapshot>,
}

impl Machine {
    /// Creates the decision for a wait that has not begun. Many can share their limits.
    #[must_use]
    pub fn new(id: JobId, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        Self {
            id,
            policy: policy.into(),
            seed: 0,
            attempts: 0,
            sub_job_lookups: 0,
            readings: 0,
            next_attempt_at: CompactDuration::ZERO,
            not_before: CompactDuration::ZERO,
            late_attempt_allowed: false,
            deadline_waived: false,
            recent_errors: None,
            stale_in_a_row: 0,
            changed_at: CompactDuration::ZERO,
            stall_reported: false,
            last_event_at: CompactDuration::ZERO,
            nearly_done: false,
            near_end_base: 0,
            state: State::Polling,
            observed_from: None,
            observed_until: CompactDuration::ZERO,
            snapshot: None,
        }
    }

    /// Sets what the random part of pauses comes from; 0 by default. Machines of one seed pause
    /// alike.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets other limits. They count from the wait's beginning, also where it is taken up again.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Returns the deadline of the lookup of sub-jobs, if there is one.
    #[cfg(feature = "tokio")]
    pub(crate) fn lookup_deadline(&self) -> Option<Duration> {
        self.state.lookup().map(|lookup| lookup.deadline)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn set_policy(&mut self, policy: WaitPolicy) {
        self.policy = policy.into();
    }

    /// Resumes a wait elsewhere. If the deadline has passed meanwhile, or almost, one more attempt is made, under
    /// its own timeout. [`observation`](Self::observation) starts again: the process that stopped has recorded what
    /// was observed before.
    #[must_use]
    pub const fn resume(mut self) -> Self {
        (self.late_attempt_allowed, self.observed_from) = (true, None);
        self
    }

    /// Sets whether its driver was elsewhere when the deadline passed.
    pub(crate) const fn with_missed_deadline(mut self, missed: bool) -> Self {
        self.late_attempt_allowed = missed;
        self
    }

    /// Returns which job is waited for.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        &self.id
    }

    /// Returns the limits.
    #[must_use]
    pub fn policy(&self) -> &WaitPolicy {
        &self.policy
    }

    /// Returns how many attempts were made, those for sub-jobs left out.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the job as last read, where it ever was. It is kept as text, and decoded for this.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        match self.state.lookup() {
            Some(lookup) => Some(Box::new(lookup.job().clone())),
            None => Some(self.snapshot.clone()?.into_job()),
        }
    }

    /// Returns the last accepted reading, without the decoded job; `None` before the first reading, and once the job
    /// has ended.
    #[must_use]
    pub const fn snapshot(&self) -> Option<&JobSnapshot> {
        self.snapshot.as_ref()
    }

    /// Returns the phase as last read. Decodes nothing.
    pub(crate) fn last_phase(&self) -> Option<Option<&Phase>> {
        match self.state.lookup() {
            Some(lookup) => Some(lookup.job().phase()),
            None => Some(self.snapshot.as_ref()?.digest().phase()),
        }
    }

    /// Returns the deviations of the last accepted body.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        match self.state.lookup() {
            Some(lookup) => &lookup.deviations,
            None => self.snapshot.as_ref().map(JobSnapshot::deviations).unwrap_or_default(),
        }
    }

    /// Returns what was observed of the job so far; `None` before the first reading of a job that goes on.
    #[must_use]
    pub fn observation(&self) -> Option<JobObservation> {
        let digest = match self.state.lookup() {
            Some(lookup) => &JobDigest::new(lookup.job()),
            None => self.snapshot.as_ref()?.digest(),
        };
        self.observation_until(digest, self.observed_until.get(), false)
    }

    /// Returns the error of the last attempt, if that failed.
    #[must_use]
    pub fn last_error(&self) -> Option<&AttemptError> {
        self.recent_errors.as_ref().map(|errors| &errors.last)
    }

    /// Sets the job as last read.
    #[cfg(feature = "tokio")]
    pub(crate) fn with_job(mut self, job: Job) -> Self {
        self.snapshot = Some(JobSnapshot::from(job).without_job());
        self
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
