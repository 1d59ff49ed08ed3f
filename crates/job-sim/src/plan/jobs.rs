//! Stores the jobs of a simulation, and the clusters and nodes that they create. Reads no clock.

mod object_progress;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use job_model::{Job, Phase};

use super::{
    Plan,
    list_row::ListRow,
    node_id,
    objects::Objects,
    time_source::{Moment, TimeSource},
};

/// The jobs of one simulation.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Vec<JobEntry>,
    /// The index of the job in `jobs`, and the number of the sub-job, by id.
    by_id: BTreeMap<String, (usize, u32)>,
    /// The name of each cluster by id.
    clusters: BTreeMap<String, String>,
    /// The number of clusters and groups of nodes created so far. It makes their ids unique.
    created_count: u32,
    /// The nodes, as pairs of cluster id and node id.
    nodes: BTreeSet<(String, String)>,
    /// What clients read of the clusters and nodes.
    pub(crate) objects: Objects,
    /// How long after its end a job is kept; for ever by default.
    pub(crate) retention: Option<Duration>,
}

#[derive(Debug)]
struct JobEntry {
    id: String,
    plan: Plan,
    /// When the job was created, as the time since the simulation's creation. It is negative if the
    /// job is older.
    created: SignedDuration,
    /// The age that the job has at its first reading with [`TimeSource::PerRequest`].
    initial_age: Duration,
    readings: u32,
    /// The number of readings that showed the job's end.
    final_readings: u32,
}

impl JobEntry {
    /// Returns the age of the job that the next reading of the job, or of its sub-job `index`, shows.
    /// Returns `None` if the job is created later.
    fn age(&self, moment: &Moment, index: u32) -> Option<Duration> {
        match moment.time_source {
            TimeSource::Clock => {
                signed(moment.elapsed).saturating_sub(self.created).try_into().ok()
            }
            TimeSource::PerRequest(step) => {
                let before = self.readings.saturating_sub(u32::from(index > 0));
                Some(step.saturating_mul(before).saturating_add(self.initial_age))
            }
        }
    }

    /// Returns the age of the job as the last reading showed it, or its current age by the clock.
    fn shown_age(&self, moment: &Moment) -> Duration {
        match moment.time_source {
            TimeSource::Clock => self.age(moment, 0).unwrap_or_default(),
            TimeSource::PerRequest(step) => {
                let before = self.readings.saturating_sub(1);
                step.saturating_mul(before).saturating_add(self.initial_age)
            }
        }
    }

    /// Returns whether the service no longer has a job of this age.
    fn is_forgotten(&self, age: Duration, retention: Option<Duration>) -> bool {
        let kept = retention.map(|retention| self.plan.duration().saturating_add(retention));
        kept.is_some_and(|kept| age >= kept)
    }
}

