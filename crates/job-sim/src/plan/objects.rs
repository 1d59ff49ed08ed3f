//! Stores the clusters and nodes of a simulation, and computes what each one shows at a time. Reads no
//! clock.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    named_object::{Action, NamedObject},
    object_plan::{ObjectPlan, Stage},
    object_view::ObjectView,
};

/// The objects of one simulation.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    by_id: BTreeMap<String, ObjectEntry>,
    plans: BTreeMap<String, ObjectPlan>,
    default_plan: ObjectPlan,
    /// The plan of an object that has neither a job nor a plan, such as the cluster of new nodes.
    existing_plan: ObjectPlan,
}

/// A cluster or node.
#[derive(Debug)]
pub(crate) struct ObjectEntry {
    object: NamedObject,
    /// When the object was created, as the time since the simulation's creation.
    created: SignedDuration,
    /// The index of the last job that creates or deletes the object.
    pub(crate) job: Option<usize>,
    /// The number of readings after the end of the job.
    pub(crate) readings: u32,
}

/// How far the job of an object is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress<'j> {
    /// The id and the duration of the job; `None` for an object without one.
    pub(crate) job: Option<(&'j str, Duration)>,
    /// The time since the creation of the job, or since the object was added.
    pub(crate) age: Duration,
    /// When the job was created or the object was added.
    pub(crate) began: Timestamp,
    /// When the object was created.
    pub(crate) created: Timestamp,
}

impl Progress<'_> {
    fn job_duration(&self) -> Duration {
        self.job.map_or(Duration::ZERO, |(_, duration)| duration)
    }
}

impl Objects {
    /// Sets the plan of all objects that have none of their own.
    pub(crate) fn set_default_plan(&mut self, plan: ObjectPlan) {
        self.default_plan = plan;
    }

    /// Sets the plan of the object with this id, even if it does not exist yet.
    pub(crate) fn set_plan(&mut self, id: &str, plan: ObjectPlan) {
        self.plans.insert(id.into(), plan);
    }

    /// Adds the objects that a job names. An object that exists already keeps its creation time.
    pub(crate) fn add_for_job(
        &mut self,
        objects: Vec<NamedObject>,
        job: usize,
        job_created: SignedDuration,
    ) {
        for object in objects {
            // What a job does not create has existed for a while.
            let created = match object.action {
                Action::Create => job_created,
                Action::Delete | Action::Exist => job_created.saturating_sub(EXISTING_AGE),
            };
            let is_own = object.action != Action::Exist;
            let known = self.by_id.get_mut(&object.id);
            match known {
                Some(_) if !is_own => {}
                Some(entry) => {
                    let is_created = object.action == Action::Create;
                    let created = if is_created { created } else { entry.created };
                    let name = if is_created { object.name } else { entry.object.name.clone() };
                    entry.object = NamedObject { name, ..object };
                    (entry.created, entry.job, entry.readings) = (created, Some(job), 0);
                }
                None => {
                    let job = is_own.then_some(job);
                    let id = object.id.clone();
                    self.by_id.insert(id, ObjectEntry { object, created, job, readings: 0 });
                }
            }
        }
    }

    /// Adds an object without a job, and its plan. It replaces an object with the same id.
    pub(crate) fn add(&mut self, object: NamedObject, plan: ObjectPlan, created: SignedDuration) {
        let id = object.id.clone();
        self.set_plan(&id, plan);
        self.by_id.insert(id, ObjectEntry { object, created, job: None, readings: 0 });
    }

    pub(crate) fn get(&self, id: &str) -> Option<&ObjectEntry> {
        self.by_id.get(id)
    }

    /// Counts a reading after the end of the object's job.
    pub(crate) fn count_reading(&mut self, id: &str) {
        if let Some(entry) = self.by_id.get_mut(id) {
            entry.readings = entry.readings.saturating_add(1);
        }
    }

    fn plan(&self, entry: &ObjectEntry) -> &ObjectPlan {
        let own = self.plans.get(&entry.object.id);
        own.unwrap_or(match entry.job {
            Some(_) => &self.default_plan,
            None => &self.existing_plan,
        })
    }

