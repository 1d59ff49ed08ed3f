//! What a wait waits for: the end of the job, or the state of what the job makes or deletes.

use std::fmt;

use job_model::object::ObjectState;
use serde::{Deserialize, Serialize};

/// What a wait waits for.
///
/// An *object* is a cluster or a node. A job that ended does not mean that its object can be used: the
/// cluster may need some more time until it is `Available`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a driver handles each goal")]
pub enum Until {
    /// The job has ended. This is the default.
    #[default]
    Ended,
    /// The job has succeeded, and each object that it names is ready.
    ///
    /// If the job deletes objects, the wait is until they are gone.
    Ready,
    /// The job has succeeded, and each object that it names is gone.
    Gone,
}

impl Until {
    /// Returns the goal as one word, as used in JSON and by `cce-job wait --until`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Ready => "ready",
            Self::Gone => "gone",
        }
    }

    /// Returns whether one wait can have both goals: it goes on after the end of the job if one of them
    /// needs that. An object cannot become ready and gone at once.
    pub(crate) fn agrees_with(self, other: Self) -> bool {
        self == other || self == Self::Ended || other == Self::Ended
    }

    /// Returns the state that each object must reach, or `None` if no object is read.
    #[must_use]
    pub const fn object_state(self) -> Option<ObjectState> {
        match self {
            Self::Ended => None,
            Self::Ready => Some(ObjectState::Ready),
            Self::Gone => Some(ObjectState::Gone),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
