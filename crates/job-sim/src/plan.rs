//! Defines what a simulated job does over time, as a pure function from time to the job. Reads no
//! clock.

mod step;
mod ids;
mod time_source;
mod list_row;
mod object_plan;
mod named_object;
mod object_view;
mod objects;
mod jobs;

pub(crate) use ids::node_id;
pub(crate) use jobs::Jobs;
pub(crate) use list_row::ListRow;
pub(crate) use named_object::NamedObject;
pub use object_plan::ObjectPlan;
pub(crate) use object_view::ObjectView;
pub(crate) use objects::Goal;
pub(crate) use time_source::Moment;
pub use time_source::TimeSource;

use std::{iter, ops::Range, time::Duration};

use jiff::{SignedDuration, Timestamp};
use job_model::{
    Job, Phase,
    job::{ExtendParam, Metadata, Spec, Status},
};

use self::{
    ids::{EXISTING_CLUSTER, job_id},
    step::Step,
};

/// The plan of a simulated job: it initializes, runs its steps in sequence or in parallel, and
/// ends.
///
/// A step's sub-job appears when the step starts, with the newest first. After its last step, a job
/// is still `Running` for a moment, as in the reference page's example. If a step fails, no later
/// step starts, and the job that contains it fails as well.
///
/// The templates run about 100 times faster than the real service. [`slower(100)`](Self::slower)
/// gives about the real speed.
#[derive(Clone, Debug)]
pub struct Plan {
    created: Timestamp,
    /// Makes the job's ids different from those of other jobs.
    number: u32,
    root: Step,
    /// What the job creates or deletes.
    subject: Subject,
    /// Whether the ids of the subject are those of the template. They are then made unique by the
    /// number.
    has_template_ids: bool,
    /// The number of levels of sub-jobs in a reply.
    visible_depth: usize,
}

/// What a job creates or deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    NewCluster,
    NewNodes,
    DeletedCluster,
    DeletedNode,
}

impl Plan {
    /// Creates the plan of the reference page's example: a cluster is created in five seconds.
    ///
    /// Its steps are `CreatePSMCert` (one second) and `InstallMaster` (two and a half seconds).
    #[must_use]
    pub fn create_cluster() -> Self {
        let steps = vec![
            Step::new("CreatePSMCert", 1000),
            Step::new("InstallMaster", 2500)
                .resource("fd3b4ac0-9606-11e8-baa8-0255ac10215d")
                .server("fd3b4ac0-9606-11e8-baa8-0255ac10215d"),
        ];
        let root = Step::new("CreateCluster", 500)
            .initializing(1000)
            .cluster("4d1ecb2c-229a-11e8-9c75-0255ac100ceb")
            .resource("6f4dcb2c-229a-11e8-9c75-0255ac100ceb")
            .name("cluster-name")
            .server("bc467e3a-2338-11e8-825b-0255ac100c13");
        Self::new(root.steps(steps), Subject::NewCluster)
    }

    /// Creates the plan of adding nodes to a cluster in parallel: two and a half seconds.
    ///
    /// There is at least one node. Each has a step `CreateNode`, with the steps `CreateNodeVM` and
    /// `InstallNode`; the `resourceID` of the latter is the node's id.
    #[must_use]
    pub fn scale_up_cluster(nodes: u32) -> Self {
        Self::add_nodes(1..nodes.max(1).saturating_add(1))
    }

    /// Creates the plan of adding the nodes with these numbers.
    pub(crate) fn add_nodes(numbers: Range<u32>) -> Self {
        let node = |number| {
            let id = node_id(number);
            let steps = vec![
                Step::new("CreateNodeVM", 900).server(&id),
                Step::new("InstallNode", 1200).resource(&id),
            ];
            Step::new("CreateNode", 100).initializing(100).steps(steps)
        };
        let steps = numbers.map(node).collect();
        let root = Step::new("ScaleupCluster", 100).initializing(100).parallel().steps(steps);
        Self::new(root, Subject::NewNodes)
    }

    /// Creates the plan of deleting a cluster: 1.2 seconds.
    ///
    /// The reference page does not name the type of such a job, so this one is invented.
    #[must_use]
    pub fn delete_cluster() -> Self {
        let steps = vec![Step::new("DeleteNode", 500), Step::new("UninstallMaster", 500)];
        let root = Step::new("DeleteCluster", 100).initializing(100).steps(steps);
        Self::new(root.resource(EXISTING_CLUSTER), Subject::DeletedCluster)
    }

