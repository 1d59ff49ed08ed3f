//! The state machine of a wait: [`Machine`], its inputs and its outputs. Reads no clock and
//! performs no I/O.

pub(crate) mod policy;
pub(crate) mod seconds;
pub(crate) mod event;
mod changes;
mod deviations;
mod verdict;
pub(crate) mod outcome;
mod stated_quota;
mod attempt_error;
pub(crate) mod error_kind;
mod compact_duration;
mod job_text;
mod identity;
// The state that the machine keeps between steps.
mod error_limits;
mod settling;
pub(crate) mod until;
mod named_objects;
mod sub_job_lookup;
mod object_status;
mod reading_objects;
mod state;
pub(crate) mod forecast;
mod reduced;
// The machine as serializable data, and the error that contains it.
pub(crate) mod checkpoint;
pub(crate) mod error;
// The steps.
mod step;
mod reading;
mod finish;
mod object_step;
mod object_queries;

pub use attempt_error::AttemptError;
#[cfg(any(feature = "tokio", test))]
pub(crate) use checkpoint::Checkpoint;
pub(crate) use compact_duration::CompactDuration;
pub(crate) use error::WaitError;
pub(crate) use error_kind::WaitErrorKind;
pub(crate) use error_limits::MAX_RETRY_AFTER;
#[cfg(any(feature = "tokio", test))]
pub(crate) use event::Event;
pub use event::{AttemptReason, ListIssue, PhaseChange};
#[cfg(feature = "tokio")]
pub(crate) use identity::check_uid;
pub use object_status::{ObjectEndpoint, ObjectSnapshot, ObjectStatus, describe_objects};
pub use outcome::ObjectsFailed;
pub(crate) use outcome::{FinishedJob, Outcome};
pub(crate) use policy::WaitPolicy;
pub use stated_quota::{QuotaPolicy, StatedQuota};
pub use step::{Action, Input, Step};
#[cfg(any(feature = "tokio", test))]
pub(crate) use until::Until;

use std::{sync::Arc, time::Duration};

use job_model::{Deviation, Job, JobId, Phase};
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

#[cfg(feature = "tokio")]
use self::sub_job_lookup::Lookup;
use self::{error_limits::RecentErrors, forecast::Forecast, reduced::ReadingHashes, state::State};
use crate::schedule::{JobObservation, PollState};

