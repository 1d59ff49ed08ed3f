//! The state of a wait: polling, settling, looking up sub-jobs, or reading objects.

use serde::{Deserialize, Serialize};

use super::{
    reading_objects::{EndedJob, ReadingObjects},
    settling::Settling,
    sub_job_lookup::Lookup,
};

/// The state of a wait. The other fields of a [`Machine`](super::Machine) apply to all states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum State {
    /// The job was not read yet, or it is still active.
    Polling,
    /// The job is `Success` while sub-jobs are still active.
    Settling(Box<Settling>),
    /// The job has ended, and sub-jobs that its reply does not show in full are looked up.
    LookingUp(Box<Lookup>),
    /// The job has ended, or there is none, and the clusters or nodes are read that it makes or
    /// deletes.
    ReadingObjects(
        #[serde(deserialize_with = "ReadingObjects::deserialize_boxed")] Box<ReadingObjects>,
    ),
}

impl State {
    pub(super) fn settling(&self) -> Option<&Settling> {
        match self {
            Self::Settling(settling) => Some(settling),
            Self::Polling | Self::LookingUp(_) | Self::ReadingObjects(_) => None,
        }
    }

    #[cfg(any(feature = "tokio", test))]
    pub(super) fn lookup(&self) -> Option<&Lookup> {
        match self {
            Self::LookingUp(lookup) => Some(lookup),
            Self::Polling | Self::Settling(_) | Self::ReadingObjects(_) => None,
        }
    }

    pub(super) fn objects(&self) -> Option<&ReadingObjects> {
        match self {
            Self::ReadingObjects(objects) => Some(objects),
            Self::Polling | Self::Settling(_) | Self::LookingUp(_) => None,
        }
    }

    /// Returns the job that has ended, with the sub-jobs that were looked up, unless it is still
    /// polled.
    pub(super) fn ended(&self) -> Option<&Lookup> {
        match self {
            Self::LookingUp(lookup) => Some(lookup),
            Self::ReadingObjects(objects) => match &objects.job {
                EndedJob::Succeeded(lookup) => Some(lookup),
                EndedJob::None | EndedJob::Gone { .. } => None,
            },
            Self::Polling | Self::Settling(_) => None,
        }
    }
}
