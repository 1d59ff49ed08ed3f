//! Tests grants to services that start, crash, leave, and have clocks of their own.

use jiff::SignedDuration;
use job_poller::{
    budget::{AttemptStats, StatedQuotas},
    machine::{QuotaPolicy, StatedQuota},
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::budget::message::Slot;

/// The time of the first report by the reference clock.
const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn report(service: u64, number: u64, seconds: f64, requested: u32) -> Report {
    let reported_at = Duration::from_secs_f64(seconds);
    Report {
        service,
        number,
        reported_at,
        time: START + reported_at,
        needed: requested,
        requested,
        in_flight: 0,
        attempt_stats: AttemptStats::default(),
        counts: BTreeMap::new(),
        candidates: Vec::new(),
        is_leaving: false,
    }
}

/// Returns the times of the slots in seconds after [`START`].
fn times(grant: Grant) -> Vec<f64> {
    grant.needed_slots().map(|slot| slot.at.duration_since(START).as_secs_f64()).collect()
}

fn throttled(retry_after: Duration) -> AttemptStats {
    let mut stats = AttemptStats::default();
    (stats.attempts, stats.throttled, stats.retry_after) = (1, true, retry_after);
    stats
}

#[test]
fn slots_are_given_once_evenly_spaced_and_lapse() {
    let mut budget = SharedBudget::new(10.0, 20);
    assert_eq!(times(budget.grant(&report(1, 1, 0.0, 3))), [0.0, 0.1, 0.2]);
    assert_eq!(times(budget.grant(&report(2, 1, 0.0, 2))), [0.3, 0.4]);
    assert_eq!(times(budget.grant(&report(1, 2, 0.25, 1))), [0.5]);
    // The slots between 0.6 s and 3 s lapse.
    assert_eq!(times(budget.grant(&report(1, 3, 3.0, 2))), [3.0, 3.1]);
    // No slot is later than a minute, because timers cannot be shortened.
    let grant = budget.grant(&report(1, 4, 4.0, 10_000));
    assert_eq!((grant.needed, grant.retry_after), (601, Duration::from_secs(60)));
    assert_eq!(budget.grant(&report(1, 5, 5.0, 10_000)).needed, 10);
}

#[test]
fn throttling_withdraws_the_slots_and_slows_all_services() {
    let mut budget = SharedBudget::new(10.0, 20);
    budget.grant(&report(2, 1, 0.0, 0));
    assert_eq!(budget.grant(&report(1, 1, 0.0, 400)).needed, 400);
    let attempt_stats = throttled(Duration::from_secs(20));
    let grant = budget.grant(&Report { attempt_stats, ..report(1, 2, 1.0, 1) });
    assert_eq!((grant.generation, times(grant)), (1, vec![21.0]));
    let other = budget.grant(&report(2, 2, 2.0, 1));
    assert_eq!((other.generation, other.blocked_for.as_secs()), (1, 19));
    // The rate recovers by a thirtieth of the budget each second, without any request.
    for (second, expected) in [(2_u32, 7.3333), (5, 8.3333), (9, 9.6667), (10, 10.0), (60, 10.0)] {
        budget.grant(&report(2, u64::from(second) + 1, second.into(), 0));
        let rate = budget.status().requests_per_second;
        assert!((rate - expected).abs() < 0.001, "{second}: {rate}");
    }
}

/// The quota counts the requests of all services together.
#[test]
fn a_stated_quota_limits_all_services_for_an_hour() {
    let quota = StatedQuota::new(QuotaPolicy::User, 20, Duration::from_secs(30));
    let mut budget = SharedBudget::new(100.0, 20);
    budget.grant(&report(2, 1, 0.0, 10));
    budget.grant(&report(1, 1, 0.0, 10));
    let mut refused = throttled(Duration::ZERO);
    (refused.attempts, refused.stated_quotas) = (25, StatedQuotas::default().with(quota));
    budget.grant(&Report { attempt_stats: refused, ..report(1, 2, 1.0, 10) });
    let (mut sent, mut slots) = (Vec::new(), [Vec::new(), Vec::new()]);
    for second in 2..=3_600_u32 {
        for (service, slots) in (1..).zip(&mut slots) {
            let due: Vec<f64> = slots.extract_if(.., |at| *at < f64::from(second)).collect();
            let mut attempt_stats = AttemptStats::default();
            attempt_stats.attempts = due.len() as u32;
            sent.extend(due);
            let report = report(service, u64::from(second) + 1, second.into(), 1);
            slots.extend(times(budget.grant(&Report { attempt_stats, ..report })));
        }
    }
    let within = |start: u32| {
        let window = f64::from(start)..f64::from(start) + 30.0;
        sent.iter().filter(|at| window.contains(*at)).count()
    };
    let most = (2..3_570).map(within).max().unwrap();
    assert!((15..=18).contains(&most), "{most}");
    assert_eq!(within(1), 0, "the window is full");
    let rate = budget.status().requests_per_second;
    assert!((rate - 0.6).abs() < 1e-9, "{rate}");
    budget.grant(&report(1, 9_000, 3_602.0, 10));
    assert_eq!(budget.status().requests_per_second, 100.0);
}

#[test]
fn the_waits_of_a_lost_service_count_until_others_have_counted_them() {
    let mut budget = SharedBudget::new(10.0, 20);
    let counts = |count| BTreeMap::from([(UrgencyBucket::from_urgency(0.1), count)]);
    let once = Report { counts: counts(400), ..report(1, 1, 0.0, 0) };
    budget.grant(&once);
    budget.grant(&once);
    assert_eq!(budget.status().waits, 400, "a repeated report counts once");
    budget.grant(&Report { counts: counts(380), ..report(1, 2, 1.0, 0) });
    assert_eq!(budget.status().waits, 380, "each report has all waits of its service");
    // The service crashes. Another one plans its waits again, the last one after 72 s.
    let mut waits = Vec::new();
    for second in 1..=200_u32 {
        let counts = counts((second * 5).min(380));
        budget.grant(&Report { counts, ..report(2, second.into(), second.into(), 0) });
        waits.push(budget.status().waits);
    }
    assert_eq!((waits[0], *waits.iter().max().unwrap(), waits[199]), (385, 760, 380));
}

#[test]
fn waits_are_advanced_only_if_the_budget_is_spent_and_nothing_is_throttled() {
    let key = |number: u64| (START, format!("p:{number}").parse().unwrap(), number);
    let candidates: Vec<_> = (0..50).map(key).collect();
    let mut budget = SharedBudget::new(10.0, 20);
    let mut advanced = |number: u64, seconds, needed, waits, attempt_stats| {
        let counts = BTreeMap::from([(UrgencyBucket::from_urgency(0.5), waits)]);
        let candidates = candidates.clone();
        let report = report(1, number, seconds, needed);
        budget.grant(&Report { counts, candidates, attempt_stats, ..report }).advanced
    };
    let nothing = AttemptStats::default();
    assert_eq!(advanced(1, 0.0, 0, 5, nothing), 0, "the budget is not spent");
    assert_eq!(advanced(2, 1.0, 0, 500, nothing), 13, "the slots until after the next report");
    assert_eq!(advanced(3, 1.5, 0, 500, nothing), 5, "those that are left of them");
    assert_eq!(advanced(4, 2.5, 7, 500, nothing), 3, "waits that are due come first");
    assert_eq!(advanced(5, 3.5, 0, 500, throttled(Duration::ZERO)), 0);
    assert_eq!(advanced(6, 4.5, 0, 500, nothing), 0, "the rate has not recovered");
}

#[test]
fn service_clocks_are_independent() {
    let mut budget = SharedBudget::new(100.0, 20);
    // Each report: its service and number, the seconds of the service's clock and of its reference
    // clock, and the time of the budget afterwards.
    let rows = [
        // Service 1 runs on a machine that has been up for a year, service 2 on one that just started.
        (1, 1, 31_536_000.0, 0.0, 0.0),
        (1, 2, 31_536_001.0, 1.0, 1.0),
        (2, 1, 3.0, 1.0, 1.0),
        (2, 2, 4.0, 2.0, 2.0),
        // Reports come late or twice.
        (1, 3, 31_536_001.5, 1.5, 2.0),
        (2, 2, 4.0, 2.0, 2.0),
        (2, 3, 8.0, 6.0, 6.0),
        // An outage of all services passes like other time.
        (2, 4, 24.0, 22.0, 22.0),
        (2, 5, 25.0, 23.0, 23.0),
        // A reference clock that is an hour ahead counts once, and for five minutes.
        (3, 1, 1.0, 3_624.0, 323.0),
        (3, 2, 2.0, 3_625.0, 324.0),
        (2, 6, 26.0, 24.0, 324.0),
        (2, 7, 27.0, 25.0, 325.0),
        // One that is behind does not count.
        (4, 1, 1.0, -3_600.0, 325.0),
    ];
    for (service, number, seconds, reference, expected) in rows {
        let time = START + SignedDuration::from_secs_f64(reference);
        budget.grant(&Report { time, ..report(service, number, seconds, 0) });
        let now = (budget.now - MAX_PAUSE).as_secs_f64();
        assert_eq!(now, expected, "{service} at {seconds}");
    }
    // The slots of before an outage lapse.
    let mut budget = SharedBudget::new(10.0, 20);
    assert_eq!(budget.grant(&report(1, 1, 0.0, 600)).needed, 600);
    let later = Report { time: START + Duration::from_secs(600), ..report(2, 1, 7.0, 1) };
    assert_eq!(times(budget.grant(&later)), [600.0]);
}

#[test]
fn requests_in_flight_are_divided_by_demand() {
    let mut budget = SharedBudget::new(100.0, 20);
    let busy = |number, seconds| Report { in_flight: 20, ..report(1, number, seconds, 50) };
    assert_eq!(budget.grant(&busy(1, 0.0)).max_in_flight, 20, "a single service gets all");
    for second in 1..4_u32 {
        budget.grant(&busy(u64::from(second) + 1, second.into()));
        let other = budget.grant(&report(2, second.into(), second.into(), 50));
        assert_eq!(other.max_in_flight, 0, "20 requests are in flight");
    }
    // These requests have ended, so the second service gets its part.
    budget.grant(&report(1, 9, 4.0, 50));
    assert!(budget.grant(&report(2, 9, 4.1, 50)).max_in_flight > 5);
    // A service that leaves releases its part at once, one that crashes after ten seconds.
    budget.grant(&Report { is_leaving: true, ..report(1, 10, 4.2, 0) });
    assert_eq!(budget.status().services, 1);
    assert_eq!(budget.grant(&report(2, 10, 4.3, 50)).max_in_flight, 20);
    let mut last = 0;
    for second in 5..=17_u32 {
        last = budget.grant(&report(3, second.into(), second.into(), 50)).max_in_flight;
        assert!(second > 15 || last == 0, "{last} at {second}");
    }
    assert_eq!(last, 20);
}

#[test]
fn each_service_gets_a_part_of_the_requests_in_flight() {
    // The rate of each service, and the requests that may be in flight.
    let rows: [(&[u32], usize); 8] = [
        (&[50; 2], 2),
        (&[50; 3], 20),
        (&[50; 8], 20),
        (&[50; 11], 20),
        (&[50; 13], 20),
        (&[50; 8], 12),
        (&[50, 5], 2),
        (&[50, 5, 5], 20),
    ];
    for (rates, total) in rows {
        let mut budget = SharedBudget::new(100.0, total);
        let mut parts = Vec::new();
        for second in 1..60_u32 {
            let reports = (1..).zip(rates).map(|(service, requested)| {
                report(service, second.into(), second.into(), *requested)
            });
            parts = reports.map(|report| budget.grant(&report).max_in_flight).collect();
        }
        assert!(parts.iter().all(|part| *part > 0), "{rates:?} of {total}: {parts:?}");
        assert_eq!(parts.iter().sum::<usize>(), total, "{rates:?}: {parts:?}");
        assert!(parts.is_sorted_by(|a, b| a >= b || rates[0] == rates[1]), "{rates:?}: {parts:?}");
    }
}

proptest! {
    #[test]
    fn grants_never_exceed_the_budget(
        steps in vec(
            (0_u64..6, 0_u64..3000, 0_u32..100, 0..8, any::<bool>(), 0_usize..5),
            1..80,
        ),
        per_second in 1_u32..200,
        in_flight in 1_usize..40,
    ) {
        let mut budget = SharedBudget::new(per_second.into(), in_flight);
        // The requests in flight that each service may have, and until when.
        let (mut grants, mut numbers) = (BTreeMap::new(), BTreeMap::new());
        let (mut slots, mut generation, mut now) = (Vec::new(), 0, 0);
        for (service, millis, requested, leaving, is_lost, clock) in steps {
            now += millis;
            let is_leaving = leaving == 0;
            let number = numbers.entry(service).or_insert(1);
            let report = report(service, *number, now as f64 / 1000.0, requested);
            // Some reference clocks are wrong.
            let ahead = SignedDuration::from_secs([0, 0, 0, 7, 3_600][clock]);
            let report = Report { is_leaving, time: report.time + ahead, ..report };
            let grant = budget.grant(&report);
            if is_leaving {
                prop_assert_eq!(grant.max_in_flight, 0);
                grants.remove(&service);
            } else if !is_lost {
                // A service whose grant is lost repeats its report.
                *number += 1;
                let expires_at = now + GRANT_TTL.as_millis() as u64;
                grants.insert(service, (grant.max_in_flight, expires_at));
            }
            if grant.generation != generation {
                (slots, generation) = (Vec::new(), grant.generation);
            }
            // By the budget's clock, which may differ from the clocks of the services.
            let budget_start = report.time - budget.now;
            let at = |slot: Slot| slot.at.duration_since(budget_start).as_secs_f64();
            slots.extend(grant.needed_slots().map(at));
            grants.retain(|_, (_, until)| *until > now);
            let flying: usize = grants.values().map(|(grant, _)| grant).sum();
            prop_assert!(flying <= in_flight, "{flying}");
        }
        let gap = 1.0 / f64::from(per_second);
        for two in slots.windows(2) {
            prop_assert!(two[1] - two[0] > gap - 1e-6, "{two:?}");
        }
        let text = serde_json::to_string(&budget).unwrap();
        let again: SharedBudget = serde_json::from_str(&text).unwrap();
        // Fractions may differ in their last digit after a round trip through JSON.
        prop_assert_eq!((again.services.len(), again.now), (budget.services.len(), budget.now));
    }
}