    /// Returns what a reading shows, or `None` if the service answers 404.
    pub(crate) fn view(&self, entry: &ObjectEntry, progress: &Progress<'_>) -> Option<ObjectView> {
        let (plan, object) = (self.plan(entry), &entry.object);
        let after_end = progress.age.checked_sub(progress.job_duration());
        let (phase, since) = match after_end {
            None => entry.phase_during_job(progress.age),
            Some(time) => {
                let (phase, since) = entry.phase_after_job(plan, time);
                (phase?, progress.job_duration().saturating_add(since))
            }
        };
        let is_node = object.cluster.is_some();
        let is_ready = phase == ObjectView::ready_phase(is_node);
        let reason = match plan.reason() {
            Some(own) if !is_ready && after_end.is_some() => Some(own),
            None if !is_node => reason_of(&phase, object.has_failed),
            _ => None,
        };
        let job = progress.job.filter(|_| after_end.is_none());
        Some(ObjectView {
            id: object.id.clone(),
            cluster: object.cluster.clone(),
            name: object.name.clone(),
            phase: Some(phase),
            job: job.map(|(id, _)| id.to_owned()),
            created: progress.created,
            updated: progress.began.saturating_add(since).unwrap_or(progress.began),
            reason: reason.map(|(reason, message)| (reason.to_owned(), message.to_owned())),
            has_stale_probe: after_end.is_some_and(|time| plan.has_stale_probe(time)),
        })
    }

    /// Returns the first time after the job's end at which the object is in this state, and the time
    /// from which it stays there.
    pub(crate) fn reaches(
        &self,
        entry: &ObjectEntry,
        state: Goal,
    ) -> (Option<Duration>, Option<Duration>) {
        let plan = self.plan(entry);
        let changes = plan.changes();
        let holds = |time: &Duration| entry.is_in(plan, *time, state);
        let first = changes.iter().find(|time| holds(time));
        let finally = changes.iter().rev().take_while(|time| holds(time)).last();
        (first.copied(), finally.copied())
    }
}

/// A state that an object can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The object is ready. The last probe of a node is not old.
    Ready,
    /// The service answers 404.
    Gone,
}

impl ObjectEntry {
    pub(crate) const fn created(&self) -> SignedDuration {
        self.created
    }

    pub(crate) fn cluster(&self) -> Option<&str> {
        self.object.cluster.as_deref()
    }

    const fn is_node(&self) -> bool {
        self.object.cluster.is_some()
    }

    /// Returns the phase while the job is active, and the age of the job at which it began.
    fn phase_during_job(&self, age: Duration) -> (String, Duration) {
        let installs_at = self.object.installs_at.filter(|start| *start <= age);
        match (self.object.action, installs_at) {
            (Action::Delete, _) => ("Deleting".into(), Duration::ZERO),
            (Action::Create, Some(start)) => ("Installing".into(), start),
            (Action::Create | Action::Exist, _) => {
                (ObjectView::early_phase(self.is_node()).into(), Duration::ZERO)
            }
        }
    }

    /// Returns the phase at a time after the job's end, or `None` if the service answers 404, and
    /// since when.
    fn phase_after_job(&self, plan: &ObjectPlan, time: Duration) -> (Option<String>, Duration) {
        let (stage, since) = plan.stage_at(time);
        let is_deleted = self.object.action == Action::Delete;
        let phase = match stage {
            Stage::Vanished => None,
            Stage::Phase(text) => Some(text),
            _ if self.object.has_failed => {
                return (Some("Error".into()), Duration::ZERO);
            }
            Stage::UnderWay | Stage::Lapsed if is_deleted => Some("Deleting".into()),
            Stage::Broken if is_deleted => Some("Error".into()),
            Stage::Done if is_deleted => None,
            Stage::UnderWay if self.is_node() => Some("Installing".into()),
            Stage::UnderWay => Some("Creating".into()),
            Stage::Done => Some(ObjectView::ready_phase(self.is_node()).into()),
            Stage::Lapsed | Stage::Broken if self.is_node() => Some("Abnormal".into()),
            Stage::Lapsed | Stage::Broken => Some("Unavailable".into()),
        };
        (phase, since)
    }

    fn is_in(&self, plan: &ObjectPlan, time: Duration, state: Goal) -> bool {
        let (phase, _) = self.phase_after_job(plan, time);
        match state {
            Goal::Gone => phase.is_none(),
            Goal::Ready => {
                let is_current = !self.is_node() || !plan.has_stale_probe(time);
                is_current && phase.as_deref() == Some(ObjectView::ready_phase(self.is_node()))
            }
        }
    }
}

/// Returns the reason and the message of a cluster in this phase, if the phase is a broken one.
fn reason_of(phase: &str, has_job_failed: bool) -> Option<(&'static str, &'static str)> {
    Some(match phase {
        "Unavailable" => ("MasterUnhealthy", "The master nodes of the cluster do not respond."),
        "ResizeFailed" => ("ResizeFailed", "The size of the cluster could not be changed."),
        "RollbackFailed" => {
            ("RollbackFailed", "The upgrade of the cluster could not be rolled back.")
        }
        "Error" if has_job_failed => ("JobFailed", "The last job of the cluster failed."),
        "Error" => ("ResourceError", "The resources of the cluster have an error."),
        _ => return None,
    })
}

/// The age of an object that a job names and does not create.
const EXISTING_AGE: SignedDuration = SignedDuration::from_hours(24);
