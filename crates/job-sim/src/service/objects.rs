//! Answers requests for clusters and nodes, and lets tests query their actual state.

use std::{sync::atomic::Ordering, time::Duration};

use http::StatusCode;
use serde_json::Value;

use super::{Sim, lock};
use crate::{
    faults::Fault,
    plan::{Goal, NamedObject, ObjectPlan, ObjectView},
    reply::{ErrorReply, service_error},
};

impl Sim {
    /// Sets the plan of the cluster or node with this id.
    ///
    /// The object may be created later. Its id is what a job names: the `clusterUID` of a cluster's job,
    /// the `resourceID` of a node's `InstallNode` step.
    pub fn set_object_plan(&self, id: &str, plan: ObjectPlan) {
        self.jobs().objects.set_plan(id, plan);
    }

    /// Adds a cluster without a job. The times of its plan count from now.
    ///
    /// Resizing, hibernating and upgrading a cluster often return no job.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use job_sim::{ObjectPlan, Plan, Sim, TimeSource};
    /// let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    /// let resized = [(Duration::ZERO, "Resizing"), (Duration::from_secs(90), "Available")];
    /// sim.add_cluster("resized-cluster", ObjectPlan::phases(resized));
    /// assert_eq!(sim.object_phase("resized-cluster").as_deref(), Some("Resizing"));
    /// ```
    pub fn add_cluster(&self, id: &str, plan: ObjectPlan) {
        let cluster = NamedObject::existing_cluster(id, id);
        self.jobs().add_object(cluster, plan, self.elapsed());
    }

    /// Adds a node without a job to a cluster, which need not exist. The times of its plan count from
    /// now.
    pub fn add_node(&self, cluster: &str, id: &str, plan: ObjectPlan) {
        let node = NamedObject::existing_node(cluster, id);
        self.jobs().add_object(node, plan, self.elapsed());
    }

    /// Returns the number of requests for clusters and nodes so far.
    #[must_use]
    pub fn object_requests(&self) -> u32 {
        self.object_requests.load(Ordering::Relaxed)
    }

    /// Returns the phase that the next reading of a cluster or node shows.
    ///
    /// Returns `None` if the service answers 404.
    #[must_use]
    pub fn object_phase(&self, id: &str) -> Option<String> {
        let moment = self.moment();
        self.jobs().view_object(id, &moment, Duration::ZERO)?.phase
    }

    /// Returns the first time at which a cluster or node is ready, since the simulation's creation.
    ///
    /// A client that reports it as ready earlier is wrong. Returns `None` if it is never ready. The time
    /// follows from the plans and [`TimeSource::Clock`](crate::TimeSource::Clock); faults do not change
    /// it.
    ///
    /// Only the last job that creates or deletes the object counts. For example, if a job created a
    /// cluster and another one deletes it, the time at which the first job made it ready is not
    /// returned: the result is `None`.
    #[must_use]
    pub fn first_ready_at(&self, id: &str) -> Option<Duration> {
        self.jobs().object_reaches(id, Goal::Ready).0
    }

    /// Returns the time from which a cluster or node is ready and stays ready.
    ///
    /// The time and its limits are those of [`first_ready_at`](Self::first_ready_at).
    /// Returns `None` if it does not stay ready.
    #[must_use]
    pub fn ready_at(&self, id: &str) -> Option<Duration> {
        self.jobs().object_reaches(id, Goal::Ready).1
    }

    /// Returns the time from which the service always answers 404 for a cluster or node.
    ///
    /// The time and its limits are those of [`first_ready_at`](Self::first_ready_at).
    /// Returns `None` if it stays, or if it never existed.
    #[must_use]
    pub fn gone_at(&self, id: &str) -> Option<Duration> {
        self.jobs().object_reaches(id, Goal::Gone).1
    }

    /// Counts a request for an object, and returns the fault that applies to it.
    pub(super) fn begin_object(&self, elapsed: Duration) -> Option<Fault> {
        self.object_requests.fetch_add(1, Ordering::Relaxed);
        lock(&self.fault_injector).next_object_fault(elapsed)
    }

    /// Returns the body of a cluster, or of one of its nodes, changed by the fault.
    pub(super) fn read_object(
        &self,
        cluster: &str,
        node: Option<&str>,
        fault: Option<&Fault>,
    ) -> Result<(StatusCode, Value), ErrorReply> {
        let lag = match fault {
            Some(Fault::Stale(lag)) => *lag,
            _ => Duration::ZERO,
        };
        let (parent, id) = node.map_or((None, cluster), |node| (Some(cluster), node));
        let moment = self.moment();
        // A stale reply was correct some time ago, including the probe of a node.
        let time = self.now().saturating_sub(lag).unwrap_or(moment.start_time);
        let view = self.jobs().read_object(parent, id, &moment, lag);
        let mut view = view.ok_or_else(|| service_error(StatusCode::NOT_FOUND))?;
        apply_object_fault(&mut view, fault);
        Ok((StatusCode::OK, view.body(time)))
    }
}

/// Changes the object as the fault describes.
fn apply_object_fault(view: &mut ObjectView, fault: Option<&Fault>) {
    match fault {
        Some(Fault::WrongUid) => view.id = "00000000-229a-11e8-0000-0255ac100c13".into(),
        Some(Fault::Phase(text)) => view.phase = Some(text.clone()).filter(|text| !text.is_empty()),
        Some(Fault::PhaseBack) => {
            view.phase = Some(ObjectView::early_phase(view.is_node()).into());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
