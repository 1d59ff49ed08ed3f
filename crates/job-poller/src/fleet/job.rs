//! One wait of a fleet: its machine, and what it is doing at the moment.

use std::{sync::Arc, time::Duration};

use futures_util::future::AbortHandle;
use job_model::Job;
use job_transport::{
    JobSnapshot,
    clock::{Clock, TokioClock},
};

use super::{
    subscriber::{FinishedFleetWait, Subscriber, WaitOrigin},
    subscribers::SubscriberLists,
};
use crate::{
    budget::UrgencyBucket,
    machine::{
        Action, Checkpoint, CompactDuration, FinishedJob, Input, Machine, Step, Until, WaitError,
        WaitPolicy,
    },
    observer::WaitSpan,
    schedule::{BudgetShare, PollPlan, PollState, Schedule},
    source::AttemptTarget,
};

/// The job as last read. It may still have to be decoded.
pub(super) enum LastJob {
    Snapshot(JobSnapshot),
    Decoded(Box<Job>),
    Finished(Arc<FinishedFleetWait>),
}

impl LastJob {
    pub(super) fn into_job(self) -> Option<Box<Job>> {
        match self {
            Self::Snapshot(snapshot) => Some(snapshot.into_job()),
            Self::Decoded(job) => Some(job),
            Self::Finished(finished) => match &finished.result {
                Ok(finished_job) => Some(finished_job.job.clone()),
                Err(error) => error.job(),
            },
        }
    }
}

/// An attempt that a machine has requested.
pub(super) struct AttemptRequest {
    pub(super) target: AttemptTarget,
    pub(super) timeout: Duration,
}

/// A wait of a fleet. Times count from the start of the fleet, except inside the machine.
pub(super) struct FleetJob {
    pub(super) machine: Machine,
    /// The schedule that was current when the wait began. Later changes of the history do not
    /// affect it.
    schedule: Arc<dyn Schedule>,
    pub(super) origin: WaitOrigin,
    pub(super) activity: JobActivity,
    /// When the current activity ends. The scheduler's `timers` have an entry for it.
    pub(super) timer: Option<CompactDuration>,
    /// When the last attempt began, or the wait if there was no attempt yet.
    pub(super) last_attempt_at: CompactDuration,
    /// The urgency of the last plan.
    pub(super) urgency: Option<UrgencyBucket>,
    pub(super) subscribers: SubscriberLists,
    pub(super) span: WaitSpan,
}

/// What a wait is doing at the moment.
pub(super) enum JobActivity {
    /// Sleeping until the next attempt is due.
    Sleep,
    /// Sleeping until the next attempt is due, which the schedule planned. It may be advanced: this
    /// is its time on the scheduler's poll clock, under which `planned` has an entry.
    Planned(CompactDuration),
    /// Sleeping until a planned attempt is due, but the last attempt was too recent to advance it:
    /// the time on the poll clock, and when the attempt is due.
    Cooling(CompactDuration, CompactDuration),
    /// Queued since this time. If the machine has already requested the attempt, this is the
    /// request.
    Ready(CompactDuration, Option<Box<AttemptRequest>>),
    /// An attempt is in flight: its number, a handle to cancel it, and its timeout.
    Attempt(u64, AbortHandle, CompactDuration),
}

/// Minimum time between the last attempt of a wait and an attempt that is advanced.
const MIN_ADVANCED_GAP: Duration = Duration::from_secs(2);

impl FleetJob {
    pub(super) fn new(
        machine: Machine,
        schedule: Arc<dyn Schedule>,
        started_at: Duration,
        elapsed_before: Duration,
    ) -> Self {
        let started_at = started_at.into();
        Self {
            machine,
            schedule,
            origin: WaitOrigin { started_at, elapsed_before: elapsed_before.into() },
            activity: JobActivity::Ready(started_at, None),
            timer: None,
            last_attempt_at: started_at,
            urgency: None,
            subscribers: SubscriberLists::default(),
            span: WaitSpan::default(),
        }
    }

    /// Returns the time since the wait began.
    pub(super) const fn elapsed(&self, now: Duration) -> Duration {
        self.origin.to_wait_time(now)
    }

    /// Converts a time since the wait began into a time since the fleet started.
    pub(super) const fn to_fleet_time(&self, elapsed: Duration) -> Duration {
        self.origin.to_fleet_time(elapsed)
    }

    /// Returns when the next attempt may be made at the earliest, or `None` if it may not be made
    /// before it is due.
    pub(super) fn earliest_attempt(&self) -> Option<Duration> {
        let earliest = self.to_fleet_time(self.machine.earliest_attempt()?);
        Some(earliest.max(self.last_attempt_at.get().saturating_add(MIN_ADVANCED_GAP)))
    }