    /// Creates the plan of deleting a node: 0.6 seconds.
    ///
    /// The reference page does not name the type of such a job, so this one is invented.
    #[must_use]
    pub fn delete_node() -> Self {
        let root = Step::new("DeleteNode", 500).initializing(100).resource(&node_id(1));
        Self::new(root, Subject::DeletedNode)
    }

    fn new(mut root: Step, subject: Subject) -> Self {
        root.assign_indices(&mut (0..));
        Self {
            created: EXAMPLE_CREATION_TIME,
            number: 0,
            root,
            subject,
            has_template_ids: true,
            visible_depth: usize::MAX,
        }
    }

    /// Makes the last step fail with this reason, and the job with it.
    ///
    /// If the job has steps, its own reason stays empty, so a client that shows only the job's
    /// reason shows nothing.
    #[must_use]
    pub fn with_failure(mut self, reason: impl Into<String>) -> Self {
        self.root.fail(reason.into());
        self
    }

    /// Sets when the job is created; by default, the time in the reference page's example.
    ///
    /// A [`Sim`](crate::Sim) sets its own time instead.
    #[must_use]
    pub const fn created_at(mut self, created: Timestamp) -> Self {
        self.created = created;
        self
    }

    /// Sets the number that makes the ids of the job and its sub-jobs unique, and those of the cluster
    /// or nodes that it creates or deletes.
    ///
    /// The default, 0, gives the job the id of the reference page's example. A [`Sim`](crate::Sim)
    /// numbers its jobs itself.
    #[must_use]
    pub const fn number(mut self, number: u32) -> Self {
        self.number = number;
        self
    }

    /// Sets the id and the name of the job's cluster.
    ///
    /// By default, each job that creates or deletes a cluster has a cluster of its own, and all jobs of
    /// nodes have the same one.
    #[must_use]
    pub fn with_cluster(mut self, id: &str, name: &str) -> Self {
        self.root.set_cluster(id, name);
        self.has_template_ids = false;
        if self.subject == Subject::DeletedCluster {
            self.root.resource = Some(id.into());
        }
        self
    }

    /// Sets the id of the node that the job deletes.
    ///
    /// By default, each such job has a node of its own. Has no effect on other jobs.
    #[must_use]
    pub fn with_node(mut self, id: &str) -> Self {
        if self.subject == Subject::DeletedNode {
            self.root.resource = Some(id.into());
            self.has_template_ids = false;
        }
        self
    }

    /// Sets the number of levels of sub-jobs in a reply; all by default.
    ///
    /// The live service often shows one level. The steps of a sub-job are then found by reading the
    /// sub-job under its own id.
    #[must_use]
    pub const fn visible_depth(mut self, depth: usize) -> Self {
        self.visible_depth = depth;
        self
    }

    /// Divides every duration by `times`. Zero counts as one.
    #[must_use]
    pub fn faster(self, times: u32) -> Self {
        let times = times.max(1);
        self.map_durations(|duration| duration / times)
    }

    /// Multiplies every duration by `times`.
    #[must_use]
    pub fn slower(self, times: u32) -> Self {
        self.map_durations(|duration| duration.saturating_mul(times))
    }

