//! How many failed attempts of which kind end a wait.

use std::time::Duration;

use job_transport::{ErrorClass, FetchErrorKind, TransportErrorKind};
use serde::{Deserialize, Serialize};

use super::{attempt_error::AttemptError, error_kind::WaitErrorKind, policy::WaitPolicy};

/// The attempts that gave no job since the last one that did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorRun {
    /// How many, of any kind.
    count: u32,
    /// The kind of the last ones, how many of that kind there were in a row, and when the first was.
    category: ErrorCategory,
    same_category: u32,
    since: Duration,
}

/// The kinds that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ErrorCategory {
    Transient,
    NoConnection,
    NotFound,
    Permanent,
    WrongSignature,
    Unreadable,
    WrongJob,
}

/// `count` errors of a kind in a row, the last at least `over` after the first, end a wait as `ends_as`.
pub(super) struct Threshold {
    count: u32,
    over: Duration,
    pub(super) ends_as: WaitErrorKind,
}

impl ErrorRun {
    /// Adds an error to the run before it.
    pub(super) fn with_error(
        before: Option<&Self>,
        error: &AttemptError,
        is_proven: bool,
        elapsed: Duration,
    ) -> Self {
        let category = ErrorCategory::from_error(error);
        let count = before.map_or(0, |run| run.count).saturating_add(1);
        match before {
            Some(run) if !is_proven && run.survives(error) => Self { count, ..*run },
            Some(run) if run.category == category => {
                Self { count, same_category: run.same_category.saturating_add(1), ..*run }
            }
            _ => Self { count, category, same_category: 1, since: elapsed },
        }
    }

    /// Returns how many errors in a row there were, of any kind.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether there were enough errors of the kind, over a long enough time.
    pub(super) fn reaches(&self, threshold: &Threshold, elapsed: Duration) -> bool {
        self.same_category >= threshold.count
            && elapsed.saturating_sub(self.since) >= threshold.over
    }

    /// Returns whether an error of another kind does not interrupt this run: a job that is not known stays
    /// unknown while the service is in trouble, and a host that cannot be reached stays so while nothing
    /// answers.
    fn survives(&self, error: &AttemptError) -> bool {
        let is_transient = ErrorCategory::from_error(error) == ErrorCategory::Transient;
        let no_reply = matches!(error.kind, FetchErrorKind::Transport(_));
        match self.category {
            ErrorCategory::NotFound => is_transient,
            ErrorCategory::NoConnection => is_transient && no_reply,
            _ => false,
        }
    }
}

impl ErrorCategory {
    fn from_error(error: &AttemptError) -> Self {
        match (error.kind, error.class) {
            (FetchErrorKind::WrongSignature, _) => Self::WrongSignature,
            (FetchErrorKind::WrongJob, _) => Self::WrongJob,
            (kind, _) if kind.is_unreadable() => Self::Unreadable,
            (_, ErrorClass::NotFound) => Self::NotFound,
            (_, ErrorClass::Unauthorized | ErrorClass::Permanent) => Self::Permanent,
            (
                FetchErrorKind::Transport(TransportErrorKind::Dns | TransportErrorKind::Connect),
                _,
            ) => Self::NoConnection,
            (_, ErrorClass::Transient | ErrorClass::Throttled) => Self::Transient,
        }
    }
}

impl Threshold {
    /// Returns the threshold for an error of this kind; `None` if no number of them ends the wait. A wait
    /// that has read its job is proven: its job id, address and credentials were right, so an error that
    /// says otherwise has to be confirmed.
    pub(super) fn for_error(
        error: &AttemptError,
        policy: &WaitPolicy,
        is_proven: bool,
        is_settling: bool,
    ) -> Option<Self> {
        let threshold = |count, over, ends_as| Some(Self { count, over, ends_as });
        let confirmed = |ends_as| {
            if is_proven {
                threshold(policy.confirmations, CONFIRMATION_PERIOD, ends_as)
            } else {
                threshold(1, Duration::ZERO, ends_as)
            }
        };
        match ErrorCategory::from_error(error) {
            ErrorCategory::Transient => None,
            ErrorCategory::NoConnection if is_proven => None,
            ErrorCategory::NoConnection => {
                threshold(1, UNREACHABLE_TIMEOUT, WaitErrorKind::Unreachable)
            }
            // The service forgets a job some time after its end.
            ErrorCategory::NotFound if is_settling => {
                threshold(1, Duration::ZERO, WaitErrorKind::Vanished)
            }
            ErrorCategory::NotFound if is_proven => confirmed(WaitErrorKind::Vanished),
            ErrorCategory::NotFound => {
                threshold(1, policy.not_found_grace, WaitErrorKind::NotFound)
            }
            // A few more wrong signatures lock the key.
            ErrorCategory::WrongSignature => {
                threshold(1, Duration::ZERO, WaitErrorKind::Unauthorized)
            }
            ErrorCategory::Permanent if error.class == ErrorClass::Unauthorized => {
                confirmed(WaitErrorKind::Unauthorized)
            }
            ErrorCategory::Permanent => confirmed(WaitErrorKind::Permanent),
            ErrorCategory::Unreadable => {
                let over = if is_proven { UNREADABLE_PERIOD } else { Duration::ZERO };
                threshold(policy.max_unreadable_replies, over, WaitErrorKind::Unreadable)
            }
            ErrorCategory::WrongJob => threshold(2, Duration::ZERO, WaitErrorKind::Mismatch),
        }
    }
}

/// A gateway's trouble passes within seconds.
const CONFIRMATION_PERIOD: Duration = Duration::from_secs(10);

/// A proxy's page, while what is behind it starts again, is there for a minute or two.
const UNREADABLE_PERIOD: Duration = Duration::from_secs(2 * 60);

/// A service that starts again does so within two minutes; a typing error is not waited for.
const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// The longest Retry-After that is honored: a longer one is as likely a mistake.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