    /// Returns the wait's deadline, or `None` if it has no deadline.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let deadline = self.machine.policy().deadline();
        (deadline < Duration::MAX).then(|| self.to_fleet_time(deadline))
    }

    /// Extends the deadline so that a second wait for the same job gets its full timeout.
    pub(super) fn extend_deadline(
        &mut self,
        now: Duration,
        other: &WaitPolicy,
        other_elapsed: Duration,
    ) {
        let policy = self.machine.policy().extended_for(self.elapsed(now), other, other_elapsed);
        self.machine.set_policy(policy);
    }

    /// Returns a checkpoint of the wait.
    pub(super) fn checkpoint(&self, now: Duration) -> Checkpoint {
        let checkpoint = Checkpoint::new(self.machine.clone(), self.elapsed(now));
        checkpoint.with_taken_at(TokioClock::new().now())
    }

    /// Returns a checkpoint of the wait with the goal of one subscriber, and with its deadline if it
    /// has one of its own.
    pub(super) fn checkpoint_for(&self, now: Duration, subscriber: &Subscriber) -> Checkpoint {
        let checkpoint = self.checkpoint(now);
        let policy = checkpoint.policy();
        let timeout = subscriber.own_deadline().map(|at| self.origin.to_wait_time(at));
        let policy = WaitPolicy {
            until: if subscriber.ends_with_job() { Until::Ended } else { policy.until },
            timeout: timeout.or(policy.timeout),
            ..*policy
        };
        // Most waits share one policy.
        if policy == *checkpoint.policy() { checkpoint } else { checkpoint.with_policy(policy) }
    }

    /// Returns the machine as if the wait were for the end of the job only. Returns `None` if it is,
    /// or if objects are read.
    pub(super) fn machine_until_ended(&self) -> Option<Machine> {
        let policy = self.machine.policy();
        if policy.until == Until::Ended || self.machine.is_reading_objects() {
            return None;
        }
        let mut machine = self.machine.clone();
        machine.set_policy(WaitPolicy { until: Until::Ended, ..*policy });
        Some(machine)
    }

    /// Returns the result for a subscriber whose deadline is now, if the job is known to have ended.
    ///
    /// A job that succeeded may still settle, and a lookup of sub-jobs may be in progress.
    pub(super) fn result_at_deadline(
        &self,
        now: Duration,
        ends_with_job: bool,
    ) -> Option<FinishedJob> {
        if self.machine.not_before().is_some() {
            return None;
        }
        let is_lookup = self.machine.lookup_deadline().is_some();
        let alone = self.machine_until_ended().filter(|_| ends_with_job);
        let mut machine = alone.unwrap_or_else(|| self.machine.clone());
        let elapsed = self.elapsed(now);
        machine.set_policy(machine.policy().timeout(elapsed));
        let input = if is_lookup { Input::Stop } else { Input::Wake };
        match machine.step(&*self.schedule, elapsed, input).action {
            Action::Finish(result) => result.ok(),
            Action::Fetch { .. } | Action::FetchObject { .. } | Action::SleepUntil(_) => None,
        }
    }

    /// Returns the result that this input leads to for a wait for the end of the job only, if that
    /// wait is then over.
    pub(super) fn result_until_ended(
        &self,
        now: Duration,
        input: &Input,
        share: BudgetShare,
    ) -> Option<Result<FinishedJob, WaitError>> {
        let (mut machine, elapsed) = (self.machine_until_ended()?, self.elapsed(now));
        let step = machine.step_with_share(&*self.schedule, share, elapsed, input.clone());
        match step.action {
            Action::Finish(result) => Some(*result),
            Action::Fetch { .. } | Action::FetchObject { .. } | Action::SleepUntil(_) => None,
        }
    }

    /// Returns the plan for the first reading of a job that was just submitted.
    pub(super) fn first_plan(&self, share: BudgetShare, job_type: Option<&str>) -> PollPlan {
        let state = PollState::new(Duration::ZERO, 1);
        self.schedule.plan(&PollState { job_type, share: Some(share), ..state })
    }

    /// Returns what the schedule would plan now for a request that shows `jobs` jobs.
    pub(super) fn plan_now(
        &self,
        now: Duration,
        since_reading: Duration,
        share: BudgetShare,
        jobs: u32,
    ) -> Option<PollPlan> {
        let read_at = self.elapsed(now).saturating_sub(since_reading);
        let forecast = self.machine.forecast(read_at)?;
        Some(forecast.plan(&*self.schedule, share, since_reading, jobs))
    }

    /// Replaces the schedule `before`, if this wait uses it.
    pub(super) fn replace_schedule(
        &mut self,
        before: &Arc<dyn Schedule>,
        after: &Arc<dyn Schedule>,
    ) {
        if Arc::ptr_eq(&self.schedule, before) {
            self.schedule = after.clone();
        }
    }

    /// Passes an input to the machine and returns its step.
    pub(super) fn step(&mut self, now: Duration, input: Input, share: BudgetShare) -> Step {
        let elapsed = self.elapsed(now);
        self.machine.step_with_share(&*self.schedule, share, elapsed, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Fixed;

    #[test]
    fn a_later_watch_extends_but_never_shortens_the_timeout() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let policy = |timeout: Option<u64>| match timeout {
            Some(timeout) => WaitPolicy::new().timeout(seconds(timeout)),
            None => WaitPolicy::new().no_timeout(),
        };
        // The timeout of the wait, and its age when the second watch begins; the timeout of the
        // second watch, and how much of it has passed; the resulting timeout of the wait.
        let rows = [
            (Some(10), 6, Some(10), 0, Some(16)),
            (Some(10), 6, Some(3), 0, Some(10)),
            (Some(10), 6, Some(30), 25, Some(11)),
            (Some(10), 6, Some(30), 50, Some(10)),
            (Some(10), 6, None, 0, None),
            (None, 6, Some(10), 0, None),
            // A zero timeout means one attempt. It stays zero, so that the attempt is not cut
            // short.
            (Some(0), 1, Some(0), 0, Some(0)),
        ];
        for (timeout, at, other, other_elapsed, expected) in rows {
            let machine = Machine::new("a".parse().unwrap(), policy(timeout));
            let schedule = Arc::new(Fixed::new(seconds(1)));
            let started_at = seconds(100);
            let mut job = FleetJob::new(machine, schedule, started_at, Duration::ZERO);
            job.extend_deadline(started_at + seconds(at), &policy(other), seconds(other_elapsed));
            let timeout = job.machine.policy().timeout;
            assert_eq!(
                timeout,
                expected.map(seconds),
                "{timeout:?} {at} {other:?} {other_elapsed}"
            );
        }
    }
}
