//! One wait of a fleet: its machine, and its activity. Knows nothing of the other waits.

use std::{sync::Arc, time::Duration};

use futures_util::future::AbortHandle;
use job_model::{Job, JobId};
use job_transport::JobSnapshot;
use job_transport::{Clock, TokioClock};

use crate::{
    budget::UrgencyBucket,
    machine::{Checkpoint, CompactDuration, Input, Machine, Step, WaitPolicy},
    schedule::{BudgetShare, PollPlan, PollState, Schedule},
};

/// The job as last read, possibly still to be decoded.
pub(super) enum LastJob {
    Snapshot(JobSnapshot),
    Decoded(Box<Job>),
}

impl LastJob {
    pub(super) fn decode(self) -> Box<Job> {
        match self {
            Self::Snapshot(snapshot) => snapshot.into_job(),
            Self::Decoded(job) => job,
        }
    }
}

/// The attempt that a machine asks for.
pub(super) struct AttemptRequest {
    pub(super) id: JobId,
    pub(super) timeout: Duration,
    /// The last accepted snapshot, to compare the reply with.
    pub(super) last: Option<JobSnapshot>,
}

/// A wait. Times are the fleet's but for the machine's own.
pub(super) struct FleetJob {
    pub(super) machine: Machine,
    /// As it was when the wait began here: what the fleet learns later does not change it.
    schedule: Arc<dyn Schedule>,
    /// When the wait began here, and how long it had gone on before.
    started_at: CompactDuration,
    elapsed_before: CompactDuration,
    pub(super) activity: JobActivity,
    /// When its activity ends, as the scheduler's `timers` have it.
    pub(super) timer: Option<CompactDuration>,
    /// When its last attempt began, or the wait did.
    pub(super) last_attempt_at: CompactDuration,
    /// How urgent it was when it was last planned.
    pub(super) urgency: Option<UrgencyBucket>,
    /// The keys of its subscribers.
    pub(super) subscribers: Vec<usize>,
}

/// What a wait does at present.
pub(super) enum JobActivity {
    /// Nothing, until its time comes.
    Sleep,
    /// It is queued since this time. If the machine has decided on an attempt already: the job, and the timeout.
    Ready(CompactDuration, Option<Box<AttemptRequest>>),
    /// It stands still because a subscriber does not take its events.
    Backpressured,
    /// An attempt is in flight: its number, and its timeout.
    Attempt(u64, AbortHandle, CompactDuration),
}

impl FleetJob {
    pub(super) fn new(
        machine: Machine,
        schedule: Arc<dyn Schedule>,
        started_at: Duration,
        elapsed_before: Duration,
        subscribers: Vec<usize>,
    ) -> Self {
        let started_at = started_at.into();
        Self {
            machine,
            schedule,
            started_at,
            elapsed_before: elapsed_before.into(),
            activity: JobActivity::Ready(started_at, None),
            timer: None,
            last_attempt_at: started_at,
            urgency: None,
            subscribers,
        }
    }

    /// Returns the time since the wait began.
    pub(super) const fn elapsed(&self, now: Duration) -> Duration {
        self.elapsed_before.get().saturating_add(now.saturating_sub(self.started_at.get()))
    }

    /// Returns the fleet's time of a time since the wait began.
    pub(super) const fn to_fleet_time(&self, elapsed: Duration) -> Duration {
        self.started_at.get().saturating_add(elapsed).saturating_sub(self.elapsed_before.get())
    }

    /// Returns when the wait's deadline is, where it has one.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let deadline = self.machine.policy().deadline();
        (deadline < Duration::MAX).then(|| self.to_fleet_time(deadline))
    }

    /// Gives the wait the time that another wait for the same job would have, if that is longer.
    pub(super) fn extend_deadline(
        &mut self,
        now: Duration,
        other: &WaitPolicy,
        other_elapsed: Duration,
    ) {
        let policy = self.machine.policy().extended_for(self.elapsed(now), other, other_elapsed);
        self.machine.set_policy(policy);
    }

    /// Returns what to go on from.
    pub(super) fn checkpoint(&self, now: Duration) -> Checkpoint {
        Checkpoint::new(self.machine.clone(), self.elapsed(now)).taken_at(TokioClock::new().now())
    }

    /// Returns the plan for the first reading of a job that has just begun.
    pub(super) fn first_plan(&self, share: BudgetShare, job_type: Option<&str>) -> PollPlan {
        let state = PollState::new(Duration::ZERO, 1);
        self.schedule.plan(&PollState { job_type, share: Some(share), ..state })
    }

    /// Passes an input to the machine.
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
        // The wait's timeout; when another watches, its timeout, and how much of that had passed; what it is then.
        let rows = [
            (Some(10), 6, Some(10), 0, Some(16)),
            (Some(10), 6, Some(3), 0, Some(10)),
            (Some(10), 6, Some(30), 25, Some(11)),
            (Some(10), 6, Some(30), 50, Some(10)),
            (Some(10), 6, None, 0, None),
            (None, 6, Some(10), 0, None),
            // One attempt, and it is not to be cut short.
            (Some(0), 1, Some(0), 0, Some(0)),
        ];
        for (timeout, at, other, other_elapsed, expected) in rows {
            let machine = Machine::new("a".parse().unwrap(), policy(timeout));
            let schedule = Arc::new(Fixed::new(seconds(1)));
            let started_at = seconds(100);
            let mut job = FleetJob::new(machine, schedule, started_at, Duration::ZERO, Vec::new());
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
