//! A simple model of the service: a job, its objects, and what goes wrong.
//!
//! It knows the true state of everything at every time, and none of the machine's rules.

use std::collections::BTreeMap;

use jiff::Timestamp;
use job_model::object::{Object, ObjectId, ObjectKind};
use job_transport::{
    ErrorClass, FetchErrorKind, ObjectReading, Reading, transport::TransportErrorKind,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::machine::*;

/// A job and its objects, and what happens to them.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// A `CreateCluster`, `CreateNode`, .. job, or none.
    pub(super) job_type: Option<&'static str>,
    pub(super) until: Until,
    pub(super) timeout: Duration,
    /// When the job ends, and whether it fails.
    pub(super) job_end: Duration,
    pub(super) job_fails: bool,
    /// When the service deletes the job.
    pub(super) forgotten_at: Option<Duration>,
    /// Whether the replies omit the steps of the job, so that sub-jobs must be looked up.
    pub(super) omits_steps: bool,
    pub(super) objects: Vec<WorldObject>,
    /// What goes wrong with each request. The list repeats.
    pub(super) troubles: Vec<Trouble>,
    /// How late each wake is.
    pub(super) wake_latency: Duration,
    /// Restarts the process at each of these steps, after a pause.
    pub(super) restarts: BTreeMap<u32, Duration>,
    /// The goal after the first restart, if it changes then.
    pub(super) until_after_restart: Option<Until>,
    /// Whether the job's reply shows a sub-job as running although it has ended.
    pub(super) has_stuck_sub_job: bool,
}

#[derive(Clone, Debug)]
pub(super) struct WorldObject {
    /// When the object was created, in seconds after the job was.
    pub(super) created_after_job: i64,
    /// The conditions, each with the time from which it holds.
    pub(super) conditions: Vec<(Duration, Condition)>,
}

/// The true condition of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Missing,
    UnderWay,
    /// A phase that is not in the table.
    Unknown,
    Broken,
    Ready,
    /// A ready phase that has no meaning, because the last probe is too old.
    Outdated,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    None,
    Error(FetchErrorKind, ErrorClass),
    /// A 404 of the gateway for an unknown path.
    UnknownPath,
    /// A reply with the uid of another job or object.
    Other,
    Slow,
}

const LATENCY: Duration = Duration::from_millis(100);

/// The time of the service when the wait begins, in seconds.
const EPOCH: i64 = 1_800_000_000;

impl World {
    pub(super) fn policy(&self) -> WaitPolicy {
        let policy = WaitPolicy::new().timeout(self.timeout);
        WaitPolicy { until: self.until, ..policy }
    }

    fn deletes(&self) -> bool {
        self.job_type.is_some_and(|job_type| job_type.starts_with("Delete"))
    }

    /// Returns whether the objects should be gone in the end.
    pub(super) fn wants_gone(&self) -> bool {
        self.until == Until::Gone || self.deletes()
    }

    pub(super) fn ids(&self) -> Vec<ObjectId> {
        let node = |number: usize| ObjectId::Node {
            cluster: "c".parse().unwrap(),
            node: format!("n{number}").parse().unwrap(),
        };
        match self.job_type {
            Some("CreateNode" | "DeleteNode") => (0..self.objects.len()).map(node).collect(),
            _ => vec![ObjectId::Cluster("c".parse().unwrap())],
        }
    }

    pub(super) fn machine(&self) -> Machine {
        match self.job_type {
            Some(_) => Machine::new("job".parse().unwrap(), self.policy()),
            None => Machine::for_object(self.ids().remove(0), self.policy()),
        }
    }

    pub(super) fn is_forgotten(&self, now: Duration) -> bool {
        self.forgotten_at.is_some_and(|at| at <= now)
    }

