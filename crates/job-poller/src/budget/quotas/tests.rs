//! Tests of the limits that stated quotas set, for random quotas and drivers.

use proptest::{collection::vec, prelude::*};

use super::{super::*, *};
use crate::machine::QuotaPolicy;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn quota(max_requests: u32, seconds: u64) -> StatedQuota {
    StatedQuota::new(QuotaPolicy::User, max_requests, Duration::from_secs(seconds))
}

/// The results of an attempt that was refused because of this quota.
fn refusal(quota: StatedQuota) -> AttemptStats {
    let stated_quotas = StatedQuotas::default().with(quota);
    AttemptStats { attempts: 1, stated_quotas, ..AttemptStats::default() }
}

/// Sends requests whenever the budget allows one, until `end`. Returns their times.
fn send_all(budget: &mut Budget, from: Duration, end: Duration) -> Vec<Duration> {
    let (mut now, mut sent) = (from, Vec::new());
    loop {
        now = now.max(budget.next_slot());
        if now >= end {
            return sent;
        }
        budget.consume(now, 1);
        sent.push(now);
    }
}

/// Returns the largest number of requests in any interval of this length.
fn max_within(sent: &[Duration], window: Duration) -> usize {
    let (mut first, mut most) = (0, 0);
    for (index, at) in sent.iter().enumerate() {
        while *at - sent[first] >= window {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

#[test]
fn a_quota_lowers_the_average_rate_but_not_below_one_request_a_minute() {
    let minute = 1.0 / 60.0;
    let rows = [
        // The configured rate, the quota, and the expected rate.
        (50.0, quota(20, 30), 0.6),
        (50.0, quota(200, 300), 0.6),
        (50.0, quota(5, 5), 0.8),
        (50.0, quota(11, 10), 0.9),
        (50.0, quota(1, 1), 1.0),
        (50.0, quota(1, 60), minute),
        (50.0, quota(1, 3600), minute),
        (50.0, quota(30, 3600), minute),
        (50.0, quota(u32::MAX, 1), 50.0),
        (0.1, quota(20, 30), 0.1),
        // A window that is too long, and values that no reply states.
        (50.0, quota(1, 3601), 50.0),
        (50.0, quota(0, 60), 50.0),
        (50.0, quota(1, 0), 50.0),
    ];
    for (per_second, stated, expected) in rows {
        let mut budget = Budget::new(per_second, 20);
        budget.record(secs(5.0), &refusal(stated));
        for rate in [budget.current_rate(), budget.effective_rate()] {
            assert!((rate - expected).abs() < 1e-9, "{stated:?}: {rate} {expected}");
        }
        let gap = budget.share(100).max_gap.as_secs_f64();
        assert!((gap - 190.0 / expected).abs() < 1e-6, "{stated:?}: {gap}");
        assert!(budget.next_slot() <= secs(65.0), "{stated:?}: {:?}", budget.next_slot());
    }
}

#[test]
fn unused_requests_are_sent_in_a_burst() {
    let rows = [
        // The quota, the requests of the first second, and those of the first window.
        (quota(20, 30), 18, 18),
        (quota(5, 5), 4, 4),
        // A burst leaves a request for each minute.
        (quota(200, 300), 175, 179),
        (quota(10, 300), 4, 8),
        (quota(2, 600), 1, 10),
    ];
    for (stated, burst, in_window) in rows {
        let mut budget = Budget::new(1e6, 20);
        budget.add_quota(secs(0.0), stated, QUOTA_PERIOD);
        let sent = send_all(&mut budget, secs(0.0), stated.window);
        let in_first = sent.iter().filter(|at| **at < secs(1.0)).count();
        assert_eq!((in_first, sent.len()), (burst, in_window), "{stated:?}");
    }
}

#[test]
fn requests_before_the_first_refusal_count() {
    let mut budget = Budget::new(2.0, 20);
    // One request each two seconds for a minute. Then others use up the rest of the quota.
    for second in (0..60).step_by(2) {
        budget.consume(Duration::from_secs(second), 1);
    }
    budget.record(secs(60.0), &refusal(quota(20, 30)));
    // The window has 14 of them. The other 4 count as sent now, and are free again at 90 s.
    let sent = send_all(&mut budget, secs(60.0), secs(91.0));
    let seconds: Vec<u64> = sent.iter().map(Duration::as_secs).collect();
    let expected: Vec<u64> = (0..14).map(|number| 62 + 2 * number).chain([90; 3]).collect();
    assert_eq!(seconds, expected);
}

#[test]
fn a_quota_expires_an_hour_after_the_last_refusal() {
    let rate_at = |budget: &mut Budget, second: u64| {
        budget.reprice(Duration::from_secs(second), 0);
        budget.current_rate()
    };
    let mut budget = Budget::new(50.0, 20);
    budget.record(secs(10.0), &refusal(quota(20, 30)));
    budget.record(secs(100.0), &refusal(quota(40, 30)));
    assert_eq!(budget.quotas().collect::<Vec<_>>(), [quota(40, 30)], "the last one applies");
    assert!((rate_at(&mut budget, 3_699) - 1.2).abs() < 1e-9);
    assert_eq!(rate_at(&mut budget, 3_700), 50.0);
    // A quota from another process applies for the rest of its period, and does not replace one.
    budget.add_quota(secs(4_000.0), quota(20, 30), Duration::from_secs(7));
    budget.add_quota(secs(4_000.0), quota(10, 30), QUOTA_PERIOD);
    assert!((rate_at(&mut budget, 4_006) - 0.6).abs() < 1e-9);
    assert_eq!(rate_at(&mut budget, 4_007), 50.0);
}

#[test]
fn quotas_of_several_policies_apply_together() {
    let mut budget = Budget::new(50.0, 20);
    let ip = StatedQuota::new(QuotaPolicy::Ip, 5, Duration::from_secs(5));
    for stated in [quota(20, 30), ip] {
        budget.add_quota(secs(0.0), stated, QUOTA_PERIOD);
    }
    let sent = send_all(&mut budget, secs(0.0), secs(300.0));
    assert_eq!(max_within(&sent, Duration::from_secs(5)), 4);
    assert_eq!(max_within(&sent, Duration::from_secs(30)), 18);
}

#[test]
fn budgets_of_earlier_versions_have_no_quotas() {
    let mut old = serde_json::to_value(Budget::new(50.0, 20)).unwrap();
    old.as_object_mut().unwrap().remove("quotas").unwrap();
    assert_eq!(serde_json::from_value::<Budget>(old).unwrap(), Budget::new(50.0, 20));
    let mut old = serde_json::to_value(AttemptStats::default()).unwrap();
    old.as_object_mut().unwrap().remove("stated_quotas").unwrap();
    assert_eq!(serde_json::from_value::<AttemptStats>(old).unwrap(), AttemptStats::default());
}

fn quotas() -> impl Strategy<Value = StatedQuota> {
    let window = prop_oneof![1_u64..=60, 61_u64..=3600];
    let max_requests = prop_oneof![1_u32..30, 1_u32..2_000];
    (max_requests, window).prop_map(|(max_requests, seconds)| quota(max_requests, seconds))
}

/// The number of requests that a burst leaves for the rest of the window.
fn reserved(stated: StatedQuota) -> usize {
    let minutes = stated.window.as_secs().div_ceil(60) as usize;
    if minutes > 1 { minutes } else { 0 }
}

/// The number of requests that may be sent in a window.
fn allowed(stated: StatedQuota) -> usize {
    let max = (u64::from(stated.max_requests) * 9 / 10).max(1) as usize;
    max.max(reserved(stated))
}

proptest! {
    #[test]
    fn a_quota_holds_in_any_interval_and_leaves_no_slot_unused(
        stated in quotas(),
        per_second in prop_oneof![0.001_f64..1.0, 1.0_f64..200.0],
        before in 0_u32..400,
        is_refused in any::<bool>(),
        steps in vec((0_u32..90_000, 0_u32..300, prop::option::weighted(0.1, Just(()))), 1..40),
    ) {
        let mut budget = Budget::new(per_second, 20);
        let mut now = secs(10.0);
        let mut log: Vec<Duration> = Vec::new();
        for _ in 0..before {
            now = now.max(budget.next_slot());
            budget.consume(now, 1);
            log.push(now);
        }
        let learned_at = log.len();
        if is_refused {
            budget.record(now, &refusal(stated));
        } else {
            budget.add_quota(now, stated, QUOTA_PERIOD);
        }
        let expires_at = now + QUOTA_PERIOD;
        let mut was_refused = is_refused;
        for (millis, wanted, refused) in steps {
            now += Duration::from_millis(millis.into());
            for _ in 0..wanted {
                if now >= expires_at {
                    break;
                }
                let slot = budget.next_slot();
                // There is a slot at least once a minute, unless the configured rate is lower.
                let last = log.last().copied().unwrap_or_default().max(now);
                prop_assert!(slot <= last + secs(60.0).max(secs(2.0 / per_second)), "{slot:?}");
                let start = now.checked_sub(stated.window);
                let recent = log.iter().filter(|at| start.is_none_or(|start| **at > start)).count();
                let burst = allowed(stated) - reserved(stated);
                if !was_refused && burst < 256 && recent < burst {
                    let free_at = budget.pacer.next_slot().max(now);
                    prop_assert_eq!(slot.max(now), free_at, "the window has room");
                }
                // A driver that has more requests waits a second for a slot.
                if slot > now + secs(1.0) {
                    break;
                }
                now = now.max(slot);
                budget.consume(now, 1);
                log.push(now);
            }
            if refused.is_some() && now < expires_at {
                budget.record(now, &refusal(stated));
                was_refused = true;
            }
            let text = serde_json::to_string(&budget).unwrap();
            prop_assert!(text.len() < 20_000, "{}", text.len());
        }
        let sent = &log[learned_at..];
        let most = max_within(sent, stated.window);
        prop_assert!(most <= allowed(stated), "{most} {}", allowed(stated));
        // The configured rate holds, with the tolerance for late timers.
        for window in [1.0, 10.0, 100.0] {
            let most = max_within(&log, secs(window)) as f64;
            prop_assert!(most <= (window + 0.01) * per_second + 1.0 + 1e-6, "{most} in {window} s");
        }
        let restored: Budget = serde_json::from_str(&serde_json::to_string(&budget).unwrap()).unwrap();
        prop_assert_eq!(restored.next_slot(), budget.next_slot());
    }
}
