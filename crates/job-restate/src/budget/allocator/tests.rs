//! What services are lent, whoever comes, dies, or has a clock of its own.

use job_poller::Urgency;
use proptest::{collection::vec, prelude::*};

use super::*;

fn said(service: u64, number: u64, seconds: f64, asked: u32) -> Said {
    let at = Duration::from_millis((seconds * 1000.0).round() as u64);
    let attempted = Attempted::default();
    Said { service, number, at, asked, asking: 0, attempted, counts: Vec::new(), is_leaving: false }
}

fn told(lent: &Lent) -> (u32, usize) {
    (lent.per_second.round() as u32, lent.in_flight)
}

#[test]
fn it_is_divided_by_what_is_asked_and_lent_once() {
    let mut shares = Shares::new(100.0, 20);
    assert_eq!(told(&shares.lend(&said(1, 1, 0.0, 30))), (100, 20), "alone it has all");
    assert_eq!(
        told(&shares.lend(&said(2, 1, 0.1, 10))),
        (0, 0),
        "as long as nothing is given back"
    );
    // The first gives back what is the other's, who has it then.
    let mut last = [(0, 0); 2];
    for second in 1..20 {
        let at = f64::from(second);
        last = [(1, 30), (2, 10)].map(|(service, asked)| {
            told(&shares.lend(&said(service, second as u64 + 1, at, asked)))
        });
    }
    assert_eq!(last, [(74, 14), (26, 5)]);
    // It dies without a word: what it had is lent to others once its lease has ended.
    assert_eq!(told(&shares.lend(&said(2, 30, 23.9, 49))), (26, 5));
    assert_eq!(told(&shares.lend(&said(2, 31, 28.8, 49))), (26, 5));
    assert_eq!(told(&shares.lend(&said(2, 32, 29.1, 3))), (100, 20));
    // Whoever says that it goes gives back at once.
    assert_eq!(told(&shares.lend(&said(3, 1, 29.2, 10))), (0, 0));
    shares.lend(&Said { is_leaving: true, ..said(2, 33, 29.3, 1) });
    assert_eq!(told(&shares.lend(&said(3, 2, 29.4, 1))), (100, 20));
    assert_eq!(shares.status().services, 1);
}

#[test]
fn what_is_said_twice_counts_once() {
    let mut shares = Shares::new(100.0, 20);
    let counts = vec![((0, Urgency::of(0.1)), 40), ((0, Urgency::of(0.2)), 2)];
    let once = Said { counts, ..said(1, 1, 0.0, 30) };
    shares.lend(&once);
    shares.lend(&once);
    assert_eq!(shares.status().waits, 42);
    let counts = vec![((0, Urgency::of(0.1)), -30)];
    shares.lend(&Said { counts, ..said(1, 2, 1.0, 30) });
    assert_eq!(shares.status().waits, 12);
}

#[test]
fn a_retry_after_holds_all_and_throttling_slows_all() {
    let mut shares = Shares::new(100.0, 20);
    shares.lend(&said(2, 1, 0.0, 10));
    shares.lend(&said(1, 1, 0.0, 10));
    let mut refused = Attempted::default();
    (refused.attempts, refused.throttled) = (1, true);
    refused.retry_after = Duration::from_secs(20);
    shares.lend(&Said { attempted: refused, ..said(1, 2, 1.0, 10) });
    let other = shares.lend(&said(2, 2, 2.0, 10));
    assert!((other.hold.as_secs_f64() - 19.0).abs() < 0.02, "{:?}", other.hold);
    assert_eq!(shares.status().requests_per_second, 70.0);
}

#[test]
fn who_was_lost_is_counted_anew() {
    let mut shares = Shares::new(1_000.0, 20);
    let fast = Urgency::of(0.1);
    shares.lend(&Said { counts: vec![((0, fast), 1_000)], ..said(1, 1, 0.0, 0) });
    // It dies, and with it what it knew of 500 that ended. The others are counted as they are planned anew.
    let mut waits = Vec::new();
    for second in 1..600_u32 {
        let round = shares.round;
        let is_new = waits.last().is_none_or(|(of, _)| *of != round);
        let counts = if is_new { vec![((round, fast), 500)] } else { Vec::new() };
        shares.lend(&Said { counts, ..said(2, second.into(), second.into(), 0) });
        waits.push((round, shares.status().waits));
    }
    assert_eq!(waits[50].1, 1_500, "they are there twice");
    assert_eq!(waits[130].1, 1_500, "as long as the new count has fewer");
    assert_eq!(waits[599 - 1].1, 500);
}

