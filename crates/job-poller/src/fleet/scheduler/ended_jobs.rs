//! The subscribers that wait for the end of a job, while others wait until its objects are ready or
//! gone.

use std::time::Duration;

use job_transport::clock::{Clock, TokioClock};

use super::Scheduler;
use crate::machine::{FinishedJob, Until, WaitError, WaitErrorKind};

impl Scheduler {
    /// Ends the subscriptions for the end of a job, if the job has ended. Returns `true` if
    /// no subscriber is left, so that the wait was removed.
    ///
    /// `ended` is their result, if the last step has ended a wait for the end of the job.
    pub(super) fn end_with_job(
        &mut self,
        now: Duration,
        key: usize,
        ended: Option<Result<FinishedJob, WaitError>>,
    ) -> bool {
        let job = &self.jobs[key];
        // The usual wait has no others, so this must cost nothing.
        if job.machine.policy().until == Until::Ended || !job.subscribers.any_ends_with_job() {
            return false;
        }
        let ended = ended.or_else(|| job.machine.ended_job(job.elapsed(now)).map(Ok));
        if ended.is_none() && !job.machine.is_job_gone() {
            return false;
        }
        let subscribers = self.subscribers.ending_with_job(&job.subscribers);
        for subscriber in subscribers {
            let job = &self.jobs[key];
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
            if self.finish_subscriber(key, subscriber, result, checkpoint) {
                return true;
            }
        }
        false
    }
}
