//! What attempts that give no job mean for the wait: how many of which kind end it.

use std::time::Duration;

use job_transport::{ErrorClass, TransportErrorKind};
use serde::{Deserialize, Serialize};

use super::{
    Action, Machine, StepContext,
    attempt_error::{AttemptError, AttemptErrorKind},
    error::WaitErrorKind,
    event::{AttemptReason, Event},
};
use crate::schedule::Schedule;

/// The attempts that gave no job since the last one that did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorRun {
    /// How many, of whatever kind.
    count: u32,
    /// A kind, how many of it there were without another between, and since when.
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
    Mismatch,
}

/// So many of a kind in a row, over at least such a span, end a wait so.
struct Threshold(u32, Duration, WaitErrorKind);

impl ErrorRun {
    /// Adds a fault to those before it.
    fn with_error(before: Option<&Self>, category: ErrorCategory, elapsed: Duration) -> Self {
        let count = before.map_or(0, |run| run.count).saturating_add(1);
        match before {
            Some(run) if run.category == category => {
                Self { count, same_category: run.same_category.saturating_add(1), ..*run }
            }
            _ => Self { count, category, same_category: 1, since: elapsed },
        }
    }

    /// Whether a fault of another kind says nothing against this one: a job that is not known stays
    /// so while the service is in trouble, and a host that is not reached while nothing answers.
    fn survives(&self, error: &AttemptError) -> bool {
        let is_transient = ErrorCategory::from_error(error) == ErrorCategory::Transient;
        let no_reply = matches!(error.kind, AttemptErrorKind::Transport(_));
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
            (AttemptErrorKind::WrongSignature, _) => Self::WrongSignature,
            (AttemptErrorKind::Mismatch, _) => Self::Mismatch,
            (AttemptErrorKind::Unreadable, _) => Self::Unreadable,
            (_, ErrorClass::NotFound) => Self::NotFound,
            (_, ErrorClass::Unauthorized | ErrorClass::Permanent) => Self::Permanent,
            (
                AttemptErrorKind::Transport(TransportErrorKind::Dns | TransportErrorKind::Connect),
                _,
            ) => Self::NoConnection,
            (_, ErrorClass::Transient | ErrorClass::Throttled) => Self::Transient,
        }
    }
}

impl Machine {
    pub(super) fn on_attempt_error(
        &mut self,
        context: &mut StepContext<'_>,
        error: AttemptError,
    ) -> Action {
        if error.credentials_refreshed {
            context.events.push(Event::CredentialsRefreshed);
        }
        let category = ErrorCategory::from_error(&error);
        let before = self.error_run.as_deref();
        let run = match before {
            Some(run) if self.readings == 0 && run.survives(&error) => {
                ErrorRun { count: run.count.saturating_add(1), ..*run }
            }
            _ => ErrorRun::with_error(before, category, context.elapsed),
        };
        self.error_run = Some(Box::new(run));
        let asked = error.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.not_before = context.elapsed.saturating_add(asked);
        let in_a_row = run.count;
        context.events.push(Event::AttemptFailed { error: error.clone(), in_a_row });
        let class = error.class;
        self.last_error = Some(Box::new(error));
        let too_many = self.policy.max_consecutive_errors.is_some_and(|max| in_a_row >= max);
        let span = context.elapsed.saturating_sub(run.since);
        match self.limit(category, class) {
            Some(Threshold(count, over, kind)) if run.same_category >= count && span >= over => {
                self.stop(context, kind)
            }
            _ if too_many => self.stop(context, WaitErrorKind::TooManyErrors),
            _ => {
                let pause = self.policy.backoff.pause(&self.poll_state(context.elapsed, in_a_row));
                self.plan_next_attempt(context, pause, AttemptReason::Backoff)
            }
        }
    }

    /// Returns how many faults of a kind end the wait. A wait that has read its job is proven: job,
    /// address and credentials were right, so what says otherwise is to say it again.
    fn limit(&self, kind: ErrorCategory, class: ErrorClass) -> Option<Threshold> {
        let policy = &self.policy;
        let (proven, at_once) = (self.readings > 0, Duration::ZERO);
        let refusals = |kind| {
            let (confirmations, span) =
                if proven { (policy.confirmations, CONFIRMATION_PERIOD) } else { (1, at_once) };
            Some(Threshold(confirmations, span, kind))
        };
        match kind {
            ErrorCategory::Transient => None,
            ErrorCategory::NoConnection if proven => None,
            ErrorCategory::NoConnection => {
                Some(Threshold(1, UNREACHABLE_TIMEOUT, WaitErrorKind::Unreachable))
            }
            // The service forgets a job some time after its end.
            ErrorCategory::NotFound if self.settling.is_some() => {
                Some(Threshold(1, at_once, WaitErrorKind::Vanished))
            }
            ErrorCategory::NotFound if proven => refusals(WaitErrorKind::Vanished),
            ErrorCategory::NotFound => {
                Some(Threshold(1, policy.not_found_grace, WaitErrorKind::NotFound))
            }
            // A few more lock the key.
            ErrorCategory::WrongSignature => {
                Some(Threshold(1, at_once, WaitErrorKind::Unauthorized))
            }
            ErrorCategory::Permanent if class == ErrorClass::Unauthorized => {
                refusals(WaitErrorKind::Unauthorized)
            }
            ErrorCategory::Permanent => refusals(WaitErrorKind::Permanent),
            ErrorCategory::Unreadable => {
                let span = if proven { UNREADABLE_PERIOD } else { at_once };
                Some(Threshold(policy.max_unreadable_replies, span, WaitErrorKind::Unreadable))
            }
            ErrorCategory::Mismatch => Some(Threshold(2, at_once, WaitErrorKind::Mismatch)),
        }
    }
}

/// A gateway's trouble passes within seconds.
const CONFIRMATION_PERIOD: Duration = Duration::from_secs(10);

/// A proxy's page, while what is behind it starts again, is there for a minute or two.
const UNREADABLE_PERIOD: Duration = Duration::from_secs(2 * 60);

/// A service that starts again does so within two minutes; a typing error is not waited for.
const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// The longest Retry-After that is heeded: what asks for more is as likely a mistake.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
