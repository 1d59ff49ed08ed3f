//! The state of a wait that reads clusters and nodes after the job has ended, or without a job.

use std::time::Duration;

use jiff::Timestamp;
use job_model::object::{ObjectId, ObjectState};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{
    object_status::{ObjectSnapshot, ObjectStatus},
    policy::WaitPolicy,
    sub_job_lookup::Lookup,
    until::Until,
};
use crate::schedule::JobObservation;

/// The clusters and nodes that are read until each of them is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ReadingObjects {
    pub(super) job: EndedJob,
    /// Whether the job deletes the objects, so that they are done when they are gone.
    are_deleted: bool,
    /// The goal for which objects are settled. It may differ from that of the policy after the wait
    /// was resumed.
    goal: ObjectGoal,
    /// When the first object was due to be read.
    pub(super) since: Duration,
    pub(super) readings: u32,
    /// The type of the job, or the kind of the object. With the goal, it is the name under which the
    /// schedule learns how long this takes.
    subject: String,
    /// The index of the object that is read now or next.
    current: usize,
    objects: Vec<WatchedObject>,
    /// The times since `since` at the first and at the last reading that did not settle an object.
    observed: Option<(Duration, Duration)>,
}

/// The state that each object must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ObjectGoal {
    Ready,
    Gone,
}

/// What is known of the job whose objects are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum EndedJob {
    /// The wait has no job.
    None,
    /// The job has succeeded.
    Succeeded(Box<Lookup>),
    /// The service has deleted the job before the wait read its end.
    Gone {
        /// When the job was created, if it creates the objects.
        created_at: Option<Timestamp>,
    },
}

/// One object, and what its readings have shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WatchedObject {
    status: ObjectStatus,
    /// Whether the object exists for certain: a job named it, or it was read.
    is_known: bool,
    #[serde(default)]
    was_read: bool,
    /// Whether this object needs no more readings.
    #[serde(default)]
    is_settled: bool,
    /// The number of the last reading of this object.
    #[serde(default)]
    last_reading: u32,
    /// Since when the object is broken, or not found.
    #[serde(default)]
    broken_since: Option<Duration>,
    #[serde(default)]
    missing_since: Option<Duration>,
}

/// What the wait does after a reading of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextReading {
    /// The wait is over.
    None,
    /// The next object is read at once.
    Now,
    /// The schedule chooses the delay, which has this maximum.
    Scheduled(Duration),
    /// An object must be read again after this delay, and until then there is nothing to read.
    After(Duration),
}

impl ObjectGoal {
    /// Returns the goal of a policy. Without another goal, objects must be ready.
    pub(super) fn from_policy(policy: &WaitPolicy) -> Self {
        if policy.until == Until::Gone { Self::Gone } else { Self::Ready }
    }

    pub(super) const fn until(self) -> Until {
        match self {
            Self::Ready => Until::Ready,
            Self::Gone => Until::Gone,
        }
    }
}

impl ReadingObjects {
    /// Creates the state before the first reading. `goal` is that of the objects, which are deleted by
    /// the job if `are_deleted` is set. `subject` is the type of the job, or the kind of the object.
    pub(super) fn new(
        job: EndedJob,
        objects: impl IntoIterator<Item = ObjectId>,
        (goal, are_deleted): (ObjectGoal, bool),
        subject: impl Into<String>,
        since: Duration,
    ) -> Self {
        let is_known = job != EndedJob::None;
        let objects = objects.into_iter().map(|id| WatchedObject {
            status: ObjectStatus::new(id),
            is_known,
            was_read: false,
            is_settled: false,
            last_reading: 0,
            broken_since: None,
            missing_since: None,
        });
        Self {
            job,
            are_deleted,
            goal,
            since,
            readings: 0,
            subject: subject.into(),
            current: 0,
            objects: objects.collect(),
            observed: None,
        }
    }

