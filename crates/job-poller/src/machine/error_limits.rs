//! What attempts that give no job mean for the wait: how many of which kind end it.

use std::time::Duration;

use job_transport::{Class, TransportErrorKind};
use serde::{Deserialize, Serialize};

use super::{
    Action, Machine, Turn,
    attempt_error::{Fault, FaultKind},
    error::WaitErrorKind,
    event::{Event, Why},
};
use crate::schedule::Schedule;

/// The attempts that gave no job since the last one that did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FaultRun {
    /// How many, of whatever kind.
    count: u32,
    /// A kind, how many of it there were without another between, and since when.
    kind: Kind,
    alike: u32,
    since: Duration,
}

/// The kinds that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Passing,
    NoConnection,
    NotFound,
    Refused,
    WrongSignature,
    Unreadable,
    Mismatch,
}

/// So many of a kind in a row, over at least such a span, end a wait so.
struct Limit(u32, Duration, WaitErrorKind);

impl FaultRun {
    /// Adds a fault to those before it.
    fn add(before: Option<&Self>, kind: Kind, elapsed: Duration) -> Self {
        let count = before.map_or(0, |run| run.count).saturating_add(1);
        match before {
            Some(run) if run.kind == kind => {
                Self { count, alike: run.alike.saturating_add(1), ..*run }
            }
            _ => Self { count, kind, alike: 1, since: elapsed },
        }
    }

    /// Whether a fault of another kind says nothing against this one: a job that is not known stays
    /// so while the service is in trouble, and a host that is not reached while nothing answers.
    fn is_not_interrupted_by(&self, fault: &Fault) -> bool {
        let passing = Kind::of(fault) == Kind::Passing;
        let no_reply = matches!(fault.kind, FaultKind::Transport(_));
        match self.kind {
            Kind::NotFound => passing,
            Kind::NoConnection => passing && no_reply,
            _ => false,
        }
    }
}

impl Kind {
    fn of(fault: &Fault) -> Self {
        match (fault.kind, fault.class) {
            (FaultKind::WrongSignature, _) => Self::WrongSignature,
            (FaultKind::Mismatch, _) => Self::Mismatch,
            (FaultKind::Unreadable, _) => Self::Unreadable,
            (_, Class::NotFound) => Self::NotFound,
            (_, Class::Unauthorized | Class::Permanent) => Self::Refused,
            (FaultKind::Transport(TransportErrorKind::Dns | TransportErrorKind::Connect), _) => {
                Self::NoConnection
            }
            (_, Class::Transient | Class::Throttled) => Self::Passing,
        }
    }
}

impl Machine {
    pub(super) fn fault_seen(&mut self, turn: &mut Turn<'_>, fault: Fault) -> Action {
        if fault.renewed {
            turn.events.push(Event::Renewed);
        }
        let kind = Kind::of(&fault);
        let before = self.faults.as_deref();
        let run = match before {
            Some(run) if self.readings == 0 && run.is_not_interrupted_by(&fault) => {
                FaultRun { count: run.count.saturating_add(1), ..*run }
            }
            _ => FaultRun::add(before, kind, turn.elapsed),
        };
        self.faults = Some(Box::new(run));
        let asked = fault.retry_after.unwrap_or_default().min(MOST_RETRY_AFTER);
        self.earliest = turn.elapsed.saturating_add(asked);
        let in_a_row = run.count;
        turn.events.push(Event::Fault { fault: fault.clone(), in_a_row });
        let class = fault.class;
        self.fault = Some(Box::new(fault));
        let too_many = self.policy.max_consecutive_faults.is_some_and(|most| in_a_row >= most);
        let span = turn.elapsed.saturating_sub(run.since);
        match self.limit(kind, class) {
            Some(Limit(count, over, kind)) if run.alike >= count && span >= over => {
                self.stop(turn, kind)
            }
            _ if too_many => self.stop(turn, WaitErrorKind::TooManyFaults),
            _ => {
                let pause = self.policy.backoff.pause(&self.seen(turn.elapsed, in_a_row));
                self.pause(turn, pause, Why::Backoff)
            }
        }
    }

    /// Returns how many faults of a kind end the wait. A wait that has read its job is proven: job,
    /// address and credentials were right, so what says otherwise is to say it again.
    fn limit(&self, kind: Kind, class: Class) -> Option<Limit> {
        let policy = &self.policy;
        let (proven, at_once) = (self.readings > 0, Duration::ZERO);
        let refusals = |kind| {
            let (confirmations, span) =
                if proven { (policy.confirmations, CONFIRMED_OVER) } else { (1, at_once) };
            Some(Limit(confirmations, span, kind))
        };
        match kind {
            Kind::Passing => None,
            Kind::NoConnection if proven => None,
            Kind::NoConnection => Some(Limit(1, UNREACHABLE_AFTER, WaitErrorKind::Unreachable)),
            // The service forgets a job some time after its end.
            Kind::NotFound if self.settling.is_some() => {
                Some(Limit(1, at_once, WaitErrorKind::Vanished))
            }
            Kind::NotFound if proven => refusals(WaitErrorKind::Vanished),
            Kind::NotFound => Some(Limit(1, policy.not_found_grace, WaitErrorKind::NotFound)),
            // A few more lock the key.
            Kind::WrongSignature => Some(Limit(1, at_once, WaitErrorKind::Unauthorized)),
            Kind::Refused if class == Class::Unauthorized => refusals(WaitErrorKind::Unauthorized),
            Kind::Refused => refusals(WaitErrorKind::Permanent),
            Kind::Unreadable => {
                let span = if proven { UNREADABLE_OVER } else { at_once };
                Some(Limit(policy.unreadable, span, WaitErrorKind::Unreadable))
            }
            Kind::Mismatch => Some(Limit(2, at_once, WaitErrorKind::Mismatch)),
        }
    }
}

/// A gateway's trouble passes within seconds.
const CONFIRMED_OVER: Duration = Duration::from_secs(10);

/// A proxy's page, while what is behind it starts again, is there for a minute or two.
const UNREADABLE_OVER: Duration = Duration::from_secs(2 * 60);

/// A service that starts again does so within two minutes; a typing error is not waited for.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(2 * 60);

/// The longest Retry-After that is heeded: what asks for more is as likely a mistake.
pub(crate) const MOST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
