//! Decides after how many errors of which kind a wait ends.

use std::time::Duration;

use job_transport::{ErrorClass, FetchErrorKind};
use serde::{Deserialize, Serialize};

use super::{attempt_error::AttemptError, error_kind::WaitErrorKind};

/// The errors since the last reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RecentErrors {
    pub(super) last: AttemptError,
    /// `None` if the wait has ended. It may be resumed, and then the count starts again.
    pub(super) consecutive: Option<ConsecutiveErrors>,
}

/// Counts the errors since the last reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ConsecutiveErrors {
    /// The number of errors, of any kind.
    count: u32,
    /// The category of the last errors, how many of that category occurred in a row, and when the
    /// first of them occurred.
    category: ErrorCategory,
    same_category: u32,
    since: Duration,
    /// When the first of the last errors without a reply occurred; `None` after a reply.
    #[serde(default)]
    no_reply_since: Option<Duration>,
}

/// The categories of errors that are counted separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ErrorCategory {
    Transient,
    /// No reply: the host is unknown or silent, or the connection failed.
    #[serde(alias = "NoConnection")]
    NoReply,
    NotFound,
    Permanent,
    WrongSignature,
    Unreadable,
    WrongJob,
}

/// A limit for errors of one category: the wait ends as `ends_as` at the `count`th error in a row,
/// once `over` has passed since the first.
pub(super) struct Threshold {
    count: u32,
    over: Duration,
    pub(super) ends_as: WaitErrorKind,
}

impl ConsecutiveErrors {
    /// Returns the count after another error, given the count before it.
    pub(super) fn with_error(
        before: Option<&Self>,
        error: &AttemptError,
        is_proven: bool,
        elapsed: Duration,
    ) -> Self {
        let category = ErrorCategory::from_error(error);
        let count = before.map_or(0, |run| run.count).saturating_add(1);
        let no_reply_since = (category == ErrorCategory::NoReply)
            .then(|| before.and_then(|run| run.no_reply_since).unwrap_or(elapsed));
        match before {
            Some(run) if !is_proven && run.survives(category) => {
                Self { count, no_reply_since, ..*run }
            }
            Some(run) if run.category == category => {
                let same_category = run.same_category.saturating_add(1);
                Self { count, same_category, no_reply_since, ..*run }
            }
            _ => Self { count, category, same_category: 1, since: elapsed, no_reply_since },
        }
    }

    /// Returns the number of errors in a row, of any kind.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether the errors of the last category reach the threshold in number and in time.
    pub(super) fn reaches(&self, threshold: &Threshold, elapsed: Duration) -> bool {
        // A 404 count may continue while there is no reply, and then the two have their own times.
        let since = self.no_reply_since.unwrap_or(self.since);
        self.same_category >= threshold.count && elapsed.saturating_sub(since) >= threshold.over
    }

    /// Returns whether this count continues after an error of another category.
    ///
    /// A 404 count continues after any transient error, because the job may still be unknown while
    /// the service is in trouble.
    fn survives(&self, category: ErrorCategory) -> bool {
        self.category == ErrorCategory::NotFound
            && matches!(category, ErrorCategory::Transient | ErrorCategory::NoReply)
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
            (FetchErrorKind::Transport(_) | FetchErrorKind::CredentialsTimeout, _) => Self::NoReply,
            (_, ErrorClass::Transient | ErrorClass::Throttled) => Self::Transient,
        }
    }
}

impl Threshold {
    /// Returns the threshold for an error, or `None` if errors of its category never end the wait.
    ///
    /// After a reading the wait is proven: its job id, endpoint and credentials were right, so
    /// permanent errors must be confirmed.
    pub(super) fn for_error(
        error: &AttemptError,
        limits: &ErrorLimits,
        is_proven: bool,
        is_settling: bool,
    ) -> Option<Self> {
        let category = ErrorCategory::from_error(error);
        let rule = RULES.iter().find(|rule| {
            rule.category == category
                && rule.class.is_none_or(|class| class == error.class)
                && (is_settling || !rule.is_only_settling)
        })?;
        let limit = if is_proven { rule.after_reading } else { rule.before_reading };
        limit.map(|(count, over, ends_as)| Self {
            count: count.resolve(limits),
            over: over.resolve(limits),
            ends_as,
        })
    }
}

/// The limits that callers can set.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorLimits {
    pub(super) confirmations: u32,
    pub(super) not_found_grace: Duration,
    pub(super) max_unreadable_replies: u32,
}

impl ErrorLimits {
    pub(super) const DEFAULT: Self = Self {
        confirmations: 3,
        not_found_grace: Duration::from_secs(30),
        max_unreadable_replies: 5,
    };
}

/// The number of errors in a row.
#[derive(Clone, Copy)]
enum Count {
    Fixed(u32),
    Confirmations,
    UnreadableReplies,
}

