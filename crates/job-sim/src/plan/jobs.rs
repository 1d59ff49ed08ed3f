//! The jobs of a simulation, found by their ids and by the ids of their sub-jobs, and the clusters that they
//! belong to. Reads no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use job_model::{Job, Phase};

use super::{Plan, node_id, time_source::TimeSource};

/// The jobs of one simulation.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Vec<Entry>,
    /// Where each job or sub-job is: its job, and its number in that.
    by_id: BTreeMap<String, (usize, u32)>,
    /// The name of each cluster, by its id.
    clusters: BTreeMap<String, String>,
    /// How many clusters or groups of nodes were created: no id is given twice.
    created_count: u32,
    /// Each node's id, after its cluster's.
    nodes: BTreeSet<(String, String)>,
}

#[derive(Debug)]
struct Entry {
    plan: Plan,
    /// When it was created, since the simulation was.
    created: Duration,
    readings: u32,
    /// How many of its readings had its end.
    final_readings: u32,
}

impl Jobs {
    /// Returns the number of the job that is added next.
    pub(crate) fn next_number(&self) -> u32 {
        u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)
    }

    /// Adds a job, which is created at this time; returns its id.
    pub(crate) fn add(&mut self, plan: Plan, created: Duration) -> String {
        let position = self.jobs.len();
        let plan = plan.number(self.next_number());
        self.by_id.extend(plan.ids().zip(0..).map(|(id, index)| (id, (position, index))));
        let id = plan.ids().next().unwrap_or_default();
        self.jobs.push(Entry { plan, created, readings: 0, final_readings: 0 });
        id
    }

    /// Returns a job or a sub-job as it is, or, on a stale replica, as it was `lag` before. With
    /// [`TimeSource::PerRequest`], a reading of the job itself moves it on; one of a sub-job does not.
    pub(crate) fn read(
        &mut self,
        id: &str,
        time_source: TimeSource,
        start_time: Timestamp,
        elapsed: Duration,
        lag: Duration,
    ) -> Option<Job> {
        let (position, index) = *self.by_id.get(id)?;
        let entry = self.jobs.get_mut(position)?;
        let age = match time_source {
            TimeSource::Clock => elapsed.saturating_sub(entry.created),
            TimeSource::PerRequest(step) => {
                let before = entry.readings.saturating_sub(u32::from(index > 0));
                step.saturating_mul(before)
            }
        };
        let created = SignedDuration::try_from(entry.created).unwrap_or(SignedDuration::MAX);
        let created = start_time.saturating_add(created).unwrap_or(Timestamp::MAX);
        let job = entry.plan.find_at(created, age.saturating_sub(lag), index);
        if index == 0 {
            let has_ended = job.as_ref().and_then(Job::phase).is_some_and(Phase::is_terminal);
            entry.readings = entry.readings.saturating_add(1);
            entry.final_readings = entry.final_readings.saturating_add(u32::from(has_ended));
        }
        job
    }

    /// Returns how often a job was read, and how often it had ended by then.
    pub(crate) fn readings(&self, id: &str) -> Option<(u32, u32)> {
        let entry = self.jobs.get(self.by_id.get(id)?.0)?;
        Some((entry.readings, entry.final_readings))
    }

    /// Adds a cluster under a name that no other has, and returns its id.
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

    /// Adds so many nodes to a cluster, at most a thousand, and returns their numbers.
    pub(crate) fn add_nodes(&mut self, cluster: &str, count: u32) -> Range<u32> {
        self.created_count = self.created_count.saturating_add(1);
        let first = self.created_count.saturating_mul(1_000).saturating_add(1);
        let numbers = first..first.saturating_add(count);
        let ids = numbers.clone().map(|number| (cluster.to_owned(), node_id(number)));
        self.nodes.extend(ids);
        numbers
    }

    /// Removes a node; returns whether it was there.
    pub(crate) fn remove_node(&mut self, cluster: &str, node: &str) -> bool {
        self.nodes.remove(&(cluster.to_owned(), node.to_owned()))
    }

    pub(crate) fn remove_cluster(&mut self, id: &str) -> Option<String> {
        self.clusters.remove(id)
    }
}
