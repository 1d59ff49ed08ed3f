//! Tests which fault applies to which request, and in which order.

use super::*;

#[test]
fn random_faults_follow_seed_and_probability() {
    let faults =
        || Fault::parse_script("reset, 503, refuse").unwrap().into_iter().flatten().collect();
    let draws = |seed, probability| {
        let mut injector = FaultInjector::default();
        injector.set_random_faults(seed, probability, faults());
        let draw =
            |_| injector.next_request_fault(Duration::ZERO).map(|fault| format!("{fault:?}"));
        (0..10_000).map(draw).collect::<Vec<_>>()
    };
    assert_eq!(draws(7, 0.1), draws(7, 0.1));
    assert_ne!(draws(7, 0.1), draws(8, 0.1));
    for (probability, least, most) in [(0.0, 0, 0), (0.1, 900, 1_100), (1.0, 10_000, 10_000)] {
        let draws = draws(7, probability);
        let faults = draws.iter().flatten().count();
        assert!((least..=most).contains(&faults), "{probability}: {faults}");
        // Both request faults occur about equally often, and the connection fault never does.
        let resets = draws.iter().flatten().filter(|fault| *fault == "Reset").count();
        assert!(resets * 2 >= faults * 9 / 10 && resets * 2 <= faults * 11 / 10, "{resets}");
        assert!(!draws.iter().flatten().any(|fault| fault == "Refuse"));
    }
}

#[test]
fn scripted_faults_precede_outages_and_random_faults() {
    let mut injector = FaultInjector::default();
    injector.set_random_faults(0, 1.0, vec![Fault::Garbage]);
    injector.add_outage(Duration::ZERO..Duration::from_secs(1), Fault::Stall);
    injector.add(Some(Fault::Reset));
    injector.add(None);
    let next = |injector: &mut FaultInjector, second| {
        let fault = injector.next_request_fault(Duration::from_secs(second));
        fault.map_or_else(|| "none".into(), |fault| format!("{fault:?}"))
    };
    let applied = [0, 0, 0, 1].map(|second| next(&mut injector, second));
    assert_eq!(applied, ["Reset", "none", "Stall", "Garbage"]);
}

#[test]
fn connection_faults_do_not_apply_to_requests() {
    let mut injector = FaultInjector::default();
    injector.add(Some(Fault::Refuse));
    injector.add(Some(Fault::Reset));
    assert!(matches!(injector.next_request_fault(Duration::ZERO), Some(Fault::Reset)));
    assert!(matches!(injector.next_connection_fault(Duration::ZERO), Some(Fault::Refuse)));
    assert!(injector.next_request_fault(Duration::ZERO).is_none());
    assert!(injector.next_connection_fault(Duration::ZERO).is_none());
    // Each entry applies in its turn if every request opens a connection.
    injector.add(None);
    injector.add(Some(Fault::Refuse));
    let connects = [(); 3].map(|()| {
        let refused = injector.next_connection_fault(Duration::ZERO).is_some();
        refused || injector.next_request_fault(Duration::ZERO).is_some()
    });
    assert_eq!(connects, [false, true, false]);
}
