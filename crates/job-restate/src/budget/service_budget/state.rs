//! Decides which ticks of a service may send a request now. Reads no clock, performs no I/O.

use std::{collections::VecDeque, mem, time::Duration};

use jiff::{SignedDuration, Timestamp};
use job_poller::{budget::AttemptStats, durable::WaitKey, schedule::BudgetShare};
use tokio::sync::oneshot;

use crate::budget::{
    message::{ADVANCE_TIME, GRANT_TTL, Grant, REPORT_INTERVAL, Report, Slot},
    planned_waits::PlannedWaits,
};

/// How many requests may be sent without a gap after a pause, except a pause between two turns.
const BURST: u32 = 4;

/// How late a wait may use its slot. The clocks of two services may differ by a second, and engines
/// wake waits slightly late.
const SLOT_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// How long requests are blocked after a reply that states a quota: longer than a report to the
/// budget object takes.
const STATED_QUOTA_PAUSE: Duration = Duration::from_secs(1);

/// The longest time for which a Retry-After blocks requests.
const MAX_BLOCK_DURATION: Duration = Duration::from_secs(5 * 60);

/// The time between two waits that come back, if the rate of the budget is not known yet.
const DEFAULT_GAP: Duration = Duration::from_millis(10);

/// The maximum number of candidates in a report.
const MAX_CANDIDATES: usize = 200;

/// Why a tick may send no request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentAway {
    /// The wait comes back at the time of this slot.
    Until(Slot),
    /// The wait comes back after this delay.
    For(Duration),
}

/// What a service knows of the budget, and the ticks that need a slot.
pub(super) struct ServiceState {
    /// The id of this service within the deployment.
    service: u64,
    report_number: u64,
    pub(super) grant: Option<Grant>,
    /// When the grant expires.
    expires_at: Duration,
    /// Requests are blocked until this time (Retry-After).
    blocked_until: Duration,
    /// When the next wait comes back that is sent away without a slot.
    next_return: Duration,
    /// When the next request may be sent. It spreads requests whose slots are late.
    next_start: Duration,
    in_flight: usize,
    pub(super) requested: u32,
    /// The number of requests without a slot since the last report.
    pub(super) without_slot: u32,
    attempt_stats: AttemptStats,
    /// The ticks that need a slot, the longest waiting first.
    pub(super) needs: VecDeque<oneshot::Sender<Result<Slot, SentAway>>>,
    pub(super) planned: PlannedWaits,
    /// The candidates of the last report, with the times for which they are planned.
    candidates: Vec<(Timestamp, WaitKey, u64)>,
}

/// Whether a request may be sent.
pub(super) enum Start {
    Now(BudgetShare),
    /// After this delay, so that requests are evenly spaced.
    In(Duration),
    /// When a request has ended, or after the next report.
    AfterOthers,
    /// The slot is not valid any more, or the cloud asked for a pause.
    Never,
}

impl ServiceState {
    pub(super) fn new(service: u64) -> Self {
        Self {
            service,
            report_number: 0,
            grant: None,
            expires_at: Duration::ZERO,
            blocked_until: Duration::ZERO,
            next_return: Duration::ZERO,
            next_start: Duration::ZERO,
            in_flight: 0,
            requested: 0,
            without_slot: 0,
            attempt_stats: AttemptStats::default(),
            needs: VecDeque::new(),
            planned: PlannedWaits::default(),
            candidates: Vec::new(),
        }
    }

    /// Returns whether a wait may use a slot that it carries.
    pub(super) fn is_valid(&self, slot: Slot, now: Timestamp) -> bool {
        let is_late = now.duration_since(slot.at) > SLOT_TOLERANCE;
        !is_late && self.grant.is_some_and(|grant| grant.slots.generation == slot.generation)
    }

    pub(super) fn start(&mut self, now: Duration, generation: u32) -> Start {
        let Some(grant) = self.grant.filter(|_| now < self.expires_at) else {
            return Start::AfterOthers;
        };
        if grant.slots.generation != generation || self.blocked_until > now {
            return Start::Never;
        }
        if self.in_flight >= grant.max_in_flight {
            return Start::AfterOthers;
        }
        if self.next_start > now {
            return Start::In(self.next_start - now);
        }
        let burst = grant.min_gap * if grant.rotation.is_some() { 1 } else { BURST };
        self.next_start = self.next_start.max(now.saturating_sub(burst)) + grant.min_gap;
        self.in_flight += 1;
        Start::Now(grant.share)
    }

