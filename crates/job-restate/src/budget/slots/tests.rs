//! Turns as waits come for them, in whatever order and however late.

use std::{cmp::Reverse, collections::BinaryHeap};

use job_poller::{AttemptError, Input};
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
    let mut turns = SlotQueue::new(1);
    turns.accept_grant(Duration::ZERO, Duration::ZERO, grant(per_second, in_flight));
    turns
}

/// Returns after how many milliseconds a wait is to come back that has no turn.
fn request_slot(turns: &mut SlotQueue, seconds: f64, was_told: bool) -> Option<u128> {
    let after = turns.request_slot(secs(seconds), arrival(was_told)).err();
    after.map(|after| after.unwrap().as_millis())
}

fn throttled_stats(retry_after: u64) -> AttemptStats {
    let mut attempted = AttemptStats::default();
    (attempted.attempts, attempted.throttled) = (1, true);
    attempted.retry_after = Duration::from_secs(retry_after);
    attempted
}

#[test]
fn reservations_are_distinct_and_exclusive() {
    let mut turns = slot_queue(10.0, 100);
    let came: Vec<_> = (0..4).map(|_| request_slot(&mut turns, 1.0, false)).collect();
    assert_eq!(came, [None, Some(100), Some(200), Some(300)]);
    // Another comes between: after all who were told.
    assert_eq!(request_slot(&mut turns, 1.05, false), Some(350));
    // Those who were told come, one a little late, and one after its time.
    assert_eq!(request_slot(&mut turns, 1.1, true), None);
    assert_eq!(request_slot(&mut turns, 1.29, true), None);
    assert_eq!(request_slot(&mut turns, 1.3, true), None);
    // Whatever was not made use of is not made up for.
    assert_eq!(request_slot(&mut turns, 4.0, false), None);
    assert_eq!(request_slot(&mut turns, 4.0, false), Some(100));
}

#[test]
fn early_arrivals_use_idle_capacity_only() {
    let mut turns = slot_queue(10.0, 100);
    assert!(turns.request_slot(secs(1.0), Arrival::Early).is_ok());
    let early: Vec<_> = (0..40)
        .filter_map(|_| turns.request_slot(secs(1.0), Arrival::Early).unwrap_err())
        .collect();
    assert_eq!(
        (early.len(), early.last()),
        (30, Some(&secs(3.0))),
        "the others come when they are due"
    );
    // Those have a time all the same.
    assert_eq!(request_slot(&mut turns, 1.0, false), Some(3100));
    turns.accept_grant(secs(5.0), secs(5.0), grant(10.0, 100));
    assert!(turns.request_slot(secs(5.0), Arrival::Early).is_ok());
}

#[test]
fn queue_delays_recover_when_the_rate_increases() {
    let mut turns = slot_queue(1.0, 100);
    let share = BudgetShare::new(Duration::ZERO, secs(100.0));
    let lent = |per_second| Grant { slot: Slot { share, ..Slot::NONE }, ..grant(per_second, 100) };
    turns.accept_grant(secs(0.0), secs(0.0), lent(1.0));
    let told: Vec<_> = (0..500).filter_map(|_| request_slot(&mut turns, 0.0, false)).collect();
    assert_eq!(told.iter().max(), Some(&100_000), "nobody is told to stay away for longer");
    // The service is well again: the queue is as long, and goes on as fast.
    turns.accept_grant(secs(1.0), secs(1.0), lent(50.0));
    let after = request_slot(&mut turns, 1.0, false).unwrap();
    assert!((1_900..2_100).contains(&after), "{after}");
}

#[test]
fn no_slot_is_given_without_a_valid_grant() {
    let mut turns = SlotQueue::new(1);
    assert_eq!(request_slot(&mut turns, 0.0, false), Some(3000));
    turns.accept_grant(secs(1.0), secs(1.1), grant(10.0, 1));
    assert_eq!(request_slot(&mut turns, 1.2, true), None);
    assert_eq!(request_slot(&mut turns, 6.1, true), Some(3000), "the lease has ended");
    turns.accept_grant(secs(6.1), secs(6.2), grant(0.0, 0));
    assert_eq!(request_slot(&mut turns, 6.3, true), Some(3000), "others have it all");
}

