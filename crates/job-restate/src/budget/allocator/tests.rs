//! Tests grants to services that start, crash, leave, and have clocks of their own.

use job_poller::{
    budget::{AttemptStats, StatedQuotas, UrgencyBucket},
    machine::{QuotaPolicy, StatedQuota},
};
use proptest::{collection::vec, prelude::*};

use super::*;

fn report(service: u64, number: u64, seconds: f64, requested: u32) -> UsageReport {
    let reported_at = Duration::from_millis((seconds * 1000.0).round() as u64);
    let attempt_stats = AttemptStats::default();
    UsageReport {
        service,
        number,
        reported_at,
        requested,
        in_flight: 0,
        attempt_stats,
        counts: Vec::new(),
        is_leaving: false,
    }
}

const fn count_key(epoch: u32, urgency: UrgencyBucket) -> CountKey {
    CountKey { epoch, urgency }
}

fn limits(grant: &Grant) -> (u32, usize) {
    (grant.per_second.round() as u32, grant.in_flight)
}

#[test]
fn the_budget_is_divided_by_demand_and_granted_once() {
    let mut allocator = BudgetAllocator::new(100.0, 20);
    assert_eq!(
        limits(&allocator.grant(&report(1, 1, 0.0, 30))),
        (100, 20),
        "a single service gets everything"
    );
    assert_eq!(
        limits(&allocator.grant(&report(2, 1, 0.1, 10))),
        (0, 0),
        "until the first service releases a part"
    );
    // The first service releases a part, which the second one gets.
    let mut last = [(0, 0); 2];
    for second in 1..20 {
        let at = f64::from(second);
        last = [(1, 30), (2, 10)].map(|(service, requested)| {
            limits(&allocator.grant(&report(service, second as u64 + 1, at, requested)))
        });
    }
    assert_eq!(last, [(74, 14), (26, 5)]);
    // The first service crashes without a report. Once its lease has expired, its part is free.
    assert_eq!(limits(&allocator.grant(&report(2, 30, 23.9, 49))), (26, 5));
    assert_eq!(limits(&allocator.grant(&report(2, 31, 28.8, 49))), (26, 5));
    assert_eq!(limits(&allocator.grant(&report(2, 32, 29.1, 3))), (100, 20));
    // A service that leaves releases its part at once.
    assert_eq!(limits(&allocator.grant(&report(3, 1, 29.2, 10))), (0, 0));
    allocator.grant(&UsageReport { is_leaving: true, ..report(2, 33, 29.3, 1) });
    assert_eq!(limits(&allocator.grant(&report(3, 2, 29.4, 1))), (100, 20));
    assert_eq!(allocator.status().services, 1);
}

#[test]
fn a_repeated_report_counts_once() {
    let mut allocator = BudgetAllocator::new(100.0, 20);
    let counts = vec![
        (count_key(0, UrgencyBucket::from_urgency(0.1)), 40),
        (count_key(0, UrgencyBucket::from_urgency(0.2)), 2),
    ];
    let once = UsageReport { counts, ..report(1, 1, 0.0, 30) };
    allocator.grant(&once);
    allocator.grant(&once);
    assert_eq!(allocator.status().waits, 42);
    let counts = vec![(count_key(0, UrgencyBucket::from_urgency(0.1)), -30)];
    allocator.grant(&UsageReport { counts, ..report(1, 2, 1.0, 30) });
    assert_eq!(allocator.status().waits, 12);
}

#[test]
fn a_retry_after_pauses_all_and_throttling_slows_all() {
    let mut allocator = BudgetAllocator::new(100.0, 20);
    allocator.grant(&report(2, 1, 0.0, 10));
    allocator.grant(&report(1, 1, 0.0, 10));
    let mut throttled = AttemptStats::default();
    (throttled.attempts, throttled.throttled) = (1, true);
    throttled.retry_after = Duration::from_secs(20);
    allocator.grant(&UsageReport { attempt_stats: throttled, ..report(1, 2, 1.0, 10) });
    let other = allocator.grant(&report(2, 2, 2.0, 10));
    assert!((other.blocked_for.as_secs_f64() - 19.0).abs() < 0.02, "{:?}", other.blocked_for);
    // The rate recovers by a thirtieth of the budget each second, without any request.
    for (second, expected) in [(2_u32, 73.333), (5, 83.333), (9, 96.667), (10, 100.0), (60, 100.0)]
    {
        allocator.grant(&report(2, u64::from(second) + 1, second.into(), 10));
        let rate = allocator.status().requests_per_second;
        assert!((rate - expected).abs() < 0.001, "{second}: {rate}");
    }
}

