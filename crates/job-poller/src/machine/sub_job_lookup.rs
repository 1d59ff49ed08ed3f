//! The lookup of sub-jobs of a job that has ended, of which its reply does not show all: the service often lists
//! one level, and each sub-job is a job of its own.

use std::time::Duration;

use job_model::{Job, JobId, Limits, Phase};
use serde::{Deserialize, Serialize};

use super::job_text;
use crate::schedule::JobObservation;

/// A job that has ended, while sub-jobs of it are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lookup {
    pub(super) succeeded: bool,
    /// No attempt goes on after this.
    pub(super) deadline: Duration,
    /// Which sub-jobs were asked for and are not to be again, the one asked for now, and how many
    /// requests that took.
    pub(super) looked_up: Vec<JobId>,
    pub(super) in_flight: Option<JobId>,
    pub(super) requests: u32,
    /// When the next lookup may be made, after an error.
    pub(super) retry_at: Duration,
    pub(super) errors_in_a_row: u32,
    pub(super) detection_delay: Option<Duration>,
    pub(super) observation: Option<JobObservation>,
    #[serde(with = "job_text")]
    pub(super) job: Box<Job>,
}

impl Lookup {
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Returns the sub-job to ask for next: of a job that succeeded the next one that may have
    /// more; of one that failed the one that may show which step failed.
    pub(super) fn next_sub_job(&self) -> Option<JobId> {
        let has_no_sub_jobs = |job: &Job| job.sub_jobs().is_empty();
        let id_if_not_looked_up = |job: &Job| {
            let id: JobId = job.uid()?.parse().ok()?;
            (!self.looked_up.contains(&id)).then_some(id)
        };
        let mut sub_jobs =
            self.job.walk().skip(1).map(|node| node.job).filter(|job| has_no_sub_jobs(job));
        if self.succeeded {
            return sub_jobs.find_map(id_if_not_looked_up);
        }
        let deepest = self.job.failure().filter(|failure| failure.path.depth() > 0);
        match deepest.and_then(|failure| self.job.sub_job_at(&failure.path)) {
            // The failed step is there, and says why.
            Some(step) if step.reason().is_some() => None,
            Some(step) => {
                Some(step).filter(|step| has_no_sub_jobs(step)).and_then(id_if_not_looked_up)
            }
            None => sub_jobs
                .filter(|job| job.phase() != Some(&Phase::Success))
                .find_map(id_if_not_looked_up),
        }
    }

    /// Puts a sub-job as it was asked for in the place of the one that the job lists, unless it makes
    /// a tree that no one could read again. Returns `false` where it is another one, or contradicts
    /// that.
    pub(super) fn replace_sub_job(&mut self, found: Job) -> bool {
        let Some(id) = self.in_flight.as_ref().map(JobId::as_str) else { return false };
        let mut listed = self.job.walk().skip(1).filter(|node| node.job.uid() == Some(id));
        let Some(node) = listed.next() else { return false };
        let same_phase = node.job.phase().is_none_or(|phase| found.phase() == Some(phase));
        let depth = found.walk().map(|node| node.path.depth() + 1).max().unwrap_or_default();
        let fits = node.path.depth() + depth <= Limits::MAX_DEPTH_CAP as usize;
        let is_same = same_phase && found.uid().is_none_or(|uid| uid.is_empty() || uid == id);
        if is_same && fits {
            let path = node.path;
            let listed_job = path.indices().iter().try_fold(&mut *self.job, |job, index| {
                job.spec.as_mut()?.sub_jobs.as_mut()?.get_mut(*index)
            });
            if let Some(listed_job) = listed_job {
                *listed_job = found;
            }
        }
        is_same
    }
}