#[test]
fn requests_in_flight_never_exceed_the_limit() {
    let mut turns = slot_queue(100.0, 2);
    assert_eq!(
        (request_slot(&mut turns, 1.0, false), request_slot(&mut turns, 1.02, false)),
        (None, None)
    );
    assert_eq!(request_slot(&mut turns, 1.04, false), Some(250));
    assert_eq!(request_slot(&mut turns, 1.3, true), Some(250));
    assert!(!turns.complete(secs(1.4), Some(&AttemptStats::from_input(secs(0.4), &Input::Wake))));
    assert_eq!(request_slot(&mut turns, 1.5, true), None);
    // One that was given up frees its place, too.
    turns.complete(secs(1.6), None);
    assert_eq!(request_slot(&mut turns, 1.7, true), None);
}

#[test]
fn a_retry_after_blocks_all_slots_and_is_reported() {
    let mut turns = slot_queue(10.0, 100);
    assert_eq!(
        (request_slot(&mut turns, 1.0, false), request_slot(&mut turns, 1.0, false)),
        (None, Some(100))
    );
    assert!(turns.complete(secs(1.05), Some(&throttled_stats(30))));
    assert_eq!(request_slot(&mut turns, 1.1, true), Some(29_950), "not although it was told");
    turns.accept_grant(secs(31.0), secs(31.0), grant(10.0, 100));
    assert_eq!(request_slot(&mut turns, 31.05, true), None);
    let said = turns.take_report(secs(31.1), false);
    assert_eq!((said.requested, said.max_in_flight, said.attempt_stats.attempts), (4, 1, 1));
    assert_eq!(said.attempt_stats.retry_after, Duration::from_secs(30));
    // Another service's is heeded as its own, and one without end is not.
    turns.accept_grant(
        secs(32.0),
        secs(32.0),
        Grant { blocked_for: secs(5.0), ..grant(10.0, 100) },
    );
    assert_eq!(request_slot(&mut turns, 32.0, false), Some(5000));
    turns.complete(secs(33.0), Some(&throttled_stats(1_000_000)));
    turns.accept_grant(secs(333.0), secs(333.0), grant(10.0, 100));
    assert_eq!(request_slot(&mut turns, 333.1, false), None);
}

#[test]
fn extra_requests_of_an_attempt_count_against_the_budget() {
    let mut turns = slot_queue(10.0, 100);
    assert_eq!(request_slot(&mut turns, 1.0, false), None);
    let mut fault = AttemptError::timed_out(secs(1.0));
    fault.credentials_refreshed = true;
    turns.complete(secs(1.0), Some(&AttemptStats::from_input(secs(0.0), &Input::Error(fault))));
    turns.record_extra(secs(1.0), &AttemptStats::from_input(secs(0.0), &Input::Wake));
    // One, two for a login, and one more.
    assert_eq!(request_slot(&mut turns, 1.0, false), Some(400));
}

#[test]
fn waits_are_counted_once_per_epoch() {
    let mut turns = slot_queue(10.0, 100);
    let (slow, fast) = (UrgencyBucket::from_urgency(0.01), UrgencyBucket::from_urgency(0.1));
    let mut said = |before, now| {
        turns.update_count(before, now);
        turns.take_report(secs(1.0), false).counts
    };
    assert_eq!(said(None, Some((0, slow))), [((0, slow), 1)]);
    assert_eq!(said(Some((0, slow)), Some((0, fast))), [((0, slow), -1), ((0, fast), 1)]);
    // Who is counted in a new round stays in the one before, which is complete; but not who is over.
    assert_eq!(said(Some((0, fast)), Some((1, fast))), [((1, fast), 1)]);
    assert_eq!(said(Some((0, fast)), None), [((0, fast), -1)]);
}