/// The quota counts the requests of all services together.
#[test]
fn a_stated_quota_limits_all_services_for_an_hour() {
    let quota = StatedQuota::new(QuotaPolicy::User, 20, Duration::from_secs(30));
    let mut allocator = BudgetAllocator::new(100.0, 20);
    allocator.grant(&report(2, 1, 0.0, 10));
    allocator.grant(&report(1, 1, 0.0, 10));
    let mut refused = AttemptStats::default();
    (refused.attempts, refused.throttled) = (25, true);
    refused.stated_quotas = StatedQuotas::default().with(quota);
    allocator.grant(&UsageReport { attempt_stats: refused, ..report(1, 2, 1.0, 10) });
    let other = allocator.grant(&report(2, 2, 2.0, 10));
    assert!((other.blocked_for.as_secs_f64() - 29.0).abs() < 0.02, "{:?}", other.blocked_for);
    // The state is stored between two reports.
    let text = serde_json::to_string(&allocator).unwrap();
    let mut allocator: BudgetAllocator = serde_json::from_str(&text).unwrap();
    // Each service sends what it may. The rest of a request is kept for the next second.
    let (mut sent, mut grants, mut rest) = (Vec::new(), [0.0; 2], [0.0; 2]);
    for second in 3..=3_600_u32 {
        for service in [0, 1] {
            rest[service] += grants[service];
            let attempts = f64::floor(rest[service]);
            rest[service] -= attempts;
            sent.extend((0..attempts as u32).map(|_| second));
            let mut attempt_stats = AttemptStats::default();
            attempt_stats.attempts = attempts as u32;
            let report = report(service as u64 + 1, second.into(), second.into(), 10);
            let grant = allocator.grant(&UsageReport { attempt_stats, ..report });
            let is_blocked = grant.blocked_for >= Duration::from_secs(1);
            grants[service] = if is_blocked { 0.0 } else { grant.per_second };
        }
        assert!(grants.iter().sum::<f64>() <= 0.6 + 1e-9, "{grants:?} at {second}");
    }
    let within = |start: u32| sent.iter().filter(|at| (start..start + 30).contains(*at)).count();
    let most = (3..3_600).map(within).max().unwrap();
    assert!((15..=18).contains(&most), "{most}");
    assert_eq!(within(3), 0, "the window is full");
    let rate = allocator.status().requests_per_second;
    assert!((rate - 0.6).abs() < 1e-9, "{rate}");
    allocator.grant(&report(1, 9_000, 3_602.0, 10));
    assert_eq!(allocator.status().requests_per_second, 100.0);
}

/// While the new counts of an epoch are incomplete, the counts of the previous epoch are used. The
/// rate recovers all the same.
#[test]
fn the_rate_recovers_while_the_previous_counts_are_used() {
    let mut allocator = BudgetAllocator::new(40.0, 20);
    let counts = vec![(count_key(0, UrgencyBucket::from_urgency(0.1)), 1_000)];
    allocator.grant(&UsageReport { counts, ..report(1, 1, 0.0, 0) });
    for second in 1..=130_u32 {
        allocator.grant(&report(1, u64::from(second) + 1, second.into(), 0));
    }
    assert_eq!((allocator.epoch, allocator.budget.waiters()), (1, 0));
    let mut attempt_stats = AttemptStats::default();
    (attempt_stats.attempts, attempt_stats.throttled) = (1, true);
    let slow = allocator.grant(&UsageReport { attempt_stats, ..report(1, 200, 131.0, 0) });
    assert!((slow.per_second - 28.0).abs() < 1e-9, "{}", slow.per_second);
    // The state is stored between two reports.
    let text = serde_json::to_string(&allocator).unwrap();
    let mut restored: BudgetAllocator = serde_json::from_str(&text).unwrap();
    let later = restored.grant(&report(1, 201, 135.0, 0));
    assert!((later.per_second - (28.0 + 4.0 * 40.0 / 30.0)).abs() < 1e-6, "{}", later.per_second);
    let later = restored.grant(&report(1, 202, 140.0, 0));
    assert!((later.per_second - 40.0).abs() < 1e-9, "{}", later.per_second);
}

