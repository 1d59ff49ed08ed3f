//! Turns as waits come for them, in whatever order and however late.

use std::{cmp::Reverse, collections::BinaryHeap};

use job_poller::{Fault, Input};
use proptest::{collection::vec, prelude::*};

use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn lent(per_second: f64, in_flight: usize) -> Lent {
    Lent { per_second, in_flight, hold: Duration::ZERO, turn: Turn::NONE }
}

const fn coming(was_told: bool) -> Coming {
    if was_told { Coming::Told } else { Coming::Due }
}

fn turns(per_second: f64, in_flight: usize) -> Turns {
    let mut turns = Turns::new(1);
    turns.take(Duration::ZERO, Duration::ZERO, lent(per_second, in_flight));
    turns
}

/// Returns after how many milliseconds a wait is to come back that has no turn.
fn ask(turns: &mut Turns, seconds: f64, was_told: bool) -> Option<u128> {
    let after = turns.ask(at(seconds), coming(was_told)).err();
    after.map(|after| after.unwrap().as_millis())
}

fn refused(retry_after: u64) -> Attempted {
    let mut attempted = Attempted::default();
    (attempted.attempts, attempted.throttled) = (1, true);
    attempted.retry_after = Duration::from_secs(retry_after);
    attempted
}

#[test]
fn each_has_a_time_of_its_own_and_nobody_takes_it() {
    let mut turns = turns(10.0, 100);
    let came: Vec<_> = (0..4).map(|_| ask(&mut turns, 1.0, false)).collect();
    assert_eq!(came, [None, Some(100), Some(200), Some(300)]);
    // Another comes between: after all who were told.
    assert_eq!(ask(&mut turns, 1.05, false), Some(350));
    // Those who were told come, one a little late, and one after its time.
    assert_eq!(ask(&mut turns, 1.1, true), None);
    assert_eq!(ask(&mut turns, 1.29, true), None);
    assert_eq!(ask(&mut turns, 1.3, true), None);
    // Whatever was not made use of is not made up for.
    assert_eq!(ask(&mut turns, 4.0, false), None);
    assert_eq!(ask(&mut turns, 4.0, false), Some(100));
}

#[test]
fn whoever_is_early_has_what_nobody_wants() {
    let mut turns = turns(10.0, 100);
    assert!(turns.ask(at(1.0), Coming::Early).is_ok());
    let early: Vec<_> =
        (0..40).filter_map(|_| turns.ask(at(1.0), Coming::Early).unwrap_err()).collect();
    assert_eq!(
        (early.len(), early.last()),
        (30, Some(&at(3.0))),
        "the others come when they are due"
    );
    // Those have a time all the same.
    assert_eq!(ask(&mut turns, 1.0, false), Some(3100));
    turns.take(at(5.0), at(5.0), lent(10.0, 100));
    assert!(turns.ask(at(5.0), Coming::Early).is_ok());
}

#[test]
fn a_bad_minute_does_not_last() {
    let mut turns = turns(1.0, 100);
    let share = Share::new(Duration::ZERO, at(100.0));
    let lent = |per_second| Lent { turn: Turn { share, ..Turn::NONE }, ..lent(per_second, 100) };
    turns.take(at(0.0), at(0.0), lent(1.0));
    let told: Vec<_> = (0..500).filter_map(|_| ask(&mut turns, 0.0, false)).collect();
    assert_eq!(told.iter().max(), Some(&100_000), "nobody is told to stay away for longer");
    // The service is well again: the queue is as long, and goes on as fast.
    turns.take(at(1.0), at(1.0), lent(50.0));
    let after = ask(&mut turns, 1.0, false).unwrap();
    assert!((1_900..2_100).contains(&after), "{after}");
}

#[test]
fn nothing_is_lent_or_no_more() {
    let mut turns = Turns::new(1);
    assert_eq!(ask(&mut turns, 0.0, false), Some(3000));
    turns.take(at(1.0), at(1.1), lent(10.0, 1));
    assert_eq!(ask(&mut turns, 1.2, true), None);
    assert_eq!(ask(&mut turns, 6.1, true), Some(3000), "the lease has ended");
    turns.take(at(6.1), at(6.2), lent(0.0, 0));
    assert_eq!(ask(&mut turns, 6.3, true), Some(3000), "others have it all");
}

#[test]
fn no_more_are_in_flight_than_may_be() {
    let mut turns = turns(100.0, 2);
    assert_eq!((ask(&mut turns, 1.0, false), ask(&mut turns, 1.02, false)), (None, None));
    assert_eq!(ask(&mut turns, 1.04, false), Some(250));
    assert_eq!(ask(&mut turns, 1.3, true), Some(250));
    assert!(!turns.done(at(1.4), Some(&Attempted::of(at(0.4), &Input::Wake))));
    assert_eq!(ask(&mut turns, 1.5, true), None);
    // One that was given up frees its place, too.
    turns.done(at(1.6), None);
    assert_eq!(ask(&mut turns, 1.7, true), None);
}

