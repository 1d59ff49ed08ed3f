//! A wait for clusters and nodes, as callers and drivers see it.

use std::{sync::Arc, time::Duration};

use job_model::{JobId, object::ObjectId};

#[cfg(feature = "tokio")]
use super::{FinishedJob, Outcome};
use super::{
    Machine, ObjectStatus,
    error_kind::WaitErrorKind,
    named_objects::NamedObjects,
    policy::WaitPolicy,
    reading_objects::{EndedJob, ObjectGoal, ReadingObjects},
    state::State,
    until::Until,
};
use crate::schedule::JobObservation;

impl Machine {
    /// Creates the machine of a wait for a cluster or a node, without a job.
    ///
    /// The wait is until the object is ready, or gone if the policy says so
    /// ([`WaitPolicy::until_gone`]). Its [`job_id`](Self::job_id) is `cluster:` and the id of the
    /// cluster, or `node:` and the ids of the cluster and the node, separated by a colon. If that is
    /// longer than 128 bytes, a hash of the ids replaces them.
    #[must_use]
    pub fn for_object(id: ObjectId, policy: impl Into<Arc<WaitPolicy>>) -> Self {
        let policy = policy.into();
        let goal = (ObjectGoal::from_policy(&policy), false);
        let (wait_id, subject) = (wait_id(&id), id.kind().as_str());
        let objects = ReadingObjects::new(EndedJob::None, [id], goal, subject, Duration::ZERO);
        Self { state: State::ReadingObjects(objects.into()), ..Self::new(wait_id, policy) }
    }

    /// Returns the clusters and nodes that the wait reads, as they were last read.
    ///
    /// There are none while the job is polled. If the wait is for the end of the job, there are never
    /// any.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectStatus> {
        self.state.objects().map(ReadingObjects::statuses).into_iter().flatten()
    }

    /// Returns whether the wait reads clusters or nodes, because the job has ended or there is none.
    #[must_use]
    pub fn is_reading_objects(&self) -> bool {
        self.state.objects().is_some()
    }

    /// Returns whether the wait reads a cluster or a node, and has no job.
    #[must_use]
    pub fn has_no_job(&self) -> bool {
        self.state.objects().is_some_and(|objects| objects.job == EndedJob::None)
    }

    /// Returns what the wait is for. It is [`Until::Gone`] while the objects of a job are read that
    /// deletes them.
    #[must_use]
    pub fn until(&self) -> Until {
        let objects = self.state.objects();
        objects.map_or(self.policy.until, |objects| objects.goal(&self.policy).until())
    }

    /// Returns the number of attempts to read the job and its objects.
    pub(crate) const fn requests(&self) -> u32 {
        self.attempts.saturating_add(self.object_readings)
    }

    /// Returns why the wait stops if its deadline passes now.
    pub(crate) fn deadline_error(&self) -> WaitErrorKind {
        let goal = match &self.state {
            State::ReadingObjects(objects) => Some(objects.goal(&self.policy)),
            State::LookingUp(lookup) if lookup.is_for_objects => {
                Some(self.goal_of(&NamedObjects::from_job(&lookup.job)))
            }
            State::Polling | State::Settling(_) | State::LookingUp(_) => None,
        };
        match goal {
            Some(ObjectGoal::Ready) => WaitErrorKind::NotReady,
            Some(ObjectGoal::Gone) | None => WaitErrorKind::DeadlineExceeded,
        }
    }

    /// Returns the result of the job itself, if it has ended and the wait goes on because of its
    /// objects. `elapsed` is the time since the wait began.
    #[cfg(feature = "tokio")]
    pub(crate) fn ended_job(&self, elapsed: Duration) -> Option<FinishedJob> {
        let ended = self.state.ended().filter(|lookup| lookup.is_for_objects)?;
        Some(self.clone().finished_job(elapsed, ended.clone(), Outcome::Succeeded))
    }

    /// Returns whether the service has deleted the job, and the wait goes on because of its objects.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_job_gone(&self) -> bool {
        let objects = self.state.objects();
        objects.is_some_and(|objects| matches!(objects.job, EndedJob::Gone { .. }))
    }

    /// Returns what the wait has observed of clusters and nodes so far, for a
    /// [`History`](crate::schedule::History).
    ///
    /// Returns `None` unless a reading has shown that one of them is not ready yet, or not gone yet.
    #[must_use]
    pub fn object_observation(&self) -> Option<JobObservation> {
        self.state.objects()?.observation(None)
    }
}

/// Returns the id of a wait without a job.
pub(super) fn wait_id(object: &ObjectId) -> JobId {
    let text = match object {
        ObjectId::Cluster(cluster) => format!("cluster:{cluster}"),
        ObjectId::Node { cluster, node } => format!("node:{cluster}:{node}"),
    };
    text.clone().try_into().unwrap_or_else(|_| {
        // FNV-1a. The id must be the same for all versions of this crate and of the compiler.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        #[expect(clippy::expect_used, reason = "a kind and a hash are a valid id")]
        format!("{}:{hash:016x}", object.kind()).try_into().expect("a valid id")
    })
}