/// Lets waits come again and again, each when it is told and then so late; returns when each had its turn.
fn simulate(
    turns: &mut SlotQueue,
    waits: usize,
    until: f64,
    late: impl Fn(u64) -> f64,
) -> Vec<(f64, usize)> {
    let micros = |seconds: f64| (seconds * 1e6) as u64;
    let mut queue: BinaryHeap<_> = (0..waits).map(|wait| Reverse((0, wait, false))).collect();
    let (mut given, mut number, mut renewed) = (Vec::new(), 0, 0.0);
    while let Some(Reverse((time, wait, was_told))) = queue.pop() {
        let now = time as f64 / 1e6;
        if now > until {
            break;
        }
        if now - renewed >= 1.0 {
            let lent = turns.grant;
            turns.accept_grant(secs(now), secs(now), lent);
            renewed = now;
        }
        number += 1;
        let (after, was_told) = match turns.request_slot(secs(now), arrival(was_told)) {
            Ok(_) => {
                turns.complete(secs(now), None);
                given.push((now, wait));
                (1.0, false)
            }
            Err(after) => (after.unwrap().as_secs_f64(), true),
        };
        queue.push(Reverse((time + micros(after + late(number)) + 1, wait, was_told)));
    }
    given
}

/// Returns the fewest and the most turns in any ten seconds, of so many.
fn requests_per_window(given: &[(f64, usize)], from: f64, until: f64) -> (usize, usize) {
    let starts =
        (0..).map(|step| from + f64::from(step) * 0.1).take_while(|start| start + 10.0 <= until);
    let counts = starts
        .map(|start| given.iter().filter(|(at, _)| (start..start + 10.0).contains(at)).count());
    counts.fold((usize::MAX, 0), |(least, most), count| (least.min(count), most.max(count)))
}

#[test]
fn late_wakes_neither_waste_the_budget_nor_starve_waits() {
    for (name, late) in [("in time", 0.0), ("a little late", 0.05), ("late", 0.2)] {
        let mut turns = slot_queue(50.0, 20);
        // From none to so much, by no pattern.
        let given = simulate(&mut turns, 2_000, 200.0, |number| {
            late * ((number * 7919 % 1000) as f64 / 1000.0)
        });
        let (least, most) = requests_per_window(&given, 5.0, 200.0);
        assert!((475..=525).contains(&least) && most <= 525, "{name}: {least} to {most}");
        let mut last = vec![0.0; 2_000];
        for (at, wait) in given {
            assert!(at - last[wait] < 45.0, "{name}: {wait} waited from {} to {at}", last[wait]);
            last[wait] = at;
        }
    }
}

#[test]
fn late_wakes_do_not_cause_a_burst() {
    let mut turns = slot_queue(50.0, 20);
    let told = (0..500).filter(|_| request_slot(&mut turns, 0.0, false).is_some()).count();
    assert_eq!(told, 499);
    // The engine was away for a minute: all who were told come now.
    turns.accept_grant(secs(60.0), secs(60.0), grant(50.0, 1000));
    let given = (0..499).filter(|_| request_slot(&mut turns, 60.0, true).is_none()).count();
    assert!((10..=14).contains(&given), "{given}");
}

proptest! {
    #[test]
    fn slots_never_exceed_the_grant(
        steps in vec((0_u64..400, any::<bool>(), 0_u8..8), 1..200),
        per_second in 1_u32..100,
        in_flight in 1_usize..10,
    ) {
        let mut turns = slot_queue(per_second.into(), in_flight);
        let (mut now, mut given, mut asking) = (Duration::ZERO, 0_u32, 0);
        for (millis, was_told, done) in steps {
            now += Duration::from_millis(millis);
            let (until, lent) = (now, turns.grant);
            turns.accept_grant(until, now, lent);
            match turns.request_slot(now, arrival(was_told)) {
                Ok(_) => (given, asking) = (given + 1, asking + 1),
                Err(after) => prop_assert!(after > Some(Duration::ZERO) || was_told),
            }
            prop_assert!(asking <= in_flight);
            if done < 5 && asking > 0 {
                turns.complete(now, None);
                asking -= 1;
            }
        }
        let most = (now + LATE_TOLERANCE).as_secs_f64() * f64::from(per_second) + 1.0;
        prop_assert!(f64::from(given) <= most + 1e-6, "{given} of {most}");
    }
}
