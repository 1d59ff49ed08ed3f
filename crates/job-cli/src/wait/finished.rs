//! The result of a wait, with everything that is printed or saved of it.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use job_model::{Job, JobId};
use job_poller::{Checkpoint, Event, FinishedJob, JobObservation, WaitError, WaitErrorKind};

use crate::exit::Exit;

/// A wait that is over.
pub(crate) struct Finished {
    pub(crate) id: JobId,
    pub(crate) index: usize,
    pub(crate) result: Result<FinishedJob, WaitError>,
    /// What to go on from; of a job that has ended, what asks once more.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The job as last read.
    pub(crate) job: Option<Box<Job>>,
    pub(crate) body: Bytes,
    /// The service's time when the wait began, where it was told.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) log: Vec<(Duration, Event)>,
}

impl Finished {
    /// Returns the exit code that it would be alone; `None` where the command stopped it.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match &self.result {
            Ok(ended) => Some(Exit::from(&ended.outcome)),
            Err(error) if error.kind() == WaitErrorKind::Stopped => None,
            Err(error) => Some(Exit::from(error)),
        }
    }

    /// Returns what was seen of the job's life.
    pub(crate) fn observation(&self) -> Option<JobObservation> {
        match &self.result {
            Ok(ended) => ended.observation.clone(),
            Err(error) => error.observation(),
        }
    }
}
