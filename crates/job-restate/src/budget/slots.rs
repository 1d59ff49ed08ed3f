//! Whose turn it is to ask, of the waits that the engine ticks here. Reads no clock, performs no I/O, knows no
//! wait.

use std::{collections::BTreeMap, mem, time::Duration};

use job_poller::{Attempted, Share, Urgency};
use serde::{Deserialize, Serialize};

use super::allocator::{LENT_FOR, Lent, Said};

/// The turns that one service gives, of what it is lent ([`Shares`](super::allocator::Shares)).
///
/// A wait that is to ask has its turn at once where a request may leave; otherwise it is told when to come
/// back, at a time of its own, and has it then, if it comes in time and the cloud is not to be left
/// alone by now. Where the budget is spent, waits come once before they are due, too: for a turn that nobody
/// else wants.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Which service this is, among all of a deployment.
    service: u64,
    number: u64,
    lent: Lent,
    /// Until when it is lent.
    until: Duration,
    /// When the next request is due, if they are evenly spaced; and before when none leaves.
    next: Duration,
    held: Duration,
    /// Before this all times are given away.
    booked: Duration,
    asking: usize,
    asked: u32,
    attempted: Attempted,
    counts: BTreeMap<Place, i64>,
}

/// A wait's place in the count of them: in which round, and as how urgent.
pub(crate) type Place = (u32, Urgency);

/// What a wait goes by that has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// What the budget leaves for each.
    pub(crate) share: Share,
    /// In which round waits are counted.
    pub(crate) round: u32,
    /// Whether that is less than they would like.
    pub(crate) is_spent: bool,
}

/// Why a wait comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// Before it is due, for what others leave.
    Early,
    /// It is due.
    Due,
    /// It was told to come now.
    Told,
}

impl Turn {
    /// For a step that plans nothing.
    pub(crate) const NONE: Self =
        Self { share: Share::new(Duration::ZERO, Duration::MAX), round: 0, is_spent: false };
}

/// How late a wait may be for its turn: engines wake a moment late, and some later than others.
const LATE: Duration = Duration::from_millis(250);

/// How many may be before one that comes early: few enough to be no burden for those that are due, and as many as
/// come at a time.
const FEW: u32 = 30;

/// How long until a wait comes back where nothing is lent yet.
const NOTHING_LENT: Duration = Duration::from_secs(3);

impl Turns {
    pub(crate) fn new(service: u64) -> Self {
        let turn = Turn::NONE;
        let lent = Lent { per_second: 0.0, in_flight: 0, hold: Duration::ZERO, turn };
        Self {
            service,
            number: 0,
            lent,
            until: Duration::ZERO,
            next: Duration::ZERO,
            held: Duration::ZERO,
            booked: Duration::ZERO,
            asking: 0,
            asked: 0,
            attempted: Attempted::default(),
            counts: BTreeMap::new(),
        }
    }

    /// Gives a wait its turn; or returns after what time it is to come back, as one who was told to: `None` for
    /// one that came early, and comes again when it is due.
    pub(crate) fn ask(&mut self, now: Duration, coming: Coming) -> Result<Turn, Option<Duration>> {
        self.asked = self.asked.saturating_add(1);
        if !self.is_lent(now) || self.lent.per_second <= 0.0 {
            return Err(Some(NOTHING_LENT));
        }
        let gap = self.gap();
        let is_full = self.asking >= self.lent.in_flight;
        let next = self.next.max(self.held);
        let is_free = match coming {
            Coming::Told => next <= now + LATE && self.held <= now,
            // Whoever comes unasked is not to take what others were given.
            Coming::Due | Coming::Early => next.max(self.booked) <= now,
        };
        if !is_full && is_free {
            self.next = self.next.max(now) + gap;
            if coming != Coming::Told {
                self.booked = now + gap;
            }
            self.asking += 1;
            return Ok(self.lent.turn);
        }
        if coming == Coming::Early && (is_full || self.booked.max(next) > now + gap * FEW) {
            return Err(None);
        }
        // Whoever frees a place is not known to come; the others' pace is.
        let soonest = if is_full { now + gap.max(LATE) } else { now };
        let at = self.booked.max(next).max(soonest);
        let longest = self.lent.turn.share.longest.clamp(SHORT, LONGEST_HOLD);
        if at - now > longest {
            // Timers of the engine are not called back, and a bad minute is not to last for many.
            return Err(Some(longest));
        }
        self.booked = at + gap;
        Err(Some(at - now))
    }