    /// Reads a stored state. Returns an error if it has no current object.
    pub(super) fn deserialize_boxed<'de, D>(deserializer: D) -> Result<Box<Self>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let stored = Box::<Self>::deserialize(deserializer)?;
        if stored.current < stored.objects.len() {
            Ok(stored)
        } else {
            Err(D::Error::custom("`current` is not the index of an object"))
        }
    }

    /// Returns the state before the first reading of the same objects.
    pub(super) fn restarted(&self) -> Self {
        let ids = self.objects.iter().map(|object| object.status.id.clone());
        let goal = (self.goal, self.are_deleted);
        Self::new(EndedJob::None, ids, goal, self.subject.clone(), self.since)
    }

    /// Returns the state that each object must reach under this policy.
    pub(super) fn goal(&self, policy: &WaitPolicy) -> ObjectGoal {
        if self.are_deleted { ObjectGoal::Gone } else { ObjectGoal::from_policy(policy) }
    }

    /// Takes over the goal of the policy. If it has changed, no object is settled any more.
    pub(super) fn update_goal(&mut self, policy: &WaitPolicy) -> ObjectGoal {
        let goal = self.goal(policy);
        if goal != self.goal {
            self.goal = goal;
            for object in &mut self.objects {
                object.is_settled = false;
                (object.broken_since, object.missing_since) = (None, None);
            }
        }
        goal
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = &ObjectStatus> {
        self.objects.iter().map(|object| &object.status)
    }

    pub(super) fn current(&self) -> &ObjectStatus {
        &self.objects[self.current].status
    }

    /// Returns whether an object was read in this wait.
    pub(super) fn was_any_read(&self) -> bool {
        self.objects.iter().any(|object| object.was_read)
    }

    /// Returns whether the object that is read now exists for certain.
    pub(super) fn is_current_known(&self) -> bool {
        self.objects[self.current].is_known
    }

    /// Records a reading of the current object.
    pub(super) fn record_reading(&mut self, now: Duration, object: ObjectSnapshot) {
        self.readings = self.readings.saturating_add(1);
        let (goal, readings) = (self.goal, self.readings);
        let current = &mut self.objects[self.current];
        let is_broken = object.state == ObjectState::Broken;
        current.broken_since = is_broken.then(|| current.broken_since.unwrap_or(now));
        current.missing_since = None;
        (current.is_known, current.was_read, current.last_reading) = (true, true, readings);
        let is_broken_for = current.broken_since.map(|since| now.saturating_sub(since));
        current.is_settled = goal == ObjectGoal::Ready
            && (object.state == ObjectState::Ready || is_broken_for >= Some(BROKEN_FOR));
        current.status.update(object);
        self.observe(now);
    }

    /// Records that the service does not find the current object, which is known to exist.
    pub(super) fn record_missing(&mut self, policy: &WaitPolicy, now: Duration) {
        self.readings = self.readings.saturating_add(1);
        let (goal, readings) = (self.goal, self.readings);
        let current = &mut self.objects[self.current];
        // A new object may not be known to every replica yet.
        let is_new = goal == ObjectGoal::Ready && !current.was_read;
        let grace = if is_new { policy.not_found_grace } else { Duration::ZERO };
        let missing_for = current.missing_since.map(|since| now.saturating_sub(since));
        current.is_settled = missing_for >= Some(grace.max(GONE_FOR));
        current.missing_since = current.missing_since.or(Some(now));
        current.broken_since = None;
        current.last_reading = readings;
        current.status.set_gone();
        self.observe(now);
    }

    /// Records whether the last reading has left the wait incomplete.
    fn observe(&mut self, now: Duration) {
        if !self.objects[self.current].is_settled {
            let age = now.saturating_sub(self.since);
            self.observed = Some((self.observed.map_or(age, |(from, _)| from), age));
        }
    }

    /// Returns when the next object is read, after a reading of the current one.
    ///
    /// The wait ends when all objects are settled. After a reading of an object that is not done, the
    /// next reading is delayed. After a reading of one that is done, the next object is read at once.
    pub(super) fn next_reading(&self, policy: &WaitPolicy, now: Duration) -> NextReading {
        let is_pausing =
            |object: &WatchedObject| self.goal == ObjectGoal::Gone && object.is_missing();
        if self.open().next().is_none() || (policy.fail_fast && self.has_failed()) {
            return NextReading::None;
        }
        let due_in = self.open().filter_map(|object| object.due_at(self.goal)).min();
        let due_in = due_in.map(|at| at.saturating_sub(now));
        let current = &self.objects[self.current];
        match due_in {
            Some(Duration::ZERO) => NextReading::Now,
            Some(due_in) if self.open().all(is_pausing) => NextReading::After(due_in),
            _ if current.is_settled || is_pausing(current) => NextReading::Now,
            due_in => NextReading::Scheduled(due_in.unwrap_or(Duration::MAX)),
        }
    }

    /// Chooses the object that is read now: one whose state is due to be confirmed, or else the one
    /// that was not read for the longest time.
    pub(super) fn choose_current(&mut self, now: Duration) {
        let rank = |object: &WatchedObject| match object.due_at(self.goal) {
            Some(at) if at <= now => (0, object.last_reading),
            // Its next reading comes when it is due.
            Some(_) if self.goal == ObjectGoal::Gone => (2, object.last_reading),
            _ => (1, object.last_reading),
        };
        let open = self.objects.iter().enumerate().filter(|(_, object)| !object.is_settled);
        let next = open.min_by_key(|(_, object)| rank(object));
        self.current = next.map_or(self.current, |(index, _)| index);
    }

    fn open(&self) -> impl Iterator<Item = &WatchedObject> {
        self.objects.iter().filter(|object| !object.is_settled)
    }

    /// Returns whether an object has settled in another state than that of the goal.
    pub(super) fn has_failed(&self) -> bool {
        let goal = self.goal.until().object_state();
        self.objects.iter().any(|object| object.is_settled && object.status.state != goal)
    }

    /// Returns the worst state of the objects that are settled.
    pub(super) fn result(&self) -> ObjectState {
        let has = |state| {
            let mut settled = self.objects.iter().filter(|object| object.is_settled);
            settled.any(|object| object.status.state == Some(state))
        };
        match self.goal {
            ObjectGoal::Gone => ObjectState::Gone,
            ObjectGoal::Ready if has(ObjectState::Broken) => ObjectState::Broken,
            ObjectGoal::Ready if has(ObjectState::Gone) => ObjectState::Gone,
            ObjectGoal::Ready => ObjectState::Ready,
        }
    }

    /// Returns the name under which the schedule learns how long this takes, such as
    /// `CreateCluster:ready`.
    pub(super) fn history_key(&self) -> String {
        format!("{}:{}", self.subject, self.goal.until())
    }

    /// Returns what the wait observed of the objects, for a [`History`](crate::schedule::History).
    /// `ended_at` is the time of the reading that settled the last one.
    ///
    /// Returns `None` if the first readings settled all of them.
    pub(super) fn observation(&self, ended_at: Option<Duration>) -> Option<JobObservation> {
        let (from, last) = self.observed?;
        let until = ended_at.map_or(last, |at| {
            let age = at.saturating_sub(self.since).max(last);
            last + (age - last) / 2
        });
        Some(JobObservation::new(self.history_key(), from, until, ended_at.is_some()))
    }

    /// Returns the status of each object, to change it.
    pub(super) fn statuses_mut(&mut self) -> impl Iterator<Item = &mut ObjectStatus> {
        self.objects.iter_mut().map(|object| &mut object.status)
    }

    /// Forgets what was observed, because it has been reported.
    pub(super) fn forget_observations(&mut self) {
        self.observed = None;
        if let EndedJob::Succeeded(job) = &mut self.job {
            job.observation = None;
        }
    }
}

impl WatchedObject {
    /// Returns whether the last reading did not find the object.
    const fn is_missing(&self) -> bool {
        self.missing_since.is_some()
    }

    /// Returns when the object must be read again to confirm that it is broken, or gone.
    fn due_at(&self, goal: ObjectGoal) -> Option<Duration> {
        match goal {
            ObjectGoal::Gone => Some(self.missing_since?.saturating_add(GONE_FOR)),
            ObjectGoal::Ready => Some(self.broken_since?.saturating_add(BROKEN_FOR)),
        }
    }
}

/// How long an object must be broken until the wait ends. The service repairs some objects itself.
const BROKEN_FOR: Duration = Duration::from_secs(2 * 60);

/// How long an object must not be found until it is gone.
const GONE_FOR: Duration = Duration::from_secs(10);
