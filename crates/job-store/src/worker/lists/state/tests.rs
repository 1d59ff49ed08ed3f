//! Tests when a list is read, and how far it replaces readings.

use super::*;

#[test]
fn a_list_is_read_as_often_as_it_saves_requests() {
    // The number of jobs, the number of changes that the list has shown, the price of a request, and
    // the plan: the seconds until the next list, and the trust.
    let rows = [
        (9, 0, 0.25, None),
        (10, 0, 0.25, Some((11.0, 0))),
        (50, 0, 0.25, Some((2.2, 0))),
        // The budget is used up.
        (50, 0, 25.0, Some((21.9, 0))),
        (50, 1, 0.25, Some((2.2, 0))),
        (50, 100, 0.25, Some((2.0, 3))),
        (500, 100, 0.25, Some((2.0, 3))),
        (50, 100_000, 25.0, Some((15.5, 5))),
        (5, 100, 0.25, Some((4.9, 3))),
        (4, 100, 0.25, None),
    ];
    for (waits, shown, request_price, expected) in rows {
        let (mut state, mut jobs) = (ListState::default(), Jobs::default());
        (0..waits).for_each(|_| jobs.add(None, true));
        (0..shown).for_each(|_| state.evidence.record_fresh());
        let plan = state.plan(&jobs, request_price, Duration::ZERO);
        let interval = plan.interval.map(|interval| (interval.as_secs_f64() * 10.0).round() / 10.0);
        let actual = interval.map(|interval| (interval, plan.trust));
        assert_eq!(actual, expected, "{waits} waits, {shown} changes, price {request_price}");
        assert_eq!(state.urgency.is_some(), shown > 0 && waits > 4, "{waits} waits");
    }
}

#[test]
fn a_large_list_is_read_rarely_and_replaces_no_readings_then() {
    for (pause, trust) in [(30, 3), (60, 3), (61, 0), (7200, 0)] {
        let (mut state, mut jobs) = (ListState::default(), Jobs::default());
        (0..50).for_each(|_| jobs.add(Some(43_000), true));
        (0..100).for_each(|_| state.evidence.record_fresh());
        let pause = Duration::from_secs(pause);
        let plan = state.plan(&jobs, 0.25, pause);
        assert_eq!(plan, ListPlan { interval: Some(pause), trust });
    }
}

#[test]
fn trust_grows_with_the_number_of_changes_shown() {
    let trusts = [0, 1, 3, 4, 15, 16, 63, 255, 1023, 1_000_000].map(|shown| {
        let mut evidence = ListEvidence::new();
        (0..shown).for_each(|_| evidence.record_fresh());
        trust(evidence.miss_probability())
    });
    assert_eq!(trusts, [0, 0, 1, 1, 2, 2, 3, 4, 5, 5]);
}
