//! One wait of a fleet: its decision, and what it is doing. Knows nothing of the others.

use std::{sync::Arc, time::Duration};

use futures_util::future::AbortHandle;
use job_model::JobId;
use job_transport::{Clock, TokioClock};

use crate::{
    budget::{Sharing, Urgency},
    machine::{Checkpoint, Input, Machine, Step, WaitPolicy},
    schedule::{Schedule, Seen, Share},
};

/// A wait. Times are the fleet's but for the machine's own.
pub(super) struct Member {
    pub(super) machine: Machine,
    /// As it was when the wait began here: what is learnt later does not change it.
    schedule: Arc<dyn Schedule>,
    /// When the wait began here, and how long it had gone on before.
    joined: Duration,
    before: Duration,
    pub(super) doing: Doing,
    /// When its present doing ends, by the queue of times.
    pub(super) timer: Option<Duration>,
    /// When it last asked, or joined.
    pub(super) asked: Duration,
    /// How urgent it was when it was last planned.
    pub(super) urgency: Option<Urgency>,
    /// Who is told.
    pub(super) watchers: Vec<usize>,
}

/// What a wait is doing.
pub(super) enum Doing {
    /// Nothing, until its time comes.
    Pause,
    /// Waits for its turn since then; to ask for this, so long, where that is decided.
    Ready(Duration, Option<Box<(JobId, Duration)>>),
    /// Stands still, since its events are not taken.
    Still,
    /// An attempt of this number, which may take so long.
    Attempt(u64, AbortHandle, Duration),
}

impl Member {
    pub(super) const fn new(
        machine: Machine,
        schedule: Arc<dyn Schedule>,
        joined: Duration,
        before: Duration,
        watchers: Vec<usize>,
    ) -> Self {
        Self {
            machine,
            schedule,
            joined,
            before,
            doing: Doing::Ready(joined, None),
            timer: None,
            asked: joined,
            urgency: None,
            watchers,
        }
    }

    /// Returns the time since the wait began.
    pub(super) const fn elapsed(&self, now: Duration) -> Duration {
        self.before.saturating_add(now.saturating_sub(self.joined))
    }

    /// Returns the fleet's time of a time since the wait began.
    pub(super) const fn time(&self, elapsed: Duration) -> Duration {
        self.joined.saturating_add(elapsed).saturating_sub(self.before)
    }

    /// Returns when the wait's deadline is, where it has one.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let deadline = self.machine.policy().deadline();
        (deadline < Duration::MAX).then(|| self.time(deadline))
    }

    /// Gives the wait the time that another for the same job would have, where that is longer.
    pub(super) fn prolong(&mut self, now: Duration, other: &WaitPolicy, before: Duration) {
        let policy = self.machine.policy().prolonged(self.elapsed(now), other, before);
        self.machine.set_policy(policy);
    }

    /// Returns what to go on from.
    pub(super) fn checkpoint(&self, now: Duration) -> Checkpoint {
        Checkpoint::new(self.machine.clone(), self.elapsed(now)).taken_at(TokioClock::new().now())
    }

    /// Returns the pause before the first reading of a job that has just begun, and how urgent that is.
    pub(super) fn first(
        &self,
        share: Share,
        job_type: Option<&str>,
    ) -> (Duration, Option<Urgency>) {
        let schedule = Sharing::new(&*self.schedule, share);
        let pause = schedule.pause(&Seen { job_type, ..Seen::new(Duration::ZERO, 1) });
        (pause, schedule.urgency())
    }

    /// Takes what happened. Returns how urgent the wait is where it was planned anew.
    pub(super) fn take(
        &mut self,
        now: Duration,
        input: Input,
        share: Share,
    ) -> (Step, Option<Urgency>) {
        let elapsed = self.elapsed(now);
        let schedule = Sharing::new(&*self.schedule, share);
        let step = self.machine.step(&schedule, elapsed, input);
        (step, schedule.urgency())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Fixed;

    #[test]
    fn whoever_watches_later_gives_it_the_time_of_one_wait() {
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
        for (timeout, at, other, before, expected) in rows {
            let machine = Machine::new("a".parse().unwrap(), policy(timeout));
            let schedule = Arc::new(Fixed::new(seconds(1)));
            let joined = seconds(100);
            let mut member = Member::new(machine, schedule, joined, Duration::ZERO, Vec::new());
            member.prolong(joined + seconds(at), &policy(other), seconds(before));
            let timeout = member.machine.policy().timeout;
            assert_eq!(timeout, expected.map(seconds), "{timeout:?} {at} {other:?} {before}");
        }
    }
}
