//! What a wait is doing: polling, settling, or looking up sub-jobs.

use serde::{Deserialize, Serialize};

use super::{settling::Settling, sub_job_lookup::Lookup};

/// What a wait is doing. The rest of a [`Machine`](super::Machine) is common to all states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum State {
    /// The job was not read yet, or it goes on.
    Polling,
    /// The job is `Success`, and sub-jobs of it go on.
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
