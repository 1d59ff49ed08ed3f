//! Looks up sub-jobs that are missing from the reply of a job that has ended. The service often
//! lists only one level of sub-jobs, and each sub-job is a job of its own.

use std::{collections::HashSet, sync::Arc, time::Duration};

use job_model::{Job, JobId, Phase, decode::Limits};
use serde::{Deserialize, Serialize};

use super::{identity::check_uid, job_text, named_objects::sub_jobs_to_look_up};
use crate::schedule::JobObservation;

/// A job that has ended and whose sub-jobs are being looked up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lookup {
    pub(super) succeeded: bool,
    /// Whether the wait reads the objects of the job next, so that the sub-jobs which name them are
    /// needed.
    #[serde(default)]
    pub(super) is_for_objects: bool,
    /// The time at which all lookups must have ended.
    pub(super) deadline: Duration,
    /// The sub-jobs that are not looked up again, the one that is being looked up now, and the
    /// number of requests so far.
    pub(super) looked_up: Vec<JobId>,
    pub(super) in_flight: Option<JobId>,
    pub(super) requests: u32,
    /// The earliest time of the next lookup after an error.
    pub(super) retry_at: Duration,
    pub(super) errors_in_a_row: u32,
    pub(super) detection_delay: Option<Duration>,
    pub(super) observation: Option<JobObservation>,
    /// Whether the job is a summary, because memory is short.
    #[serde(default)]
    pub(super) is_truncated: bool,
    /// Shared, because the machine may be cloned for each checkpoint.
    #[serde(with = "job_text")]
    pub(super) job: Arc<Job>,
}

/// How often in a row a sub-job may contradict the phase in its parent, if the wait needs the sub-job.
const MAX_CONTRADICTIONS: u32 = 2;

/// How often in a row a sub-job that the wait needs may be refused.
pub(super) const MAX_REFUSALS: u32 = 3;

impl Lookup {
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Returns the next sub-job that may name an object, if the wait needs the objects.
    pub(super) fn next_for_objects(&self) -> Option<JobId> {
        if !self.is_for_objects {
            return None;
        }
        // There may be thousands of sub-jobs.
        let looked_up: HashSet<&JobId> = self.looked_up.iter().collect();
        sub_jobs_to_look_up(&self.job).find(|id| !looked_up.contains(id))
    }

    /// Returns the next sub-job to look up.
    ///
    /// For a job that succeeded, it is the next one that may have sub-jobs. For a job that failed,
    /// it is one that may show which step failed.
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
            // The failed step is known, with its reason.
            Some(step) if step.reason().is_some() => None,
            Some(step) => {
                Some(step).filter(|step| has_no_sub_jobs(step)).and_then(id_if_not_looked_up)
            }
            None => sub_jobs
                .filter(|job| job.phase() != Some(&Phase::Success))
                .find_map(id_if_not_looked_up),
        }
    }

    /// Replaces the listed sub-job with the one that was fetched, unless the tree would then be too
    /// deep to decode again.
    ///
    /// Returns `false` if the fetched job is a different one or contradicts the listed phase.
    pub(super) fn replace_sub_job(&mut self, found: Job) -> bool {
        let Some(id) = &self.in_flight else { return false };
        let mut listed = self.job.walk().skip(1).filter(|node| node.job.uid() == Some(id.as_str()));
        let Some(node) = listed.next() else { return false };
        let same_phase = node.job.phase().is_none_or(|phase| found.phase() == Some(phase));
        let depth = found.walk().map(|node| node.path.depth() + 1).max().unwrap_or_default();
        let fits = node.path.depth() + depth <= Limits::MAX_DEPTH_CAP as usize;
        // Without this sub-job the wait cannot continue, so its own reply decides in the end.
        let is_repeated = self.is_for_objects && self.errors_in_a_row >= MAX_CONTRADICTIONS;
        let is_same = (same_phase || is_repeated) && check_uid(&found, id).is_ok();
        if is_same && fits {
            let path = node.path;
            let listed_job =
                path.indices().iter().try_fold(Arc::make_mut(&mut self.job), |job, index| {
                    job.spec.as_mut()?.sub_jobs.as_mut()?.get_mut(*index)
                });
            if let Some(listed_job) = listed_job {
                *listed_job = found;
            }
        }
        is_same
    }
}