    fn job_json(&self, id: &str, now: Duration) -> Value {
        let phase = match () {
            () if now < self.job_end => "Running",
            () if self.job_fails => "Failed",
            () => "Success",
        };
        let status = json!({"phase": phase});
        let (job_type, step) = match self.job_type {
            Some("CreateNode") => ("CreateNode", Some("InstallNode")),
            Some("DeleteNode") => ("DeleteNode", Some("DeleteNode")),
            Some(other) => (other, None),
            None => ("none", None),
        };
        let steps = self.ids().into_iter().filter_map(|id| {
            let step = json!({"type": step?, "resourceID": id.as_str()});
            Some(json!({"metadata": {"uid": format!("s-{id}")}, "spec": step, "status": status}))
        });
        let steps: Vec<Value> = steps.collect();
        let sub_job = |steps: Vec<Value>| {
            let spec = json!({"type": "CreateNode", "subJobs": steps});
            json!({"metadata": {"uid": "sub"}, "spec": spec, "status": status})
        };
        if id == "sub" {
            return sub_job(steps);
        }
        let sub_jobs = if self.omits_steps && job_type == "CreateNode" {
            let mut listed = sub_job(Vec::new());
            if self.has_stuck_sub_job {
                listed["status"]["phase"] = "Running".into();
            }
            vec![listed]
        } else {
            steps
        };
        json!({
            "metadata": {"uid": id, "creationTimestamp": time(0).to_string()},
            "spec": {"type": job_type, "clusterUID": "c", "subJobs": sub_jobs},
            "status": status,
        })
    }

    pub(super) fn condition(&self, id: &ObjectId, now: Duration) -> Condition {
        let object = self.object(id);
        let current = object.conditions.iter().rev().find(|(from, _)| *from <= now);
        current.map_or(Condition::UnderWay, |(_, condition)| *condition)
    }

    fn object(&self, id: &ObjectId) -> &WorldObject {
        let index = self.ids().iter().position(|known| known == id).expect("an object of the job");
        &self.objects[index]
    }

    /// Returns the reply to a request for an object.
    fn object_reply(&self, id: &ObjectId, now: Duration, uid: &str) -> Input {
        let condition = self.condition(id, now);
        let phase = match (condition, id.kind()) {
            (Condition::Missing, _) => {
                return error(FetchErrorKind::Status(404), ErrorClass::NotFound);
            }
            (Condition::UnderWay, ObjectKind::Cluster) => "Creating",
            (Condition::UnderWay, ObjectKind::Node) => "Installing",
            // A cluster has no probe.
            (Condition::Unknown, _) | (Condition::Outdated, ObjectKind::Cluster) => "Paused",
            (Condition::Broken, _) => "Error",
            (Condition::Ready, ObjectKind::Cluster) => "Available",
            (Condition::Ready | Condition::Outdated, ObjectKind::Node) => "Active",
        };
        let date = time(now.as_secs() as i64);
        let probe_age = if condition == Condition::Outdated { 301 } else { 299 };
        let probe = time(now.as_secs() as i64 - probe_age);
        let created = time(self.object(id).created_after_job);
        let body = json!({
            "metadata": {"uid": uid, "creationTimestamp": created.to_string()},
            "status": {"phase": phase, "lastProbeTime": probe.to_string()},
        });
        let object = Object::from_slice(id.kind(), body.to_string().as_bytes()).unwrap();
        ObjectReading::new(object).with_date(Some(date)).into()
    }

    fn job_reply(&self, id: &str, now: Duration, uid: &str) -> Input {
        if self.is_forgotten(now) {
            return error(FetchErrorKind::Status(404), ErrorClass::NotFound);
        }
        let mut body = self.job_json(id, now);
        body["metadata"]["uid"] = uid.into();
        let mut reading = Reading::new(Job::from_slice(body.to_string().as_bytes()).unwrap());
        reading.date = Some(time(now.as_secs() as i64));
        reading.into()
    }

