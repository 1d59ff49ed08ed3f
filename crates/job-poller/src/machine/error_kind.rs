//! Why a wait stopped before its job ended.

use serde::{Deserialize, Serialize};

/// Why a wait stopped, and what to do about it.
///
/// Serialized as one word, which is [`as_str`](Self::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitErrorKind {
    /// The timeout has passed, too little time is left for another attempt, or the service asks to
    /// wait beyond the deadline. Resume with a longer timeout.
    DeadlineExceeded,
    /// The service rejected the credentials. Fix them and resume.
    Unauthorized,
    /// The service did not find the job. Check the job id, the project and the region.
    NotFound,
    /// The service no longer finds the job, so it is unknown whether the job succeeded. Check
    /// whether the resource exists that the job creates or deletes.
    Vanished,
    /// The service returned a different job. Check proxies and gateways between the client and the
    /// service.
    Mismatch,
    /// The replies with status 200 are not a job. Check the endpoint and any proxy in between.
    Unreadable,
    /// The service sent no reply for two minutes, and the job was never read. See the last error,
    /// and check the endpoint, the proxy and TLS.
    Unreachable,
    /// The job has succeeded, or there is none, and a cluster or a node was not ready at the deadline.
    /// Resume with a longer timeout.
    NotReady,
    /// The job has succeeded, but it does not name each cluster or node that it concerns, so it is
    /// unknown whether they are ready. Wait for the objects by their own ids.
    NoObject,
    /// A permanent error occurred, such as a rejected certificate. See the last error.
    Permanent,
    /// The number of errors in a row reached the policy's limit. See the last error.
    TooManyErrors,
    /// The job has made no progress. Check the job.
    Stalled,
    /// The caller stopped the wait. Resume it to continue.
    Stopped,
}

impl WaitErrorKind {
    /// Returns the kind as one word, as used in JSON and notifications.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Vanished => "vanished",
            Self::Mismatch => "mismatch",
            Self::Unreadable => "unreadable",
            Self::Unreachable => "unreachable",
            Self::NotReady => "not_ready",
            Self::NoObject => "no_object",
            Self::Permanent => "permanent",
            Self::TooManyErrors => "too_many_errors",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WaitErrorKind::*;
    use super::*;

    #[test]
    fn each_kind_has_a_stable_word() {
        let rows: [(WaitErrorKind, &str); 13] = [
            (DeadlineExceeded, "deadline_exceeded"),
            (Unauthorized, "unauthorized"),
            (NotFound, "not_found"),
            (Vanished, "vanished"),
            (Mismatch, "mismatch"),
            (Unreadable, "unreadable"),
            (Unreachable, "unreachable"),
            (NotReady, "not_ready"),
            (NoObject, "no_object"),
            (Permanent, "permanent"),
            (TooManyErrors, "too_many_errors"),
            (Stalled, "stalled"),
            (Stopped, "stopped"),
        ];
        for (kind, word) in rows {
            assert_eq!(kind.as_str(), word);
            let json = format!("\"{word}\"");
            assert_eq!(serde_json::to_string(&kind).unwrap(), json);
            assert_eq!(serde_json::from_str::<WaitErrorKind>(&json).unwrap(), kind);
        }
        assert!(serde_json::from_str::<WaitErrorKind>("\"bored\"").is_err());
    }
}