/// Returns the point in time that is this long after the simulation's creation.
fn since_creation(moment: &Moment, span: SignedDuration) -> Timestamp {
    moment.start_time.saturating_add(span).unwrap_or(moment.start_time)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl Jobs {
    /// Returns the number of the next job to be added.
    pub(crate) fn next_number(&self) -> u32 {
        u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)
    }

    /// Adds a job with this creation time, and returns its id.
    pub(crate) fn add(&mut self, plan: Plan, created: Duration) -> String {
        self.insert(plan, signed(created), Duration::ZERO)
    }

    /// Adds a job that ended `ended` before `elapsed`, and returns its id.
    pub(crate) fn add_finished(
        &mut self,
        plan: Plan,
        elapsed: Duration,
        ended: Duration,
    ) -> String {
        let age = plan.duration().saturating_add(ended);
        self.insert(plan, signed(elapsed).saturating_sub(signed(age)), age)
    }

    fn insert(&mut self, plan: Plan, created: SignedDuration, initial_age: Duration) -> String {
        let position = self.jobs.len();
        let plan = plan.number(self.next_number());
        self.by_id.extend(plan.ids().zip(0..).map(|(id, index)| (id, (position, index))));
        let id = plan.ids().next().unwrap_or_default();
        self.objects.add_for_job(plan.objects(), position, created);
        let entry =
            JobEntry { id: id.clone(), plan, created, initial_age, readings: 0, final_readings: 0 };
        self.jobs.push(entry);
        id
    }

    /// Returns the current state of a job or sub-job, or its state `lag` ago for a stale replica.
    /// With [`TimeSource::PerRequest`], each reading of the job advances it; readings of sub-jobs
    /// do not. Returns `None` if the service has forgotten the job.
    pub(crate) fn read(&mut self, id: &str, moment: &Moment, lag: Duration) -> Option<Job> {
        let (position, index) = *self.by_id.get(id)?;
        let entry = self.jobs.get_mut(position)?;
        let age = entry.age(moment, index).unwrap_or_default().saturating_sub(lag);
        let created = since_creation(moment, entry.created);
        let is_forgotten = entry.is_forgotten(age, self.retention);
        let job = entry.plan.find_at(created, age, index).filter(|_| !is_forgotten);
        if index == 0 {
            let has_ended = job.as_ref().and_then(Job::phase).is_some_and(Phase::is_terminal);
            entry.readings = entry.readings.saturating_add(1);
            entry.final_readings = entry.final_readings.saturating_add(u32::from(has_ended));
        }
        job
    }

    /// Returns the rows of the list of jobs as they were `lag` before the moment, in the order in which
    /// the jobs were added. The job `stuck` is running for ever. Does not count as a reading.
    pub(crate) fn list(
        &self,
        moment: Moment,
        lag: Duration,
        is_stuck: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = ListRow> {
        self.jobs.iter().filter_map(move |entry| {
            let age = match moment.time_source {
                TimeSource::Clock => {
                    entry.age(&Moment { elapsed: moment.elapsed.checked_sub(lag)?, ..moment }, 0)?
                }
                TimeSource::PerRequest(_) => entry.age(&moment, 0)?.saturating_sub(lag),
            };
            if entry.is_forgotten(age, self.retention) {
                return None;
            }
            let row = entry.plan.list_row_at(since_creation(&moment, entry.created), age);
            Some(if is_stuck(row.id()) { row.running() } else { row })
        })
    }

    /// Returns the number of readings of a job, and how many of them showed its end.
    pub(crate) fn readings(&self, id: &str) -> Option<(u32, u32)> {
        let entry = self.jobs.get(self.by_id.get(id)?.0)?;
        Some((entry.readings, entry.final_readings))
    }

    /// Adds a cluster and returns its id, or `None` if the name is taken.
    pub(crate) fn add_cluster(&mut self, name: &str) -> Option<String> {
        if self.clusters.values().any(|other| other == name) {
            return None;
        }
        self.created_count = self.created_count.saturating_add(1);
        let id = format!("{:08x}-229a-11e8-9c75-0255ac100c13", self.created_count);
        self.clusters.insert(id.clone(), name.into());
        Some(id)
    }

    pub(crate) fn cluster(&self, id: &str) -> Option<&str> {
        self.clusters.get(id).map(String::as_str)
    }

    /// Adds `count` nodes to a cluster, at most 1,000, and returns their numbers.
    pub(crate) fn add_nodes(&mut self, cluster: &str, count: u32) -> Range<u32> {
        self.created_count = self.created_count.saturating_add(1);
        let first = self.created_count.saturating_mul(1_000).saturating_add(1);
        let numbers = first..first.saturating_add(count);
        let ids = numbers.clone().map(|number| (cluster.to_owned(), node_id(number)));
        self.nodes.extend(ids);
        numbers
    }

    /// Removes a node. Returns `false` if there is no such node.
    pub(crate) fn remove_node(&mut self, cluster: &str, node: &str) -> bool {
        self.nodes.remove(&(cluster.to_owned(), node.to_owned()))
    }

    pub(crate) fn remove_cluster(&mut self, id: &str) -> Option<String> {
        self.clusters.remove(id)
    }
}
