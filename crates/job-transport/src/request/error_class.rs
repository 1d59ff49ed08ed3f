//! How to react to an attempt without a reading.

use serde::{Deserialize, Serialize};

/// How to react to an attempt without a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "a caller that retries must decide for each class")]
pub enum ErrorClass {
    /// The error may pass: try again.
    Transient,
    /// There are too many requests: try again later.
    Throttled,
    /// The credentials are not accepted.
    Unauthorized,
    /// There is no such job, or not yet.
    NotFound,
    /// The next attempt will fail in the same way.
    Permanent,
}