    /// Returns the result of a request that began at `now` and ends at the returned time.
    pub(super) fn answer(
        &self,
        action: &Action,
        number: usize,
        now: Duration,
    ) -> (Input, Duration) {
        let trouble = self.troubles[number % self.troubles.len()];
        let timeout = match action {
            Action::Fetch { timeout, .. } | Action::FetchObject { timeout, .. } => *timeout,
            Action::SleepUntil(_) | Action::Finish(_) => unreachable!("not a request"),
        };
        if matches!(trouble, Trouble::Slow) || LATENCY > timeout {
            return (Input::Error(AttemptError::timed_out(timeout)), now + timeout);
        }
        let then = now + LATENCY;
        let input = match (trouble, action) {
            (Trouble::Error(kind, class), _) => error(kind, class),
            (Trouble::UnknownPath, _) => error(FetchErrorKind::Status(404), ErrorClass::Permanent),
            (Trouble::Other, Action::FetchObject { id, .. }) => self.object_reply(id, then, "x"),
            (Trouble::Other, Action::Fetch { id, .. }) => self.job_reply(id.as_str(), then, "x"),
            (_, Action::FetchObject { id, .. }) => self.object_reply(id, then, id.as_str()),
            (_, Action::Fetch { id, .. }) => self.job_reply(id.as_str(), then, id.as_str()),
            (_, Action::SleepUntil(_) | Action::Finish(_)) => unreachable!("not a request"),
        };
        (input, then)
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(EPOCH + second).unwrap()
}

fn error(kind: FetchErrorKind, class: ErrorClass) -> Input {
    Input::Error(AttemptError::new(kind, class, "trouble"))
}

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn conditions() -> impl Strategy<Value = Vec<(Duration, Condition)>> {
    use Condition::{Broken, Missing, Outdated, Ready, UnderWay, Unknown};
    let one = prop::sample::select(vec![
        Missing, UnderWay, UnderWay, Unknown, Broken, Ready, Ready, Outdated,
    ]);
    prop::collection::vec((seconds(0..900), one), 1..6).prop_map(|mut conditions| {
        conditions.sort_by_key(|(from, _)| *from);
        conditions
    })
}

fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    use Trouble::{Error, Other, Slow, UnknownPath};
    let rare = prop::sample::select(vec![
        Error(FetchErrorKind::Status(503), ErrorClass::Transient),
        Error(FetchErrorKind::Status(429), ErrorClass::Throttled),
        Error(FetchErrorKind::Transport(TransportErrorKind::Closed), ErrorClass::Transient),
        Error(FetchErrorKind::Status(404), ErrorClass::NotFound),
        Error(FetchErrorKind::Status(403), ErrorClass::Permanent),
        Error(FetchErrorKind::Status(401), ErrorClass::Unauthorized),
        Error(FetchErrorKind::HtmlPage, ErrorClass::Transient),
        UnknownPath,
        Other,
        Slow,
    ]);
    let one = prop_oneof![12 => Just(Trouble::None), 1 => rare];
    prop::collection::vec(one, 1..40)
}

/// Returns random worlds.
pub(super) fn worlds() -> impl Strategy<Value = World> {
    let job_type = prop::sample::select(vec![
        None,
        Some("CreateCluster"),
        Some("CreateNode"),
        Some("DeleteCluster"),
        Some("DeleteNode"),
        Some("UpgradeCluster"),
    ]);
    let until = prop::sample::select(vec![Until::Ready, Until::Ready, Until::Gone]);
    let goal = prop::sample::select(vec![Until::Ended, Until::Ready, Until::Gone]);
    let object = (-600..600_i64, conditions())
        .prop_map(|(created_after_job, conditions)| WorldObject { created_after_job, conditions });
    let job = (seconds(0..600), prop::bool::weighted(0.1), prop::option::of(seconds(0..900)));
    let restarts = prop::collection::btree_map(1..60_u32, seconds(0..120), 0..4);
    let wake = prop_oneof![3 => Just(Duration::ZERO), 1 => seconds(0..5)];
    (
        (job_type, until, seconds(1..1500), job),
        (any::<bool>(), prop::collection::vec(object, 1..4), troubles(), wake, restarts),
        (prop::option::weighted(0.2, goal), prop::bool::weighted(0.1)),
    )
        .prop_map(|((job_type, until, timeout, job), rest, changes)| {
            let (until_after_restart, has_stuck_sub_job) = changes;
            let (omits_steps, mut objects, troubles, wake_latency, restarts) = rest;
            if !matches!(job_type, Some("CreateNode" | "DeleteNode")) {
                objects.truncate(1);
            }
            let (job_end, job_fails, forgotten_at) = job;
            World {
                job_type,
                until,
                timeout,
                job_end,
                job_fails,
                forgotten_at,
                omits_steps,
                objects,
                troubles,
                wake_latency,
                restarts,
                until_after_restart,
                has_stuck_sub_job,
            }
        })
}