#[test]
fn a_new_epoch_corrects_the_counts_of_a_lost_service() {
    let mut allocator = BudgetAllocator::new(1_000.0, 20);
    let fast = UrgencyBucket::from_urgency(0.1);
    allocator
        .grant(&UsageReport { counts: vec![(count_key(0, fast), 1_000)], ..report(1, 1, 0.0, 0) });
    // The service crashes before it reports that 500 waits ended. The other 500 are counted again
    // when their next attempts are planned.
    let mut waits = Vec::new();
    for second in 1..600_u32 {
        let epoch = allocator.epoch;
        let is_new = waits.last().is_none_or(|(counted, _)| *counted != epoch);
        let counts = if is_new { vec![(count_key(epoch, fast), 500)] } else { Vec::new() };
        allocator.grant(&UsageReport { counts, ..report(2, second.into(), second.into(), 0) });
        waits.push((epoch, allocator.status().waits));
    }
    assert_eq!(waits[50].1, 1_500, "500 waits are counted twice");
    assert_eq!(waits[130].1, 1_500, "the previous count is used while it is larger");
    assert_eq!(waits[599 - 1].1, 500);
}

#[test]
fn finished_waits_are_removed_from_the_previous_epoch() {
    let mut allocator = BudgetAllocator::new(1_000.0, 20);
    let fast = UrgencyBucket::from_urgency(0.1);
    allocator
        .grant(&UsageReport { counts: vec![(count_key(0, fast), 1_000)], ..report(1, 1, 0.0, 0) });
    (2..200).for_each(|number| {
        allocator.grant(&report(1, number, number as f64, 0));
    });
    assert_eq!((allocator.epoch, allocator.status().waits), (1, 1_000));
    allocator.grant(&UsageReport {
        counts: vec![(count_key(0, fast), -900)],
        ..report(1, 200, 200.0, 0)
    });
    assert_eq!(allocator.status().waits, 100);
    // Extreme counts are applied quickly and do not overflow.
    let odd = vec![
        (count_key(1, fast), i64::MIN),
        (count_key(1, fast), i64::MAX),
        (count_key(7, fast), 1),
    ];
    allocator.grant(&UsageReport { counts: odd, ..report(1, 201, 201.0, 0) });
    assert_eq!(allocator.status().waits, u32::MAX as usize);
}

#[test]
fn service_clocks_are_independent() {
    let mut allocator = BudgetAllocator::new(100.0, 20);
    let mut now = |service, number, seconds| {
        allocator.grant(&report(service, number, seconds, 0));
        allocator.now.as_secs_f64()
    };
    // Service 1 runs on a machine that has been up for a year, service 2 on one that just started.
    // Some reports come late or twice.
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
    let mut allocator = BudgetAllocator::new(100.0, 20);
    let busy = |number, seconds| UsageReport { in_flight: 20, ..report(1, number, seconds, 50) };
    allocator.grant(&busy(1, 0.0));
    for second in 1..4_u32 {
        allocator.grant(&busy(u64::from(second) + 1, second.into()));
        let other = allocator.grant(&report(2, second.into(), second.into(), 50));
        assert_eq!(limits(&other), (0, 0), "a grant without requests in flight has no rate either");
    }
    // These requests have ended, so the second service gets its part.
    allocator.grant(&report(1, 9, 4.0, 50));
    assert!(allocator.grant(&report(2, 9, 4.1, 50)).in_flight > 5);
}

proptest! {
    #[test]
    fn grants_never_exceed_the_budget(
        steps in vec((0_u64..6, 0_u64..3000, 0_u32..100, any::<bool>()), 1..80),
        per_second in 1_u32..200,
        in_flight in 1_usize..40,
    ) {
        let mut allocator = BudgetAllocator::new(per_second.into(), in_flight);
        // The grant of each service, and when it expires by the clock of the budget.
        let mut grants = BTreeMap::new();
        let mut now = 0;
        for (number, (service, millis, requested, is_leaving)) in (1..).zip(steps) {
            now += millis;
            let is_leaving = is_leaving && requested % 4 == 0;
            let report = report(service, number, now as f64 / 1000.0, requested);
            let grant = allocator.grant(&UsageReport { is_leaving, ..report });
            if is_leaving {
                prop_assert_eq!(limits(&grant), (0, 0));
                grants.remove(&service);
            } else {
                grants.insert(service, (grant, now + LEASE_TTL.as_millis() as u64));
            }
            grants.retain(|_, (_, until)| *until > now);
            let sum: f64 = grants.values().map(|(grant, _)| grant.per_second).sum();
            let flying: usize = grants.values().map(|(grant, _)| grant.in_flight).sum();
            prop_assert!(sum <= f64::from(per_second) + 1e-6, "{sum}");
            prop_assert!(flying <= in_flight, "{flying}");
        }
        let text = serde_json::to_string(&allocator).unwrap();
        let again: BudgetAllocator = serde_json::from_str(&text).unwrap();
        // Fractions may differ in their last digit after a round trip through JSON.
        prop_assert_eq!(again.services.len(), allocator.services.len());
        prop_assert_eq!(again.now, allocator.now);
    }
}
