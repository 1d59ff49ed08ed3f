//! Tests slots for waits that arrive early, late, and in any order.

use std::{cmp::Reverse, collections::BinaryHeap};

use job_poller::{
    budget::UrgencyBucket,
    machine::{AttemptError, Input, QuotaPolicy, StatedQuota},
    schedule::BudgetShare,
};
use job_transport::{ErrorClass, FetchErrorKind};
use proptest::{collection::vec, prelude::*};

use super::*;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn grant(per_second: f64, in_flight: usize) -> Grant {
    Grant { per_second, in_flight, blocked_for: Duration::ZERO, slot: Slot::NONE }
}

const fn arrival(has_reservation: bool) -> Arrival {
    if has_reservation { Arrival::Reserved } else { Arrival::Due }
}

fn slot_queue(per_second: f64, in_flight: usize) -> SlotQueue {
    let mut slots = SlotQueue::new(1);
    slots.accept_grant(Duration::ZERO, Duration::ZERO, grant(per_second, in_flight));
    slots
}

/// Requests a slot. Returns the delay in milliseconds if the wait does not get one.
fn request_slot(slots: &mut SlotQueue, seconds: f64, has_reservation: bool) -> Option<u128> {
    let after = slots.request_slot(secs(seconds), arrival(has_reservation)).err();
    after.map(|after| after.unwrap().as_millis())
}

fn throttled_stats(retry_after: u64) -> AttemptStats {
    let mut stats = AttemptStats::default();
    (stats.attempts, stats.throttled) = (1, true);
    stats.retry_after = Duration::from_secs(retry_after);
    stats
}

#[test]
fn reservations_are_distinct_and_exclusive() {
    let mut slots = slot_queue(10.0, 100);
    let came: Vec<_> = (0..4).map(|_| request_slot(&mut slots, 1.0, false)).collect();
    assert_eq!(came, [None, Some(100), Some(200), Some(300)]);
    // Another wait arrives in between, and is queued after all reservations.
    assert_eq!(request_slot(&mut slots, 1.05, false), Some(350));
    // The waits with reservations at 1.1, 1.2 and 1.3 s return, the second one 90 ms late.
    assert_eq!(request_slot(&mut slots, 1.1, true), None);
    assert_eq!(request_slot(&mut slots, 1.29, true), None);
    assert_eq!(request_slot(&mut slots, 1.3, true), None);
    // Unused slots are not carried over.
    assert_eq!(request_slot(&mut slots, 4.0, false), None);
    assert_eq!(request_slot(&mut slots, 4.0, false), Some(100));
}

#[test]
fn a_stated_quota_is_reported_at_once_and_blocks_requests_until_the_next_grant() {
    let quota = StatedQuota::new(QuotaPolicy::User, 20, secs(30.0));
    let mut slots = slot_queue(10.0, 100);
    assert_eq!(request_slot(&mut slots, 1.0, false), None);
    let mut error = AttemptError::new(FetchErrorKind::Status(429), ErrorClass::Throttled, "");
    error.stated_quota = Some(quota);
    let stats = AttemptStats::from_input(secs(0.1), &Input::Error(error));
    assert!(slots.complete(secs(1.1), Some(&stats)));
    assert_eq!(request_slot(&mut slots, 1.2, false), Some(900));
    let report = slots.take_report(secs(1.3), false);
    assert_eq!(report.attempt_stats.stated_quotas.iter().collect::<Vec<_>>(), [quota]);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<UsageReport>(&text).unwrap(), report);
}