#[test]
fn who_is_over_is_not_counted_in_the_round_before_either() {
    let mut shares = Shares::new(1_000.0, 20);
    let fast = Urgency::of(0.1);
    shares.lend(&Said { counts: vec![((0, fast), 1_000)], ..said(1, 1, 0.0, 0) });
    (2..200).for_each(|number| {
        shares.lend(&said(1, number, number as f64, 0));
    });
    assert_eq!((shares.round, shares.status().waits), (1, 1_000));
    shares.lend(&Said { counts: vec![((0, fast), -900)], ..said(1, 200, 200.0, 0) });
    assert_eq!(shares.status().waits, 100);
    // Nothing that anybody says takes long, or goes beyond the numbers.
    let odd = vec![((1, fast), i64::MIN), ((1, fast), i64::MAX), ((7, fast), 1)];
    shares.lend(&Said { counts: odd, ..said(1, 201, 201.0, 0) });
    assert_eq!(shares.status().waits, u32::MAX as usize);
}

#[test]
fn each_services_time_is_its_own() {
    let mut shares = Shares::new(100.0, 20);
    let mut now = |service, number, seconds| {
        shares.lend(&said(service, number, seconds, 0));
        shares.now.as_secs_f64()
    };
    // A machine that has been up for a year, one that was started just now, and a report that comes late.
    let rows = [
        (1, 1, 31_536_000.0, 0.0),
        (1, 2, 31_536_001.0, 1.0),
        (2, 1, 3.0, 1.0),
        (2, 2, 4.0, 2.0),
        (1, 3, 31_536_001.5, 2.0),
        (2, 2, 4.0, 2.0),
        (2, 3, 8.0, 6.0),
        (2, 4, 24.0, 6.0),
        (2, 5, 25.0, 7.0),
    ];
    for (service, number, seconds, expected) in rows {
        assert_eq!(now(service, number, seconds), expected, "{service} at {seconds}");
    }
}

#[test]
fn what_is_under_way_is_not_lent_to_others() {
    let mut shares = Shares::new(100.0, 20);
    let busy = |number, seconds| Said { asking: 20, ..said(1, number, seconds, 50) };
    shares.lend(&busy(1, 0.0));
    for second in 1..4_u32 {
        shares.lend(&busy(u64::from(second) + 1, second.into()));
        let other = shares.lend(&said(2, second.into(), second.into(), 50));
        assert_eq!(told(&other), (0, 0), "and without places there are no requests");
    }
    // They have ended, and a time later the other has its part.
    shares.lend(&said(1, 9, 4.0, 50));
    assert!(shares.lend(&said(2, 9, 4.1, 50)).in_flight > 5);
}

proptest! {
    #[test]
    fn no_more_is_lent_than_there_is(
        steps in vec((0_u64..6, 0_u64..3000, 0_u32..100, any::<bool>()), 1..80),
        per_second in 1_u32..200,
        in_flight in 1_usize..40,
    ) {
        let mut shares = Shares::new(per_second.into(), in_flight);
        // What each may use, by the lender's time, until when.
        let mut lent = BTreeMap::new();
        let mut now = 0;
        for (number, (service, millis, asked, is_leaving)) in (1..).zip(steps) {
            now += millis;
            let is_leaving = is_leaving && asked % 4 == 0;
            let said = said(service, number, now as f64 / 1000.0, asked);
            let given = shares.lend(&Said { is_leaving, ..said });
            if is_leaving {
                prop_assert_eq!(told(&given), (0, 0));
                lent.remove(&service);
            } else {
                lent.insert(service, (given, now + LENT_FOR.as_millis() as u64));
            }
            lent.retain(|_, (_, until)| *until > now);
            let sum: f64 = lent.values().map(|(lent, _)| lent.per_second).sum();
            let flying: usize = lent.values().map(|(lent, _)| lent.in_flight).sum();
            prop_assert!(sum <= f64::from(per_second) + 1e-6, "{sum}");
            prop_assert!(flying <= in_flight, "{flying}");
        }
        let text = serde_json::to_string(&shares).unwrap();
        let again: Shares = serde_json::from_str(&text).unwrap();
        // Fractions as JSON has them may differ in their last digit.
        prop_assert_eq!(again.services.len(), shares.services.len());
        prop_assert_eq!(again.now, shares.now);
    }
}
