//! Compares waits until objects are ready or gone with a simple model of the service, for random
//! jobs, objects, faults and restarts.
//!
//! The model knows the true state of everything at every time, and none of the machine's rules.

use std::{collections::BTreeMap, env};

use jiff::Timestamp;
use job_model::object::{Object, ObjectId, ObjectKind};
use job_transport::{
    ErrorClass, FetchErrorKind, ObjectReading, Reading, transport::TransportErrorKind,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{outcome::Outcome, *};
use crate::schedule::Exponential;

/// A job and its objects, and what happens to them.
#[derive(Clone, Debug)]
struct World {
    /// A `CreateCluster`, `CreateNode`, .. job, or none.
    job_type: Option<&'static str>,
    until: Until,
    timeout: Duration,
    /// When the job ends, and whether it fails.
    job_end: Duration,
    job_fails: bool,
    /// When the service deletes the job.
    forgotten_at: Option<Duration>,
    /// Whether the replies omit the steps of the job, so that sub-jobs must be looked up.
    omits_steps: bool,
    objects: Vec<WorldObject>,
    /// What goes wrong with each request. The list repeats.
    troubles: Vec<Trouble>,
    /// How late each wake is.
    wake_latency: Duration,
    /// Restarts the process at each of these steps, after a pause.
    restarts: BTreeMap<u32, Duration>,
    /// The goal after the first restart, if it changes then.
    until_after_restart: Option<Until>,
    /// Whether the job's reply shows a sub-job as running although it has ended.
    has_stuck_sub_job: bool,
}

#[derive(Clone, Debug)]
struct WorldObject {
    /// When the object was created, in seconds after the job was.
    created_after_job: i64,
    /// The conditions, each with the time from which it holds.
    conditions: Vec<(Duration, Condition)>,
}

/// The true condition of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
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
enum Trouble {
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
    fn policy(&self) -> WaitPolicy {
        let policy = WaitPolicy::new().timeout(self.timeout);
        WaitPolicy { until: self.until, ..policy }
    }

    fn deletes(&self) -> bool {
        self.job_type.is_some_and(|job_type| job_type.starts_with("Delete"))
    }

    /// Returns whether the objects should be gone in the end.
    fn wants_gone(&self) -> bool {
        self.until == Until::Gone || self.deletes()
    }

    fn ids(&self) -> Vec<ObjectId> {
        let node = |number: usize| ObjectId::Node {
            cluster: "c".parse().unwrap(),
            node: format!("n{number}").parse().unwrap(),
        };
        match self.job_type {
            Some("CreateNode" | "DeleteNode") => (0..self.objects.len()).map(node).collect(),
            _ => vec![ObjectId::Cluster("c".parse().unwrap())],
        }
    }

    fn machine(&self) -> Machine {
        match self.job_type {
            Some(_) => Machine::new("job".parse().unwrap(), self.policy()),
            None => Machine::for_object(self.ids().remove(0), self.policy()),
        }
    }

    fn is_forgotten(&self, now: Duration) -> bool {
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

    fn condition(&self, id: &ObjectId, now: Duration) -> Condition {
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
    fn answer(&self, action: &Action, number: usize, now: Duration) -> (Input, Duration) {
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

/// What the wait could see: the true condition of each object at each reply about it.
#[derive(Default)]
struct Seen {
    job_was_read: bool,
    /// Whether a reply has shown the success of the job.
    job_succeeded: bool,
    objects: Vec<(ObjectId, Duration, Condition)>,
}

impl Seen {
    fn conditions<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> impl Iterator<Item = (Duration, Condition)> + 'a {
        self.objects.iter().filter(move |(seen, ..)| seen == id).map(|(_, at, c)| (*at, *c))
    }

    /// Returns whether the object was seen in this condition twice with at least this time between.
    fn twice(&self, id: &ObjectId, condition: Condition, apart: Duration) -> bool {
        let times: Vec<_> = self.conditions(id).filter(|(_, seen)| *seen == condition).collect();
        let first = times.first().map(|(at, _)| *at);
        let last = times.last().map(|(at, _)| *at);
        times.len() > 1 && last.zip(first).is_some_and(|(last, first)| last - first >= apart)
    }
}

static SCHEDULE: Exponential = Exponential::new(Duration::from_secs(2)..=Duration::from_secs(20));

/// Runs a wait in the world, and checks its result.
fn check(mut world: World) {
    let (mut machine, mut now, mut input) = (world.machine(), Duration::ZERO, Input::Wake);
    let (mut seen, mut requests, mut steps) = (Seen::default(), 0, 0_u32);
    let (mut latest_restart, mut request) = (Duration::ZERO, None);
    // After a restart the job, and then each object, is read once more even if the deadline has passed.
    // Lookups of sub-jobs may come in between.
    let attempts = 1 + u32::try_from(world.objects.len()).unwrap();
    let extra = (Duration::from_secs(30) + world.wake_latency) * attempts + Duration::from_secs(10);
    loop {
        steps += 1;
        assert!(steps < 20_000, "the wait does not end");
        if let Some(pause) = world.restarts.get(&steps) {
            let text = serde_json::to_string(&machine).unwrap();
            machine = serde_json::from_str::<Machine>(&text).unwrap().resume();
            now += *pause;
            if let Some(until) = world.until_after_restart.take() {
                world.until = until;
                machine = machine.with_policy(world.policy());
            }
            latest_restart = now;
            // The reply to a request in flight is lost.
            (request, input) = (None, Input::Wake);
        }
        if let Some(request) = request.take() {
            record(&world, &mut seen, &request, &input, now);
        }
        let step = machine.step(&SCHEDULE, now, input);
        match step.action {
            Action::SleepUntil(at) => {
                let is_late = latest_restart > Duration::ZERO && at <= latest_restart + extra;
                assert!(at < world.timeout || is_late, "a sleep past the deadline");
                now = now.max(at) + world.wake_latency;
                input = Input::Wake;
            }
            Action::Finish(result) => {
                let end = world.timeout + world.wake_latency;
                assert!(
                    now <= end
                        || (latest_restart > Duration::ZERO && now <= latest_restart + extra),
                    "{now:?}"
                );
                return check_result(&world, &seen, now, &result);
            }
            action @ (Action::Fetch { .. } | Action::FetchObject { .. }) => {
                let then;
                (input, then) = world.answer(&action, requests, now);
                requests += 1;
                now = then;
                request = Some(action);
            }
        }
    }
}

/// Records what a reply shows, if it is about what was asked for.
fn record(world: &World, seen: &mut Seen, action: &Action, input: &Input, now: Duration) {
    match (action, input) {
        (Action::Fetch { id, .. }, Input::Reading { snapshot, .. })
            if snapshot.job().uid() == Some(id.as_str()) =>
        {
            seen.job_was_read = true;
            seen.job_succeeded |= id.as_str() == "job" && now >= world.job_end && !world.job_fails;
        }
        (Action::FetchObject { id, .. }, Input::Object { object, .. })
            if object.uid.as_deref() == Some(id.as_str()) =>
        {
            assert!(world.ids().contains(id), "{id} is not an object of the job");
            seen.objects.push((id.clone(), now, world.condition(id, now)));
        }
        (Action::FetchObject { id, .. }, Input::Error(error))
            if error.class == ErrorClass::NotFound =>
        {
            seen.objects.push((id.clone(), now, Condition::Missing));
        }
        _ => {}
    }
}

fn check_result(
    world: &World,
    seen: &Seen,
    now: Duration,
    result: &Result<FinishedJob, WaitError>,
) {
    let ids = world.ids();
    match result {
        Ok(finished) => {
            if let Outcome::Failed(_) = finished.outcome {
                assert!(world.job_fails && now >= world.job_end, "the job did not fail");
                return;
            }
            if finished.outcome == Outcome::Succeeded {
                assert!(world.until == Until::Ended && seen.job_succeeded, "no object was read");
                return;
            }
            // The result is about exactly the objects of this job, after its end.
            let shown: Vec<_> = finished.objects.iter().map(|object| object.id.clone()).collect();
            assert_eq!(shown, ids);
            if world.job_type.is_some() {
                assert_eq!(finished.is_job_gone, !seen.job_succeeded, "how the job ended");
                assert!(seen.job_was_read, "the job was never read");
                assert!(seen.job_succeeded || world.is_forgotten(now), "the job is neither");
            }
            let creates = world.job_type.is_some_and(|job_type| job_type.starts_with("Create"));
            if finished.is_job_gone {
                assert_ne!(world.job_type, Some("UpgradeCluster"), "the cluster is not its own");
            }
            let is_late = now + Duration::from_secs(4) >= world.timeout;
            let is_gone = |id| seen.twice(id, Condition::Missing, Duration::from_secs(10));
            let is_broken = |id| seen.twice(id, Condition::Broken, Duration::from_secs(120));
            for (id, object) in ids.iter().zip(&world.objects) {
                let was = |condition| seen.conditions(id).any(|(_, seen)| seen == condition);
                let is_own = !finished.is_job_gone || !creates || object.created_after_job >= -300;
                let was_ready = was(Condition::Ready) && is_own;
                match finished.outcome {
                    Outcome::Ready => {
                        assert!(was_ready && !world.wants_gone(), "{id} was not ready");
                    }
                    Outcome::Gone if world.wants_gone() => assert!(is_gone(id), "{id} is not gone"),
                    // At the deadline, one that has failed is enough.
                    _ => assert!(
                        is_late || was_ready || is_gone(id) || is_broken(id),
                        "the state of {id} is open"
                    ),
                }
            }
            match finished.outcome {
                Outcome::Broken => assert!(ids.iter().any(is_broken), "none is broken"),
                Outcome::Gone => assert!(ids.iter().any(is_gone), "none is gone"),
                _ => {}
            }
        }
        Err(error) => check_error(world, seen, now, error),
    }
}

fn check_error(world: &World, seen: &Seen, now: Duration, error: &WaitError) {
    let is_late = now + Duration::from_secs(4) >= world.timeout;
    match error.kind() {
        WaitErrorKind::NotReady => assert!(is_late && !world.wants_gone(), "not at the deadline"),
        WaitErrorKind::DeadlineExceeded => {
            // There may be no time to confirm that an object is gone.
            let reserve = Duration::from_secs(if world.wants_gone() { 11 } else { 4 });
            assert!(now + reserve >= world.timeout, "not at the deadline");
        }
        WaitErrorKind::NotFound => {
            let was_read = |(_, _, condition): &(ObjectId, Duration, Condition)| {
                *condition != Condition::Missing
            };
            assert!(!seen.job_was_read && !seen.objects.iter().any(was_read), "it was read");
        }
        WaitErrorKind::Vanished => assert!(world.is_forgotten(now), "the job still exists"),
        // A sub-job that is needed was forgotten.
        WaitErrorKind::NoObject => assert!(world.omits_steps, "the job names its objects"),
        WaitErrorKind::Unauthorized
        | WaitErrorKind::Permanent
        | WaitErrorKind::Mismatch
        | WaitErrorKind::Unreadable
        | WaitErrorKind::Unreachable => {
            let has_trouble = |trouble: &Trouble| !matches!(trouble, Trouble::None);
            assert!(world.troubles.iter().any(has_trouble), "{error}");
        }
        WaitErrorKind::TooManyErrors | WaitErrorKind::Stalled | WaitErrorKind::Stopped => {
            panic!("the policy has no such limit: {error}")
        }
    }
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

fn worlds() -> impl Strategy<Value = World> {
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

/// Runs 2,000 cases, or the number in `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    match env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(2000),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn waits_for_objects_agree_with_the_model_of_the_service(world in worlds()) {
        check(world);
    }
}