#[test]
fn early_arrivals_use_idle_capacity_only() {
    let mut slots = slot_queue(10.0, 100);
    assert!(slots.request_slot(secs(1.0), Arrival::Early).is_ok());
    let early: Vec<_> = (0..40)
        .filter_map(|_| slots.request_slot(secs(1.0), Arrival::Early).unwrap_err())
        .collect();
    assert_eq!(
        (early.len(), early.last()),
        (30, Some(&secs(3.0))),
        "the other ten come back when they are due"
    );
    // A wait that is due still gets a reservation.
    assert_eq!(request_slot(&mut slots, 1.0, false), Some(3100));
    slots.accept_grant(secs(5.0), secs(5.0), grant(10.0, 100));
    assert!(slots.request_slot(secs(5.0), Arrival::Early).is_ok());
}

#[test]
fn queue_delays_recover_when_the_rate_increases() {
    let mut slots = slot_queue(1.0, 100);
    let share = BudgetShare::new(Duration::ZERO, secs(100.0));
    let with_share =
        |per_second| Grant { slot: Slot { share, ..Slot::NONE }, ..grant(per_second, 100) };
    slots.accept_grant(secs(0.0), secs(0.0), with_share(1.0));
    let delays: Vec<_> = (0..500).filter_map(|_| request_slot(&mut slots, 0.0, false)).collect();
    assert_eq!(delays.iter().max(), Some(&100_000), "no reservation is later than the longest gap");
    // The rate increases: the queue has the same length, and moves faster.
    slots.accept_grant(secs(1.0), secs(1.0), with_share(50.0));
    let after = request_slot(&mut slots, 1.0, false).unwrap();
    assert!((1_900..2_100).contains(&after), "{after}");
}

#[test]
fn no_slot_is_given_without_a_valid_grant() {
    let mut slots = SlotQueue::new(1);
    assert_eq!(request_slot(&mut slots, 0.0, false), Some(3000));
    slots.accept_grant(secs(1.0), secs(1.1), grant(10.0, 1));
    assert_eq!(request_slot(&mut slots, 1.2, true), None);
    assert_eq!(request_slot(&mut slots, 6.1, true), Some(3000), "the lease has expired");
    slots.accept_grant(secs(6.1), secs(6.2), grant(0.0, 0));
    assert_eq!(
        request_slot(&mut slots, 6.3, true),
        Some(3000),
        "other services hold the whole budget"
    );
}

#[test]
fn requests_in_flight_never_exceed_the_limit() {
    let mut slots = slot_queue(100.0, 2);
    assert_eq!(
        (request_slot(&mut slots, 1.0, false), request_slot(&mut slots, 1.02, false)),
        (None, None)
    );
    assert_eq!(request_slot(&mut slots, 1.04, false), Some(250));
    assert_eq!(request_slot(&mut slots, 1.3, true), Some(250));
    assert!(!slots.complete(secs(1.4), Some(&AttemptStats::from_input(secs(0.4), &Input::Wake))));
    assert_eq!(request_slot(&mut slots, 1.5, true), None);
    // A slot without an attempt becomes free, too.
    slots.complete(secs(1.6), None);
    assert_eq!(request_slot(&mut slots, 1.7, true), None);
}

#[test]
fn a_retry_after_blocks_all_slots_and_is_reported() {
    let mut slots = slot_queue(10.0, 100);
    assert_eq!(
        (request_slot(&mut slots, 1.0, false), request_slot(&mut slots, 1.0, false)),
        (None, Some(100))
    );
    assert!(slots.complete(secs(1.05), Some(&throttled_stats(30))));
    assert_eq!(request_slot(&mut slots, 1.1, true), Some(29_950), "not even with a reservation");
    slots.accept_grant(secs(31.0), secs(31.0), grant(10.0, 100));
    assert_eq!(request_slot(&mut slots, 31.05, true), None);
    let report = slots.take_report(secs(31.1), false);
    assert_eq!((report.requested, report.in_flight, report.attempt_stats.attempts), (4, 1, 1));
    assert_eq!(report.attempt_stats.retry_after, Duration::from_secs(30));
    // A Retry-After that another service received counts, too. A very long one is capped at 5 min.
    slots.accept_grant(
        secs(32.0),
        secs(32.0),
        Grant { blocked_for: secs(5.0), ..grant(10.0, 100) },
    );
    assert_eq!(request_slot(&mut slots, 32.0, false), Some(5000));
    slots.complete(secs(33.0), Some(&throttled_stats(1_000_000)));
    slots.accept_grant(secs(333.0), secs(333.0), grant(10.0, 100));
    assert_eq!(request_slot(&mut slots, 333.1, false), None);
}