    /// Takes note of what a turn came to: its attempt, and others that it had besides; `None` where it was
    /// given up. Returns whether all are to be told at once.
    pub(crate) fn done(&mut self, now: Duration, attempted: Option<&Attempted>) -> bool {
        self.asking = self.asking.saturating_sub(1);
        attempted.is_some_and(|attempted| self.attempted(now, attempted, 0))
    }

    /// Takes note of an attempt without a turn.
    pub(crate) fn also(&mut self, now: Duration, attempted: &Attempted) -> bool {
        self.attempted(now, attempted, 1)
    }

    fn attempted(&mut self, now: Duration, attempted: &Attempted, more: u32) -> bool {
        let more = more + attempted.more_requests;
        self.next = self.next.max(now) + self.gap() * more;
        self.held = self.held.max(now + attempted.retry_after.min(LONGEST_HOLD));
        self.attempted = self.attempted.and(*attempted);
        attempted.throttled || attempted.retry_after > Duration::ZERO
    }

    /// Counts a wait in its new place, `None` where it is over.
    pub(crate) fn count(&mut self, before: Option<Place>, now: Option<Place>) {
        // What was counted in a round before is complete, but for those that are over since.
        let moves = |before: &Place| now.is_none_or(|now| now.0 == before.0);
        if let Some(before) = before.filter(moves) {
            *self.counts.entry(before).or_default() -= 1;
        }
        if let Some(now) = now {
            *self.counts.entry(now).or_default() += 1;
        }
    }

    /// Returns what the budget is told now; what it was told before is not in it.
    pub(crate) fn said(&mut self, at: Duration, is_leaving: bool) -> Said {
        self.number += 1;
        let counts = mem::take(&mut self.counts).into_iter().filter(|(_, more)| *more != 0);
        Said {
            service: self.service,
            number: self.number,
            at,
            asked: mem::take(&mut self.asked),
            asking: self.asking,
            attempted: mem::take(&mut self.attempted),
            counts: counts.collect(),
            is_leaving,
        }
    }

    pub(crate) const fn round(&self) -> u32 {
        self.lent.turn.round
    }

    /// Returns whether anything is lent at present.
    pub(crate) fn is_lent(&self, now: Duration) -> bool {
        now < self.until
    }

    /// Takes what is lent, to what was said at this time.
    pub(crate) fn take(&mut self, said_at: Duration, now: Duration, lent: Lent) {
        if lent.per_second > 0.0 && self.lent.per_second > 0.0 {
            // Whoever comes unasked is behind as many as before.
            let times = self.lent.per_second / lent.per_second;
            let left = self.booked.saturating_sub(now).as_secs_f64() * times;
            self.booked = now + Duration::try_from_secs_f64(left).unwrap_or_default();
        }
        self.lent = lent;
        // By this clock it ends no later than by the lender's.
        self.until = said_at + LENT_FOR;
        self.held = self.held.max(now + lent.hold);
    }

    fn gap(&self) -> Duration {
        let gap = Duration::try_from_secs_f64(1.0 / self.lent.per_second);
        gap.unwrap_or(LONGEST_HOLD).min(LONGEST_HOLD)
    }
}

/// Whoever is told to come back is told a time that is nearer than the longest gap; but this may be further.
const SHORT: Duration = Duration::from_secs(60);

/// No Retry-After holds for longer; nor is there a longer gap between requests.
const LONGEST_HOLD: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