/// The minimum time from the first of the errors to the last.
#[derive(Clone, Copy)]
enum Period {
    Fixed(Duration),
    NotFoundGrace,
}

impl Count {
    const fn resolve(self, limits: &ErrorLimits) -> u32 {
        match self {
            Self::Fixed(count) => count,
            Self::Confirmations => limits.confirmations,
            Self::UnreadableReplies => limits.max_unreadable_replies,
        }
    }
}

impl Period {
    const fn resolve(self, limits: &ErrorLimits) -> Duration {
        match self {
            Self::Fixed(period) => period,
            Self::NotFoundGrace => limits.not_found_grace,
        }
    }
}

/// The number of errors, the minimum time from the first to the last, and the kind as which the
/// wait then ends. `None` if the errors never end a wait.
type Limit = Option<(Count, Period, WaitErrorKind)>;

/// When errors of one category end a wait: a row of the table in the documentation of `WaitPolicy`.
struct Rule {
    /// The text in the first column of that table.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares the documentation with it"))]
    errors: &'static str,
    category: ErrorCategory,
    /// Applies only to errors of this class; `None` applies to every class.
    class: Option<ErrorClass>,
    /// Applies only while a job that succeeded settles.
    is_only_settling: bool,
    before_reading: Limit,
    after_reading: Limit,
}

/// One error is enough: a wrong job id, endpoint or permission does not fix itself, and a wrong
/// signature must not be repeated.
const fn at_once(ends_as: WaitErrorKind) -> Limit {
    Some((Count::Fixed(1), Period::Fixed(Duration::ZERO), ends_as))
}

/// The error must be confirmed, because gateway errors usually disappear within seconds.
const fn confirmed(ends_as: WaitErrorKind) -> Limit {
    Some((Count::Confirmations, Period::Fixed(Duration::from_secs(10)), ends_as))
}

/// A restarting service, or a proxy in front of it, is back within two minutes. A host that sends
/// no reply for longer is probably the wrong one.
const RESTART: Period = Period::Fixed(Duration::from_secs(2 * 60));

/// The errors that end a wait. The first matching rule applies. Errors without a rule, such as a
/// 503, never end a wait.
const RULES: &[Rule] = &[
    Rule {
        errors: "no reply, such as an unknown host, a lost connection or a timeout",
        category: ErrorCategory::NoReply,
        class: None,
        is_only_settling: false,
        before_reading: Some((Count::Fixed(1), RESTART, WaitErrorKind::Unreachable)),
        after_reading: None,
    },
    // The service deletes jobs some time after they end.
    Rule {
        errors: "404 while a job that succeeded settles",
        category: ErrorCategory::NotFound,
        class: None,
        is_only_settling: true,
        before_reading: None,
        after_reading: at_once(WaitErrorKind::Vanished),
    },
    Rule {
        errors: "404",
        category: ErrorCategory::NotFound,
        class: None,
        is_only_settling: false,
        before_reading: Some((Count::Fixed(1), Period::NotFoundGrace, WaitErrorKind::NotFound)),
        after_reading: confirmed(WaitErrorKind::Vanished),
    },
    // A few more wrong signatures would lock the key.
    Rule {
        errors: "wrong signature",
        category: ErrorCategory::WrongSignature,
        class: None,
        is_only_settling: false,
        before_reading: at_once(WaitErrorKind::Unauthorized),
        after_reading: at_once(WaitErrorKind::Unauthorized),
    },
    Rule {
        errors: "401",
        category: ErrorCategory::Permanent,
        class: Some(ErrorClass::Unauthorized),
        is_only_settling: false,
        before_reading: at_once(WaitErrorKind::Unauthorized),
        after_reading: confirmed(WaitErrorKind::Unauthorized),
    },
    Rule {
        errors: "any other permanent error, such as 403 or a certificate that is not accepted",
        category: ErrorCategory::Permanent,
        class: None,
        is_only_settling: false,
        before_reading: at_once(WaitErrorKind::Permanent),
        after_reading: confirmed(WaitErrorKind::Permanent),
    },
    Rule {
        errors: "200 with a body that is not a job",
        category: ErrorCategory::Unreadable,
        class: None,
        is_only_settling: false,
        before_reading: Some((
            Count::UnreadableReplies,
            Period::Fixed(Duration::ZERO),
            WaitErrorKind::Unreadable,
        )),
        after_reading: Some((Count::UnreadableReplies, RESTART, WaitErrorKind::Unreadable)),
    },
    Rule {
        errors: "200 with another job",
        category: ErrorCategory::WrongJob,
        class: None,
        is_only_settling: false,
        before_reading: TWO_OTHER_JOBS,
        after_reading: TWO_OTHER_JOBS,
    },
];

const TWO_OTHER_JOBS: Limit =
    Some((Count::Fixed(2), Period::Fixed(Duration::ZERO), WaitErrorKind::Mismatch));

/// The longest `Retry-After` that is honored. A longer one is probably a mistake.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
