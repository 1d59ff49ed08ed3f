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

impl ErrorClass {
    /// Returns the class as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Permanent => "permanent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_stable_word() {
        let rows = [
            (ErrorClass::Transient, "transient"),
            (ErrorClass::Throttled, "throttled"),
            (ErrorClass::Unauthorized, "unauthorized"),
            (ErrorClass::NotFound, "not_found"),
            (ErrorClass::Permanent, "permanent"),
        ];
        for (class, word) in rows {
            assert_eq!(class.as_str(), word);
        }
    }
}