#[test]
fn a_retry_after_holds_all_and_is_told_at_once() {
    let mut turns = turns(10.0, 100);
    assert_eq!((ask(&mut turns, 1.0, false), ask(&mut turns, 1.0, false)), (None, Some(100)));
    assert!(turns.done(at(1.05), Some(&refused(30))));
    assert_eq!(ask(&mut turns, 1.1, true), Some(29_950), "not although it was told");
    turns.take(at(31.0), at(31.0), lent(10.0, 100));
    assert_eq!(ask(&mut turns, 31.05, true), None);
    let said = turns.said(at(31.1), false);
    assert_eq!((said.asked, said.asking, said.attempted.attempts), (4, 1, 1));
    assert_eq!(said.attempted.retry_after, Duration::from_secs(30));
    // Another service's is heeded as its own, and one without end is not.
    turns.take(at(32.0), at(32.0), Lent { hold: at(5.0), ..lent(10.0, 100) });
    assert_eq!(ask(&mut turns, 32.0, false), Some(5000));
    turns.done(at(33.0), Some(&refused(1_000_000)));
    turns.take(at(333.0), at(333.0), lent(10.0, 100));
    assert_eq!(ask(&mut turns, 333.1, false), None);
}

#[test]
fn requests_besides_an_attempts_first_count() {
    let mut turns = turns(10.0, 100);
    assert_eq!(ask(&mut turns, 1.0, false), None);
    let mut fault = Fault::timed_out(at(1.0));
    fault.renewed = true;
    turns.done(at(1.0), Some(&Attempted::of(at(0.0), &Input::Fault(fault))));
    turns.also(at(1.0), &Attempted::of(at(0.0), &Input::Wake));
    // One, two for a login, and one more.
    assert_eq!(ask(&mut turns, 1.0, false), Some(400));
}

#[test]
fn waits_are_counted_once_in_a_round() {
    let mut turns = turns(10.0, 100);
    let (slow, fast) = (Urgency::of(0.01), Urgency::of(0.1));
    let mut said = |before, now| {
        turns.count(before, now);
        turns.said(at(1.0), false).counts
    };
    assert_eq!(said(None, Some((0, slow))), [((0, slow), 1)]);
    assert_eq!(said(Some((0, slow)), Some((0, fast))), [((0, slow), -1), ((0, fast), 1)]);
    // Who is counted in a new round stays in the one before, which is complete; but not who is over.
    assert_eq!(said(Some((0, fast)), Some((1, fast))), [((1, fast), 1)]);
    assert_eq!(said(Some((0, fast)), None), [((0, fast), -1)]);
}

/// Lets waits come again and again, each when it is told and then so late; returns when each had its turn.
fn drive(
    turns: &mut Turns,
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
            let lent = turns.lent;
            turns.take(at(now), at(now), lent);
            renewed = now;
        }
        number += 1;
        let (after, was_told) = match turns.ask(at(now), coming(was_told)) {
            Ok(_) => {
                turns.done(at(now), None);
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
fn windows(given: &[(f64, usize)], from: f64, until: f64) -> (usize, usize) {
    let starts =
        (0..).map(|step| from + f64::from(step) * 0.1).take_while(|start| start + 10.0 <= until);
    let counts = starts
        .map(|start| given.iter().filter(|(at, _)| (start..start + 10.0).contains(at)).count());
    counts.fold((usize::MAX, 0), |(least, most), count| (least.min(count), most.max(count)))
}

#[test]
fn the_budget_is_spent_whole_and_nobody_starves_however_late_the_engine_wakes() {
    for (name, late) in [("in time", 0.0), ("a little late", 0.05), ("late", 0.2)] {
        let mut turns = turns(50.0, 20);
        // From none to so much, by no pattern.
        let given = drive(&mut turns, 2_000, 200.0, |number| {
            late * ((number * 7919 % 1000) as f64 / 1000.0)
        });
        let (least, most) = windows(&given, 5.0, 200.0);
        assert!((475..=525).contains(&least) && most <= 525, "{name}: {least} to {most}");
        let mut last = vec![0.0; 2_000];
        for (at, wait) in given {
            assert!(at - last[wait] < 45.0, "{name}: {wait} waited from {} to {at}", last[wait]);
            last[wait] = at;
        }
    }
}

#[test]
fn what_comes_late_all_at_once_is_no_burst() {
    let mut turns = turns(50.0, 20);
    let told = (0..500).filter(|_| ask(&mut turns, 0.0, false).is_some()).count();
    assert_eq!(told, 499);
    // The engine was away for a minute: all who were told come now.
    turns.take(at(60.0), at(60.0), lent(50.0, 1000));
    let given = (0..499).filter(|_| ask(&mut turns, 60.0, true).is_none()).count();
    assert!((10..=14).contains(&given), "{given}");
}

proptest! {
    #[test]
    fn never_more_than_is_lent(
        steps in vec((0_u64..400, any::<bool>(), 0_u8..8), 1..200),
        per_second in 1_u32..100,
        in_flight in 1_usize..10,
    ) {
        let mut turns = turns(per_second.into(), in_flight);
        let (mut now, mut given, mut asking) = (Duration::ZERO, 0_u32, 0);
        for (millis, was_told, done) in steps {
            now += Duration::from_millis(millis);
            let (until, lent) = (now, turns.lent);
            turns.take(until, now, lent);
            match turns.ask(now, coming(was_told)) {
                Ok(_) => (given, asking) = (given + 1, asking + 1),
                Err(after) => prop_assert!(after > Some(Duration::ZERO) || was_told),
            }
            prop_assert!(asking <= in_flight);
            if done < 5 && asking > 0 {
                turns.done(now, None);
                asking -= 1;
            }
        }
        let most = (now + LATE).as_secs_f64() * f64::from(per_second) + 1.0;
        prop_assert!(f64::from(given) <= most + 1e-6, "{given} of {most}");
    }
}