    /// Sends a wait away without a slot. It comes back after `earliest`, and such waits come one by one,
    /// as far apart as slots.
    pub(super) fn send_away(&mut self, now: Duration, earliest: Duration) -> SentAway {
        let gap = self.grant.map_or(DEFAULT_GAP, |grant| grant.slots.gap);
        let at = self.next_return.max(earliest);
        self.next_return = at + gap;
        SentAway::For(at.saturating_sub(now))
    }

    /// Frees a slot and records its attempt; `None` if no attempt was made. Returns whether to report
    /// it at once, because it affects the other services.
    pub(super) fn complete(&mut self, now: Duration, stats: Option<&AttemptStats>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        stats.is_some_and(|stats| self.record(now, stats))
    }

    /// Records an attempt. Returns the same as [`complete`](Self::complete).
    pub(super) fn record(&mut self, now: Duration, stats: &AttemptStats) -> bool {
        let pause = stats.retry_after.min(MAX_BLOCK_DURATION);
        self.blocked_until = self.blocked_until.max(now + pause);
        if stats.stated_quotas.iter().next().is_some() {
            // Until the budget object has answered with a grant that respects the quota.
            self.blocked_until = self.blocked_until.max(now + STATED_QUOTA_PAUSE);
        }
        self.attempt_stats = self.attempt_stats.merge(*stats);
        stats.throttled || stats.retry_after > Duration::ZERO
    }

    /// Returns a report of what happened since the last report.
    pub(super) fn take_report(
        &mut self,
        reported_at: Duration,
        time: Timestamp,
        is_leaving: bool,
    ) -> Report {
        self.report_number += 1;
        self.needs.retain(|need| !need.is_closed());
        self.planned.remove_late(time);
        let most = match self.grant {
            Some(grant) if grant.is_budget_spent && !is_leaving => {
                let slots = ADVANCE_TIME.div_duration_f64(grant.slots.gap).ceil();
                (slots as usize).min(MAX_CANDIDATES)
            }
            _ => 0,
        };
        let soon = time.saturating_add(REPORT_INTERVAL).unwrap_or(Timestamp::MAX);
        self.candidates = self.planned.candidates(time, soon, most);
        let candidates = self.candidates.iter().map(|(_, key, tick)| (key.clone(), *tick));
        Report {
            service: self.service,
            number: self.report_number,
            reported_at,
            time,
            needed: self.needs.len().try_into().unwrap_or(u32::MAX),
            requested: mem::take(&mut self.requested),
            without_slot: mem::take(&mut self.without_slot),
            in_flight: self.in_flight,
            attempt_stats: mem::take(&mut self.attempt_stats),
            counts: self.planned.counts(),
            candidates: candidates.collect(),
            is_leaving,
        }
    }

    pub(super) fn accept_grant(
        &mut self,
        reported_at: Duration,
        now: Duration,
        needed: u32,
        grant: Grant,
    ) {
        let mut slots = grant.slots.slots();
        for _ in 0..needed {
            let Some(need) = self.needs.pop_front() else { break };
            let slot = slots.next();
            let slot = slot.ok_or_else(|| self.send_away(now, now + grant.retry_after));
            // The tick may have given up.
            let _ = need.send(slot);
        }
        for (due, key, _) in self.candidates.drain(..).take(grant.advanced.count as usize) {
            self.planned.remove(due, &key);
        }
        self.next_start = self.next_start.min(now + grant.min_gap);
        self.grant = Some(grant);
        // Count from the report, so that the grant expires here no later than at the budget object.
        self.expires_at = reported_at + GRANT_TTL;
        self.blocked_until = self.blocked_until.max(now + grant.blocked_for);
    }

    /// Returns why no request may be sent at `now`, or `None` if requests may be sent.
    pub(super) fn obstacle(&self, now: Duration) -> Option<&'static str> {
        match self.grant.filter(|_| now < self.expires_at) {
            None => Some("no grant from the budget object: cannot reach the engine's ingress"),
            Some(_) if self.blocked_until > now => Some(
                "the service of the jobs asked for a pause (Retry-After), or its quota is used up",
            ),
            Some(Grant { max_in_flight: 0, rotation: None, .. }) => {
                Some("other services use all requests that may be in flight")
            }
            Some(_) => None,
        }
    }
}
