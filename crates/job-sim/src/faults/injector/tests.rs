//! What befalls whom, and in which order.

use super::*;

#[test]
fn chance_is_the_seeds_and_of_its_probability() {
    let faults = || Fault::script("reset, 503, refuse").unwrap().into_iter().flatten().collect();
    let drawn = |seed, probability| {
        let mut fate = Fate::default();
        fate.chance(seed, probability, faults());
        let draw = |_| fate.of_request(Duration::ZERO).map(|fault| format!("{fault:?}"));
        (0..10_000).map(draw).collect::<Vec<_>>()
    };
    assert_eq!(drawn(7, 0.1), drawn(7, 0.1));
    assert_ne!(drawn(7, 0.1), drawn(8, 0.1));
    for (probability, least, most) in [(0.0, 0, 0), (0.1, 900, 1_100), (1.0, 10_000, 10_000)] {
        let drawn = drawn(7, probability);
        let faults = drawn.iter().flatten().count();
        assert!((least..=most).contains(&faults), "{probability}: {faults}");
        // Both kinds that a request can meet, about as often; never a connection's.
        let resets = drawn.iter().flatten().filter(|fault| *fault == "Reset").count();
        assert!(resets * 2 >= faults * 9 / 10 && resets * 2 <= faults * 11 / 10, "{resets}");
        assert!(!drawn.iter().flatten().any(|fault| fault == "Refuse"));
    }
}

#[test]
fn the_script_comes_before_an_outage_and_that_before_chance() {
    let mut fate = Fate::default();
    fate.chance(0, 1.0, vec![Fault::Garbage]);
    fate.outage(Duration::ZERO..Duration::from_secs(1), Fault::Stall);
    fate.add(Some(Fault::Reset));
    fate.add(None);
    let next = |fate: &mut Fate, second| {
        let fault = fate.of_request(Duration::from_secs(second));
        fault.map_or_else(|| "none".into(), |fault| format!("{fault:?}"))
    };
    let befell = [0, 0, 0, 1].map(|second| next(&mut fate, second));
    assert_eq!(befell, ["Reset", "none", "Stall", "Garbage"]);
}

#[test]
fn what_befalls_connections_befalls_no_request() {
    let mut fate = Fate::default();
    fate.add(Some(Fault::Refuse));
    fate.add(Some(Fault::Reset));
    assert!(matches!(fate.of_request(Duration::ZERO), Some(Fault::Reset)));
    assert!(matches!(fate.of_connection(Duration::ZERO), Some(Fault::Refuse)));
    assert!(fate.of_request(Duration::ZERO).is_none());
    assert!(fate.of_connection(Duration::ZERO).is_none());
    // Each at its place in the script, where every request has a connection.
    fate.add(None);
    fate.add(Some(Fault::Refuse));
    let connects = [(); 3].map(|()| {
        let refused = fate.of_connection(Duration::ZERO).is_some();
        refused || fate.of_request(Duration::ZERO).is_some()
    });
    assert_eq!(connects, [false, true, false]);
}
