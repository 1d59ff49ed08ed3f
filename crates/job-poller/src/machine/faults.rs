//! What attempts that give no job mean for the wait: how many of which kind end it.

use std::time::Duration;

use job_transport::{Class, TransportErrorKind};
use serde::{Deserialize, Serialize};

use super::{Action, Machine, Turn};
use crate::{Event, Fault, FaultKind, Schedule, WaitErrorKind, Why};

/// The attempts that gave no job since the last one that did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FaultRun {
    /// How many, of whatever kind.
    count: u32,
    /// Those of one kind that nothing interrupts, the last included.
    alike: Option<Alike>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Alike {
    kind: Kind,
    count: u32,
    since: Duration,
}

/// The kinds that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Passing,
    NoConnection,
    NotFound,
    Unauthorized,
    WrongSignature,
    Permanent,
    Unreadable,
    Mismatch,
}

/// So many of a kind in a row, over at least such a span, end a wait so.
struct Limit(u32, Duration, WaitErrorKind);

impl FaultRun {
    pub(super) const NONE: Self = Self { count: 0, alike: None };

    fn add(&mut self, kind: Kind, elapsed: Duration) -> Alike {
        self.count = self.count.saturating_add(1);
        let mut alike = match self.alike {
            Some(alike) if alike.kind == kind => alike,
            _ => Alike { kind, count: 0, since: elapsed },
        };
        alike.count = alike.count.saturating_add(1);
        *self.alike.insert(alike)
    }
}

impl Kind {
    fn of(fault: &Fault) -> Self {
        match (fault.kind, fault.class) {
            (FaultKind::WrongSignature, _) => Self::WrongSignature,
            (FaultKind::Mismatch, _) => Self::Mismatch,
            (FaultKind::Unreadable, _) => Self::Unreadable,
            (_, Class::Unauthorized) => Self::Unauthorized,
            (_, Class::NotFound) => Self::NotFound,
            (_, Class::Permanent) => Self::Permanent,
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
        let alike = self.faults.add(Kind::of(&fault), turn.elapsed);
        let in_a_row = self.faults.count;
        turn.events.push(Event::Fault { fault: fault.clone(), in_a_row });
        self.fault = Some(Box::new(fault));
        let too_many = self.policy.max_consecutive_faults.is_some_and(|most| in_a_row >= most);
        let span = turn.elapsed.saturating_sub(alike.since);
        match self.limit(alike.kind) {
            Some(Limit(count, over, kind)) if alike.count >= count && span >= over => {
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
    fn limit(&self, kind: Kind) -> Option<Limit> {
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
            Kind::Unauthorized => refusals(WaitErrorKind::Unauthorized),
            // A few more lock the key.
            Kind::WrongSignature => Some(Limit(1, at_once, WaitErrorKind::Unauthorized)),
            Kind::Permanent => refusals(WaitErrorKind::Permanent),
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
