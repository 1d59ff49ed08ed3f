//! The subscribers that wait for the end of a job, while others wait until its objects are ready or
//! gone.

use std::time::Duration;

use job_transport::clock::{Clock, TokioClock};

use super::Scheduler;
use crate::{
    fleet::subscriber::FinishedFleetWait,
    machine::{FinishedJob, WaitError, WaitErrorKind},
    observer::WaitFinished,
};

impl Scheduler {
    /// Ends the subscriptions for the end of a job, if the job has ended. Returns whether that were
    /// the last ones, so that the wait is over.
    ///
    /// `ended` is their result, if the last step has ended a wait for the end of the job.
    pub(super) fn end_with_job(
        &mut self,
        now: Duration,
        key: usize,
        ended: Option<Result<FinishedJob, WaitError>>,
    ) -> bool {
        let job = &self.jobs[key];
        let subscribers = self.subscribers.ending_with_job(&job.subscribers);
        let elapsed = job.elapsed(now);
        let before = || job.machine.ended_job(elapsed).map(Ok);
        let ended = subscribers.first().and_then(|_| ended.or_else(before));
        if subscribers.is_empty() || (ended.is_none() && !job.machine.is_job_gone()) {
            return false;
        }
        for subscriber in subscribers {
            let job = &mut self.jobs[key];
            let checkpoint = job.checkpoint_for(now, &self.subscribers[subscriber]);
            let gone = || Err(WaitError::new(WaitErrorKind::Vanished, checkpoint.clone()));
            let result = match ended.clone() {
                Some(Err(mut error)) => {
                    error.set_taken_at(TokioClock::new().now());
                    Err(error)
                }
                Some(Ok(finished)) => Ok(finished),
                None => gone(),
            };
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
