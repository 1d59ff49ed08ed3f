//! How to react to an attempt without a reading.

use serde::{Deserialize, Serialize};

/// What an attempt that gave no job means for asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who decides whether to ask again must decide for each"
)]
pub enum ErrorClass {
    /// It may well pass: ask again.
    Transient,
    /// Too many requests: ask again, later.
    Throttled,
    /// The credentials are not accepted.
    Unauthorized,
    /// There is no such job, or not yet.
    NotFound,
    /// The next answer will be the same.
    Permanent,
}
