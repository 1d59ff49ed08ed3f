//! The subscribers that wait for the end of a job, while others wait until its objects are ready or
//! gone.

use std::time::Duration;

use super::Scheduler;
use crate::{
    fleet::subscriber::FinishedFleetWait,
    machine::{WaitError, WaitErrorKind},
    observer::WaitFinished,
};

impl Scheduler {
    /// Ends the subscriptions for the end of a job, if the job has ended. Returns whether that were
    /// the last ones, so that the wait is over.
    pub(super) fn end_with_job(&mut self, now: Duration, key: usize) -> bool {
        let job = &self.jobs[key];
        let subscribers = self.subscribers.ending_with_job(&job.subscribers);
        let elapsed = job.elapsed(now);
        let ended = subscribers.first().and_then(|_| job.machine.ended_job(elapsed));
        if subscribers.is_empty() || (ended.is_none() && !job.machine.is_job_gone()) {
            return false;
        }
        for subscriber in subscribers {
            let job = &mut self.jobs[key];
            let checkpoint = job.checkpoint(now, self.subscribers[subscriber].own_deadline());
            let gone = || WaitError::new(WaitErrorKind::Vanished, checkpoint.clone());
            let result = ended.clone().ok_or_else(gone);
            let report = WaitFinished::from_result(&result);
            let finished = FinishedFleetWait { result, checkpoint, origin: job.origin };
            let lists = &mut job.subscribers;
            self.subscribers.finish_one(subscriber, lists, finished, &mut self.wakers);
            if job.subscribers.is_empty() {
                self.stats.finished += 1;
                self.schedule_source.learn_from_machine(&job.machine);
                let job = self.remove(key);
                if self.is_observed(&job) {
                    self.observe_end(job.span, report);
                }
                return true;
            }
        }
        false
    }
}
