//! Reduces a stored machine to what its decisions depend on.

use std::hash::{DefaultHasher, Hash, Hasher};

use job_model::{Deviation, Job, job::Metadata};
use job_transport::JobSnapshot;
use serde::{Deserialize, Serialize};

use super::{
    Machine,
    attempt_error::AttemptError,
    named_objects::names_objects_in_steps,
    object_status::{ObjectStatus, shortened},
    reading_objects::EndedJob,
    state::State,
    sub_job_lookup::Lookup,
    until::Until,
};

/// Hashes of a reading, to detect that the next one shows no change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ReadingHashes {
    tree: u64,
    deviations: u64,
}

impl ReadingHashes {
    fn new(reading: &JobSnapshot) -> Self {
        let tree = reading.digest().tree_hash();
        Self { tree, deviations: hash_deviations(reading.deviations()) }
    }

    /// Whether the reading has the same tree of sub-jobs.
    pub(super) fn has_tree_of(&self, reading: &JobSnapshot) -> bool {
        self.tree == reading.digest().tree_hash()
    }

    /// Whether the reading has the same deviations.
    pub(super) fn has_deviations_of(&self, reading: &JobSnapshot) -> bool {
        self.deviations == hash_deviations(reading.deviations())
    }
}

fn hash_deviations(deviations: &[Deviation]) -> u64 {
    let mut hasher = DefaultHasher::new();
    deviations.hash(&mut hasher);
    hasher.finish()
}

impl Machine {
    /// Removes what does not change the outcome: most of the job, long texts, and observations.
    pub(super) fn reduced(mut self) -> Self {
        let is_settling = self.state.settling().is_some();
        let is_for_objects = self.policy.until != Until::Ended;
        if let (Some(snapshot), None) = (&self.snapshot, &self.reduced_from) {
            self.reduced_from = Some(Box::new(ReadingHashes::new(snapshot)));
        }
        self.snapshot = self.snapshot.take().map(|snapshot| {
            let job = snapshot.job();
            // The last reading of a job that settles may be the result.
            let keeps_steps = is_settling || (is_for_objects && names_objects_in_steps(job));
            JobSnapshot::from(reduced_job(job, keeps_steps))
        });
        match &mut self.state {
            State::LookingUp(lookup) => reduce_lookup(lookup, true),
            State::ReadingObjects(objects) => {
                objects.forget_observations();
                objects.statuses_mut().for_each(reduce_status);
                if let EndedJob::Succeeded(lookup) = &mut objects.job {
                    reduce_lookup(lookup, false);
                }
            }
            State::Polling | State::Settling(_) => {}
        }
        self.observed_from = None;
        if let Some(errors) = &mut self.recent_errors {
            reduce_error(&mut errors.last);
        }
        self
    }
}

fn reduce_lookup(lookup: &mut Lookup, keeps_steps: bool) {
    lookup.observation = None;
    lookup.job = reduced_job(&lookup.job, keeps_steps).into();
}

fn reduce_error(error: &mut AttemptError) {
    error.request_id = None;
    error.message = shortened(&error.message, MAX_TEXT_LEN);
}

/// Shortens the texts of a status, and removes the addresses of a cluster, which its next reading has.
fn reduce_status(status: &mut ObjectStatus) {
    status.endpoints.clear();
    for text in [&mut status.reason, &mut status.message].into_iter().flatten() {
        *text = shortened(text, MAX_TEXT_LEN);
    }
}

/// The maximum length of a text for people, in bytes.
const MAX_TEXT_LEN: usize = 160;

/// Returns a job with the type, the phase and the ids of what it makes or deletes. If `keeps_steps`
/// is set, its steps are kept in the same form.
fn reduced_job(job: &Job, keeps_steps: bool) -> Job {
    let mut reduced = job.summary();
    if let Some(metadata) = &mut reduced.metadata {
        metadata.uid = None;
    }
    // A later reading with an earlier time of update is stale.
    reduced.metadata = reduced.metadata.take().filter(|metadata| *metadata != Metadata::default());
    reduce_texts(&mut reduced);
    if keeps_steps {
        reduced = reduced.with_sub_jobs(job.sub_jobs().iter().map(reduced_step));
    }
    reduced
}

fn reduced_step(step: &Job) -> Job {
    let mut reduced = step.summary();
    if let Some(metadata) = &mut reduced.metadata {
        (metadata.creation_timestamp, metadata.update_timestamp) = (None, None);
    }
    reduce_texts(&mut reduced);
    match step.sub_jobs() {
        [] => reduced,
        steps => reduced.with_sub_jobs(steps.iter().map(reduced_step)),
    }
}

/// Removes what only people read.
fn reduce_texts(job: &mut Job) {
    if let Some(spec) = &mut job.spec {
        (spec.resource_name, spec.owner_job) = (None, None);
    }
    if let Some(status) = &mut job.status {
        (status.reason, status.message, status.completion_time) = (None, None, None);
    }
}
