//! What services are lent, whoever comes, dies, or has a clock of its own.

use job_poller::budget::UrgencyBucket;
use proptest::{collection::vec, prelude::*};

use super::*;

fn report(service: u64, number: u64, seconds: f64, asked: u32) -> UsageReport {
    let at = Duration::from_millis((seconds * 1000.0).round() as u64);
    let attempted = AttemptStats::default();
    UsageReport {
        service,
        number,
        reported_at: at,
        requested: asked,
        max_in_flight: 0,
        attempt_stats: attempted,
        counts: Vec::new(),
        is_leaving: false,
    }
}

fn limits(lent: &Grant) -> (u32, usize) {
    (lent.per_second.round() as u32, lent.in_flight)
}

#[test]
fn the_budget_is_divided_by_demand_and_granted_once() {
    let mut shares = BudgetAllocator::new(100.0, 20);
    assert_eq!(limits(&shares.grant(&report(1, 1, 0.0, 30))), (100, 20), "alone it has all");
    assert_eq!(
        limits(&shares.grant(&report(2, 1, 0.1, 10))),
        (0, 0),
        "as long as nothing is given back"
    );
    // The first gives back what is the other's, who has it then.
    let mut last = [(0, 0); 2];
    for second in 1..20 {
        let at = f64::from(second);
        last = [(1, 30), (2, 10)].map(|(service, asked)| {
            limits(&shares.grant(&report(service, second as u64 + 1, at, asked)))
        });
    }
    assert_eq!(last, [(74, 14), (26, 5)]);
    // It dies without a word: what it had is lent to others once its lease has ended.
    assert_eq!(limits(&shares.grant(&report(2, 30, 23.9, 49))), (26, 5));
    assert_eq!(limits(&shares.grant(&report(2, 31, 28.8, 49))), (26, 5));
    assert_eq!(limits(&shares.grant(&report(2, 32, 29.1, 3))), (100, 20));
    // Whoever says that it goes gives back at once.
    assert_eq!(limits(&shares.grant(&report(3, 1, 29.2, 10))), (0, 0));
    shares.grant(&UsageReport { is_leaving: true, ..report(2, 33, 29.3, 1) });
    assert_eq!(limits(&shares.grant(&report(3, 2, 29.4, 1))), (100, 20));
    assert_eq!(shares.status().services, 1);
}

#[test]
fn a_repeated_report_counts_once() {
    let mut shares = BudgetAllocator::new(100.0, 20);
    let counts = vec![
        ((0, UrgencyBucket::from_urgency(0.1)), 40),
        ((0, UrgencyBucket::from_urgency(0.2)), 2),
    ];
    let once = UsageReport { counts, ..report(1, 1, 0.0, 30) };
    shares.grant(&once);
    shares.grant(&once);
    assert_eq!(shares.status().waits, 42);
    let counts = vec![((0, UrgencyBucket::from_urgency(0.1)), -30)];
    shares.grant(&UsageReport { counts, ..report(1, 2, 1.0, 30) });
    assert_eq!(shares.status().waits, 12);
}

#[test]
fn a_retry_after_pauses_all_and_throttling_slows_all() {
    let mut shares = BudgetAllocator::new(100.0, 20);
    shares.grant(&report(2, 1, 0.0, 10));
    shares.grant(&report(1, 1, 0.0, 10));
    let mut refused = AttemptStats::default();
    (refused.attempts, refused.throttled) = (1, true);
    refused.retry_after = Duration::from_secs(20);
    shares.grant(&UsageReport { attempt_stats: refused, ..report(1, 2, 1.0, 10) });
    let other = shares.grant(&report(2, 2, 2.0, 10));
    assert!((other.blocked_for.as_secs_f64() - 19.0).abs() < 0.02, "{:?}", other.blocked_for);
    assert_eq!(shares.status().requests_per_second, 70.0);
}

