//! The state of a wait: polling, settling, or looking up sub-jobs.

use serde::{Deserialize, Serialize};

use super::{settling::Settling, sub_job_lookup::Lookup};

/// The state of a wait. The other fields of a [`Machine`](super::Machine) apply to all states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum State {
    /// The job was not read yet, or it is still active.
    Polling,
    /// The job is `Success` while sub-jobs are still active.
    Settling(Box<Settling>),
    /// The job has ended, and sub-jobs that its reply does not show in full are looked up.
    LookingUp(Box<Lookup>),
}

impl State {
    pub(super) fn settling(&self) -> Option<&Settling> {
        match self {
            Self::Settling(settling) => Some(settling),
            Self::Polling | Self::LookingUp(_) => None,
        }
    }

    pub(super) fn lookup(&self) -> Option<&Lookup> {
        match self {
            Self::LookingUp(lookup) => Some(lookup),
            Self::Polling | Self::Settling(_) => None,
        }
    }
}
