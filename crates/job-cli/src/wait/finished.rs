//! The result of a wait, and the data that the outputs need.

use std::{cell::OnceCell, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use job_model::{Job, JobId};
use job_poller::{
    Checkpoint, Event, FinishedJob, WaitError, WaitErrorKind, machine::ObjectStatus,
    schedule::JobObservation,
};
use job_transport::JobSnapshot;

use crate::exit::Exit;

/// A finished wait.
pub(crate) struct Finished {
    pub(crate) id: JobId,
    pub(crate) index: usize,
    pub(crate) result: Result<FinishedJob, WaitError>,
    /// The checkpoint to resume from. If the job has ended, a resumed wait reads the job once more.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The job as last read, if it has not ended and [`job`](Self::job) was called.
    pub(crate) decoded: OnceCell<Option<Box<Job>>>,
    /// The service's time when the wait began, if it is known.
    pub(crate) started_at: Option<Timestamp>,
    /// How long before the end of the wait the job was last read, if the last attempt failed and this
    /// command has read the job.
    pub(crate) unread_for: Option<Duration>,
    pub(crate) log: Vec<(Duration, Event)>,
}

impl Finished {
    /// Returns the exit code for this wait alone; `None` if the command stopped it.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match &self.result {
            Ok(ended) => Some(Exit::from(ended)),
            Err(error) if error.kind() == WaitErrorKind::Stopped => None,
            Err(error) => Some(Exit::from(error)),
        }
    }

    /// Returns the job as last read; `None` if it was never read. Decodes a job that has not ended,
    /// so call it only if the job is needed: a signal stops all waits at once.
    pub(crate) fn job(&self) -> Option<&Job> {
        match &self.result {
            Ok(ended) => (!ended.has_no_job()).then_some(&*ended.job),
            Err(error) => self.decoded.get_or_init(|| error.job()).as_deref(),
        }
    }

    /// Whether the job was read. Decodes nothing.
    pub(crate) fn was_read(&self) -> bool {
        match &self.result {
            Ok(ended) => !ended.has_no_job(),
            Err(error) => error.snapshot().is_some(),
        }
    }

    /// Whether the wait was for a cluster or a node, without a job.
    pub(crate) fn has_no_job(&self) -> bool {
        match &self.result {
            Ok(ended) => ended.has_no_job(),
            Err(error) => error.checkpoint().machine().has_no_job(),
        }
    }

    /// Whether the job was read and had not ended.
    pub(crate) fn is_job_running(&self) -> bool {
        let Err(error) = &self.result else { return false };
        // While objects are read, the job has ended, or the service has deleted it.
        let is_polled = !error.checkpoint().machine().is_reading_objects();
        is_polled && error.snapshot().is_some_and(|last| !last.digest().is_terminal())
    }

    /// Returns the clusters and nodes as last read.
    pub(crate) fn objects(&self) -> Vec<&ObjectStatus> {
        match &self.result {
            Ok(ended) => ended.objects.iter().collect(),
            Err(error) => error.objects().collect(),
        }
    }

    /// Returns the number of requests that read the job or its objects.
    pub(crate) fn attempts(&self) -> u32 {
        match &self.result {
            Ok(ended) => ended.attempts.saturating_add(ended.object_readings),
            Err(error) => error.requests(),
        }
    }

    /// Returns the body of the last accepted reply; empty if the job was never read.
    pub(crate) fn body(&self) -> Bytes {
        let snapshot = match &self.result {
            Ok(ended) => Some(&ended.snapshot),
            Err(error) => error.snapshot(),
        };
        snapshot.map(JobSnapshot::text).unwrap_or_default()
    }

    /// Returns the observations of the job and of its objects to add to the history.
    pub(crate) fn observations(&self) -> impl Iterator<Item = JobObservation> {
        let observations = match &self.result {
            Ok(ended) => [ended.observation.clone(), ended.object_observation.clone()],
            Err(error) => [error.observation(), error.object_observation()],
        };
        observations.into_iter().flatten()
    }
}