#[test]
fn extra_requests_of_an_attempt_count_against_the_budget() {
    let mut slots = slot_queue(10.0, 100);
    assert_eq!(request_slot(&mut slots, 1.0, false), None);
    let mut error = AttemptError::timed_out(secs(1.0));
    error.credentials_refreshed = true;
    slots.complete(secs(1.0), Some(&AttemptStats::from_input(secs(0.0), &Input::Error(error))));
    slots.record_extra(secs(1.0), &AttemptStats::from_input(secs(0.0), &Input::Wake));
    // One for the attempt, two for the login and the retry, one for the extra attempt.
    assert_eq!(request_slot(&mut slots, 1.0, false), Some(400));
}

#[test]
fn waits_are_counted_once_per_epoch() {
    let mut slots = slot_queue(10.0, 100);
    let (slow, fast) = (UrgencyBucket::from_urgency(0.01), UrgencyBucket::from_urgency(0.1));
    let key = |epoch, urgency| CountKey { epoch, urgency };
    let mut report = |before, now| {
        slots.update_count(before, now);
        slots.take_report(secs(1.0), false).counts
    };
    assert_eq!(report(None, Some(key(0, slow))), [(key(0, slow), 1)]);
    assert_eq!(
        report(Some(key(0, slow)), Some(key(0, fast))),
        [(key(0, slow), -1), (key(0, fast), 1)]
    );
    // A wait that is counted in a new epoch stays counted in the previous one. A finished wait is
    // removed.
    assert_eq!(report(Some(key(0, fast)), Some(key(1, fast))), [(key(1, fast), 1)]);
    assert_eq!(report(Some(key(0, fast)), None), [(key(0, fast), -1)]);
}

/// Simulates waits that request slots until the time `until`. Each wait returns `late(number)`
/// seconds after its reservation; `number` counts all requests. Returns the time and the wait of
/// each slot.
fn simulate(
    slots: &mut SlotQueue,
    waits: usize,
    until: f64,
    late: impl Fn(u64) -> f64,
) -> Vec<(f64, usize)> {
    let micros = |seconds: f64| (seconds * 1e6) as u64;
    let mut queue: BinaryHeap<_> = (0..waits).map(|wait| Reverse((0, wait, false))).collect();
    let (mut granted, mut number, mut renewed) = (Vec::new(), 0, 0.0);
    while let Some(Reverse((time, wait, has_reservation))) = queue.pop() {
        let now = time as f64 / 1e6;
        if now > until {
            break;
        }
        if now - renewed >= 1.0 {
            let grant = slots.grant;
            slots.accept_grant(secs(now), secs(now), grant);
            renewed = now;
        }
        number += 1;
        let (after, has_reservation) = match slots.request_slot(secs(now), arrival(has_reservation))
        {
            Ok(_) => {
                slots.complete(secs(now), None);
                granted.push((now, wait));
                (1.0, false)
            }
            Err(after) => (after.unwrap().as_secs_f64(), true),
        };
        queue.push(Reverse((time + micros(after + late(number)) + 1, wait, has_reservation)));
    }
    granted
}

/// Returns the minimum and the maximum number of slots in any ten seconds.
fn requests_per_window(granted: &[(f64, usize)], from: f64, until: f64) -> (usize, usize) {
    let starts =
        (0..).map(|step| from + f64::from(step) * 0.1).take_while(|start| start + 10.0 <= until);
    let counts = starts
        .map(|start| granted.iter().filter(|(at, _)| (start..start + 10.0).contains(at)).count());
    counts.fold((usize::MAX, 0), |(least, most), count| (least.min(count), most.max(count)))
}

