//! The classes of errors, by how a caller should react.

use serde::{Deserialize, Serialize};

/// How a caller should react to a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "a caller that retries must decide for each class")]
pub enum ErrorClass {
    /// The error is temporary: try again.
    Transient,
    /// The service received too many requests: try again later.
    Throttled,
    /// The credentials were not accepted.
    Unauthorized,
    /// The job does not exist, or does not exist yet.
    NotFound,
    /// The next attempt will fail in the same way.
    Permanent,
}
