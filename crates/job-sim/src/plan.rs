//! What a simulated job does over time: a pure function from time to the job. Reads no clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use job_model::{ExtendParam, Job, Metadata, Phase, Spec, Status};

/// A job's course: it initializes, runs its steps one after another, and ends.
///
/// A step's sub-job appears when the step starts, the newest first, and the job itself is still
/// `Running` for a moment after its last step: so the reference page's example shows it.
#[derive(Clone, Debug)]
pub struct Plan {
    created: Timestamp,
    initializing: Duration,
    steps: Vec<Step>,
    finishing: Duration,
    failure: Option<String>,
}

#[derive(Clone, Debug)]
struct Step {
    job_type: &'static str,
    uid: &'static str,
    takes: Duration,
    server_id: Option<&'static str>,
}

impl Plan {
    /// Returns the course of the reference page's example: a cluster is created in five seconds, by
    /// way of `CreatePSMCert` (one second) and `InstallMaster` (two and a half).
    #[must_use]
    pub fn create_cluster() -> Self {
        Self {
            created: EXAMPLE_CREATED,
            initializing: Duration::from_secs(1),
            steps: vec![
                Step {
                    job_type: "CreatePSMCert",
                    uid: "fd474f82-9606-11e8-baa8-0255ac10215d",
                    takes: Duration::from_secs(1),
                    server_id: None,
                },
                Step {
                    job_type: "InstallMaster",
                    uid: "fd474fab-9606-11e8-baa9-0255ac10215d",
                    takes: Duration::from_millis(2500),
                    server_id: Some("fd3b4ac0-9606-11e8-baa8-0255ac10215d"),
                },
            ],
            finishing: Duration::from_millis(500),
            failure: None,
        }
    }

    /// Lets the last step fail for this reason, and the job with it. The job itself gives an
    /// empty reason, so that whoever shows the parent's alone shows nothing.
    #[must_use]
    pub fn failing(mut self, reason: impl Into<String>) -> Self {
        self.failure = Some(reason.into());
        self
    }

    /// Sets when the job is created; by default when the reference page's example was.
    #[must_use]
    pub const fn created_at(mut self, created: Timestamp) -> Self {
        self.created = created;
        self
    }

    /// Divides every span by `times`; zero counts as one.
    #[must_use]
    pub fn faster(mut self, times: u32) -> Self {
        let times = times.max(1);
        self.initializing /= times;
        self.finishing /= times;
        self.steps.iter_mut().for_each(|step| step.takes /= times);
        self
    }

    /// Multiplies every span by `times`.
    #[must_use]
    pub fn slower(mut self, times: u32) -> Self {
        self.initializing = self.initializing.saturating_mul(times);
        self.finishing = self.finishing.saturating_mul(times);
        self.steps.iter_mut().for_each(|step| step.takes = step.takes.saturating_mul(times));
        self
    }

    /// Returns the job as it is at a time since the job was created.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let job = job_sim::Plan::create_cluster().job_at(Duration::from_secs(3));
    /// assert_eq!(job.sub_jobs()[0].job_type(), Some("InstallMaster"));
    /// ```
    #[must_use]
    pub fn job_at(&self, elapsed: Duration) -> Job {
        let mut sub_jobs = Vec::new();
        let mut start = self.initializing;
        for (index, step) in self.steps.iter().enumerate() {
            let end = start + step.takes;
            if elapsed >= start {
                let is_last = index + 1 == self.steps.len();
                let reason = self.failure.as_deref().filter(|_| is_last);
                let course = Course {
                    zero: self.created,
                    created: start,
                    runs: start,
                    ends: end,
                    fails: reason.is_some(),
                };
                let reason = reason.filter(|_| elapsed >= end);
                sub_jobs.insert(0, job(step.uid, step.spec(), reason, &course, elapsed));
            }
            start = end;
        }
        let course = Course {
            zero: self.created,
            created: Duration::ZERO,
            runs: self.initializing,
            ends: start + self.finishing,
            fails: self.failure.is_some(),
        };
        job(Self::JOB_ID, cluster_spec(sub_jobs), Some(""), &course, elapsed)
    }

    /// The job's id: the reference page's, nine hex digits in its first group and all.
    pub(crate) const JOB_ID: &str = "354331b2c-229a-11e8-9c75-0255ac100ceb";
}

impl Step {
    fn spec(&self) -> Spec {
        let mut spec = Spec::default();
        spec.job_type = Some(self.job_type.into());
        spec.cluster_uid = Some("fcc72de0-9606-11e8-baa8-0255ac10215d".into());
        spec.resource_id = self.server_id.map(String::from);
        spec.extend_param = self.server_id.map(server_id);
        spec
    }
}

/// When a job or a sub-job is created, runs and ends, and how.
struct Course {
    /// The simulation's first moment; the rest counts from it.
    zero: Timestamp,
    created: Duration,
    runs: Duration,
    ends: Duration,
    fails: bool,
}

impl Course {
    fn timestamp(&self, elapsed: Duration) -> Option<job_model::Timestamp> {
        let elapsed = SignedDuration::try_from(elapsed).ok()?;
        Some(self.zero.checked_add(elapsed).ok()?.into())
    }

    /// Returns the phase at a time, and when the job came into it.
    fn phase_at(&self, elapsed: Duration) -> (Phase, Duration) {
        if elapsed < self.runs {
            (Phase::Initializing, self.created)
        } else if elapsed < self.ends {
            (Phase::Running, self.runs)
        } else if self.fails {
            (Phase::Failed, self.ends)
        } else {
            (Phase::Success, self.ends)
        }
    }
}

fn job(uid: &str, spec: Spec, reason: Option<&str>, course: &Course, elapsed: Duration) -> Job {
    let (phase, since) = course.phase_at(elapsed);
    let mut metadata = Metadata::default();
    metadata.uid = Some(uid.into());
    metadata.creation_timestamp = course.timestamp(course.created);
    metadata.update_timestamp = course.timestamp(since);
    let mut status = Status::default();
    status.phase = Some(phase);
    status.reason = reason.map(String::from);
    let mut job = Job::default();
    job.kind = Some("Job".into());
    job.api_version = Some("v3".into());
    job.metadata = Some(metadata);
    job.spec = Some(spec);
    job.status = Some(status);
    job
}

fn cluster_spec(sub_jobs: Vec<Job>) -> Spec {
    let mut spec = Spec::default();
    spec.job_type = Some("CreateCluster".into());
    spec.cluster_uid = Some("4d1ecb2c-229a-11e8-9c75-0255ac100ceb".into());
    spec.resource_id = Some("6f4dcb2c-229a-11e8-9c75-0255ac100ceb".into());
    spec.resource_name = Some("cluster-name".into());
    spec.extend_param = Some(server_id("bc467e3a-2338-11e8-825b-0255ac100c13"));
    spec.sub_jobs = Some(sub_jobs.into());
    spec
}

fn server_id(id: &str) -> ExtendParam {
    ExtendParam::from_iter([("serverID", id)])
}

/// When the reference page's example was created.
const EXAMPLE_CREATED: Timestamp = Timestamp::constant(1_580_631_160, 672_772_389);

#[cfg(test)]
mod tests;