#[test]
fn late_wakes_neither_waste_the_budget_nor_starve_waits() {
    for (name, late) in [("in time", 0.0), ("a little late", 0.05), ("late", 0.2)] {
        let mut slots = slot_queue(50.0, 20);
        // Delays from zero to `late` in a scrambled order.
        let granted = simulate(&mut slots, 2_000, 200.0, |number| {
            late * ((number * 7919 % 1000) as f64 / 1000.0)
        });
        let (least, most) = requests_per_window(&granted, 5.0, 200.0);
        assert!((475..=525).contains(&least) && most <= 525, "{name}: {least} to {most}");
        let mut last = vec![0.0; 2_000];
        for (at, wait) in granted {
            assert!(at - last[wait] < 45.0, "{name}: {wait} waited from {} to {at}", last[wait]);
            last[wait] = at;
        }
    }
}

#[test]
fn late_wakes_do_not_cause_a_burst() {
    let mut slots = slot_queue(50.0, 20);
    let delays = (0..500).filter(|_| request_slot(&mut slots, 0.0, false).is_some()).count();
    assert_eq!(delays, 499);
    // The engine was down for a minute: all waits with reservations return at once.
    slots.accept_grant(secs(60.0), secs(60.0), grant(50.0, 1000));
    let granted = (0..499).filter(|_| request_slot(&mut slots, 60.0, true).is_none()).count();
    assert!((10..=14).contains(&granted), "{granted}");
}

proptest! {
    #[test]
    fn slots_never_exceed_the_grant(
        steps in vec((0_u64..400, any::<bool>(), 0_u8..8), 1..200),
        per_second in 1_u32..100,
        in_flight in 1_usize..10,
    ) {
        let mut slots = slot_queue(per_second.into(), in_flight);
        let (mut now, mut granted, mut in_use) = (Duration::ZERO, 0_u32, 0);
        for (millis, has_reservation, done) in steps {
            now += Duration::from_millis(millis);
            let grant = slots.grant;
            slots.accept_grant(now, now, grant);
            match slots.request_slot(now, arrival(has_reservation)) {
                Ok(_) => (granted, in_use) = (granted + 1, in_use + 1),
                Err(after) => prop_assert!(after > Some(Duration::ZERO) || has_reservation),
            }
            prop_assert!(in_use <= in_flight);
            if done < 5 && in_use > 0 {
                slots.complete(now, None);
                in_use -= 1;
            }
        }
        let most = (now + LATE_TOLERANCE).as_secs_f64() * f64::from(per_second) + 1.0;
        prop_assert!(f64::from(granted) <= most + 1e-6, "{granted} of {most}");
    }
}

#[test]
fn a_service_that_may_send_nothing_states_why() {
    let none = SlotQueue::new(1);
    let mut paused = slot_queue(10.0, 2);
    assert!(paused.request_slot(secs(0.0), Arrival::Due).is_ok());
    paused.complete(secs(0.0), Some(&throttled_stats(3)));
    let rows = [
        (none, 0.0, Some("cannot reach the engine")),
        (slot_queue(10.0, 2), 0.0, None),
        (slot_queue(10.0, 2), 60.0, Some("cannot reach the engine")),
        (slot_queue(10.0, 0), 0.0, Some("use the whole budget")),
        (slot_queue(0.0, 2), 0.0, Some("use the whole budget")),
        (paused, 0.0, Some("asked for a pause")),
    ];
    for (slots, seconds, expected) in rows {
        let obstacle = slots.obstacle(secs(seconds));
        let fits = match expected {
            None => obstacle.is_none(),
            Some(expected) => obstacle.is_some_and(|obstacle| obstacle.contains(expected)),
        };
        assert!(fits, "{obstacle:?}, {expected:?}");
    }
}