#[test]
fn a_new_epoch_corrects_the_counts_of_a_lost_service() {
    let mut shares = BudgetAllocator::new(1_000.0, 20);
    let fast = UrgencyBucket::from_urgency(0.1);
    shares.grant(&UsageReport { counts: vec![((0, fast), 1_000)], ..report(1, 1, 0.0, 0) });
    // It dies, and with it what it knew of 500 that ended. The others are counted as they are planned anew.
    let mut waits = Vec::new();
    for second in 1..600_u32 {
        let round = shares.epoch;
        let is_new = waits.last().is_none_or(|(of, _)| *of != round);
        let counts = if is_new { vec![((round, fast), 500)] } else { Vec::new() };
        shares.grant(&UsageReport { counts, ..report(2, second.into(), second.into(), 0) });
        waits.push((round, shares.status().waits));
    }
    assert_eq!(waits[50].1, 1_500, "they are there twice");
    assert_eq!(waits[130].1, 1_500, "as long as the new count has fewer");
    assert_eq!(waits[599 - 1].1, 500);
}

#[test]
fn finished_waits_are_removed_from_the_previous_epoch() {
    let mut shares = BudgetAllocator::new(1_000.0, 20);
    let fast = UrgencyBucket::from_urgency(0.1);
    shares.grant(&UsageReport { counts: vec![((0, fast), 1_000)], ..report(1, 1, 0.0, 0) });
    (2..200).for_each(|number| {
        shares.grant(&report(1, number, number as f64, 0));
    });
    assert_eq!((shares.epoch, shares.status().waits), (1, 1_000));
    shares.grant(&UsageReport { counts: vec![((0, fast), -900)], ..report(1, 200, 200.0, 0) });
    assert_eq!(shares.status().waits, 100);
    // Nothing that anybody says takes long, or goes beyond the numbers.
    let odd = vec![((1, fast), i64::MIN), ((1, fast), i64::MAX), ((7, fast), 1)];
    shares.grant(&UsageReport { counts: odd, ..report(1, 201, 201.0, 0) });
    assert_eq!(shares.status().waits, u32::MAX as usize);
}

#[test]
fn service_clocks_are_independent() {
    let mut shares = BudgetAllocator::new(100.0, 20);
    let mut now = |service, number, seconds| {
        shares.grant(&report(service, number, seconds, 0));
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
fn in_flight_requests_keep_their_allocation() {
    let mut shares = BudgetAllocator::new(100.0, 20);
    let busy =
        |number, seconds| UsageReport { max_in_flight: 20, ..report(1, number, seconds, 50) };
    shares.grant(&busy(1, 0.0));
    for second in 1..4_u32 {
        shares.grant(&busy(u64::from(second) + 1, second.into()));
        let other = shares.grant(&report(2, second.into(), second.into(), 50));
        assert_eq!(limits(&other), (0, 0), "and without places there are no requests");
    }
    // They have ended, and a time later the other has its part.
    shares.grant(&report(1, 9, 4.0, 50));
    assert!(shares.grant(&report(2, 9, 4.1, 50)).in_flight > 5);
}

proptest! {
    #[test]
    fn grants_never_exceed_the_budget(
        steps in vec((0_u64..6, 0_u64..3000, 0_u32..100, any::<bool>()), 1..80),
        per_second in 1_u32..200,
        in_flight in 1_usize..40,
    ) {
        let mut shares = BudgetAllocator::new(per_second.into(), in_flight);
        // What each may use, by the lender's time, until when.
        let mut lent = BTreeMap::new();
        let mut now = 0;
        for (number, (service, millis, asked, is_leaving)) in (1..).zip(steps) {
            now += millis;
            let is_leaving = is_leaving && asked % 4 == 0;
            let said = report(service, number, now as f64 / 1000.0, asked);
            let given = shares.grant(&UsageReport { is_leaving, ..said });
            if is_leaving {
                prop_assert_eq!(limits(&given), (0, 0));
                lent.remove(&service);
            } else {
                lent.insert(service, (given, now + LEASE_TTL.as_millis() as u64));
            }
            lent.retain(|_, (_, until)| *until > now);
            let sum: f64 = lent.values().map(|(lent, _)| lent.per_second).sum();
            let flying: usize = lent.values().map(|(lent, _)| lent.in_flight).sum();
            prop_assert!(sum <= f64::from(per_second) + 1e-6, "{sum}");
            prop_assert!(flying <= in_flight, "{flying}");
        }
        let text = serde_json::to_string(&shares).unwrap();
        let again: BudgetAllocator = serde_json::from_str(&text).unwrap();
        // Fractions as JSON has them may differ in their last digit.
        prop_assert_eq!(again.services.len(), shares.services.len());
        prop_assert_eq!(again.now, shares.now);
    }
}