    /// Replaces every duration by a random one from a log-normal distribution around it.
    ///
    /// The median is the original duration, and two in three results are between ⅔ and 1½ times of
    /// it. The same seed and [`number`](Self::number) give the same durations.
    #[must_use]
    pub fn with_random_durations(self, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ u64::from(self.number).rotate_left(32));
        self.map_durations(|duration| {
            // The sum of twelve draws from 0 to 1 is nearly normal, with mean 6 and standard
            // deviation 1.
            let normal = iter::repeat_with(|| random.f64()).take(12).sum::<f64>() - 6.0;
            let seconds = duration.as_secs_f64() * (0.4 * normal).exp();
            Duration::try_from_secs_f64(seconds).unwrap_or(duration)
        })
    }

    /// Scales every duration, so that the job takes this long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let plan = job_sim::Plan::create_cluster().with_duration(Duration::from_secs(600));
    /// assert_eq!(plan.duration().as_secs(), 600);
    /// ```
    #[must_use]
    pub fn with_duration(self, duration: Duration) -> Self {
        let factor = duration.div_duration_f64(self.duration());
        self.map_durations(|part| {
            Duration::try_from_secs_f64(part.as_secs_f64() * factor).unwrap_or(duration)
        })
    }

    fn map_durations(mut self, mut change: impl FnMut(Duration) -> Duration) -> Self {
        self.root.map_durations(&mut change);
        self
    }

    /// Returns the time from the job's creation to its end.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.root.duration()
    }

    /// Returns the job as it is `elapsed` after its creation.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let job = job_sim::Plan::create_cluster().job_at(Duration::from_secs(3));
    /// assert_eq!(job.sub_jobs()[0].job_type(), Some("InstallMaster"));
    /// ```
    #[must_use]
    pub fn job_at(&self, elapsed: Duration) -> Job {
        self.job(&self.observation_time(self.created, elapsed), &self.root, Duration::ZERO, 0)
    }

    /// Returns a job or sub-job by its number, as it is `elapsed` after the job's creation. Returns
    /// `None` if there is no such sub-job yet.
    pub(crate) fn find_at(&self, created: Timestamp, elapsed: Duration, index: u32) -> Option<Job> {
        let (step, start) = self.root.find(index, Duration::ZERO)?;
        (start <= elapsed)
            .then(|| self.job(&self.observation_time(created, elapsed), step, start, 0))
    }

    /// Returns the job's row in the list of jobs, as it is `elapsed` after the job's creation.
    pub(crate) fn list_row_at(&self, created: Timestamp, elapsed: Duration) -> ListRow {
        let time = self.observation_time(created, elapsed);
        ListRow::new(self.job(&time, &self.root, Duration::ZERO, usize::MAX))
    }

    /// Returns the ids of the job and all its sub-jobs, in the order of their numbers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = String> {
        (0..self.root.count()).map(|index| job_id(self.number, index))
    }

    const fn observation_time(&self, created: Timestamp, elapsed: Duration) -> ObservationTime {
        ObservationTime { created, elapsed }
    }

    fn job(&self, time: &ObservationTime, step: &Step, start: Duration, depth: usize) -> Job {
        let (phase, since) = step.phase_at(start, time.elapsed);
        let mut metadata = Metadata::default();
        metadata.uid = Some(job_id(self.number, step.index));
        metadata.creation_timestamp = time.timestamp(start);
        metadata.update_timestamp = time.timestamp(since);
        let mut status = Status::default();
        let is_root = step.index == 0;
        let reason = step.failure.clone().filter(|_| phase == Phase::Failed);
        status.reason = reason.or_else(|| is_root.then(String::new));
        status.phase = Some(phase);
        let mut spec = Spec::default();
        spec.job_type = Some(step.job_type.into());
        spec.cluster_uid = Some(self.cluster_id(step));
        spec.resource_id = self.resource_id(step);
        spec.resource_name.clone_from(&step.name);
        let server = step.server.as_deref().map(|id| self.server_id(id));
        spec.extend_param = server.as_deref().map(server_extend_param);
        let inner = step.started_steps(start).filter(|(_, start)| *start <= time.elapsed);
        if !step.steps.is_empty() && depth < self.visible_depth {
            let mut sub_jobs: Vec<Job> =
                inner.map(|(step, start)| self.job(time, step, start, depth + 1)).collect();
            sub_jobs.reverse();
            spec.sub_jobs = Some(sub_jobs.into());
        }
        let mut job = Job::default();
        job.kind = Some("Job".into());
        job.api_version = Some("v3".into());
        job.metadata = Some(metadata);
        job.spec = Some(spec);
        job.status = Some(status);
        job
    }
}

/// The time at which a job is read.
struct ObservationTime {
    created: Timestamp,
    elapsed: Duration,
}

impl ObservationTime {
    fn timestamp(&self, since: Duration) -> Option<job_model::Timestamp> {
        let since = SignedDuration::try_from(since).ok()?;
        Some(self.created.checked_add(since).ok()?.into())
    }
}

fn server_extend_param(id: &str) -> ExtendParam {
    ExtendParam::from_iter([("serverID", id)])
}

/// The creation time of the reference page's example.
const EXAMPLE_CREATION_TIME: Timestamp = Timestamp::constant(1_580_631_160, 672_772_389);

#[cfg(test)]
mod tests;
