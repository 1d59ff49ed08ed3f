//! What a caller asks a fleet to wait for.

use std::{fmt, sync::Arc};

use job_model::{JobId, object::ObjectId};

use crate::{
    machine::{Checkpoint, WaitPolicy},
    schedule::Schedule,
};

/// A job to wait for in a [`Fleet`](crate::Fleet), with settings of its own.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use job_poller::{WaitPolicy, fleet::WaitRequest};
///
/// let request = WaitRequest::new("4a5b".parse()?)
///     .policy(WaitPolicy::new().timeout(Duration::from_secs(20 * 60)))
///     .submitted("CreateNode");
/// # Ok::<(), job_model::IdError>(())
/// ```
#[derive(Clone)]
#[must_use = "a request does nothing until it is passed to `Fleet::watch_with`"]
pub struct WaitRequest {
    pub(super) target: WaitTarget,
    pub(super) policy: Option<Arc<WaitPolicy>>,
    pub(super) schedule: Option<Arc<dyn Schedule>>,
    pub(super) job_type: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum WaitTarget {
    New(JobId),
    Object(ObjectId),
    Resumed(Box<Checkpoint>),
}

impl WaitRequest {
    /// Creates a request to wait for a job, with the policy and the schedule of the fleet.
    pub const fn new(id: JobId) -> Self {
        Self::from_target(WaitTarget::New(id))
    }

    /// Creates a request to wait until a cluster or a node is ready, without a job.
    ///
    /// See [`Wait::for_object`](crate::Wait::for_object). Set a policy with
    /// [`until_gone`](WaitPolicy::until_gone) to wait until it is gone.
    pub const fn for_object(id: ObjectId) -> Self {
        Self::from_target(WaitTarget::Object(id))
    }

    /// Creates a request to resume a wait from a checkpoint, with the limits in the checkpoint.
    pub fn resume(checkpoint: Checkpoint) -> Self {
        Self::from_target(WaitTarget::Resumed(Box::new(checkpoint)))
    }

    const fn from_target(target: WaitTarget) -> Self {
        Self { target, policy: None, schedule: None, job_type: None }
    }

    /// Sets the limits of the wait, instead of the limits of the fleet or of the checkpoint.
    ///
    /// Several requests can share one policy in an `Arc`.
    pub fn policy(mut self, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Sets the schedule of the wait, instead of the schedule of the fleet.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Sets the type of a job that was just submitted, such as `CreateNode`.
    ///
    /// If the budget is used up, the first request is then sent when jobs of this type are likely
    /// to end. Without the type it is sent as soon as possible, to learn the type and the age of
    /// the job.
    pub fn submitted(mut self, job_type: impl Into<String>) -> Self {
        self.job_type = Some(job_type.into());
        self
    }
}

impl fmt::Debug for WaitRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitRequest")
            .field("target", &self.target)
            .field("policy", &self.policy)
            .field("job_type", &self.job_type)
            .finish_non_exhaustive()
    }
}