/// A state machine that waits for one job and performs no I/O.
///
/// A driver calls [`step`](Self::step) with an [`Input`] and the time. The step returns events and
/// one [`Action`], and the result of that action is the next input. `Wait` and `Fleet` are such
/// drivers, and most callers use one of them.
///
/// # States
///
/// The first input is [`Input::Wake`]. Each action has its own inputs:
///
/// ```text
/// SleepUntil ─▶ Wake        Fetch ─▶ Reading, Unchanged or Error        Finish: the wait is over
/// ```
///
/// Between two steps the machine is in one of three states:
///
/// ```text
///              Running, errors, stale replies
///                  ┌───────┐
///                  ▼       │      Success, sub-jobs still active
///  Wake ───────▶ Polling ──┴──────────────────────▶ Settling ──┐ Success again
///                  │  ▲                               │  │  ▲  │
///                  │  └───────────────────────────────┘  │  └──┘
///                  │     an active phase again           │
///   Success,       │                                     │ all sub-jobs ended,
///   Failed         ▼                                     ▼ or after `settle`
///                LookingUp: sub-jobs missing from the reply ──▶ Finish(Ok)
///
///  Polling ─── deadline, too many errors, stop ──▶ Finish(Err)
///  Settling ── deadline, too many errors ──▶ Finish(Ok)        stop ──▶ Finish(Err)
/// ```
///
/// Times are a `Duration` since the wait began. The driver passes the current time to each step.
/// There is at most one attempt in flight. The machine is deterministic: the same inputs at the
/// same times produce identical steps, even if the machine was serialized and restored in between.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_model::Job;
/// use job_poller::{
///     Outcome, WaitPolicy,
///     machine::{Action, Input, Machine},
///     schedule::Fixed,
/// };
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
///
/// # Serialized form
///
/// A machine can be serialized in any format of serde. [`Checkpoint`] contains a machine and the
/// number of the format, and its documentation states which versions can read it.
// A field that is added has `#[serde(default)]`, so that checkpoints of earlier versions are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    id: JobId,
    #[serde(with = "policy::stored_form")]
    policy: Arc<WaitPolicy>,
    #[serde(default)]
    seed: u64,
    attempts: u32,
    #[serde(default)]
    sub_job_lookups: u32,
    #[serde(default)]
    object_readings: u32,
    readings: u32,
    /// `next_attempt_at` is when the next attempt is due. No attempt starts before `not_before`
    /// (a `Retry-After` or the minimum pause), even if the deadline is near.
    next_attempt_at: CompactDuration,
    not_before: CompactDuration,
    /// Whether one attempt may be made even after the deadline, because the wait was resumed from a
    /// checkpoint and may have missed its last attempt.
    #[serde(default)]
    late_attempt_allowed: bool,
    /// Whether the attempt in flight has its full timeout, even beyond the deadline.
    #[serde(default)]
    deadline_waived: bool,
    /// The errors since the last reading.
    #[serde(default)]
    recent_errors: Option<Box<RecentErrors>>,
    #[serde(default)]
    stale_in_a_row: u32,
    /// When the job last changed, and whether it has been reported as stalled since then.
    changed_at: CompactDuration,
    #[serde(default)]
    stall_reported: bool,
    /// When the last event was emitted.
    #[serde(default)]
    last_event_at: CompactDuration,
    /// Whether the job is nearly done, and the number of readings before that.
    #[serde(default)]
    nearly_done: bool,
    #[serde(default)]
    near_end_base: u32,
    state: State,
    /// The job's age at the first and at the last reading that showed it active.
    #[serde(default)]
    observed_from: Option<CompactDuration>,
    observed_until: CompactDuration,
    /// The last accepted reading, without the decoded job.
    #[serde(default)]
    snapshot: Option<JobSnapshot>,
    /// Hashes of that reading, if `snapshot` has only a part of the job.
    #[serde(default)]
    reduced_from: Option<Box<ReadingHashes>>,
}

impl Machine {
    /// Creates the machine of a wait that has not begun.
    ///
    /// Several machines can share one policy in an `Arc`.
    #[must_use]
    pub fn new(id: JobId, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        Self {
            id,
            policy: policy.into(),
            seed: 0,
            attempts: 0,
            sub_job_lookups: 0,
            object_readings: 0,
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
            reduced_from: None,
        }
    }

    /// Sets the seed of the jitter. The default is 0. Machines with the same seed have the same
    /// jitter.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets all limits. They count from the beginning of the wait, even if it was resumed.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Sets the last accepted reading.
    fn with_snapshot(mut self, snapshot: Option<JobSnapshot>) -> Self {
        self.snapshot = snapshot;
        self
    }

