//! Why a wait stopped before its job ended, in one word.

/// Why a wait stopped, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitErrorKind {
    /// The timeout passed, too little of it is left for another attempt, or the service asks to
    /// wait beyond it. Wait on, with a longer timeout.
    DeadlineExceeded,
    /// The credentials were not accepted. Fix them.
    Unauthorized,
    /// The service knows no such job. Check the job id, the project and the region.
    NotFound,
    /// The service knew the job and does not any more; whether it succeeded is not known. Check for
    /// what it was to make.
    Vanished,
    /// The service answers with another job. Check what stands between here and the service.
    Mismatch,
    /// The service's replies are no job. Check the address, and what stands between.
    Unreadable,
    /// There is no such host, or it accepts no connection. Check the address.
    Unreachable,
    /// A permanent error, such as a certificate that is not accepted. Read the error.
    Permanent,
    /// As many errors in a row as the policy allows. Read the error.
    TooManyErrors,
    /// Nothing of the job changes any more. Check the job.
    Stalled,
    /// The caller stopped the wait. Resume it.
    Stopped,
}

impl WaitErrorKind {
    /// Returns the kind in one word, as in JSON and notifications.
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
            Self::Permanent => "permanent",
            Self::TooManyErrors => "too_many_errors",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
        }
    }
}
