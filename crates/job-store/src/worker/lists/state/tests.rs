//! Tests when a list is read, and when it replaces readings.

use job_poller::{
    durable::RowState,
    schedule::{Adaptive, BudgetShare},
};
use serde_json::json;

use super::*;

/// Returns the last reading of a job that has ended no step, at this age in seconds.
fn reading(age: u64) -> LastReading {
    let seconds = |seconds: u64| json!({"secs": seconds, "nanos": 0});
    let forecast = json!({
        "job_type": "CreateNode", "age": seconds(age), "elapsed": seconds(age), "readings": 5,
        "random": 0, "nearly_done": false, "steps": [0, seconds(0)],
    });
    let forecast = Some(serde_json::from_value(forecast).unwrap());
    LastReading { state: RowState::default(), at: Timestamp::UNIX_EPOCH, forecast }
}

/// Plans the next reading of a list of `waits` jobs that has shown `shown` changes.
fn plan(waits: usize, shown: u32, price: f64, pause: u64) -> (Option<f64>, ListState) {
    let schedule = Adaptive::new();
    let share = BudgetShare::new(Duration::from_secs_f64(price), Duration::from_secs(60));
    let planner = Planner { schedule: &schedule, share, now: Timestamp::UNIX_EPOCH };
    let (mut state, mut jobs, reading) = (ListState::default(), Jobs::default(), reading(120));
    (0..waits).for_each(|_| jobs.add(&planner, Some(&reading)));
    (0..shown).for_each(|_| state.evidence.record_fresh());
    let interval = state.plan(&jobs, &planner, Duration::from_secs(pause));
    (interval.map(|interval| (interval.as_secs_f64() * 10.0).round() / 10.0), state)
}

#[test]
fn a_list_is_read_as_often_as_it_saves_requests() {
    // The number of jobs, the number of changes that the list has shown, the price of a request, and
    // the plan: the seconds until the next list, and whether it replaces readings.
    let rows = [
        (9, 0, 0.25, None, false),
        (10, 0, 0.25, Some(11.0), false),
        (50, 0, 0.25, Some(2.2), false),
        // The budget is used up.
        (50, 0, 25.0, Some(21.9), false),
        (5, 1, 0.25, None, false),
        (10, 1, 0.25, Some(4.9), true),
        (50, 100, 0.25, Some(2.0), true),
        (50, 100, 25.0, Some(15.5), true),
        (2, 100, 0.25, Some(7.7), true),
        (1, 100, 0.25, None, false),
    ];
    for (waits, shown, price, expected, covers) in rows {
        let (interval, state) = plan(waits, shown, price, 0);
        let name = format!("{waits} waits, {shown} changes, price {price}");
        assert_eq!((interval, state.missed().is_some()), (expected, covers), "{name}");
    }
}

#[test]
fn a_large_list_is_read_rarely_and_replaces_no_readings_then() {
    for (pause, covers) in [(30, true), (60, true), (61, false), (7200, false)] {
        let (interval, state) = plan(50, 100, 0.25, pause);
        assert_eq!((interval, state.urgency.is_some()), (Some(pause as f64), covers), "{pause}");
    }
}