    /// Returns the deadline of the sub-job lookup, or `None` if none is in progress.
    #[cfg(feature = "tokio")]
    pub(crate) fn lookup_deadline(&self) -> Option<Duration> {
        self.state.lookup().map(|lookup| lookup.deadline)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn set_policy(&mut self, policy: WaitPolicy) {
        self.policy = policy.into();
    }

    /// Returns when the next attempt may be made at the earliest, if the schedule planned it.
    ///
    /// Returns `None` after an error, and while the job settles or sub-jobs are looked up.
    pub(crate) fn earliest_attempt(&self) -> Option<Duration> {
        self.not_before().filter(|_| self.recent_errors.is_none())
    }

    /// Returns when the next attempt may be made at the earliest.
    ///
    /// Returns `None` while the job settles or sub-jobs are looked up.
    pub(crate) fn not_before(&self) -> Option<Duration> {
        let is_waiting = matches!(self.state, State::Polling | State::ReadingObjects(_));
        is_waiting.then(|| self.not_before.get())
    }

    /// Returns what a schedule has to know to plan a request for the job, at any time after its last
    /// reading. `elapsed` is the time of the last reading since the wait began.
    ///
    /// Returns `None` before the first reading, and while the job settles, sub-jobs are looked up or
    /// objects are read.
    pub(crate) fn forecast(&self, elapsed: Duration) -> Option<Forecast> {
        let digest = self.snapshot.as_ref()?.digest();
        if !matches!(self.state, State::Polling) {
            return None;
        }
        // The first delay after the first reading is spread at random, and this is not that delay.
        let count = self.readings.max(2);
        let state = PollState {
            age: self.observed_until.get(),
            job_type: digest.job_type(),
            nearly_done: self.nearly_done,
            ..self.poll_state(elapsed, count)
        };
        Some(Forecast::new(&state, digest.step_ends()))
    }

    /// Returns when the next attempt is due, as a time since the wait began.
    #[must_use]
    pub const fn next_attempt_at(&self) -> Duration {
        self.next_attempt_at.get()
    }

    /// Makes the next attempt due at `elapsed`, unless it is due earlier.
    ///
    /// `elapsed` is the time since the wait began. A driver with a shared
    /// [`Budget`](crate::budget::Budget) calls this if a request would stay unused.
    pub fn advance_attempt(&mut self, elapsed: Duration) {
        self.next_attempt_at = self.next_attempt_at.min(elapsed.into());
    }

    /// Prepares the machine to continue in another process.
    ///
    /// If the deadline has passed or is less than two seconds away, and the planned attempt is
    /// overdue, one more attempt is made, with the full attempt timeout.
    /// [`observation`](Self::observation) starts again, because the stopped wait has already
    /// reported what it observed.
    #[must_use]
    pub fn resume(mut self) -> Self {
        (self.late_attempt_allowed, self.observed_from) = (true, None);
        if let State::ReadingObjects(objects) = &mut self.state {
            objects.forget_observations();
        }
        self
    }

    /// Allows one attempt after the deadline if the driver woke too late.
    pub(crate) const fn with_missed_deadline(mut self, missed: bool) -> Self {
        self.late_attempt_allowed = missed;
        self
    }

    /// Returns the id of the job.
    #[must_use]
    pub const fn job_id(&self) -> &JobId {
        &self.id
    }

    /// Returns the limits.
    #[must_use]
    pub fn policy(&self) -> &WaitPolicy {
        &self.policy
    }

    /// Returns the number of requests that read clusters and nodes.
    #[must_use]
    pub const fn object_readings(&self) -> u32 {
        self.object_readings
    }

    /// Returns the number of attempts to read the job. Sub-job lookups are not included.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the job as last read, or `None` before the first reading.
    ///
    /// The machine keeps the job as text, so this decodes it.
    #[must_use]
    pub fn job(&self) -> Option<Box<Job>> {
        match self.state.ended() {
            Some(lookup) => Some(Box::new(lookup.job().clone())),
            None => Some(self.snapshot.clone()?.into_job()),
        }
    }

    /// Returns the job with the sub-jobs that were found so far, during a lookup of sub-jobs.
    #[cfg(feature = "tokio")]
    pub(crate) fn looked_up_job(&self) -> Option<&Job> {
        self.state.ended().map(Lookup::job)
    }

    /// Returns the last accepted reading, or `None` before the first reading.
    ///
    /// It is usually not decoded.
    #[must_use]
    pub const fn snapshot(&self) -> Option<&JobSnapshot> {
        self.snapshot.as_ref()
    }

    /// Returns the phase as last read, without decoding the job.
    pub(crate) fn last_phase(&self) -> Option<Option<&Phase>> {
        Some(self.snapshot.as_ref()?.digest().phase())
    }

    /// Returns the deviations of the last accepted body.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        self.snapshot.as_ref().map(JobSnapshot::deviations).unwrap_or_default()
    }

    /// Returns what the wait has observed of the job so far, for a
    /// [`History`](crate::schedule::History).
    ///
    /// Returns `None` before the first reading that shows the job active.
    #[must_use]
    pub fn observation(&self) -> Option<JobObservation> {
        if let Some(ended) = self.state.ended() {
            return ended.observation.clone();
        }
        let digest = self.snapshot.as_ref()?.digest();
        self.observation_until(digest, self.observed_until.get(), false)
    }

    /// Returns the error of the last attempt, if it failed.
    #[must_use]
    pub fn last_error(&self) -> Option<&AttemptError> {
        self.recent_errors.as_ref().map(|errors| &errors.last)
    }
}

#[cfg(test)]
mod object_reference;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod script;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod tests;
